//! Owns [`Desk`]: a function with an image whose shares wait for approval, and the people who ask and who decide.

use ami_share_testing::key_policies::open_to;
use key_policy::json::Json;
use serde_json::{Value, json};
use sharing::{
    domain::Requester,
    records::{Ask, Record},
    request::Request,
};
use time::OffsetDateTime;

use super::{
    ACCOUNT, REGION,
    function::Function,
    local_aws::LocalAws,
    scenes::VARIABLES,
    world::{World, ask},
};

pub const WEB: &str = "111122223333";
pub const DATA: &str = "222233334444";
pub const ISSUER: &str = "https://login.example.com/v2.0";
/// The Region of images that are copied.
pub const THERE: &str = "eu-central-1";

/// The rules: `KEY` is the key that they have for copies, where there are any.
pub const RULES: &str = r#"
version: 1
rules:
  - name: asked
    requesters: ["jwt-group:https://login.example.com/v2.0#web", "lambda:invoke"]
    actions: [share, revoke, check, list]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    approvers: ["jwt-group:https://login.example.com/v2.0#owners", "jwt:https://login.example.com/v2.0#ada"]
  - name: others
    requesters: ["jwt-group:https://login.example.com/v2.0#web"]
    actions: [list]
    images: {names: ["golden-*"]}
    approvers: ["jwt:https://login.example.com/v2.0#eve"]
"#;

/// Somebody with a token: the subject, and the claim with the groups as HTTP APIs write it.
pub type Person = (&'static str, &'static str);

pub const BOB: Person = ("bob", "[web]");
pub const ADA: Person = ("ada", "[]");
pub const OWNER: Person = ("olga", "[owners]");
pub const EVE: Person = ("eve", "[]");
pub const NOBODY: Person = ("nobody", "[x]");

/// The answer to an HTTP request: its status, and the document.
pub type Answer = (u64, Value);

/// A function with an image whose shares wait for approval.
pub struct Desk {
    pub world: World,
    pub image: String,
    /// The key of the image, or that of its copies.
    pub key: String,
    pub record_key: String,
    /// What a request to share it says besides the targets.
    pub more: Value,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(RULES)
    }

    pub fn with(rules: &str) -> Self {
        Self::on(LocalAws::turn(), rules)
    }

    pub fn on(aws: LocalAws, rules: &str) -> Self {
        Self::of(aws, rules, REGION, json!({}))
    }

    /// An image of another Region, whose copy is shared.
    pub fn copying(rules: &str) -> Self {
        Self::of(LocalAws::turn(), rules, THERE, json!({"copyFrom": THERE}))
    }

    fn of(aws: LocalAws, rules: &str, region: &str, more: Value) -> Self {
        let key = if region == REGION { json!("key") } else { json!({"region": region}) };
        let made = aws.seed(&json!({
            "keys": [{"ref": "key", "policy": open_to(&[WEB, DATA])}, {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"}],
            "images": [{"name": "golden-1", "region": region, "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key, "size": 8}}]}],
        }));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (key, record_key) = (text(&made["keys"][0]["arn"]), text(&made["keys"][1]["arn"]));
        let image = text(&made["images"][0]["imageId"]);
        let function = start(aws.endpoint, &rules.replace("KEY", &key), &record_key);
        Self { world: World { aws, function }, image, key, record_key, more }
    }

    /// Another process of the function, with these rules.
    pub fn restart(&mut self, rules: &str) {
        self.world.function = start(self.world.aws.endpoint, &rules.replace("KEY", &self.key), &self.record_key);
    }

    /// What somebody with a token is answered.
    pub fn send(&self, who: Person, method: &str, path: &str, query: &str, body: &Value) -> Answer {
        answer(&self.world.outcome(&event(who, method, path, query, body)))
    }

    /// The event of somebody who asks for the share.
    pub fn asks(&self, who: Person, more: &Value) -> Value {
        let mut document = json!({"accountIds": [WEB], "reason": "for the shop"});
        for fields in [&self.more, more] {
            document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        }
        event(who, "POST", &format!("/images/{}/shares", self.image), "", &document)
    }

    pub fn ask(&self) -> Answer {
        answer(&self.world.outcome(&self.asks(BOB, &json!({}))))
    }

    /// The ID of a share that waits now.
    #[track_caller]
    pub fn waiting(&self) -> String {
        let (status, outcome) = self.ask();
        assert_eq!((status, &outcome["result"]), (202, &json!("accepted")), "{outcome:#}");
        outcome["approval"]["id"].as_str().unwrap_or_else(|| panic!("{outcome:#}")).to_owned()
    }

    pub fn approve(&self, who: Person, id: &str) -> Answer {
        answer(&self.world.outcome(&decides(who, id, true)))
    }

    pub fn reject(&self, who: Person, id: &str) -> Answer {
        answer(&self.world.outcome(&decides(who, id, false)))
    }

    /// What waits, as somebody sees it.
    #[track_caller]
    pub fn approvals(&self, who: Person) -> Vec<Value> {
        let (status, listed) = self.send(who, "GET", "/approvals", "", &Value::Null);
        assert_eq!(status, 200, "{listed:#}");
        listed["approvals"].as_array().unwrap().clone()
    }

    pub fn take_back(&self) {
        let revoke = json!({"accountIds": [WEB], "copyFrom": self.more["copyFrom"]});
        let revoke: serde_json::Map<_, _> =
            revoke.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        self.world.function.invoke(&ask("revoke", &self.image, Value::Object(revoke))).unwrap();
    }

    /// The records, by their names.
    pub fn records(&self) -> Vec<String> {
        let state = self.world.aws.state();
        let names = state["schedules"].as_object().unwrap().keys();
        names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// The text of a record.
    pub fn input(&self, name: &str) -> Value {
        let state = self.world.aws.state();
        let schedules = state["schedules"].as_object().unwrap();
        let (_, schedule) = schedules.iter().find(|(key, _)| key.ends_with(name)).unwrap();
        serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap()
    }

    /// Puts a record there as the function itself writes it.
    pub fn put(&self, record: Record, now: OffsetDateTime) {
        put(&self.world.aws, &self.record_key, record, now);
    }

    /// The ID of what BOB asked for at that time.
    pub fn asked_at(&self, at: OffsetDateTime) -> String {
        let mut request = ask("share", &self.image, json!({"accountIds": [WEB], "reason": "for the shop"}));
        request.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        let ask = asked_by(BOB, &request, "long-ago", &["asked"], at);
        let id = ask.name.id().to_owned();
        self.put(Record::Ask(Box::new(ask)), at);
        id
    }

    /// Looks at the records whose names hold `part`, as their hints have it.
    pub fn tick(&self, part: &str) -> Vec<Value> {
        self.world.aws.hints(part).iter().map(|hint| self.world.outcome(hint)).collect()
    }

    #[track_caller]
    pub fn tick_once(&self, part: &str) -> Value {
        let outcomes = self.tick(part);
        let [outcome] = &outcomes[..] else { panic!("one record: {outcomes:#?}") };
        outcome.clone()
    }

    /// Whom the image is shared with.
    pub fn shared(&self) -> Vec<String> {
        self.world.launch(&self.image)
    }

    /// The calls of the last invocation that change something, but for the events of outcomes.
    pub fn writes(&self) -> Vec<String> {
        self.world.aws.writes().into_iter().filter(|call| call != "events:PutEvents").collect()
    }

    /// The events of the last invocation, as `detail-type action requestId codes`.
    pub fn published(&self) -> Vec<String> {
        let told = |event: &Value| {
            let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
            let kind = event["DetailType"].as_str().unwrap().trim_start_matches("AMI Share Request ").to_owned();
            let refusals = detail["refusals"].as_array().unwrap().iter();
            let codes = refusals.map(|refusal| format!(" {}", refusal["code"].as_str().unwrap()));
            let (action, id) = (detail["action"].as_str().unwrap(), detail["requestId"].as_str().unwrap());
            format!("{kind} {action} {id}{}", codes.collect::<String>())
        };
        self.world.aws.events().iter().map(told).collect()
    }
}

/// What somebody asked for with this request, under these rules.
pub fn asked_by(who: Person, request: &Value, request_id: &str, rules: &[&str], at: OffsetDateTime) -> Ask {
    let request = Request::parse(&Json::parse(&request.to_string()).unwrap(), at).unwrap();
    let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
    Ask::new(&request, &requester(who), request_id, rules, at)
}

/// Somebody with a token, as the function knows them.
pub fn requester((subject, groups): Person) -> Requester {
    let groups = groups.trim_matches(['[', ']']).split(' ').filter(|group| !group.is_empty()).map(str::to_owned);
    Requester::new(format!("jwt:{ISSUER}#{subject}")).with_groups(groups.collect())
}

/// The schedule of a record with its message authentication code, for `/_local/seed`.
pub fn sealed(aws: &LocalAws, record_key: &str, record: Record, now: OffsetDateTime) -> Value {
    let record = match record.digest() {
        Some(digest) => record.clone().with_mac(aws.mac(record_key, &digest).parse().unwrap()),
        None => record,
    };
    let schedule = record.schedule(&format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/ami-share"), now);
    let mut seed = json!({
        "group": VARIABLES[0].1, "name": record.name().as_str(), "expression": schedule.expression, "input": schedule.input,
    });
    if let Some(end) = schedule.ends_at {
        seed["end"] = json!(end.unix_timestamp());
    }
    seed
}

/// Puts a record there as the function itself writes it.
pub fn put(aws: &LocalAws, record_key: &str, record: Record, now: OffsetDateTime) {
    aws.seed(&json!({"schedules": [sealed(aws, record_key, record, now)]}));
}

/// The event of HTTP API when somebody sends this.
pub fn event((subject, groups): Person, method: &str, path: &str, query: &str, body: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "requestContext": {
            "requestId": format!("{method}-{subject}"), "stage": "$default",
            "authorizer": {"jwt": {"claims": {"iss": ISSUER, "sub": subject, "groups": groups}, "scopes": null}},
            "http": {"method": method, "path": path},
        },
        "isBase64Encoded": false,
        "body": if body.is_null() { Value::Null } else { json!(body.to_string()) },
    })
}

/// The event of an answer to what waits.
pub fn decides(who: Person, id: &str, is_approval: bool) -> Value {
    let path = format!("/approvals/{id}");
    if is_approval {
        event(who, "POST", &path, "", &Value::Null)
    } else {
        event(who, "DELETE", &path, "reason=not%20now", &Value::Null)
    }
}

pub fn answer(answer: &Value) -> Answer {
    (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
}

pub fn start(endpoint: &str, allowlist: &str, record_key: &str) -> Function {
    let variables = [&VARIABLES[..], &[("AMI_SHARE_RECORD_KEY", record_key), ("AMI_SHARE_OUTCOME_BUS", "outcomes")]];
    Function::start(endpoint, allowlist, &variables.concat())
}

/// The code in a problem document.
pub fn code(answer: &Value) -> &str {
    answer["type"].as_str().unwrap_or_default().trim_start_matches("urn:ami-share:problem:")
}

#[track_caller]
pub fn refused((status, answer): Answer, expect: (u64, &str)) {
    assert_eq!((status, code(&answer)), expect, "{answer:#}");
}
