//! Owns the REST API door: API Gateway's Lambda proxy event, payload version 1.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>

use super::{
    Door, Invocation, Opened,
    http::{self, HttpRequest},
    identity,
};
use crate::{domain::Requester, json::Json};

pub(super) fn open(event: &Json, invocation: &Invocation<'_>) -> Opened {
    let text = |name: &str| event.get(name).and_then(Json::as_str);
    let id = event
        .at(&["requestContext", "requestId"])
        .and_then(Json::as_str)
        .filter(|id| !id.is_empty() && id.len() <= 128);
    let request = HttpRequest {
        method: text("httpMethod").unwrap_or_default(),
        resource: text("resource").filter(|resource| !resource.contains("+}")),
        path: text("path").unwrap_or_default(),
        path_parameters: event.get("pathParameters").and_then(Json::as_object).unwrap_or_default(),
        query: query(event),
        body: text("body").unwrap_or_default(),
        is_base64: event.get("isBase64Encoded") == Some(&Json::Bool(true)),
    };
    let requester = requester(event);
    let (allow, asked) = http::ask(&request, requester.is_some(), invocation.now);
    Opened { door: Door::Http { allow }, request_id: id.unwrap_or(invocation.request_id).to_owned(), requester, asked }
}

fn requester(event: &Json) -> Option<Requester> {
    let identity = event.at(&["requestContext", "identity"])?;
    let is_guest = identity.get("cognitoAuthenticationType").and_then(Json::as_str) == Some("unauthenticated");
    if is_guest { None } else { identity::requester(identity.get("userArn")?.as_str()?) }
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
