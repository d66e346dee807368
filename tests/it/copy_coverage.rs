//! Copies whose names no rule covers: whatever is asked about them by their own ID goes by the names of their sources.

use ami_share_testing::key_policies::open_to;
use serde_json::{Value, json};

use crate::support::{
    ACCOUNT, REGION,
    function::Function,
    now,
    scenes::VARIABLES,
    world::{World, ask, codes},
};

const THERE: &str = "eu-central-1";
const WEB: &str = "111122223333";
const DATA: &str = "222233334444";

/// A function, an image, and its copy of another name in this Region, which is shared with one account.
struct Renamed {
    world: World,
    source: String,
    copy: String,
}

fn rules(key: &str) -> String {
    format!(
        r#"
version: 1
rules:
  - name: exact
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check, usage]
    images: {{names: ["golden-1"]}}
    targets: ["{WEB}", "{DATA}"]
    copies: {{from: [{THERE}, {REGION}], key: "{key}"}}
  - name: auditor
    requesters: ["lambda:invoke"]
    actions: [audit, repair]
    images: all
  - name: by-itself
    requesters: ["events:{ACCOUNT}:aws.ec2"]
    actions: [share]
    images: {{names: ["golden-1"]}}
    targets: ["{DATA}"]
    onAvailable: true
"#
    )
}

impl Renamed {
    fn new(region: &str) -> Self {
        let world = World::with_records("version: 1\nrules: []", &[]);
        let key = world.aws.seed(&json!({"keys": [{"policy": open_to(&[WEB, DATA])}]}));
        let key = key["keys"][0]["arn"].as_str().unwrap().to_owned();
        let image = |name: &str, region: &str, more: Value| {
            let mappings = json!([{"device": "/dev/xvda", "snapshot": {"key": key, "size": 20}}]);
            let open = json!([{"device": "/dev/xvda", "snapshot": {"size": 20}}]);
            let mappings = if region == REGION { mappings } else { open };
            let mut image = json!({"name": name, "region": region, "mappings": mappings});
            image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            world.aws.image(image)
        };
        let source = image("golden-1", region, json!({}));
        let lineage = json!({"sourceImageId": source, "sourceImageRegion": region, "launchPermissions": [WEB]});
        let copy = image("golden-1-0a1b2c3d", REGION, lineage);
        let function = Function::start(world.aws.endpoint, &rules(&key), &VARIABLES);
        Self { world: World { function, ..world }, source, copy }
    }

    /// Answers the next read of the source with this error.
    fn without_source(&self, code: &str, status: u16) {
        let fault = json!({
            "call": "ec2:DescribeImages", "code": code, "status": status, "message": "no", "times": 100, "holding": self.source,
        });
        self.world.aws.seed(&json!({"faults": [fault]}));
    }

    fn audit(&self, action: &str) -> Value {
        let rows = json!({"action": action, "rows": true});
        self.world.completed(&if action == "audit" { rows } else { json!({"action": action}) })
    }
}

#[test]
fn every_action_goes_by_the_name_of_the_source() {
    for region in [THERE, REGION] {
        let Renamed { world, copy, .. } = &Renamed::new(region);
        let completed = |action: &str, more: Value| {
            let outcome = world.completed(&ask(action, copy, more));
            assert_eq!(outcome["images"][0]["rule"], "exact", "{action} {outcome:#}");
            outcome
        };
        let list = completed("list", json!({}));
        assert_eq!(list["images"][0]["targets"][0]["state"], "shared", "{list:#}");
        let check = completed("check", json!({"accountIds": [WEB]}));
        let row = &check["images"][0]["targets"][0];
        assert_eq!(
            (&row["state"], &row["accepted"], &row["launch"]),
            (&json!("shared"), &json!(true), &json!("really"))
        );
        let usage = world.outcome(&ask("usage", copy, json!({})));
        assert_eq!(usage["result"], "accepted", "{usage:#}");
        let catalogue = world.completed(&json!({"action": "images"}));
        let of_copy = catalogue["images"].as_array().unwrap().iter().find(|row| row["imageId"] == json!(copy)).unwrap();
        assert_eq!(of_copy["may"][0]["rule"], "exact", "{catalogue:#}");
        completed("share", json!({"accountIds": [DATA]}));
        assert_eq!(world.launch(copy), [WEB, DATA]);
        completed("revoke", json!({"accountIds": [WEB]}));
        completed("reset", json!({}));
        assert_eq!(world.launch(copy), [""; 0]);
        // What becomes available is shared by the rules for its source.
        let event = json!({
            "version": "0", "id": "ec2-event", "detail-type": "EC2 AMI State Change", "source": "aws.ec2", "account": ACCOUNT,
            "time": now(), "region": REGION, "resources": [], "detail": {"RequestId": "r", "ImageId": copy, "State": "available", "ErrorMessage": ""},
        });
        world.completed(&event);
        assert_eq!(world.launch(copy), [DATA]);
    }
}

#[test]
fn an_audit_and_a_repair_find_nothing_wrong_with_it() {
    for region in [THERE, REGION] {
        let renamed = Renamed::new(region);
        renamed.world.completed(&ask("share", &renamed.copy, json!({"accountIds": [DATA]})));
        if region == REGION {
            renamed.world.completed(&ask("share", &renamed.source, json!({"accountIds": [DATA]})));
        }
        for action in ["audit", "repair"] {
            let told = renamed.audit(action);
            assert_eq!(told["findings"], json!([]), "{told:#}");
        }
        let told = renamed.audit("audit");
        let of_copy = |row: &&Value| row["imageId"] == json!(renamed.copy);
        let rows: Vec<_> = told["rows"].as_array().unwrap().iter().filter(of_copy).map(|row| &row["rule"]).collect();
        assert_eq!(rows, [&json!("exact"), &json!("exact")], "{told:#}");
    }
}

#[test]
fn a_source_that_cannot_be_read_holds_nothing_else_up() {
    let renamed = Renamed::new(THERE);
    let world = &renamed.world;
    let other = world.aws.image(json!({"name": "golden-1", "launchPermissions": [WEB]}));
    let both = json!({"action": "revoke", "imageIds": [renamed.copy, other], "accountIds": [WEB]});
    renamed.without_source("RequestLimitExceeded", 503);
    let error = world.function.invoke(&both).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], &outcome["retryable"]), (&json!("incomplete"), &json!(true)), "{outcome:#}");
    assert_eq!(outcome["errors"][0]["code"], "Throttled");
    assert_eq!((world.launch(&other), world.launch(&renamed.copy)), (vec![], vec![WEB.to_owned()]));
    // For good it counts as not covered, and is refused alone.
    renamed.without_source("UnauthorizedOperation", 403);
    let error = world.function.invoke(&both).unwrap_err();
    let outcome: Value = serde_json::from_str(error["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!((&outcome["result"], codes(&outcome)), (&json!("incomplete"), vec!["ActionNotAllowed"]), "{outcome:#}");
    // An audit doesn't call drift what it could not find out.
    renamed.without_source("RequestLimitExceeded", 503);
    let audit = world.outcome(&json!({"action": "audit"}));
    assert!(!audit["findings"].to_string().contains(&renamed.copy), "{audit:#}");
    assert!(audit["warnings"].to_string().contains(&format!("about {} could be audited", renamed.copy)), "{audit:#}");
    world.aws.no_faults();
    world.completed(&both);
    assert_eq!(world.launch(&renamed.copy), [""; 0]);
}

#[test]
fn with_copy_from_an_unread_source_is_an_error_and_not_a_missing_image() {
    let renamed = Renamed::new(THERE);
    for (code, status, error) in [("RequestLimitExceeded", 503, "Throttled"), ("UnauthorizedOperation", 403, "Denied")]
    {
        for action in ["list", "revoke"] {
            let targets = if action == "list" { json!({}) } else { json!({"accountIds": [WEB]}) };
            let mut request = ask(action, &renamed.source, targets);
            request["copyFrom"] = json!(THERE);
            renamed.without_source(code, status);
            let failed = renamed.world.function.invoke(&request).unwrap_err();
            let outcome: Value = serde_json::from_str(failed["errorMessage"].as_str().unwrap()).unwrap();
            assert_eq!((&outcome["result"], codes(&outcome)), (&json!("failed"), vec![]), "{outcome:#}");
            assert_eq!((&outcome["errors"][0]["code"], &outcome["retryable"]), (&json!(error), &json!(status == 503)));
        }
    }
}

#[test]
fn an_image_without_a_source_costs_no_call_more() {
    let renamed = Renamed::new(THERE);
    let plain = renamed.world.aws.image(json!({"name": "golden-1"}));
    for action in ["share", "revoke", "check", "list"] {
        let targets = if action == "list" { json!({}) } else { json!({"accountIds": [WEB]}) };
        renamed.world.outcome(&ask(action, &plain, targets));
        let calls = renamed.world.aws.calls();
        let described = calls.iter().filter(|call| *call == "ec2:DescribeImages").count();
        assert_eq!(described, 1, "{action} {calls:?}");
    }
}
