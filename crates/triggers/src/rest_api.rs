//! Owns the REST API trigger: API Gateway's Lambda proxy event, payload version 1.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>

use key_policy::json::Json;

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
    let text = |name: &str| event.get(name).and_then(Json::as_str);
    HttpRequest {
        method: text("httpMethod").unwrap_or_default(),
        routing: routing(event),
        path_parameters: event.get("pathParameters").and_then(Json::as_object).unwrap_or_default(),
        query: query(event),
        body: event.get("body"),
        is_base64: event.get("isBase64Encoded") == Some(&Json::Bool(true)),
        has_page: text("version").is_some(), // as only HTTP APIs send it
    }
}

/// How the route is found. Only HTTP APIs send a `version`. Their paths have the stage, those of REST APIs do not.
fn routing(event: &Json) -> Routing<'_> {
    let text = |name: &str| event.get(name).and_then(Json::as_str);
    let path = text("path").unwrap_or_default();
    let without_stage = || http::without_stage(path, event.at(&["requestContext", "stage"]).and_then(Json::as_str));
    match text("resource") {
        None | Some("$default") => Routing::Path(without_stage()),
        Some(resource) => match http::greedy_parameter(resource) {
            Some(_) if text("version").is_some() => Routing::Path(without_stage()),
            Some(parameter) => Routing::Greedy { parameter, path },
            None => Routing::Resource { resource, path },
        },
    }
}

/// The requester, as IAM authorization, a Cognito authorizer or a JWT authorizer has verified it. If there is an IAM
/// identity, only this identity counts, even if it does not identify a caller.
fn caller(event: &Json, groups_claim: &str) -> Result<Caller, String> {
    let part = |path: &[&str]| event.get("requestContext")?.at(path).filter(|value| **value != Json::Null);
    if part(&["identity", "cognitoAuthenticationType"]).and_then(Json::as_str) == Some("unauthenticated") {
        return Err(identity::GUEST.to_owned());
    }
    match (part(&["identity", "userArn"]), part(&["authorizer", "claims"])) {
        (Some(arn), _) => identity::caller(Some(arn)),
        (None, Some(claims)) => identity::token_holder(claims, groups_claim, several(event)),
        (None, None) => Err(identity::NO_IDENTITY.to_owned()),
    }
}

/// Only an HTTP API sends a `version`, and writes claims in its own way in this format too.
fn several(event: &Json) -> Several {
    if event.get("version").is_some() { Several::Bracketed } else { Several::WithCommas }
}

/// Every query parameter, also repeated ones. API Gateway has decoded them.
fn query(event: &Json) -> Query<'_> {
    let Some(several) = event.get("multiValueQueryStringParameters").and_then(Json::as_object) else {
        return http::single(event);
    };
    let pairs = several.iter().flat_map(|(name, values)| values.items().iter().map(move |value| (name, value)));
    Box::new(pairs.map(|(name, value)| (name.as_str().into(), value.as_str().unwrap_or_default().into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(context: &str, expect: Option<&str>) {
        let caller = caller(&Json::parse(&format!(r#"{{"requestContext": {context}}}"#)).unwrap(), "groups");
        assert_eq!(caller.as_ref().map(|caller| caller.requester.as_str()).ok(), expect, "{context}");
    }

    #[test]
    fn groups_are_read_as_the_kind_of_api_writes_them() {
        let groups = |version: &str, groups: &str| {
            let claims = format!(r#"{{"iss": "i", "sub": "s", "groups": {groups}}}"#);
            let event = format!(r#"{{{version}"requestContext": {{"authorizer": {{"claims": {claims}}}}}}}"#);
            caller(&Json::parse(&event).unwrap(), "groups").unwrap().requester.groups().to_vec()
        };
        let http_api = r#""version": "1.0", "#;
        assert_eq!(groups("", r#""web,ops""#), ["web", "ops"]);
        assert_eq!(groups(http_api, r#""[web ops]""#), ["web", "ops"]);
        assert_eq!(groups("", r#""[web ops]""#), [""; 0]);
        assert_eq!(groups(http_api, r#""web,ops""#), [""; 0]);
        for version in ["", http_api] {
            assert_eq!(groups(version, r#"["web", "ops"]"#), ["web", "ops"]);
        }
    }

    #[test]
    fn only_the_root_user_is_called_so() {
        let error = |resource: &str| {
            let event = format!(
                r#"{{"requestContext": {{"identity": {{"userArn": "arn:aws:iam::999988887777:{resource}"}}}}}}"#
            );
            caller(&Json::parse(&event).unwrap(), "groups").unwrap_err()
        };
        assert!(error("root").starts_with("the root user of the account 999988887777"), "{}", error("root"));
        assert!(!error("boot").contains("root user"), "{}", error("boot"));
    }

    #[test]
    fn a_greedy_path_has_the_stage_of_an_http_api_and_may_have_another_base_path_of_a_rest_api() {
        let event = |version: &str| {
            let event = format!(
                r#"{{{version}"resource": "/{{proxy+}}", "path": "/v1/images", "requestContext": {{"stage": "v1"}}}}"#
            );
            Json::parse(&event).unwrap()
        };
        let http_api = event(r#""version": "1.0", "#);
        assert!(matches!(routing(&http_api), Routing::Path("/images")));
        assert!(matches!(routing(&event("")), Routing::Greedy { parameter: "proxy", path: "/v1/images" }));
    }

    #[test]
    fn an_iam_identity_counts_before_a_token() {
        let claims = r#""authorizer": {"claims": {"iss": "https://issuer.example", "sub": "u1"}}"#;
        let arn = |arn: &str| format!(r#""identity": {{"userArn": "{arn}"}}"#);
        let session = arn("arn:aws:sts::999988887777:assumed-role/portal/x");
        check(&format!("{{{session}, {claims}}}"), Some("arn:aws:iam::999988887777:role/portal"));
        check(&format!("{{{}, {claims}}}", arn("arn:aws:iam::999988887777:root")), None);
        check(&format!("{{{}, {claims}}}", arn("")), None);
        check(&format!(r#"{{"identity": {{"userArn": 7}}, {claims}}}"#), None);
        check(&format!(r#"{{"identity": {{"userArn": null}}, {claims}}}"#), Some("jwt:https://issuer.example#u1"));
        check(&format!("{{{claims}}}"), Some("jwt:https://issuer.example#u1"));
        check(
            &format!(
                r#"{{"identity": {{"userArn": null, "cognitoAuthenticationType": "unauthenticated"}}, {claims}}}"#
            ),
            None,
        );
        for nobody in [
            r#"{"authorizer": null}"#,
            r#"{"authorizer": {"claims": null}}"#,
            r#"{"authorizer": {"principalId": "ada"}}"#,
        ] {
            check(nobody, None);
        }
    }
}
