//! Owns the door of HTTP APIs and function URLs: payload version 2.0, which both send.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use super::{
    Invocation, Opened,
    http::{self, HttpRequest},
    identity,
};
use crate::{domain::Requester, json::Json};

pub(super) fn open(event: &Json, invocation: &Invocation<'_>) -> Opened {
    let context = |path: &[&str]| event.get("requestContext").and_then(|context| context.at(path)?.as_str());
    let request = HttpRequest {
        // A route may be for `ANY` method; which one it was, only the context says.
        method: context(&["http", "method"]).unwrap_or_default(),
        resource: event.get("routeKey").and_then(Json::as_str).and_then(resource),
        path: path(context(&["http", "path"]).unwrap_or_default(), context(&["stage"])),
        path_parameters: event.get("pathParameters").and_then(Json::as_object).unwrap_or_default(),
        query: query(event),
        body: event.get("body").and_then(Json::as_str).unwrap_or_default(),
        is_base64: event.get("isBase64Encoded") == Some(&Json::Bool(true)),
    };
    http::open(&request, requester(event), event, invocation)
}

/// The resource of a route key such as `GET /images/{imageId}/shares`. `$default` (all a function URL has) and greedy
/// routes have none: there the path says what is meant.
fn resource(route_key: &str) -> Option<&str> {
    route_key.split_once(' ').map(|(_, resource)| resource).filter(|resource| !resource.contains("+}"))
}

/// The path without the stage that it begins with, unless that is `$default` or a custom domain hides it.
fn path<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let stage = stage.filter(|stage| !stage.is_empty() && *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// Every query parameter, repeated ones repeated: `queryStringParameters` has joined those with commas.
///
/// Nothing is percent-decoded, because no parameter and no value that the routes take needs encoding; what is encoded
/// all the same is refused as unknown.
fn query(event: &Json) -> Vec<(&str, &str)> {
    match event.get("rawQueryString").and_then(Json::as_str) {
        Some(raw) if !raw.is_empty() => raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect(),
        Some(_) | None => {
            let joined = event.get("queryStringParameters").and_then(Json::as_object).unwrap_or_default();
            joined.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect()
        }
    }
}

/// Who asks, as an IAM authorizer established it or else a JWT authorizer. Where there is an IAM identity, it alone
/// counts, even if it is nobody's: a token adds nothing to it.
fn requester(event: &Json) -> Option<Requester> {
    let authorizer = event.at(&["requestContext", "authorizer"])?;
    match authorizer.get("iam") {
        Some(Json::Null) | None => identity::token_holder(authorizer.at(&["jwt", "claims"])?),
        Some(iam) if is_guest(iam) => None,
        Some(iam) => identity::requester(iam.get("userArn")?.as_str()?),
    }
}

/// Whether an identity pool gave out its role for guests; its `amr` says so, or can't be read.
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

    #[test]
    fn the_stage_is_taken_off_the_path_once_and_only_as_a_whole_segment() {
        for (given, stage, expect) in [
            ("/v1/requests", Some("v1"), "/requests"),
            ("/requests", Some("$default"), "/requests"),
            ("/requests", Some("v1"), "/requests"),
            ("/v1/v1/requests", Some("v1"), "/v1/requests"),
            ("/v10/requests", Some("v1"), "/v10/requests"),
            ("/v1", Some("v1"), ""),
            ("//v1/requests", Some("v1"), "//v1/requests"),
            ("/requests", None, "/requests"),
            ("/requests", Some(""), "/requests"),
            ("", Some("v1"), ""),
        ] {
            assert_eq!(path(given, stage), expect, "{given} {stage:?}");
        }
    }

    #[track_caller]
    fn check_query(event: &str, expect: &[(&str, &str)]) {
        assert_eq!(query(&Json::parse(event).unwrap()), expect, "{event}");
    }

    #[test]
    fn a_repeated_parameter_is_seen_twice() {
        check_query(
            r#"{"rawQueryString": "dryRun=true&dryRun=false", "queryStringParameters": {"dryRun": "true,false"}}"#,
            &[("dryRun", "true"), ("dryRun", "false")],
        );
        check_query(r#"{"rawQueryString": "dryRun&a=b=c&&"}"#, &[("dryRun", ""), ("a", "b=c")]);
        check_query(r#"{"rawQueryString": "dry%52un=true"}"#, &[("dry%52un", "true")]);
        check_query(r#"{"rawQueryString": "", "queryStringParameters": {"dryRun": "true"}}"#, &[("dryRun", "true")]);
        check_query(r#"{"queryStringParameters": {"dryRun": ["true"]}}"#, &[("dryRun", "")]);
        check_query(r#"{"rawQueryString": null}"#, &[]);
    }

    #[track_caller]
    fn check(authorizer: &str, expect: Option<&str>) {
        let event = format!(r#"{{"requestContext": {{"accountId": "999988887777", "authorizer": {authorizer}}}}}"#);
        let requester = requester(&Json::parse(&event).unwrap());
        assert_eq!(requester.as_ref().map(Requester::as_str), expect, "{authorizer}");
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
}
