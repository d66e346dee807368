//! Owns the REST API door: API Gateway's Lambda proxy event, payload version 1.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>

use super::{
    Invocation, Opened,
    http::{self, HttpRequest},
    identity,
};
use crate::{domain::Requester, json::Json};

pub(super) fn open(event: &Json, invocation: &Invocation<'_>) -> Opened {
    let text = |name: &str| event.get(name).and_then(Json::as_str);
    let request = HttpRequest {
        method: text("httpMethod").unwrap_or_default(),
        resource: text("resource").filter(|resource| !resource.contains("+}")),
        path: text("path").unwrap_or_default(),
        path_parameters: event.get("pathParameters").and_then(Json::as_object).unwrap_or_default(),
        query: query(event),
        body: text("body").unwrap_or_default(),
        is_base64: event.get("isBase64Encoded") == Some(&Json::Bool(true)),
    };
    http::open(&request, requester(event), event, invocation)
}

/// Who asks, as IAM authorization established it or else a Cognito or JWT authorizer. Where there is an IAM identity,
/// it alone counts, even if it is nobody's: a token adds nothing to it.
fn requester(event: &Json) -> Option<Requester> {
    let context = event.get("requestContext")?;
    let identity = |name: &str| context.at(&["identity", name]).filter(|value| **value != Json::Null);
    if identity("cognitoAuthenticationType").and_then(Json::as_str) == Some("unauthenticated") {
        return None;
    }
    match identity("userArn") {
        Some(arn) => identity::requester(arn.as_str()?),
        None => identity::token_holder(context.at(&["authorizer", "claims"])?),
    }
}

/// Every query parameter, repeated ones repeated.
fn query(event: &Json) -> Vec<(&str, &str)> {
    let fields = |name: &str| event.get(name).and_then(Json::as_object);
    if let Some(several) = fields("multiValueQueryStringParameters") {
        return several
            .iter()
            .flat_map(|(name, values)| values.as_array().unwrap_or_default().iter().map(move |value| (name, value)))
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
    }
    let single = fields("queryStringParameters").unwrap_or_default();
    single.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(context: &str, expect: Option<&str>) {
        let requester = requester(&Json::parse(&format!(r#"{{"requestContext": {context}}}"#)).unwrap());
        assert_eq!(requester.as_ref().map(Requester::as_str), expect, "{context}");
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
