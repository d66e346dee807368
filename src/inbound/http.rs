//! Owns the routes, and the answer to an HTTP request. What the event formats of API Gateway and function URLs call
//! things is their doors' business.

use serde_json::json;
use time::OffsetDateTime;

use super::{Door, Invocation, Opened, Sent, TurnedAway, problem, request_id};
use crate::{
    domain::{GroupId, Requester, quoted},
    json::{Fault, Json},
    outcome::{Code, Outcome, to_text},
    request::{Action, Malformed, Request},
};

/// The parts of an HTTP request that matter here.
pub(super) struct HttpRequest<'a> {
    pub(super) method: &'a str,
    /// The route as the API defines it, unless that is greedy.
    pub(super) resource: Option<&'a str>,
    /// The path without the stage.
    pub(super) path: &'a str,
    pub(super) path_parameters: &'a [(String, Json)],
    pub(super) query: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a str,
    pub(super) is_base64: bool,
}

/// The resources of the API.
enum Resource<'a> {
    Requests,
    Shares { image: &'a str },
    Share { image: &'a str, target: &'a str },
}

/// What a method on a resource means.
enum Route<'a> {
    Document,
    List { image: &'a str },
    Share { image: &'a str },
    Check { image: &'a str, target: &'a str },
    Revoke { image: &'a str, target: &'a str },
}

impl Route<'_> {
    /// The action, where the route alone says it.
    fn action(&self) -> Option<Action> {
        match self {
            Self::Document => None,
            Self::List { .. } => Some(Action::List),
            Self::Share { .. } => Some(Action::Share),
            Self::Check { .. } => Some(Action::Check),
            Self::Revoke { .. } => Some(Action::Revoke),
        }
    }
}

/// What an HTTP event asks, when its door has said what its format calls the parts of the request and who asks.
pub(super) fn open(
    request: &HttpRequest<'_>,
    requester: Option<Requester>,
    event: &Json,
    invocation: &Invocation<'_>,
) -> Opened {
    let id = request_id(event.at(&["requestContext", "requestId"]));
    let (allow, asked) = ask(request, requester.is_some(), invocation.now);
    Opened {
        door: Door::Http { allow },
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester,
        sent: Sent::Now,
        asked,
    }
}

/// What is asked; and where the route takes other methods, which.
fn ask(
    request: &HttpRequest<'_>,
    is_known: bool,
    now: OffsetDateTime,
) -> (Option<&'static str>, Result<Request, TurnedAway>) {
    if !is_known {
        let message = "the caller could not be identified: sign the request with the credentials of an IAM role or user, \
             or send the token that the API's authorizer asks for";
        return (None, Err(TurnedAway::new(Code::Unauthenticated, message)));
    }
    let Some(resource) = resource(request) else {
        return (None, Err(TurnedAway::new(Code::RouteNotFound, format!("no route for {}", quoted(request.path)))));
    };
    match route(request.method, resource) {
        Ok(route) => (None, read(&route, request, now).map_err(Into::into)),
        Err(allow) => {
            let message = format!("{} is not among the route's methods: {allow}", quoted(request.method));
            (Some(allow), Err(TurnedAway::new(Code::MethodNotAllowed, message)))
        }
    }
}

fn resource<'a>(request: &HttpRequest<'a>) -> Option<Resource<'a>> {
    // An empty variable in a URL leaves a double or trailing slash and must not reach another route.
    if request.path.contains("//") || request.path.ends_with('/') {
        return None;
    }
    let parameter = |name: &str| {
        let found = request.path_parameters.iter().find(|(parameter, _)| parameter == name);
        found.and_then(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    match request.resource {
        Some("/requests") => Some(Resource::Requests),
        Some("/images/{imageId}/shares") => Some(Resource::Shares { image: parameter("imageId")? }),
        Some("/images/{imageId}/shares/{target}") => {
            Some(Resource::Share { image: parameter("imageId")?, target: parameter("target")? })
        }
        Some(_) => None,
        None => match request.path.strip_prefix('/')?.split('/').collect::<Vec<_>>().as_slice() {
            ["requests"] => Some(Resource::Requests),
            ["images", image, "shares"] => Some(Resource::Shares { image }),
            ["images", image, "shares", target] => Some(Resource::Share { image, target }),
            _ => None,
        },
    }
}

/// The route, or the methods that the resource takes.
fn route<'a>(method: &str, resource: Resource<'a>) -> Result<Route<'a>, &'static str> {
    match (method, resource) {
        ("POST", Resource::Requests) => Ok(Route::Document),
        (_, Resource::Requests) => Err("POST"),
        ("GET", Resource::Shares { image }) => Ok(Route::List { image }),
        ("POST", Resource::Shares { image }) => Ok(Route::Share { image }),
        (_, Resource::Shares { .. }) => Err("GET, POST"),
        ("GET", Resource::Share { image, target }) => Ok(Route::Check { image, target }),
        ("DELETE", Resource::Share { image, target }) => Ok(Route::Revoke { image, target }),
        (_, Resource::Share { .. }) => Err("DELETE, GET"),
    }
}

/// Makes the request document of route, query and body, and reads it like any other.
fn read(route: &Route<'_>, request: &HttpRequest<'_>, now: OffsetDateTime) -> Result<Request, Malformed> {
    let mut faults = Vec::new();
    let (mut fields, group, writes) = match *route {
        Route::Document => (Vec::new(), None, true),
        Route::List { image } => (document(Action::List, image), None, false),
        Route::Share { image } => (document(Action::Share, image), None, true),
        Route::Check { image, target } => for_target(Action::Check, image, target, false),
        Route::Revoke { image, target } => for_target(Action::Revoke, image, target, true),
    };
    match (route, body(request)) {
        (_, Err(fault)) => faults.push(fault),
        (Route::Document, Ok(Some(body @ Json::Object(_)))) => extend(&mut fields, body, &mut faults),
        (Route::Document, Ok(Some(other))) => return Request::parse(&other, now),
        (Route::Share { .. }, Ok(Some(body))) => extend(&mut fields, body, &mut faults),
        (Route::Document | Route::Share { .. }, Ok(None)) => faults.push(Fault::new("", "the request has no body")),
        (Route::List { .. } | Route::Check { .. } | Route::Revoke { .. }, Ok(Some(_))) => {
            faults.push(Fault::new("", "this route takes no body; it would be ignored"));
        }
        (Route::List { .. } | Route::Check { .. } | Route::Revoke { .. }, Ok(None)) => {}
    }
    // Without a document there is nothing more to say about its fields.
    let has_document = !faults.iter().any(|fault| fault.pointer.is_empty());
    query(request, writes, &mut fields, &mut faults);
    if faults.is_empty() {
        return Request::parse_for(group, &Json::Object(fields), now);
    }
    let rest = has_document.then(|| Request::parse_for(group, &Json::Object(fields), now).err()).flatten();
    let action = rest.as_ref().and_then(|malformed| malformed.action).or_else(|| route.action());
    faults.extend(rest.into_iter().flat_map(|malformed| malformed.faults));
    Err(Malformed { action, faults })
}

fn document(action: Action, image: &str) -> Vec<(String, Json)> {
    vec![("action".to_owned(), text(action.as_str())), ("imageIds".to_owned(), Json::Array(vec![text(image)]))]
}

/// A path holds ids: what is not that of an organization or unit must be an account's.
fn for_target(action: Action, image: &str, target: &str, writes: bool) -> (Vec<(String, Json)>, Option<GroupId>, bool) {
    let mut fields = document(action, image);
    let group = GroupId::parse(target);
    if group.is_none() {
        fields.push(("accountIds".to_owned(), Json::Array(vec![text(target)])));
    }
    (fields, group, writes)
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

fn body(request: &HttpRequest<'_>) -> Result<Option<Json>, Fault> {
    if request.is_base64 {
        return Err(Fault::new("", "the body arrived as binary data: send it as `application/json`"));
    }
    if request.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    Json::parse(request.body).map(Some).map_err(|error| Fault::new("", format!("the body is not JSON: {error}")))
}

/// Adds the fields of the body; what the route has said already it may not say again.
fn extend(fields: &mut Vec<(String, Json)>, body: Json, faults: &mut Vec<Fault>) {
    let Json::Object(body) = body else {
        faults.push(Fault::new("", format!("a request is a JSON object, this is {}", body.kind())));
        return;
    };
    for (name, value) in body {
        if matches!(name.as_str(), "action" | "imageIds") && fields.iter().any(|(field, _)| *field == name) {
            faults.push(Fault::new(format!("/{name}"), "the route says this; leave it out of the body"));
        } else {
            fields.push((name, value));
        }
    }
}

/// `?dryRun=true`, on the routes that write; a parameter that would be ignored is refused.
fn query(request: &HttpRequest<'_>, writes: bool, fields: &mut Vec<(String, Json)>, faults: &mut Vec<Fault>) {
    for (name, value) in &request.query {
        match (*name, *value) {
            ("dryRun", value @ ("true" | "false")) if writes => {
                let asked = Json::Bool(value == "true");
                match fields.iter().find(|(field, _)| field == "dryRun") {
                    Some((_, said)) if *said == asked => {}
                    Some(_) => faults.push(Fault::new("/dryRun", "query and body, or two parameters, disagree")),
                    None => fields.push(("dryRun".to_owned(), asked)),
                }
            }
            ("dryRun", value) if writes => {
                faults.push(Fault::new("/dryRun", format!("{} is not `true` or `false`", quoted(value))));
            }
            (name, _) => {
                faults.push(Fault::new(String::new(), format!("the route takes no query parameter {}", quoted(name))));
            }
        }
    }
}

/// The answer in API Gateway's form.
pub(super) fn reply(outcome: &Outcome, allow: Option<&'static str>) -> serde_json::Value {
    let status = problem::status(outcome);
    let (content_type, body) = if status == 200 {
        ("application/json", to_text(outcome))
    } else {
        ("application/problem+json", to_text(&problem::document(outcome, status)))
    };
    let mut headers = serde_json::Map::new();
    headers.insert("content-type".to_owned(), json!(content_type));
    headers.insert("cache-control".to_owned(), json!("no-store"));
    // A stranger is refused before it learns what methods there are.
    if let Some(allow) = allow.filter(|_| status == 405) {
        headers.insert("allow".to_owned(), json!(allow));
    }
    if status == 503 || status == 409 && outcome.retryable {
        headers.insert("retry-after".to_owned(), json!(problem::RETRY_AFTER_SECONDS));
    }
    json!({"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false})
}
