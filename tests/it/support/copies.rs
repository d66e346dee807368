//! Owns [`Copies`]: a function whose rules make copies, with an image in another Region.

use ami_share::aws::Aws;
use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};
use sharing::{domain::CopyName, records::Mac};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ACCOUNT, REGION, function::Function, local_aws::LocalAws, now, scenes::VARIABLES, world::World};

/// The Region of the image.
pub const THERE: &str = "eu-central-1";
pub const WEB: &str = "111122223333";
pub const DATA: &str = "222233334444";
pub const OTHER: &str = "777788889999";

/// A function with an image in another Region, and the keys that its rules have for copies.
pub struct Copies {
    pub world: World,
    pub source: String,
    pub key: String,
    pub other_key: String,
    pub record_key: String,
}

/// The rules of these tests, with the keys of their copies.
pub fn rules(key: &str, other_key: &str) -> String {
    format!(
        r#"
version: 1
rules:
  - name: copied
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, check, list]
    images: {{names: ["golden-*"], tags: {{Tier: [gold]}}}}
    targets: ["{WEB}", "{DATA}"]
    access: copy
    copies: {{from: [{THERE}, {REGION}], key: "{key}"}}
  - name: granted
    requesters: ["lambda:invoke"]
    actions: [share, revoke, check, list]
    images: {{names: ["granted-*"]}}
    targets: ["{WEB}"]
    keys: grant
    copies: {{from: [{THERE}], key: "{other_key}"}}
  - name: asker
    requesters: ["events:{ACCOUNT}:com.example"]
    actions: [share]
    images: {{names: ["golden-*"]}}
    targets: ["{WEB}", "{DATA}"]
    copies: {{from: [{THERE}], key: "{key}"}}
  - name: by-itself
    requesters: ["events:{ACCOUNT}:aws.ec2"]
    actions: [share]
    images: {{names: ["golden-*"]}}
    targets: ["{DATA}"]
    onAvailable: true
  - name: auditor
    requesters: ["lambda:invoke"]
    actions: [audit]
    images: all
"#
    )
}

impl Copies {
    pub fn new() -> Self {
        Self::of("golden-1", THERE, &json!({}))
    }

    /// An image of that name in that Region, with these further fields.
    pub fn of(name: &str, region: &str, more: &Value) -> Self {
        Self::on(LocalAws::turn(), name, region, more)
    }

    /// The same in this turn, of which everything before is forgotten.
    pub fn on(aws: LocalAws, name: &str, region: &str, more: &Value) -> Self {
        aws.clear();
        let mut image = json!({
            "name": name, "region": region, "tags": {"Tier": "gold"}, "architecture": "arm64",
            "mappings": [{"device": "/dev/xvda", "snapshot": {"key": {"region": region}, "size": 20}}, {"device": "/dev/xvdb", "size": 5}],
        });
        image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = aws.seed(&json!({
            "keys": [
                {"ref": "here", "policy": open_to(&[WEB, DATA])},
                {"ref": "closed", "policy": open_to(&[])},
                {"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"},
            ],
            "images": [image],
        }));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = |place: usize| text(&made["keys"][place]["arn"]);
        let (key, other_key, record_key) = (key(0), key(1), key(2));
        let source = text(&made["images"][0]["imageId"]);
        let function = start(aws.endpoint, &rules(&key, &other_key), &record_key);
        Self { world: World { aws, function }, source, key, other_key, record_key }
    }

    /// Another process of the function, with these rules.
    pub fn restart(&mut self, allowlist: &str) {
        self.world.function = start(self.world.aws.endpoint, allowlist, &self.record_key);
    }

    pub fn ask(&self, action: &str, targets: &[&str], more: &Value) -> Value {
        let mut request = json!({"action": action, "imageIds": [self.source], "copyFrom": THERE});
        if action != "list" {
            request["accountIds"] = json!(targets);
        }
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    }

    pub fn share(&self, targets: &[&str]) -> Value {
        self.world.outcome(&self.ask("share", targets, &json!({})))
    }

    #[track_caller]
    pub fn accepted(&self, targets: &[&str]) -> Value {
        let outcome = self.share(targets);
        assert_eq!(outcome["result"], "accepted", "{outcome:#}");
        outcome
    }

    pub fn copies_made(&self) -> usize {
        self.world.aws.calls().iter().filter(|call| *call == "ec2:CopyImage").count()
    }

    /// The calls that change something, but for the events of outcomes.
    pub fn writes(&self) -> Vec<String> {
        self.world.aws.writes().into_iter().filter(|call| call != "events:PutEvents").collect()
    }

    /// The records of shares that wait, by their names.
    pub fn records(&self) -> Vec<(String, Value)> {
        let state = self.world.aws.state();
        let schedules = state["schedules"].as_object().unwrap().iter();
        let records = schedules.filter(|(name, _)| name.contains("/copy-"));
        records
            .map(|(name, schedule)| {
                let input = serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap();
                (name.rsplit('/').next().unwrap().to_owned(), input)
            })
            .collect()
    }

    /// Looks at every record, as Scheduler's hints have it.
    pub fn tick(&self) -> Vec<Value> {
        self.world.aws.hints("copy-").iter().map(|hint| self.world.outcome(hint)).collect()
    }

    #[track_caller]
    pub fn tick_once(&self) -> Value {
        let [outcome] = self.tick().try_into().unwrap();
        outcome
    }

    /// Puts another record under the same name.
    pub fn rewrite(&self, name: &str, input: &Value) {
        let (group, name) = name.split_once('/').unwrap();
        let until = OffsetDateTime::parse(input["until"].as_str().unwrap(), &Rfc3339).unwrap();
        let end = (until + time::Duration::hours(1)).unix_timestamp();
        // As text, because it has no keys.
        let schedule = json!({"group": group, "name": name, "expression": "rate(10 minutes)", "input": input.to_string(), "end": end});
        self.world.aws.seed(&json!({"schedules": [schedule]}));
    }

    /// Puts the one record there is back as one whose time is over since so many minutes.
    pub fn let_pass(&self, minutes: i64) {
        let until = (OffsetDateTime::now_utc() - time::Duration::minutes(minutes)).replace_nanosecond(0).unwrap();
        self.sign_anew(|input| input["until"] = json!(until.format(&Rfc3339).unwrap()));
    }

    /// Writes the one record there is once more, as one whose share expires in so many minutes, and returns its name: a share
    /// can't ask for so little time, but time passes while it waits.
    pub fn let_expire_in(&self, minutes: i64) -> String {
        let expires = (OffsetDateTime::now_utc() + time::Duration::minutes(minutes)).replace_nanosecond(0).unwrap();
        self.sign_anew(|input| {
            input["request"]["expiresAt"] = json!(expires.format(&Rfc3339).unwrap());
            let document = json!([THERE, input["requester"], input["request"]]).to_string();
            input["schedule"] = json!(CopyName::new(&self.source.parse().unwrap(), &document).as_str());
        })
    }

    /// Writes the one record there is with this change, as the function would have written it, and returns its name.
    fn sign_anew(&self, change: impl FnOnce(&mut Value)) -> String {
        let state = self.world.aws.state();
        let mut schedules = state["schedules"].as_object().unwrap().iter().filter(|(name, _)| name.contains("/copy-"));
        let (name, schedule) = schedules.next().unwrap();
        let mut input: Value = serde_json::from_str(schedule["input"].as_str().unwrap()).unwrap();
        change(&mut input);
        input.as_object_mut().unwrap().remove("mac");
        let new_name = input["schedule"].as_str().unwrap().to_owned();
        let digest = Mac::digest(&new_name, &input.to_string());
        let endpoint = self.world.aws.endpoint;
        let variable = move |name: &str| {
            let variables = [
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", ACCOUNT),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", endpoint),
            ];
            variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let key = self.record_key.parse().unwrap();
        let mac = runtime.block_on(Aws::connect(variable).unwrap().generate_mac(&key, &digest)).unwrap();
        input["mac"] = json!(mac.to_string());
        let (group, _) = name.split_once('/').unwrap();
        self.rewrite(&format!("{group}/{new_name}"), &input);
        self.world.aws.forget_calls();
        new_name
    }

    /// EC2's event about an image.
    pub fn event(image: &str, state: &str) -> Value {
        json!({
            "version": "0", "id": "ec2-event", "detail-type": "EC2 AMI State Change", "source": "aws.ec2", "account": ACCOUNT,
            "time": now(), "region": REGION, "resources": [], "detail": {"RequestId": "r", "ImageId": image, "State": state, "ErrorMessage": ""},
        })
    }

    pub fn end(&self, state: &str, reason: Option<&str>) {
        assert!(!self.world.aws.end_copies(&self.source, state, reason).is_empty());
    }

    pub fn row<'o>(&self, outcome: &'o Value) -> &'o Value {
        &outcome["images"][0]
    }

    /// The copy in a row of an outcome.
    pub fn copy_in(&self, outcome: &Value) -> String {
        self.row(outcome)["imageId"].as_str().unwrap_or_else(|| panic!("{outcome:#}")).to_owned()
    }
}

/// A function that can make copies.
pub fn start(endpoint: &str, allowlist: &str, record_key: &str) -> Function {
    let variables = [&VARIABLES[..], &[("AMI_SHARE_RECORD_KEY", record_key), ("AMI_SHARE_OUTCOME_BUS", "outcomes")]];
    Function::start(endpoint, allowlist, &variables.concat())
}
