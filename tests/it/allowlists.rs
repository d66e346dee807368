//! Where the allowlist comes from, through the real binary to the local AWS: Parameter Store and AppConfig, what is
//! asked of them, and what goes on without them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    function::Function,
    http::{Response, Server},
    local_aws::LocalAws,
};

const RULE: &str = r#"
version: 1
rules:
  - name: first
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
"#;

/// A place to keep an allowlist in, and how its calls are recorded.
struct Place {
    location: &'static str,
    calls: &'static [&'static str],
    put: fn(&str) -> Value,
}

const PARAMETER: Place = Place {
    location: "ssm:/ami-share/allowlist",
    calls: &["ssm:GetParameter"],
    put: |text| json!({"parameters": [{"name": "/ami-share/allowlist", "value": text}]}),
};

const CONFIGURATION: Place = Place {
    location: "appconfig:ami-share/prod/allowlist",
    calls: &["appconfig:POST /configurationsessions", "appconfig:GET /configuration"],
    put: |text| {
        let profile =
            json!({"application": "ami-share", "environment": "prod", "profile": "allowlist", "content": text});
        json!({"configurations": [profile]})
    },
};

struct World {
    aws: LocalAws,
    function: Function,
    place: Place,
    image: String,
}

/// So many seconds a copy may be used: until a test has slept a little, or as long as any test lasts.
const MOMENT: &str = "1";
/// See [`MOMENT`].
const HOUR: &str = "3600";

impl World {
    /// A function whose copies may be used for so long.
    fn new(place: Place, ttl: &str) -> Self {
        let aws = LocalAws::turn();
        aws.seed(&(place.put)(RULE));
        let variables = [("AMI_SHARE_ALLOWLIST", place.location), ("AMI_SHARE_ALLOWLIST_TTL", ttl)];
        let function = Function::start(aws.endpoint, "", &variables);
        let image = aws.image(json!({"name": "golden-allowlist"}));
        aws.forget_calls();
        Self { aws, function, place, image }
    }

    fn put(&self, text: &str) {
        self.aws.seed(&(self.place.put)(text));
    }

    /// Lets a copy grow older than a [`MOMENT`].
    fn age(&self) {
        sleep(Duration::from_millis(1_100));
    }

    /// What became of it, or why the invocation failed.
    fn ask(&self, action: &str) -> Result<Value, String> {
        let mut request = json!({"action": action, "imageIds": [self.image]});
        if action == "share" || action == "revoke" {
            request["accountIds"] = json!(["111122223333"]);
        }
        self.function.invoke(&request).map_err(|error| error["errorType"].as_str().unwrap().to_owned())
    }

    /// The calls for the allowlist since last asked.
    fn fetches(&self) -> Vec<String> {
        let calls = self.aws.calls().into_iter().filter(|call| !call.starts_with("ec2:")).collect();
        self.aws.forget_calls();
        calls
    }
}

#[track_caller]
fn rule(outcome: Result<Value, String>) -> String {
    let outcome = outcome.unwrap();
    outcome["images"][0]["rule"].as_str().unwrap_or_else(|| panic!("{outcome:#}")).to_owned()
}

#[test]
fn an_allowlist_is_fetched_once_in_its_ttl_and_then_anew() {
    for place in [PARAMETER, CONFIGURATION] {
        let world = World::new(place, HOUR);
        assert_eq!(rule(world.ask("share")), "first");
        world.put(&RULE.replace("first", "second"));
        assert_eq!(rule(world.ask("list")), "first");
        assert_eq!(world.fetches(), world.place.calls, "two requests within the TTL");
    }
    for place in [PARAMETER, CONFIGURATION] {
        let next = place.calls.last().unwrap();
        let world = World::new(place, MOMENT);
        assert_eq!(rule(world.ask("list")), "first");
        world.fetches();
        world.put(&RULE.replace("first", "second"));
        world.age();
        assert_eq!(rule(world.ask("list")), "second");
        assert_eq!(world.fetches(), [*next], "a poll goes on with its token");
        world.age();
        assert_eq!(rule(world.ask("list")), "second", "nothing has changed");
        assert_eq!(world.fetches(), [*next]);
    }
}

#[test]
fn without_a_fresh_allowlist_access_is_only_taken_away() {
    let places = || [(PARAMETER, "ssm:GetParameter"), (CONFIGURATION, "appconfig:GET /configuration")];
    for (place, call) in places() {
        let world = World::new(place, HOUR);
        world.ask("share").unwrap();
        world.aws.fault(call, "AccessDeniedException", 403, 1_000);
        assert!(world.ask("share").is_ok(), "the copy is fresh");
        world.aws.no_faults();
    }
    for (place, call) in places() {
        let world = World::new(place, MOMENT);
        world.aws.fault(call, "AccessDeniedException", 403, 1_000);
        assert_eq!(world.ask("revoke").unwrap_err(), "AllowlistUnavailable", "there is no copy to go by");
        world.aws.no_faults();
        world.ask("share").unwrap();
        world.aws.fault(call, "AccessDeniedException", 403, 1_000);
        world.age();
        for action in ["share", "list", "check"] {
            let error = world.ask(if action == "check" { "list" } else { action }).unwrap_err();
            assert_eq!(error, "AllowlistUnavailable", "{action}");
        }
        for action in ["revoke", "reset"] {
            let outcome = world.ask(action).unwrap();
            assert_eq!(outcome["result"], "completed", "{outcome:#}");
            let warning = outcome["warnings"][0].as_str().unwrap();
            assert!(warning.contains("decided by the copy of 20"), "{warning}");
        }
        world.aws.no_faults();
        let outcome = world.ask("list").unwrap();
        assert_eq!((&outcome["warnings"], &outcome["images"][0]["permissions"]["launch"]), (&json!([]), &json!([])));
    }
}

#[test]
fn a_document_out_of_order_is_not_used_and_the_log_says_where() {
    for place in [PARAMETER, CONFIGURATION] {
        let location = place.location;
        let world = World::new(place, MOMENT);
        world.ask("share").unwrap();
        world.put(&RULE.replace("\"111122223333\"", "111122223333"));
        world.age();
        // Every time: AppConfig doesn't send a document twice unless it is asked to.
        for _ in 0..2 {
            assert_eq!(world.ask("share").unwrap_err(), "AllowlistUnavailable");
        }
        assert_eq!(world.ask("revoke").unwrap()["result"], "completed");
        let log = world.function.log();
        let line = log.lines().find(|line| line.contains("can't be used")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let message = line["message"].as_str().unwrap();
        assert_eq!(line["allowlist.location"], location);
        assert!(message.contains("line 8") && message.contains("targets"), "{message}");
        world.put(RULE);
        assert_eq!(rule(world.ask("list")), "first", "mended");
    }
}

#[test]
fn an_expired_token_begins_a_new_session() {
    let world = World::new(CONFIGURATION, MOMENT);
    world.ask("list").unwrap();
    world.fetches();
    world.age();
    world.aws.fault("appconfig:GET /configuration", "BadRequestException", 400, 1);
    assert_eq!(rule(world.ask("list")), "first");
    let [get, post] = ["appconfig:GET /configuration", "appconfig:POST /configurationsessions"];
    assert_eq!(world.fetches(), [get, post, get]);
    world.aws.no_faults();
}

#[test]
fn what_is_not_there_allows_nothing() {
    let aws = LocalAws::turn();
    for location in ["ssm:/ami-share/nothing", "appconfig:ami-share/nowhere/allowlist"] {
        let function = Function::start(aws.endpoint, "", &[("AMI_SHARE_ALLOWLIST", location)]);
        let list = json!({"action": "list", "imageIds": ["ami-1a2b3c4d"]});
        assert_eq!(function.invoke(&list).unwrap_err()["errorType"], "AllowlistUnavailable", "{location}");
        assert!(function.log().contains("can't be used"), "{location}");
    }
}

const IMAGE: &str = "<imagesSet><item><imageId>ami-1a2b3c4d</imageId><imageState>available</imageState>\
    <imageOwnerId>999988887777</imageOwnerId><name>golden-1</name></item></imagesSet>";

#[test]
fn a_place_that_does_not_answer_leaves_a_revoke_most_of_its_time() {
    let asked = AtomicUsize::new(0);
    let aws = Server::start(move |request| {
        let is_fetch = request.headers.iter().any(|(_, value)| value == "AmazonSSM.GetParameter");
        if is_fetch && asked.fetch_add(1, Ordering::SeqCst) > 0 {
            sleep(Duration::from_secs(30));
            return None;
        }
        let operation = request.body.split('&').find_map(|pair| pair.strip_prefix("Action="));
        let body = match operation {
            Some(operation) => format!("<{operation}Response>{IMAGE}<return>true</return></{operation}Response>"),
            None => json!({"Parameter": {"Name": "/ami-share/allowlist", "Value": RULE}}).to_string(),
        };
        Some(Response { status: 200, headers: Vec::new(), body })
    });
    let variables = [("AMI_SHARE_ALLOWLIST", PARAMETER.location), ("AMI_SHARE_ALLOWLIST_TTL", MOMENT)];
    let function = Function::start(&format!("http://{}", aws.address), "", &variables);
    let request = |action| json!({"action": action, "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
    function.invoke(&request("share")).unwrap();
    sleep(Duration::from_millis(1_100));
    // The fetch would last longer than there is time.
    let outcome = function.invoke_bytes(&request("revoke").to_string(), Duration::from_secs(25)).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert!(outcome["warnings"][0].as_str().unwrap().contains("decided by the copy of"), "{outcome:#}");
}
