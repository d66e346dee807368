//! Owns the routes, and the answer to an HTTP request. The modules of the triggers know the field names of the event
//! formats of API Gateway and function URLs.

use std::borrow::Cow;

use base64::Engine as _;
use key_policy::json::Json;
use serde_json::json;
use sharing::{
    decide::SentAt,
    domain::{GroupId, excerpt, quoted},
    outcome::{Outcome, Refusal, RefusalCode, WrittenOutcome, to_text},
    request::{Action, Asked, Fault, FaultKind, Faults, MAX_ROLES, Malformed, Parameters, Request},
};
use time::OffsetDateTime;

use super::{
    envelope::{Envelope, Invocation, Trigger, TurnedAway, request_id},
    identity::Caller,
    problem,
};

/// The parts of an HTTP request that matter here.
pub(super) struct HttpRequest<'a> {
    pub(super) method: &'a str,
    /// How the route is found.
    pub(super) routing: Routing<'a>,
    pub(super) path_parameters: &'a [(String, Json)],
    /// The query parameters, decoded; a parameter that is repeated is there more than once.
    pub(super) query: Query<'a>,
    pub(super) body: Option<&'a Json>,
    pub(super) is_base64: bool,
    /// Whether `/` is the page, as in HTTP APIs.
    pub(super) has_page: bool,
}

/// The names and values of a query, decoded.
pub(super) type Query<'a> = Box<dyn Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a>;

/// The query parameters of an event that has each name once.
pub(super) fn single(event: &Json) -> Query<'_> {
    let single = event.get("queryStringParameters").and_then(Json::as_object).unwrap_or_default();
    Box::new(single.iter().map(|(name, value)| (name.as_str().into(), value.as_str().unwrap_or_default().into())))
}

/// How the route is found.
pub(super) enum Routing<'a> {
    /// By the resource that the API defines. The path is only checked for empty segments.
    Resource { resource: &'a str, path: &'a str },
    /// By the path without its stage.
    Path(&'a str),
    /// By the value of a greedy path parameter: the path may begin with the base path of a custom domain.
    Greedy { parameter: &'a str, path: &'a str },
}

/// The path without the stage that it begins with. It does not begin with `$default`, or with a stage behind a custom
/// domain.
pub(super) fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let stage = stage.filter(|stage| !stage.is_empty() && *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// The name of the greedy path parameter of a resource, such as `/{proxy+}`.
pub(super) fn greedy_parameter(resource: &str) -> Option<&str> {
    Some(resource.strip_suffix("+}")?.rsplit_once('{')?.1)
}

/// The resources of the API.
enum Resource<'a> {
    Requests,
    Images,
    Shares { image: &'a str },
    Share { image: &'a str, target: &'a str },
    Target { account: &'a str },
    Usage { image: &'a str },
    Approvals,
    Approval { id: &'a str },
}

/// A method on a resource.
enum Route<'a> {
    Document,
    List { image: &'a str },
    Share { image: &'a str },
    Check { image: &'a str, target: &'a str },
    Revoke { image: &'a str, target: &'a str },
    ListByAccount { account: &'a str },
    Images,
    Usage { image: &'a str },
    Approvals,
    Approve { id: &'a str },
    Reject { id: &'a str },
}

impl Route<'_> {
    /// The action, if the route determines it.
    fn action(&self) -> Option<Action> {
        match self {
            Self::Document => None,
            Self::List { .. } | Self::ListByAccount { .. } => Some(Action::List),
            Self::Share { .. } => Some(Action::Share),
            Self::Check { .. } => Some(Action::Check),
            Self::Revoke { .. } => Some(Action::Revoke),
            Self::Images => Some(Action::Images),
            Self::Usage { .. } => Some(Action::Usage),
            Self::Approvals => Some(Action::Approvals),
            Self::Approve { .. } => Some(Action::Approve),
            Self::Reject { .. } => Some(Action::Reject),
        }
    }

    /// The query parameters that it accepts, which are fields of the request document.
    fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Document | Self::Approve { .. } => &["dryRun"],
            Self::Reject { .. } => &["dryRun", "reason"],
            Self::List { .. } => &["copyFrom"],
            Self::ListByAccount { .. } | Self::Approvals => &["nextToken"],
            Self::Images => &["name", "nextToken"],
            Self::Usage { .. } => &[],
            Self::Share { .. } | Self::Revoke { .. } => &["copyFrom", "dryRun"],
            Self::Check { .. } => &["access", "copyFrom", "expiresAt", "serviceLinkedRoles"],
        }
    }

    /// The fields of the document that the path and the query set. `given` are the parameters of the query. If there is
    /// no body, every other field could also have been in the query.
    fn said(&self, given: &[&'static str]) -> Parameters {
        let mut said = Parameters::default();
        let (has_image, target_fields): (_, &[(&str, &str)]) = match self {
            Self::Document | Self::Images | Self::Approvals => (false, &[]),
            Self::Approve { .. } | Self::Reject { .. } => (false, &[("approvalId", "id")]),
            Self::List { .. } | Self::Share { .. } | Self::Usage { .. } => (true, &[]),
            Self::Check { .. } | Self::Revoke { .. } => (
                true,
                &[("accountIds", "target"), ("organizationArns", "target"), ("organizationalUnitArns", "target")],
            ),
            Self::ListByAccount { .. } => (false, &[("accountIds", "accountId")]),
        };
        if self.action().is_some() {
            said.say("action", None);
        }
        if has_image {
            said.say("imageIds", Some("imageId"));
        }
        target_fields.iter().for_each(|(field, parameter)| said.say(field, Some(parameter)));
        let has_body = matches!(self, Self::Document | Self::Share { .. } | Self::Approve { .. });
        let taken = self.parameters().iter().filter(|name| !has_body || given.contains(name));
        taken.for_each(|name| said.say(name, Some(name)));
        said
    }
}

/// The envelope of an HTTP event. Its trigger has read the parts of the request and the requester, or why there is
/// none.
pub(super) fn open(
    request: HttpRequest<'_>,
    caller: Result<Caller, String>,
    event: &Json,
    invocation: &Invocation<'_>,
) -> Envelope {
    let id = request_id(event.at(&["requestContext", "requestId"]));
    let (allow, asked) = match &caller {
        Ok(_) => ask(request, invocation.now),
        Err(why) => (None, Err(unidentified(why))),
    };
    let (requester, requester_session) =
        caller.map_or((None, None), |Caller { requester, session }| (Some(requester), session));
    Envelope {
        trigger: Trigger::Http { allow },
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester,
        requester_session,
        sent: SentAt::Now,
        asked,
    }
}

/// Whether this is the request for the page: `GET /`, from any caller.
pub(super) fn is_page(request: &HttpRequest<'_>) -> bool {
    request.method == "GET" && is_root(request)
}

/// Whether the path is that of the page.
fn is_root(request: &HttpRequest<'_>) -> bool {
    let is_there = match request.routing {
        Routing::Resource { resource, .. } => resource == "/",
        Routing::Path(path) => matches!(path, "/" | ""),
        Routing::Greedy { .. } => false,
    };
    request.has_page && is_there
}

/// The envelope of a request for the page if there is no page. Every caller gets the same answer.
pub(super) fn no_page(event: &Json, invocation: &Invocation<'_>) -> Envelope {
    let id = request_id(event.at(&["requestContext", "requestId"]));
    Envelope {
        trigger: Trigger::Http { allow: None },
        request_id: id.unwrap_or(invocation.request_id).to_owned(),
        requester: None,
        requester_session: None,
        sent: SentAt::Now,
        asked: Err(no_route("/")),
    }
}

fn no_route(path: &str) -> TurnedAway {
    let refusal = Refusal::new(RefusalCode::RouteNotFound, format!("no route for {}", quoted(path)));
    TurnedAway::new(refusal.value("path", excerpt(path)))
}

fn unidentified(why: &str) -> TurnedAway {
    let mut turned_away = TurnedAway::nobody(why);
    let remedy = "sign the request with the credentials of an IAM role or user, or send the token that the API's \
         authorizer asks for";
    for refusal in &mut turned_away.refusals {
        refusal.remedy = Some(remedy.to_owned());
    }
    turned_away
}

/// The request, and the methods of the route if the request has another one.
fn ask(request: HttpRequest<'_>, now: OffsetDateTime) -> (Option<&'static str>, Result<Request, TurnedAway>) {
    let method = request.method;
    let routed = match resource(&request.routing, request.path_parameters) {
        Some(resource) => route(method, resource),
        None if is_root(&request) => Err("GET"),
        None => return (None, Err(no_route(path(&request.routing)))),
    };
    match routed {
        Ok(route) => (None, read(&route, request, now).map_err(Into::into)),
        Err(allow) => {
            let message = format!("{} is not among the route's methods: {allow}", quoted(method));
            let allowed: Vec<_> = allow.split(", ").collect();
            let refusal = Refusal::new(RefusalCode::MethodNotAllowed, message);
            (Some(allow), Err(TurnedAway::new(refusal.value("method", excerpt(method)).value("allowed", allowed))))
        }
    }
}

fn path<'a>(routing: &Routing<'a>) -> &'a str {
    match routing {
        Routing::Resource { path, .. } | Routing::Path(path) | Routing::Greedy { path, .. } => path,
    }
}

fn resource<'a>(routing: &Routing<'a>, parameters: &'a [(String, Json)]) -> Option<Resource<'a>> {
    // An empty variable in a URL leaves a double or a trailing slash. It must not lead to another route.
    let is_broken = |path: &str| path.contains("//") || path.ends_with('/');
    if is_broken(path(routing)) {
        return None;
    }
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(parameter, _)| parameter == name);
        found.and_then(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let (resource, path) = match routing {
        Routing::Resource { resource, .. } => (Some(*resource), ""),
        Routing::Path(path) => (None, path.strip_prefix('/')?),
        Routing::Greedy { parameter: name, .. } => (None, parameter(name).filter(|path| !is_broken(path))?),
    };
    match resource {
        Some("/requests") => Some(Resource::Requests),
        Some("/images") => Some(Resource::Images),
        Some("/images/{imageId}/shares") => Some(Resource::Shares { image: parameter("imageId")? }),
        Some("/images/{imageId}/shares/{target}") => {
            Some(Resource::Share { image: parameter("imageId")?, target: parameter("target")? })
        }
        Some("/approvals") => Some(Resource::Approvals),
        Some("/approvals/{id}") => Some(Resource::Approval { id: parameter("id")? }),
        Some("/images/{imageId}/usage") => Some(Resource::Usage { image: parameter("imageId")? }),
        Some("/targets/{accountId}/shares") => Some(Resource::Target { account: parameter("accountId")? }),
        Some(_) => None,
        None => match path.splitn(5, '/').collect::<Vec<_>>().as_slice() {
            ["requests"] => Some(Resource::Requests),
            ["images"] => Some(Resource::Images),
            ["approvals"] => Some(Resource::Approvals),
            ["approvals", id] => Some(Resource::Approval { id }),
            ["images", image, "shares"] => Some(Resource::Shares { image }),
            ["images", image, "shares", target] => Some(Resource::Share { image, target }),
            ["images", image, "usage"] => Some(Resource::Usage { image }),
            ["targets", account, "shares"] => Some(Resource::Target { account }),
            _ => None,
        },
    }
}

/// The route, or the methods that the resource accepts.
fn route<'a>(method: &str, resource: Resource<'a>) -> Result<Route<'a>, &'static str> {
    match (method, resource) {
        ("POST", Resource::Requests) => Ok(Route::Document),
        (_, Resource::Requests) => Err("POST"),
        ("GET", Resource::Images) => Ok(Route::Images),
        (_, Resource::Images) => Err("GET"),
        ("GET", Resource::Shares { image }) => Ok(Route::List { image }),
        ("POST", Resource::Shares { image }) => Ok(Route::Share { image }),
        (_, Resource::Shares { .. }) => Err("GET, POST"),
        ("GET", Resource::Share { image, target }) => Ok(Route::Check { image, target }),
        ("DELETE", Resource::Share { image, target }) => Ok(Route::Revoke { image, target }),
        (_, Resource::Share { .. }) => Err("DELETE, GET"),
        ("GET", Resource::Target { account }) => Ok(Route::ListByAccount { account }),
        ("GET", Resource::Usage { image }) => Ok(Route::Usage { image }),
        ("GET", Resource::Approvals) => Ok(Route::Approvals),
        ("POST", Resource::Approval { id }) => Ok(Route::Approve { id }),
        ("DELETE", Resource::Approval { id }) => Ok(Route::Reject { id }),
        (_, Resource::Approval { .. }) => Err("DELETE, POST"),
        (_, Resource::Approvals | Resource::Target { .. } | Resource::Usage { .. }) => Err("GET"),
    }
}

/// Makes a request document from route, query and body, and reads it like any other.
fn read(route: &Route<'_>, request: HttpRequest<'_>, now: OffsetDateTime) -> Result<Request, Malformed> {
    let mut faults = Faults::default();
    let (mut fields, group) = fields_of_path(route);
    let mut has_document = true;
    match (route, body(request.body, request.is_base64)) {
        (Route::Document, Ok(Some(Json::Object(body)))) => fields = body,
        (Route::Document, Ok(Some(other))) => return Request::parse(&other, now),
        (Route::Approve { .. }, Ok(None)) => {}
        (Route::Share { .. } | Route::Approve { .. }, Ok(Some(Json::Object(body)))) => {
            extend(&mut fields, body, &mut faults)
        }
        (
            Route::List { .. }
            | Route::Check { .. }
            | Route::Revoke { .. }
            | Route::ListByAccount { .. }
            | Route::Usage { .. }
            | Route::Images
            | Route::Approvals
            | Route::Reject { .. },
            Ok(None),
        ) => {}
        (_, body) => {
            let (kind, message) = match body {
                Err(message) => (FaultKind::BadFormat, message),
                Ok(None) => (FaultKind::Missing, "the request has no body".to_owned()),
                Ok(Some(body)) if matches!(route, Route::Share { .. } | Route::Approve { .. }) => {
                    (FaultKind::WrongType, format!("a request must be a JSON object, but this is {}", body.kind()))
                }
                Ok(Some(_)) => (FaultKind::NoMeaning, "this route takes no body; it would be ignored".to_owned()),
            };
            faults.add(|| Fault::new(kind, "", message));
            // Without a document its fields can't be checked.
            has_document = false;
        }
    }
    let given = query(request.query, route.parameters(), &mut fields, &mut faults);
    let parameters = route.said(&given);
    let parsed = Request::parse_for(group, &Json::Object(fields), now);
    let Malformed { action, dry_run, reason, asked, faults: mut more } = match parsed {
        Ok(request) if faults.is_empty() => return Ok(Request { parameters, ..request }),
        Ok(request) => {
            let (asked, faults) = (Box::new(Asked::from(&request)), Faults::default());
            let Request { action, dry_run, reason, .. } = request;
            Malformed { action: Some(action), dry_run, reason, asked, faults }
        }
        Err(malformed) => malformed,
    };
    for fault in &mut more.named {
        fault.parameter = parameters.of(&fault.pointer).map(str::to_owned);
    }
    if has_document {
        faults.extend(more);
    }
    Err(Malformed { action: action.or_else(|| route.action()), dry_run, reason, asked, faults })
}

/// The fields that the path determines, and the target if the path has the bare ID of a group.
fn fields_of_path(route: &Route<'_>) -> (Vec<(String, Json)>, Option<GroupId>) {
    match *route {
        Route::Document => (Vec::new(), None),
        Route::List { image } => (document(Action::List, image), None),
        Route::Share { image } => (document(Action::Share, image), None),
        Route::Check { image, target } => for_target(Action::Check, image, target),
        Route::Revoke { image, target } => for_target(Action::Revoke, image, target),
        Route::ListByAccount { account } => (by_account(account), None),
        Route::Images => (vec![("action".to_owned(), text(Action::Images.as_str()))], None),
        Route::Usage { image } => (document(Action::Usage, image), None),
        Route::Approvals => (vec![("action".to_owned(), text(Action::Approvals.as_str()))], None),
        Route::Approve { id } => (decision(Action::Approve, id), None),
        Route::Reject { id } => (decision(Action::Reject, id), None),
    }
}

fn document(action: Action, image: &str) -> Vec<(String, Json)> {
    vec![("action".to_owned(), text(action.as_str())), ("imageIds".to_owned(), Json::Array(vec![text(image)]))]
}

fn decision(action: Action, id: &str) -> Vec<(String, Json)> {
    vec![("action".to_owned(), text(action.as_str())), ("approvalId".to_owned(), text(id))]
}

/// Of the targets in a path, only accounts can be searched for by their ID.
fn by_account(account: &str) -> Vec<(String, Json)> {
    let accounts = Json::Array(vec![text(account)]);
    vec![("action".to_owned(), text(Action::List.as_str())), ("accountIds".to_owned(), accounts)]
}

/// A path has IDs. One that is not the ID of an organization or an organizational unit must be that of an account.
fn for_target(action: Action, image: &str, target: &str) -> (Vec<(String, Json)>, Option<GroupId>) {
    let mut fields = document(action, image);
    let group = GroupId::parse(target);
    if group.is_none() {
        fields.push(("accountIds".to_owned(), Json::Array(vec![text(target)])));
    }
    (fields, group)
}

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

/// The document in the body, if there is one. API Gateway and function URLs encode bodies that they take for binary:
/// those of all but some content types.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html>
fn body(body: Option<&Json>, is_base64: bool) -> Result<Option<Json>, String> {
    let text = match body {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => text,
        Some(other) => return Err(format!("the body is {}, not text", other.kind())),
    };
    let text = if is_base64 {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim_ascii());
        let bytes = bytes.map_err(|error| format!("the body is not base64, as the event says it is: {error}"))?;
        Cow::Owned(String::from_utf8(bytes).map_err(|_| "the body is not JSON: it is not UTF-8 text".to_owned())?)
    } else {
        Cow::Borrowed(text.as_str())
    };
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    Json::parse(&text).map(Some).map_err(|error| format!("the body is not JSON: {error}"))
}

/// Adds the fields of the body. It must not repeat the fields that the route determines.
fn extend(fields: &mut Vec<(String, Json)>, body: Vec<(String, Json)>, faults: &mut Faults) {
    fields.reserve_exact(body.len());
    for (name, value) in body {
        if matches!(name.as_str(), "action" | "imageIds" | "approvalId") {
            let message = "the route sets this field: leave it out of the body";
            faults.add(|| Fault::new(FaultKind::NoMeaning, format!("/{name}"), message));
        } else {
            fields.push((name, value));
        }
    }
}

/// Adds the fields of the query, and says which. A parameter that would be ignored is refused.
fn query(
    query: Query<'_>,
    taken: &[&'static str],
    fields: &mut Vec<(String, Json)>,
    faults: &mut Faults,
) -> Vec<&'static str> {
    let mut given = Vec::new();
    let mut roles = Vec::new();
    for (name, value) in query {
        let Some(name) = taken.iter().find(|taken| **taken == name) else {
            faults.add(|| {
                let near = taken.iter().find(|taken| taken.eq_ignore_ascii_case(&name));
                let advice = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let message = format!("the route takes no query parameter {}{advice}", quoted(&name));
                let fault = Fault::of_parameter(FaultKind::UnknownField, &name, message);
                match near {
                    Some(near) => fault.value("suggestion", *near),
                    None => fault,
                }
            });
            continue;
        };
        if *name == "serviceLinkedRoles" {
            add_roles(&mut roles, &value);
            continue;
        }
        if given.contains(name) {
            faults.add(|| Fault::of_parameter(FaultKind::Duplicate, name, "repeated query parameter"));
            continue;
        }
        given.push(name);
        let asked = match (*name, &*value) {
            ("dryRun", "true") => Json::Bool(true),
            ("dryRun", "false") => Json::Bool(false),
            ("dryRun", other) => {
                let message = format!("{} is not `true` or `false`", quoted(other));
                let allowed = vec!["true", "false"];
                faults.add(|| {
                    let fault = Fault::of_parameter(FaultKind::BadFormat, name, message);
                    fault.value("given", excerpt(other)).value("allowed", allowed)
                });
                continue;
            }
            (_, value) => text(value),
        };
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, said)) if *said == asked => {}
            Some(_) => faults.add(|| Fault::of_parameter(FaultKind::Duplicate, name, "query and body disagree")),
            None => fields.insert(0, ((*name).to_owned(), asked)),
        }
    }
    if !roles.is_empty() {
        fields.push(("serviceLinkedRoles".to_owned(), Json::Array(roles)));
    }
    given
}

/// Adds the roles of one query parameter, which are separated by commas. If there are too many, the rest is only
/// counted.
fn add_roles(roles: &mut Vec<Json>, value: &str) {
    for role in value.split(',') {
        if let Some(Json::Unread(unread)) = roles.last_mut() {
            *unread = unread.saturating_add(1);
        } else {
            roles.push(if roles.len() > MAX_ROLES { Json::Unread(1) } else { text(role) });
        }
    }
}

/// The answer in API Gateway's form, of an outcome and the same as it was written.
pub(super) fn reply(outcome: &Outcome, written: WrittenOutcome, allow: Option<&'static str>) -> serde_json::Value {
    let status = problem::status(outcome);
    let (content_type, body) = if status < 300 {
        ("application/json", written.into_text())
    } else {
        ("application/problem+json", to_text(&problem::document(outcome, status)))
    };
    let mut headers = serde_json::Map::new();
    headers.insert("content-type".to_owned(), json!(content_type));
    headers.insert("cache-control".to_owned(), json!("no-store"));
    // A requester that no rule names does not learn which methods there are.
    if let Some(allow) = allow.filter(|_| status == 405) {
        headers.insert("allow".to_owned(), json!(allow));
    }
    if let Some(seconds) = problem::retry_after(outcome, status) {
        headers.insert("retry-after".to_owned(), json!(seconds));
    }
    json!({"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_is_taken_off_the_path_once_and_only_as_a_whole_segment() {
        for (given, stage, expect) in [
            ("/v1/requests", Some("v1"), "/requests"),
            ("/requests", Some("$default"), "/requests"),
            ("/$default/requests", Some("$default"), "/$default/requests"),
            ("/requests", Some("v1"), "/requests"),
            ("/v1/v1/requests", Some("v1"), "/v1/requests"),
            ("/v10/requests", Some("v1"), "/v10/requests"),
            ("/v1", Some("v1"), ""),
            ("//v1/requests", Some("v1"), "//v1/requests"),
            ("/requests", None, "/requests"),
            ("/requests", Some(""), "/requests"),
            ("", Some("v1"), ""),
        ] {
            assert_eq!(without_stage(given, stage), expect, "{given} {stage:?}");
        }
    }

    #[test]
    fn the_methods_are_named_only_where_the_method_is_wrong() {
        let headers = |code| {
            let mut outcome = Outcome::refused("id", vec![Refusal::new(code, "no")]);
            let written = outcome.write_within(1_000_000);
            reply(&outcome, written, Some("GET, POST"))["headers"].clone()
        };
        assert_eq!(headers(RefusalCode::MethodNotAllowed)["allow"], "GET, POST");
        assert_eq!(headers(RefusalCode::RequesterNotAllowed)["allow"], serde_json::Value::Null);
    }

    #[test]
    fn query_and_body_may_say_the_same_and_not_something_else() {
        let faults = |value: &str| {
            let mut faults = Faults::default();
            let mut fields = vec![("dryRun".to_owned(), Json::Bool(true))];
            let sent = [("dryRun".into(), value.to_owned().into())];
            query(Box::new(sent.into_iter()), &["dryRun"], &mut fields, &mut faults);
            assert_eq!(fields, [("dryRun".to_owned(), Json::Bool(true))]);
            faults.named.into_iter().map(|fault| fault.kind).collect::<Vec<_>>()
        };
        assert_eq!((faults("true"), faults("false")), (vec![], vec![FaultKind::Duplicate]));
    }

    #[test]
    fn what_waits_for_approval_has_its_own_routes() {
        let id = "0123456789abcdef0123456789abcdef";
        let one = &*format!("/approvals/{id}");
        let below = &*format!("{one}/shares");
        let (approve, reject) = (&*format!("approve {id}"), &*format!("reject {id}"));
        for (method, path, expect) in [
            ("GET", "/approvals", "approvals"),
            ("POST", one, approve),
            ("DELETE", one, reject),
            ("POST", "/approvals", "only GET"),
            ("DELETE", "/approvals", "only GET"),
            ("GET", one, "only DELETE, POST"),
            ("PUT", one, "only DELETE, POST"),
            ("POST", below, "no resource"),
            ("GET", "/Approvals", "no resource"),
            ("GET", "/approval", "no resource"),
        ] {
            let found = match resource(&Routing::Path(path), &[]).map(|resource| route(method, resource)) {
                None => "no resource".to_owned(),
                Some(Err(methods)) => format!("only {methods}"),
                Some(Ok(Route::Approvals)) => "approvals".to_owned(),
                Some(Ok(Route::Approve { id })) => format!("approve {id}"),
                Some(Ok(Route::Reject { id })) => format!("reject {id}"),
                Some(Ok(_)) => "another route".to_owned(),
            };
            assert_eq!(found, expect, "{method} {path}");
        }
    }

    #[test]
    fn the_usage_of_an_image_is_read_at_its_own_path() {
        let found = |method, path| resource(&Routing::Path(path), &[]).map(|resource| route(method, resource));
        assert!(matches!(found("GET", "/images/ami-1/usage"), Some(Ok(Route::Usage { image: "ami-1" }))));
        assert!(matches!(found("POST", "/images/ami-1/usage"), Some(Err("GET"))));
        assert!(found("GET", "/images/ami-1/usages").is_none());
    }

    /// A fault of what the path or the query says names its parameter, also one that should have been there; what only the
    /// body can say has a pointer.
    #[test]
    fn a_field_is_named_by_the_parameter_that_says_it_or_could_have_said_it() {
        let image = "ami-1";
        let (document, share) = (Route::Document, Route::Share { image });
        let check = Route::Check { image, target: "111122223333" };
        type Row<'a> = (&'a Route<'a>, &'a [&'static str], &'a str, Option<Option<&'a str>>);
        let rows: [Row<'_>; 9] = [
            // The method and the path say the action, and no parameter does.
            (&share, &[], "/action", Some(None)),
            (&document, &[], "/action", None),
            (&share, &[], "/imageIds", Some(Some("imageId"))),
            (&document, &[], "/imageIds", None),
            (&check, &[], "/accountIds", Some(Some("target"))),
            (&check, &[], "/expiresAt", Some(Some("expiresAt"))),
            (&share, &["dryRun"], "/dryRun", Some(Some("dryRun"))),
            (&share, &[], "/dryRun", None),
            (&share, &[], "/expiresAt", None),
        ];
        for (route, given, pointer, expect) in rows {
            assert_eq!(route.said(given).said(pointer), expect, "{given:?} {pointer}");
        }
    }

    #[test]
    fn a_parameter_that_an_approval_does_not_take_is_refused() {
        let id = "id";
        for (route, taken) in [
            (Route::Approvals, &["nextToken"][..]),
            (Route::Approve { id }, &["dryRun"]),
            (Route::Reject { id }, &["dryRun", "reason"]),
        ] {
            let mut faults = Faults::default();
            let sent = ["dryRun", "nextToken", "reason"].map(|name| (name.into(), "true".into()));
            let given = query(Box::new(sent.into_iter()), route.parameters(), &mut Vec::new(), &mut faults);
            assert_eq!((given.as_slice(), faults.is_empty()), (taken, false));
        }
    }

    #[test]
    fn a_resource_is_greedy_where_it_ends_so() {
        for (resource, expect) in [
            ("/{proxy+}", Some("proxy")),
            ("/v2/{rest+}", Some("rest")),
            ("/images/{imageId}/shares", None),
            ("$default", None),
            ("+}", None),
            ("", None),
        ] {
            assert_eq!(greedy_parameter(resource), expect, "{resource}");
        }
    }

    #[test]
    fn a_body_is_decoded_where_the_event_says_that_it_is_encoded() {
        let of = |text: &str, is_base64| body(Some(&Json::String(text.to_owned())), is_base64);
        let seven = Ok(Some(Json::Number(7.into())));
        assert_eq!(of("7", false), seven);
        assert_eq!(of("Nw==", true), seven);
        assert_eq!(of(" Nw==\n", true), seven);
        assert_eq!((of("", true), of("", false), of("IA==", true)), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(body(None, true), Ok(None));
        for (text, is_base64, words) in [
            ("{}", true, "not base64"),
            ("Nw", true, "not base64"),
            ("/w==", true, "not UTF-8"),
            ("Nw==", false, "not JSON"),
            ("ew==", true, "not JSON"),
        ] {
            let error = of(text, is_base64).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(body(Some(&Json::Object(Vec::new())), false), Err("the body is an object, not text".to_owned()));
    }
}
