//! Owns events made of parts: every trigger's envelope around a request, with what its service vouches for and what anybody
//! may write into it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde_json::{Map, Value, json};

use crate::{
    fields::{Damage, Few, Field, Needed, Odd, Optional, PLANTED, Plain, Several, put, text_of},
    records::Hint,
    requests::{Account, Document, Image, Time},
    texts,
};

texts! {
    Arn: [
        "arn:aws:sts::999988887777:assumed-role/portal/session-1",
        "arn:aws:iam::999988887777:user/ada",
        "arn:aws-us-gov:sts::999988887777:assumed-role/portal/ada@example.com",
        "arn:aws:iam::999988887777:root",
        "arn:aws:sts::999988887777:federated-user/eve",
    ];
    Issuer: ["https://issuer.example", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a"];
    Subject: ["ada", "b-c#d"];
    Group: ["web", "ops", "platform owners", "a,b", "[x]"];
    EventSource: ["com.example.pipeline", "aws.ec2", "Pipe portal", "ami-share.audit", "ami-share.ends"];
    DetailType: ["AMI Share Request", "EC2 AMI State Change", "AMI Share Record Due", "Scheduled Event"];
    Queue: [
        "arn:aws:sqs:eu-west-1:999988887777:ami-share-requests",
        "arn:aws:sqs:eu-west-1:999988887777:ami-share-requests.fifo",
    ];
    Service: ["aws:sqs", "aws:s3", "aws:sns"];
    Id: ["7bf73129-1428-4cd3-a780-95db273d1602", "m-1"];
    State: ["available", "failed", "pending", "deregistered"];
    Method: ["GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"];
    Path: [
        "/requests",
        "/images",
        "/images/ami-0123456789abcdef0/shares",
        "/images/ami-0123456789abcdef0/shares/111122223333",
        "/images/ami-0123456789abcdef0/shares/o-a1b2c3d4e5",
        "/images/ami-0123456789abcdef0/usage",
        "/targets/111122223333/shares",
        "/approvals",
        "/approvals/ask-aeb221660ff09134bb3a46b295554820",
        "/",
        "//requests",
    ];
    Resource: [
        "/requests",
        "/images",
        "/images/{imageId}/shares",
        "/images/{imageId}/shares/{target}",
        "/images/{imageId}/usage",
        "/targets/{accountId}/shares",
        "/approvals",
        "/approvals/{id}",
        "/{proxy+}",
        "$default",
    ];
    Stage: ["$default", "prod", "images"];
    Domain: ["abc.execute-api.eu-west-1.amazonaws.com", "abc.lambda-url.eu-west-1.on.aws"];
    Parameter: ["dryRun", "copyFrom", "nextToken", "name", "reason", "access", "expiresAt", "serviceLinkedRoles", "imageIds"];
    ParameterValue: ["true", "false", "eu-west-2", "ami-1a2b3c4d", "launch", "2027-01-31T12:00:00+01:00", "spot,ec2fleet", "golden-*", "%74rue"];
    Milliseconds: ["1795348800000", "1795348799000", "1795000000000"];
    Encoding: ["gzip", "br, gzip;q=0", "identity"];
}

/// An event.
#[derive(Debug, Arbitrary)]
pub enum Event {
    Direct(Document),
    Bus(Bus),
    RestApi(Http),
    HttpApi(Http),
    Queue(Several<Message>),
    Hint(Hint),
    Odd(Odd),
}

/// The text of an event, and whether a part of it may stand where another part belongs.
#[derive(Debug, Arbitrary)]
pub struct Sent {
    event: Event,
    damage: Damage,
}

/// An event of EventBridge.
#[derive(Debug, Clone, Arbitrary)]
pub struct Bus {
    detail_type: Needed<DetailType>,
    source: Needed<EventSource>,
    account: Needed<Account>,
    region: Optional<Plain>,
    id: Needed<Id>,
    time: Needed<Time>,
    is_replayed: Optional<bool>,
    detail: Needed<Detail>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Detail {
    Request(Document),
    Image { image: Needed<Image>, state: Needed<State> },
    Hint(Hint),
}

/// An HTTP request, as API Gateway and function URLs pass it on.
#[derive(Debug, Clone, Arbitrary)]
pub struct Http {
    method: Needed<Method>,
    path: Needed<Path>,
    resource: Needed<Resource>,
    path_parameters: Needed<PathParameters>,
    query: Few<(Parameter, ParameterValue)>,
    stage: Needed<Stage>,
    domain: Optional<Domain>,
    id: Needed<Id>,
    has_version: bool,
    identity: Identity,
    encoding: Optional<Encoding>,
    body: Body,
    is_base64: Optional<bool>,
}

#[derive(Debug, Clone, Arbitrary)]
struct PathParameters {
    image: Needed<Image>,
    target: Needed<Account>,
    approval: Optional<crate::requests::ApprovalId>,
    rest: Needed<Path>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Identity {
    Iam(Needed<Arn>, Optional<Methods>),
    Token(Claims),
    Both(Needed<Arn>, Claims),
    Nobody,
    Odd(Odd),
}

#[derive(Debug, Clone, Arbitrary)]
enum Methods {
    Authenticated,
    Guest,
    Odd(Odd),
}

#[derive(Debug, Clone, Arbitrary)]
struct Claims {
    issuer: Needed<Issuer>,
    subject: Needed<Subject>,
    groups: Needed<Groups>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Groups {
    Array(Several<Group>),
    Bracketed(Several<Group>),
    WithCommas(Several<Group>),
}

#[derive(Debug, Clone, Arbitrary)]
enum Body {
    Document(Document, Damage),
    Absent,
    Text(Plain),
    Base64(Document),
    Odd(Odd),
}

/// A message of a queue.
#[derive(Debug, Clone, Arbitrary)]
pub struct Message {
    id: Needed<Id>,
    service: Needed<Service>,
    queue: Needed<Queue>,
    sent: Needed<Milliseconds>,
    body: MessageBody,
}

#[derive(Debug, Clone, Arbitrary)]
enum MessageBody {
    Document(Document, Damage),
    Bus(Bus),
    /// A notification of SNS around it.
    Notification(Document),
    Odd(Odd),
}

impl Sent {
    pub fn text(&self) -> String {
        self.damage.done_to(self.event.value().to_string())
    }

    /// Whether it is a bare request document.
    pub fn is_document(&self) -> bool {
        matches!(self.event, Event::Direct(_))
    }

    /// How the requester begins, if the event arrives as it was sent.
    pub fn vouched(&self) -> Option<&'static [&'static str]> {
        self.damage.is_none().then_some(match &self.event {
            Event::Direct(_) | Event::Odd(_) | Event::Hint(_) => &["lambda:invoke"],
            Event::Bus(_) => &["events:"],
            Event::RestApi(_) | Event::HttpApi(_) => &["arn:", "jwt:"],
            Event::Queue(_) => &["sqs:"],
        })
    }
}

impl Event {
    fn value(&self) -> Value {
        match self {
            Self::Direct(document) => json!(document),
            Self::Bus(bus) => bus.value(),
            Self::RestApi(http) => http.rest_api(),
            Self::HttpApi(http) => http.http_api(),
            Self::Queue(messages) => json!({"Records": messages.0.iter().map(Message::value).collect::<Vec<_>>()}),
            Self::Hint(hint) => json!(hint),
            // It could be any envelope.
            Self::Odd(value) => json!([value]),
        }
    }
}

impl Bus {
    fn value(&self) -> Value {
        let mut event = Map::new();
        put(&mut event, "detail-type", &self.detail_type);
        put(&mut event, "source", &self.source);
        put(&mut event, "account", &self.account);
        put(&mut event, "region", &self.region);
        put(&mut event, "id", &self.id);
        put(&mut event, "time", &self.time);
        put(&mut event, "replay-name", &self.is_replayed);
        match &self.detail {
            Field::Absent => {}
            Field::Is(detail) => drop(event.insert("detail".to_owned(), detail.value())),
            Field::Odd(odd) => drop(event.insert("detail".to_owned(), json!(odd))),
        }
        // Without it, it is no event of a bus, and the fields are those of a document.
        event.entry("detail-type").or_insert(Value::Null);
        event.into()
    }
}

impl Detail {
    fn value(&self) -> Value {
        match self {
            Self::Request(document) => json!(document),
            Self::Hint(hint) => json!(hint),
            Self::Image { image, state } => {
                let mut detail = Map::new();
                put(&mut detail, "ImageId", image);
                put(&mut detail, "State", state);
                detail.into()
            }
        }
    }
}

impl Http {
    fn rest_api(&self) -> Value {
        let mut event = self.common();
        let mut query: Map<String, Value> = Map::new();
        for (name, value) in &self.query.0 {
            let values = query.entry(name.0.clone()).or_insert_with(|| json!([]));
            values.as_array_mut().expect("an array").push(json!(value));
        }
        event.insert("multiValueQueryStringParameters".to_owned(), query.into());
        put(&mut event, "httpMethod", &self.method);
        put(&mut event, "path", &self.path);
        put(&mut event, "resource", &self.resource);
        if self.has_version {
            event.insert("version".to_owned(), json!("1.0"));
        }
        let mut context = self.context();
        match &self.identity {
            Identity::Iam(arn, methods) => {
                let mut identity = Map::new();
                put(&mut identity, "userArn", arn);
                let kind = methods.value().map(|methods| match methods {
                    Methods::Authenticated => json!("authenticated"),
                    Methods::Guest => json!("unauthenticated"),
                    Methods::Odd(odd) => json!(odd),
                });
                identity.insert("cognitoAuthenticationType".to_owned(), json!(kind));
                context.insert("identity".to_owned(), identity.into());
            }
            Identity::Token(claims) => drop(context.insert("authorizer".to_owned(), json!({"claims": claims.value()}))),
            Identity::Both(arn, claims) => {
                context.insert("identity".to_owned(), json!({"userArn": arn}));
                context.insert("authorizer".to_owned(), json!({"claims": claims.value()}));
            }
            Identity::Nobody => {}
            Identity::Odd(odd) => drop(context.insert("identity".to_owned(), json!(odd))),
        }
        event.insert("requestContext".to_owned(), context.into());
        event.into()
    }

    fn http_api(&self) -> Value {
        let mut event = self.common();
        let query: Vec<String> = self.query.0.iter().map(|(name, value)| format!("{}={}", name.0, value.0)).collect();
        event.insert("rawQueryString".to_owned(), json!(query.join("&")));
        event.insert("version".to_owned(), json!("2.0"));
        let route = match (self.method.value(), self.resource.value()) {
            (Some(method), Some(resource)) if self.has_version => format!("{} {}", method.0, resource.0),
            _ => "$default".to_owned(),
        };
        event.insert("routeKey".to_owned(), json!(route));
        let mut context = self.context();
        let mut http = Map::new();
        put(&mut http, "method", &self.method);
        put(&mut http, "path", &self.path);
        context.insert("http".to_owned(), http.into());
        let iam = |arn: &Needed<Arn>, methods: Option<&Methods>| {
            let methods = methods.map(|methods| match methods {
                Methods::Authenticated => json!({"amr": ["authenticated"]}),
                Methods::Guest => json!({"amr": ["unauthenticated"]}),
                Methods::Odd(odd) => json!(odd),
            });
            json!({"userArn": arn, "cognitoIdentity": methods})
        };
        let authorizer = match &self.identity {
            Identity::Iam(arn, methods) => json!({"iam": iam(arn, methods.value())}),
            Identity::Token(claims) => json!({"jwt": {"claims": claims.value(), "scopes": null}}),
            Identity::Both(arn, claims) => json!({"iam": iam(arn, None), "jwt": {"claims": claims.value()}}),
            Identity::Nobody => Value::Null,
            Identity::Odd(odd) => json!(odd),
        };
        context.insert("authorizer".to_owned(), authorizer);
        event.insert("requestContext".to_owned(), context.into());
        event.into()
    }

    fn context(&self) -> Map<String, Value> {
        let mut context = Map::new();
        put(&mut context, "stage", &self.stage);
        put(&mut context, "requestId", &self.id);
        put(&mut context, "domainName", &self.domain);
        context.insert("accountId".to_owned(), json!("666666666666"));
        context
    }

    fn common(&self) -> Map<String, Value> {
        let mut event = Map::new();
        let mut headers = Map::from_iter([("x-user".to_owned(), json!(PLANTED))]);
        put(&mut headers, "accept-encoding", &self.encoding);
        event.insert("headers".to_owned(), headers.into());
        match &self.path_parameters {
            Field::Absent => {}
            Field::Is(parameters) => drop(event.insert("pathParameters".to_owned(), parameters.value())),
            Field::Odd(odd) => drop(event.insert("pathParameters".to_owned(), json!(odd))),
        }
        let body = match &self.body {
            Body::Absent => Value::Null,
            Body::Document(document, damage) => json!(damage.done_to(text_of(document))),
            Body::Text(text) => json!(text),
            Body::Base64(document) => json!(STANDARD.encode(text_of(document))),
            Body::Odd(odd) => json!(odd),
        };
        event.insert("body".to_owned(), body);
        put(&mut event, "isBase64Encoded", &self.is_base64);
        if matches!(self.body, Body::Base64(_)) {
            event.insert("isBase64Encoded".to_owned(), json!(true));
        }
        event
    }
}

impl PathParameters {
    fn value(&self) -> Value {
        let mut parameters = Map::new();
        put(&mut parameters, "imageId", &self.image);
        put(&mut parameters, "target", &self.target);
        put(&mut parameters, "accountId", &self.target);
        put(&mut parameters, "id", &self.approval);
        put(&mut parameters, "proxy", &self.rest);
        parameters.into()
    }
}

impl Claims {
    fn value(&self) -> Value {
        let joined = |groups: &Several<Group>, between: &str| {
            groups.0.iter().map(|group| group.0.as_str()).collect::<Vec<_>>().join(between)
        };
        let mut claims = Map::new();
        put(&mut claims, "iss", &self.issuer);
        put(&mut claims, "sub", &self.subject);
        match &self.groups {
            Field::Absent => {}
            Field::Is(groups) => {
                let groups = match groups {
                    Groups::Array(groups) => json!(groups),
                    Groups::Bracketed(groups) => json!(format!("[{}]", joined(groups, " "))),
                    Groups::WithCommas(groups) => json!(joined(groups, ",")),
                };
                claims.insert("groups".to_owned(), groups);
            }
            Field::Odd(odd) => drop(claims.insert("groups".to_owned(), json!(odd))),
        }
        claims.into()
    }
}

impl Message {
    fn value(&self) -> Value {
        let mut message = Map::new();
        put(&mut message, "messageId", &self.id);
        put(&mut message, "eventSource", &self.service);
        put(&mut message, "eventSourceARN", &self.queue);
        let mut attributes = Map::from_iter([("SenderId".to_owned(), json!(PLANTED))]);
        put(&mut attributes, "SentTimestamp", &self.sent);
        message.insert("attributes".to_owned(), attributes.into());
        let body = match &self.body {
            MessageBody::Document(document, damage) => json!(damage.done_to(text_of(document))),
            MessageBody::Bus(bus) => json!(bus.value().to_string()),
            MessageBody::Notification(document) => {
                json!(json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:999988887777:t", "Message": text_of(document), "Timestamp": "2026-11-22T12:00:00Z"}).to_string())
            }
            MessageBody::Odd(odd) => json!(odd),
        };
        message.insert("body".to_owned(), body);
        message.into()
    }
}
