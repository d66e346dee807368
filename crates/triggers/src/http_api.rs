//! Owns the trigger of HTTP APIs and function URLs: payload version 2.0, which both send.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use key_policy::json::Json;
use percent_encoding::percent_decode_str;

use super::{
    envelope::{Envelope, Invocation},
    http::{self, HttpRequest, Query, Routing},
    identity::{self, Caller, Several},
};

pub(super) fn open(event: &Json, invocation: &Invocation<'_>) -> Envelope {
    http::open(request(event), caller(event, invocation.groups_claim), event, invocation)
}

/// Whether the request is for the page.
pub(super) fn is_page(event: &Json) -> bool {
    http::is_page(&request(event))
}

fn request(event: &Json) -> HttpRequest<'_> {
    let context = |path: &[&str]| event.get("requestContext").and_then(|context| context.at(path)?.as_str());
    let path = http::without_stage(context(&["http", "path"]).unwrap_or_default(), context(&["stage"]));
    // `<url-id>.lambda-url.<region>.on.aws`
    let is_function_url = context(&["domainName"]).is_some_and(|name| name.contains(".lambda-url."));
    HttpRequest {
        // A route may be for `ANY` method: only the context says which one it was.
        method: context(&["http", "method"]).unwrap_or_default(),
        routing: match event.get("routeKey").and_then(Json::as_str).and_then(resource) {
            Some(resource) => Routing::Resource { resource, path },
            None => Routing::Path(path),
        },
        path_parameters: event.get("pathParameters").and_then(Json::as_object).unwrap_or_default(),
        query: query(event),
        body: event.get("body"),
        is_base64: event.get("isBase64Encoded") == Some(&Json::Bool(true)),
        has_page: !is_function_url,
    }
}

/// The resource of a route key such as `GET /images/{imageId}/shares`. `$default`, which a function URL always has, and
/// greedy routes have none: their path determines the resource.
fn resource(route_key: &str) -> Option<&str> {
    let resource = route_key.split_once(' ').map(|(_, resource)| resource);
    resource.filter(|resource| http::greedy_parameter(resource).is_none())
}

/// Every query parameter, also repeated ones: `queryStringParameters` has their values joined with commas.
///
/// A plus sign is a plus sign, as in RFC 3986: no parameter has a value with a space, and a time may have an offset.
fn query(event: &Json) -> Query<'_> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    match event.get("rawQueryString").and_then(Json::as_str) {
        Some(raw) if !raw.is_empty() => {
            let pairs = raw.split('&').filter(|pair| !pair.is_empty());
            let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            Box::new(pairs.map(move |(name, value)| (decoded(name), decoded(value))))
        }
        Some(_) | None => http::single(event),
    }
}

/// The requester, as an IAM authorizer or a JWT authorizer has verified it. If there is an IAM identity, only this
/// identity counts, even if it does not identify a caller.
fn caller(event: &Json, groups_claim: &str) -> Result<Caller, String> {
    let authorizer = event.at(&["requestContext", "authorizer"]);
    let part = |path: &[&str]| authorizer.and_then(|authorizer| authorizer.at(path)).filter(|it| **it != Json::Null);
    match (part(&["iam"]), part(&["jwt", "claims"])) {
        (Some(iam), _) if is_guest(iam) => Err(identity::GUEST.to_owned()),
        (Some(iam), _) => identity::caller(iam.get("userArn")),
        (None, Some(claims)) => identity::token_holder(claims, groups_claim, Several::Bracketed),
        (None, None) => Err(identity::NO_IDENTITY.to_owned()),
    }
}

/// Whether the identity is a guest of a Cognito identity pool: its `amr` says so, or can't be read.
///
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html>
fn is_guest(iam: &Json) -> bool {
    match iam.get("cognitoIdentity") {
        None | Some(Json::Null) => false,
        Some(identity) => match identity.get("amr") {
            Some(Json::Array(methods)) => {
                methods.iter().any(|method| method.as_str().is_none_or(|method| method == "unauthenticated"))
            }
            Some(_) | None => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_key_names_its_resource_unless_it_takes_everything() {
        for (key, expect) in [
            ("GET /images/{imageId}/shares", Some("/images/{imageId}/shares")),
            ("ANY /requests", Some("/requests")),
            ("ANY /{proxy+}", None),
            ("GET /v2/{rest+}", None),
            ("$default", None),
            ("", None),
        ] {
            assert_eq!(resource(key), expect, "{key}");
        }
    }

    #[track_caller]
    fn check_query(event: &str, expect: &[(&str, &str)]) {
        let event = Json::parse(event).unwrap();
        let query: Vec<_> = query(&event).collect();
        let query: Vec<_> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(query, expect, "{event:?}");
    }

    #[test]
    fn a_repeated_parameter_is_seen_twice() {
        check_query(
            r#"{"rawQueryString": "dryRun=true&dryRun=false", "queryStringParameters": {"dryRun": "true,false"}}"#,
            &[("dryRun", "true"), ("dryRun", "false")],
        );
        check_query(r#"{"rawQueryString": "dryRun&a=b=c&&"}"#, &[("dryRun", ""), ("a", "b=c")]);
        check_query(r#"{"rawQueryString": "dry%52un=%74rue"}"#, &[("dryRun", "true")]);
        check_query(
            r#"{"rawQueryString": "expiresAt=2027-01-31T12%3A00%3A00+01:00"}"#,
            &[("expiresAt", "2027-01-31T12:00:00+01:00")],
        );
        check_query(r#"{"rawQueryString": "a=%zz%&b=%ff&%26=%3D"}"#, &[("a", "%zz%"), ("b", "\u{fffd}"), ("&", "=")]);
        check_query(r#"{"rawQueryString": "", "queryStringParameters": {"dryRun": "true"}}"#, &[("dryRun", "true")]);
        check_query(r#"{"queryStringParameters": {"dryRun": ["true"]}}"#, &[("dryRun", "")]);
        check_query(r#"{"rawQueryString": null}"#, &[]);
    }

    #[track_caller]
    fn check(authorizer: &str, expect: Option<&str>) {
        let event = format!(r#"{{"requestContext": {{"accountId": "999988887777", "authorizer": {authorizer}}}}}"#);
        let caller = caller(&Json::parse(&event).unwrap(), "groups");
        assert_eq!(caller.as_ref().map(|caller| caller.requester.as_str()).ok(), expect, "{authorizer}");
    }

    #[test]
    fn an_iam_identity_counts_before_a_token_and_a_guest_is_nobody() {
        let portal = Some("arn:aws:iam::999988887777:role/portal");
        let session = r#""userArn": "arn:aws:sts::999988887777:assumed-role/portal/x""#;
        let jwt = r#""jwt": {"claims": {"iss": "https://issuer.example", "sub": "u1"}, "scopes": null}"#;
        check(&format!(r#"{{"iam": {{{session}}}}}"#), portal);
        check(&format!(r#"{{"iam": {{{session}, "cognitoIdentity": null}}}}"#), portal);
        check(&format!(r#"{{"iam": {{{session}, "cognitoIdentity": {{"amr": ["authenticated", "x"]}}}}}}"#), portal);
        for guest in [r#"{"amr": ["unauthenticated"]}"#, r#"{"amr": "unauthenticated"}"#, "{}", r#"{"amr": [1]}"#, "7"]
        {
            check(&format!(r#"{{"iam": {{{session}, "cognitoIdentity": {guest}}}}}"#), None);
        }
        check(&format!(r#"{{"iam": {{{session}}}, {jwt}}}"#), portal);
        check(&format!(r#"{{"iam": {{"userArn": "arn:aws:iam::999988887777:root"}}, {jwt}}}"#), None);
        check(&format!(r#"{{"iam": {{}}, {jwt}}}"#), None);
        check(&format!(r#"{{"iam": null, {jwt}}}"#), Some("jwt:https://issuer.example#u1"));
        check(&format!("{{{jwt}}}"), Some("jwt:https://issuer.example#u1"));
        for nobody in
            ["null", "{}", "[]", r#"{"lambda": {"iss": "a", "sub": "b", "userArn": "c"}}"#, r#"{"jwt": null}"#]
        {
            check(nobody, None);
        }
    }

    #[test]
    fn the_true_reason_is_said() {
        let why = |authorizer: &str| {
            let event = format!(r#"{{"requestContext": {{"authorizer": {authorizer}}}}}"#);
            caller(&Json::parse(&event).unwrap(), "groups").unwrap_err()
        };
        assert!(why("null").contains("neither an IAM identity nor a token"));
        assert!(why(r#"{"iam": {"userArn": "arn:aws:iam::999988887777:root"}}"#).contains("root user"));
        assert!(
            why(r#"{"iam": {"userArn": "x", "cognitoIdentity": {"amr": ["unauthenticated"]}}}"#).contains("Cognito")
        );
        assert!(
            why(r#"{"iam": {"userArn": "arn:aws:sts::999988887777:federated-user/a"}}"#).contains("federated user")
        );
        assert!(why(r#"{"jwt": {"claims": {"iss": "i", "sub": "a b"}}}"#).contains("holds a space"));
    }
}
