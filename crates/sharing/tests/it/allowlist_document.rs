//! What an allowlist may say, and the fault of everything else, with its line and field.

use std::collections::BTreeMap;

use sharing::{
    allowlist::{Allowlist, ImageCriteria, Images},
    domain::Severity,
    request::Access,
};
use time::Duration;

const RULE: &str = r#"{"name": "r", "requesters": ["lambda:invoke"], "actions": ["share"], "images": {"names": ["golden-*"]}, "targets": ["111122223333"]}"#;

/// The smallest document with one rule, whose fields `change` may replace, add or (with `null`) remove.
fn with(change: serde_json::Value) -> String {
    let mut rule: serde_json::Value = serde_json::from_str(RULE).unwrap();
    for (field, value) in change.as_object().unwrap() {
        if value.is_null() {
            rule.as_object_mut().unwrap().remove(field);
        } else {
            rule[field] = value.clone();
        }
    }
    serde_json::json!({"version": 1, "accounts": {"444455556666": {"name": "staging"}}, "rules": [rule]}).to_string()
}

#[track_caller]
fn refused(text: &str, words: &str) {
    match Allowlist::parse(text) {
        Ok(allowlist) => panic!("should be refused ({words}): {text}\n{allowlist:#?}"),
        Err(error) => assert!(error.to_string().contains(words), "{error}\nshould say {words:?}"),
    }
}

#[test]
fn the_example_parses_and_resolves_names() {
    let allowlist = Allowlist::parse(include_str!("../../../../examples/allowlist.yaml")).unwrap();
    assert_eq!(allowlist.rules.len(), 4);
    assert_eq!(allowlist.rules[0].targets[1].to_string(), "444455556666");
    assert_eq!(allowlist.accounts.len(), 2);
}

#[test]
fn a_sample_with_every_field_parses() {
    let allowlist = Allowlist::parse(
        r#"
version: 1
accounts:
  "111122223333": {name: prod-web, organizationId: o-a1b2c3d4e5, organizationPath: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
rules:
  - name: portal-golden
    requesters: ["arn:aws:iam::999988887777:role/portal", "events:999988887777:com.example.pipeline"]
    actions: [share, revoke, list, check]
    images: {names: ["golden-*"], tags: {Tier: [gold, silver]}}
    targets: ["111122223333", "prod-web", "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
    access: copy
    keys: verify
    serviceLinkedRoles: []
    maxDuration: 30d
    onAvailable: false
"#,
    )
    .unwrap();
    assert_eq!(allowlist.rules[0].max_duration, Some(Duration::days(30)));
    assert_eq!(allowlist.rules[0].access, Access::Copy);
    assert_eq!(allowlist.accounts.values().next().unwrap().organization_id.as_deref(), Some("o-a1b2c3d4e5"));
}

#[test]
fn images_can_be_chosen_by_what_else_ec2_says_of_them() {
    let images = serde_json::json!({"watermarks": ["999988887777:approved", "111122223333:approved"],
        "maxSeverity": "medium", "scannedWithin": "30d", "maxAge": "36h"});
    let allowlist = Allowlist::parse(&with(serde_json::json!({"images": images}))).unwrap();
    let criteria = ImageCriteria {
        watermarks: vec!["999988887777:approved".to_owned(), "111122223333:approved".to_owned()],
        max_severity: Some(Severity::Medium),
        scanned_within: Some(Duration::days(30)),
        max_age: Some(Duration::hours(36)),
    };
    assert_eq!(allowlist.rules[0].images, Images::Matching { names: Vec::new(), tags: BTreeMap::new(), criteria });
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = with(serde_json::json!({}));
    let yaml = format!(" {json}"); // JSON is YAML's flow style
    assert_eq!(Allowlist::parse(&json), Allowlist::parse(&yaml));
    assert!(Allowlist::parse(&json).is_ok());
}

#[test]
fn a_mistake_is_refused_and_named() {
    for (change, words) in [
        (serde_json::json!({"requesters": []}), "empty list"),
        (serde_json::json!({"requesters": ["*"]}), "is not a requester"),
        (serde_json::json!({"requesters": null}), "requesters"),
        (serde_json::json!({"requesters": "lambda:invoke"}), "a list belongs"),
        (serde_json::json!({"requesters": 5}), "a number where a list belongs"),
        (serde_json::json!({"requesters": true}), "a boolean where a list belongs"),
        (serde_json::json!({"actions": []}), "empty list"),
        (serde_json::json!({"actions": ["publish"]}), "publish"),
        (serde_json::json!({"actions": ["images"]}), "`images` needs no entry"),
        (serde_json::json!({"actionss": ["share"]}), "did you mean `actions`?"),
        (serde_json::json!({"images": {}}), "give `names`"),
        (serde_json::json!({"images": {"watermarks": []}}), "empty list"),
        (serde_json::json!({"images": {"watermarks": "999988887777:approved"}}), "a list belongs"),
        (serde_json::json!({"images": {"watermarks": ["approved"]}}), "is not a watermark"),
        (serde_json::json!({"images": {"watermarks": ["999988887777:*"]}}), "is not a watermark"),
        (serde_json::json!({"images": {"watermarks": ["9999:approved"]}}), "is not a watermark"),
        (serde_json::json!({"images": {"watermarks": ["999988887777:ok"]}}), "is not a watermark"),
        (serde_json::json!({"images": {"maxSeverity": "MEDIUM"}}), "is not `informational`"),
        (serde_json::json!({"images": {"maxSeverity": null}}), "there is nothing here"),
        (serde_json::json!({"images": {"scannedWithin": "30"}}), "not a duration"),
        (serde_json::json!({"images": {"maxAge": 180}}), "put it in quotes"),
        (serde_json::json!({"images": {"maxage": "180d"}}), "did you mean `maxAge`?"),
        (serde_json::json!({"images": {"name": ["golden-*"]}}), "did you mean `names`?"),
        (serde_json::json!({"target": ["111122223333"]}), "did you mean `targets`?"),
        (serde_json::json!({"requestors": ["lambda:invoke"]}), "did you mean `requesters`?"),
        (serde_json::json!({"owner": "ada"}), "field `owner`: unknown field"),
        (serde_json::json!({"images": "every"}), "`all`"),
        (serde_json::json!({"images": []}), "`all`"),
        (serde_json::json!({"images": null}), "images"),
        (serde_json::json!({"images": {"names": []}}), "empty list"),
        (serde_json::json!({"images": {"names": [""]}}), "empty pattern"),
        (serde_json::json!({"images": {"tags": {}}}), "empty map"),
        (serde_json::json!({"images": {"tags": {"Tier": []}}}), "empty list"),
        (serde_json::json!({"images": {"tags": {"Tier": [1]}}}), "put it in quotes"),
        (serde_json::json!({"images": {"ids": ["ami-1a2b3c4d"]}}), "ids"),
        (serde_json::json!({"targets": []}), "empty list"),
        (serde_json::json!({"targets": ["*"]}), "is not a target"),
        (serde_json::json!({"targets": ["all"]}), "not the name of an entry"),
        (serde_json::json!({"targets": ["11112222*"]}), "is not a target"),
        (serde_json::json!({"targets": [111122223333u64]}), "put it in quotes"),
        (serde_json::json!({"targets": ["o-a1b2c3d4e5"]}), "is not a target"),
        (serde_json::json!({"targets": null}), "need targets"),
        (serde_json::json!({"access": "write"}), "write"),
        (serde_json::json!({"keys": "trust"}), "trust"),
        (serde_json::json!({"serviceLinkedRoles": ["autoscaling"]}), "needs `keys: grant`"),
        (serde_json::json!({"keys": "grant", "serviceLinkedRoles": ["eks"]}), "is not one of"),
        (serde_json::json!({"maxDuration": "30"}), "not a duration"),
        (serde_json::json!({"maxDuration": "0d"}), "not a duration"),
        (serde_json::json!({"maxDuration": "1w"}), "not a duration"),
        (serde_json::json!({"maxDuration": "99999999999999999999d"}), "not a duration"),
        (serde_json::json!({"maxDuration": 30}), "put it in quotes"),
        (serde_json::json!({"onAvailable": "yes"}), "boolean"),
        (serde_json::json!({"onAvailable": true}), "needs the requester"),
        (
            serde_json::json!({"onAvailable": true, "requesters": ["events:999988887777:com.example"]}),
            "needs the requester",
        ),
        (serde_json::json!({"images": {"tags": ["gold"]}}), "a map"),
        (serde_json::json!({"onAvailable": true, "images": "all"}), "can't be combined"),
        (serde_json::json!({"onAvailable": true, "images": {"maxAge": "1d"}}), "needs `names`"),
        (serde_json::json!({"onAvailable": true, "images": {"names": ["a"], "maxSeverity": "low"}}), "not scanned yet"),
        (
            serde_json::json!({"onAvailable": true, "images": {"names": ["a"], "scannedWithin": "1d"}}),
            "not scanned yet",
        ),
        (serde_json::json!({"approvers": []}), "empty list"),
        (serde_json::json!({"approvers": "jwt:https://i#ada"}), "a list"),
        (serde_json::json!({"approvers": ["ada"]}), "is not a requester"),
        (serde_json::json!({"approvers": ["lambda:invoke"]}), "can't approve"),
        (serde_json::json!({"approvers": ["events:999988887777:com.example"]}), "can't approve"),
        (serde_json::json!({"approvers": ["sqs:arn:aws:sqs:eu-west-1:999988887777:requests"]}), "can't approve"),
        (serde_json::json!({"approvers": ["jwt:https://i#ada", "lambda:invoke"]}), "can't approve"),
        (serde_json::json!({"approvers": ["jwt:https://i#*"]}), "would let everybody approve"),
        (serde_json::json!({"approvers": ["jwt:https://i#?*"]}), "would let everybody approve"),
        (serde_json::json!({"approvers": ["jwt-group:https://i#*"]}), "would let everybody approve"),
        (serde_json::json!({"approvers": ["arn:aws:iam::999988887777:role/*"]}), "would let everybody approve"),
        (serde_json::json!({"approvers": ["arn:aws:iam::999988887777:user/**"]}), "would let everybody approve"),
        (
            serde_json::json!({"onAvailable": true, "approvers": ["jwt:https://i#ada"], "requesters": ["events:999988887777:aws.ec2"]}),
            "can't be combined with `approvers`",
        ),
        (serde_json::json!({"publish": "/golden/latest"}), "a map belongs"),
        (serde_json::json!({"publish": {}}), "missing"),
        (serde_json::json!({"publish": {"parameter": ["/golden/latest"]}}), "text belongs"),
        (serde_json::json!({"publish": {"parameter": "/golden/latest", "type": "text"}}), "unknown field"),
        (serde_json::json!({"publish": {"parameter": "golden/latest"}}), "does not begin with `/`"),
        (serde_json::json!({"publish": {"parameter": "/Aws/latest"}}), "AWS keeps for itself"),
        (serde_json::json!({"publish": {"parameter": "/golden/{name}"}}), "is no placeholder"),
        (serde_json::json!({"publish": {"parameter": "/golden/{tag:Family}"}}), "does not name `Family`"),
        (
            serde_json::json!({"images": "all", "publish": {"parameter": "/golden/{tag:Family}"}}),
            "does not name `Family`",
        ),
        (
            serde_json::json!({"images": {"tags": {"family": ["web"]}}, "publish": {"parameter": "/golden/{tag:Family}"}}),
            "does not name `Family`",
        ),
        (serde_json::json!({"name": ""}), "rule's name"),
        (serde_json::json!({"name": true}), "`true` is a boolean here: put it in quotes"),
        (serde_json::json!({"targets": [11112222]}), "(an ID is text and may begin with zeros)"),
        (serde_json::json!({"name": "n".repeat(129)}), "rule's name"),
        (serde_json::json!({"effect": "Deny"}), "effect"),
    ] {
        refused(&with(change), words);
    }
    assert!(Allowlist::parse(&with(serde_json::json!({"name": "n".repeat(128)}))).is_ok());
}

#[test]
fn the_document_as_a_whole_is_checked() {
    refused("", "");
    refused("{}", "version");
    refused(r#"{"version": 2, "rules": []}"#, "version 2");
    refused(r#"{"version": 1, "rules": []}"#, "empty list");
    refused(&format!(r#"{{"version": 1, "rules": [{RULE}, {RULE}]}}"#), "another rule has this name");
    refused(&format!(r#"{{"version": 1, "version": 1, "rules": [{RULE}]}}"#), "repeated field");
    refused(&format!(r#"{{"version": 1, "rules": [{RULE}]}} x"#), "trailing");
    refused(
        &format!(r#"{{"version": 1, "accounts": {{"111122223333": {{}}, "111122223333": {{}}}}, "rules": [{RULE}]}}"#),
        "repeated key",
    );
    refused(&format!(r#"{{"version": 1, "accounts": {{"1111": {{}}}}, "rules": [{RULE}]}}"#), "twelve digits");
    refused(
        &format!(
            r#"{{"version": 1, "accounts": {{"111122223333": {{"name": "a"}}, "444455556666": {{"name": "a"}}}}, "rules": [{RULE}]}}"#
        ),
        "another account or group",
    );
    refused(
        &format!(r#"{{"version": 1, "accounts": {{"111122223333": {{"name": "123456789012"}}}}, "rules": [{RULE}]}}"#),
        "not a name",
    );
    refused(
        &format!(r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationId": "o-1"}}}}, "rules": [{RULE}]}}"#),
        "ID of an organization",
    );
    refused(
        &format!(
            r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationPath": "o-a1b2c3d4e5/r-ab12"}}}}, "rules": [{RULE}]}}"#
        ),
        "slash at the end",
    );
    refused(
        &format!(
            r#"{{"version": 1, "accounts": {{"111122223333": {{"organizationId": "o-zzzzzzzzzz", "organizationPath": "o-a1b2c3d4e5/r-ab12/"}}}}, "rules": [{RULE}]}}"#
        ),
        "says o-zzzzzzzzzz",
    );
}

#[test]
fn yaml_traps_are_refused_with_their_line() {
    let document = |targets: &str| {
        format!(
            "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [share]\n    images: all\n    targets: {targets}\n"
        )
    };
    assert!(Allowlist::parse(&document("[\"111122223333\"]")).is_ok());
    refused(&document("[111122223333]"), "line 7");
    refused(&document("[111122223333]"), "put it in quotes");
    refused(&document("[011122223333]"), "put it in quotes");
    refused(&document("&t [\"111122223333\"]"), "anchor");
    refused(&document("*t"), "");
    let directory = |value: &str| {
        document("[\"111122223333\"]")
            .replace("rules:", &format!("accounts: {value} {{\"111122223333\": {{name: a}}}}\nrules:"))
    };
    assert!(Allowlist::parse(&directory("")).is_ok());
    refused(&directory("&a"), "anchor");
    refused(&directory("!!map"), "tag");
    refused(&document("[\"111122223333\"]\n    targets: [\"444455556666\"]"), "targets");
    refused(&document("[\"111122223333\"]\n    <<: {keys: unchecked}"), "");
    refused(&document("[\"111122223333\"]\n    onAvailable: yes"), "");
    refused(&document("[\"111122223333\"]\n---\nversion: 1"), "");
    refused("version: 1\naccounts:\n  111122223333: {name: a}\nrules: []", "put it in quotes");
    refused("version: 1\n\trules: []", "line 2: the line begins with a tab: indent with spaces");
    refused(
        "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n   actions: [list]",
        "line 5, rule `r`: the text is not YAML: this line, or one before it, is indented by too many or too few spaces",
    );
    let elsewhere = "version: 1\nothers:\n  - name: r\n    actions: [list]\n   targets: []\n";
    let error = Allowlist::parse(elsewhere).unwrap_err().to_string();
    assert!(error.contains("not YAML") && !error.contains("rule"), "{error}");
    refused(&document("[*]"), "rule `r`: the text is not YAML: text that begins with `*` or `&` must be in quotes");
    refused(&document("x").replace("images: all", "images:all"), "a `:` with a space after it is missing");
    refused(
        &document("[\"111122223333\""),
        "rule `r`: the text is not YAML: look at the indentation, quotes and brackets",
    );
}

#[test]
fn what_is_left_empty_is_an_accident() {
    let document = |images: &str, targets: &str| {
        format!(
            "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [list]\n    images: {images}\n{targets}"
        )
    };
    assert!(Allowlist::parse(&document("all", "")).is_ok());
    for (images, targets, field) in [
        ("all", "    targets:\n", "targets"),
        ("all", "    targets: null\n", "targets"),
        ("all", "    targets: ~\n", "targets"),
        ("{names: null, tags: {Tier: [gold]}}", "", "images.names"),
        ("{names: [\"golden-*\"], tags: null}", "", "images.tags"),
    ] {
        refused(&document(images, targets), "nothing here");
        refused(&document(images, targets), &format!("field `{field}`"));
    }
    refused(
        r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["list"], "images": "all", "targets": null}]}"#,
        "nothing here",
    );
}

/// All faults as they are shown, without what is the same in all.
fn faults(text: &str) -> Vec<String> {
    Allowlist::parse(text).unwrap_err().faults.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_reported_with_its_line_part_and_field() {
    let document = r#"version: 2
accounts:
  "1111": {name: a}
  "111122223333":
    name: o-x
    owner: ada
  "444455556666": {organizationId: o-a1b2c3d4e5, organizationPath: o-zzzzzzzzzz/r-ab12/}
  777788889999: {}
groups:
  web: [nowhere, "444455556666"]
  db: []
rules:
  - name: first
    requesters:
      - "*"
      - lambda:invoke
      - arn:aws:iam::*:role/portal
      - arn:aws:iam::999988887777:role/team/portal
    actions: [share, publish]
    images: {}
    targets:
      - "*"
      - 111122223333
      - "111122223333"
      - !!str x
    maxduration: 1d
    maxDuration:
      1w
  - name: first
    requesters: []
    actions: [list]
    images: {names: [], tags: {Tier: [1]}}
    onAvailable: yes
  - requesters: [lambda:invoke]
    actions: [share]
    images: every
  - all
owner: ada
"#;
    let expect = [
        "line 1, field `version`: version 2; this function reads version 1",
        "line 3, account `1111`: `1111` is not an account id: twelve digits, without hyphens",
        "line 5, account `111122223333`, field `name`: `o-x` is not a name: up to 64 letters, digits, `.`, `_`, `-`, and not like an ID",
        "line 6, account `111122223333`, field `owner`: unknown field",
        "line 7, account `444455556666`, field `organizationId`: organizationPath is in o-zzzzzzzzzz, organizationId says o-a1b2c3d4e5",
        "line 8, field `accounts`: `777788889999` is a number here: put it in quotes (an ID is text and may begin with zeros)",
        "line 10, group `web`: `nowhere` is not a target and not the name of an entry of `accounts` or `groups`",
        "line 11, group `db`: an empty list; leave the field out or fill it",
        "line 15, rule `first`, field `requesters`: `*` is not a requester: `arn:aws:iam::<account>:role/<name>`, `arn:aws:iam::<account>:user/<name>`, `jwt:<issuer>#<subject>`, `jwt-group:<issuer>#<group>`, `events:<account>:<source>`, `sqs:<queue ARN>` or `lambda:invoke`",
        "line 17, rule `first`, field `requesters`: `*` is not an account id: twelve digits, without hyphens",
        "line 18, rule `first`, field `requesters`: `arn:aws:iam::999988887777:role/team/portal` has a path; a role's sessions lose it, so write `role/portal`",
        "line 19, rule `first`, field `actions`: `publish` is not an action: `share`, `revoke`, `reset`, `list`, `check`, `usage`, `audit`, `repair`",
        "line 20, rule `first`, field `images`: an empty map: give `names`, `tags` or other criteria, or say `all`",
        "line 22, rule `first`, field `targets`: `*` is not a target: an account id of twelve digits, or the ARN of an organization or organizational unit",
        "line 23, rule `first`, field `targets`: `111122223333` is a number here: put it in quotes (an ID is text and may begin with zeros)",
        "line 25, rule `first`, field `targets`: a tag (`!`): write out what it stands for",
        "line 26, rule `first`, field `maxduration`: unknown field; did you mean `maxDuration`?",
        "line 27, rule `first`, field `maxDuration`: `1w` is not a duration from `5m` to `3650d`: a number and m, h or d",
        "line 29, rule `first`, field `name`: another rule has this name",
        "line 30, rule `first`, field `requesters`: an empty list; leave the field out or fill it",
        "line 32, rule `first`, field `images.names`: an empty list; leave the field out or fill it",
        "line 32, rule `first`, field `images.tags`: `1` is a number here: put it in quotes",
        "line 33, rule `first`, field `onAvailable`: text where a boolean (`true` or `false`) belongs",
        "line 34, rule `#3`, field `name`: missing",
        "line 34, rule `#3`, field `targets`: missing; `share`, `revoke` and `check` need targets",
        "line 36, rule `#3`, field `images`: say `all`, or give a map of criteria such as `names` and `tags`",
        "line 37, rule `#4`: text where a map belongs",
        "line 38, field `owner`: unknown field",
    ];
    let found = faults(document);
    for (index, expect) in expect.iter().enumerate() {
        assert_eq!(found.get(index).map(String::as_str), Some(*expect), "{found:#?}");
    }
    assert_eq!(found.len(), expect.len(), "{found:#?}");
}

/// The function logs the text; the command line has a line for each fault.
#[test]
fn of_many_faults_the_text_names_fifty_and_counts_the_others() {
    for (count, more) in [(50, None), (51, Some("; and 1 more")), (5_000, Some("; and 4950 more"))] {
        let invalid = Allowlist::parse(&with(serde_json::json!({"actions": vec!["fly"; count]}))).unwrap_err();
        let text = invalid.to_string();
        assert_eq!((invalid.faults.len(), text.matches("`fly`").count()), (count, 50), "{text}");
        assert_eq!(text.find("; and ").map(|at| &text[at..]), more, "{text}");
    }
}

#[test]
fn tags_anchors_and_aliases_are_refused_wherever_they_stand() {
    let document = |rule: &str| {
        format!(
            "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [list]\n    {rule}\n"
        )
    };
    assert!(Allowlist::parse(&document("images: all")).is_ok());
    for (rule, words) in [
        ("images: !!str all", "a tag"),
        ("images: !foo all", "a tag"),
        ("images: !foo {names: [a]}", "a tag"),
        ("images: {names: !!seq [a]}", "a tag"),
        ("images: {names: [!!binary aGk=]}", "a tag"),
        ("images: {tags: {!!str Tier: [a]}}", "a tag"),
        ("images: all\n    maxDuration: !!str 1d", "a tag"),
        ("images: all\n    onAvailable: !!bool false", "a tag"),
        ("images: &a all", "an anchor or alias"),
        ("images: &a {names: [a]}", "an anchor or alias"),
        ("images: all\n    access: *a", "an anchor or alias"),
        ("images: all\n    <<: {access: copy}", "unknown field"),
    ] {
        let faults = faults(&document(rule));
        assert!(faults.len() == 1 && faults[0].contains(words), "{rule}: {faults:?}");
    }
    refused("!!map {version: 1}", "a tag");
    refused(
        "version: !!int 1\nrules: [{name: r, requesters: [\"lambda:invoke\"], actions: [list], images: all}]",
        "a tag",
    );
}

#[test]
fn a_group_is_a_name_for_several_targets() {
    let document = |groups: &str, targets: &str| {
        format!(
            "version: 1\naccounts:\n  \"111122223333\": {{name: prod}}\ngroups: {groups}\nrules:\n  - {{name: r, requesters: [\"lambda:invoke\"], actions: [share], images: all, targets: {targets}}}\n"
        )
    };
    let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
    let groups = format!(r#"{{web: [prod, "444455556666"], all: ["{unit}"]}}"#);
    let allowlist = Allowlist::parse(&document(&groups, r#"[web, "111122223333", all]"#)).unwrap();
    let targets: Vec<_> = allowlist.rules[0].targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["111122223333", "444455556666", unit]);
    for (groups, words) in [
        (r#"{web: ["444455556666"], db: [web]}"#, "group `db`: `web` is not a target"),
        (r#"{prod: ["444455556666"]}"#, "another account or group"),
        (r#"{web: ["444455556666"], web: ["444455556666"]}"#, "another account or group"),
        (r#"{web: []}"#, "an empty list"),
        (r#"{}"#, "an empty map"),
        (r#"{"*": ["444455556666"]}"#, "is not a name"),
        (r#"{"111122223333": ["444455556666"]}"#, "is not a name"),
        (r#"{web: ["*"]}"#, "is not a target"),
        (r#"{web: [444455556666]}"#, "put it in quotes"),
    ] {
        refused(&document(groups, "[prod]"), words);
    }
}

#[test]
fn a_rule_shares_by_itself_only_chosen_images_and_for_a_while() {
    let by_itself = |change: serde_json::Value| {
        let mut rule = serde_json::json!({"onAvailable": true, "requesters": ["events:999988887777:aws.ec2"]});
        for (field, value) in change.as_object().unwrap() {
            rule[field] = value.clone();
        }
        with(rule)
    };
    for right in [
        serde_json::json!({}),
        serde_json::json!({"images": {"tags": {"Tier": ["*"]}}}),
        serde_json::json!({"images": {"names": ["????*"]}}),
        serde_json::json!({"images": {"names": ["???", "*a*"]}}),
        serde_json::json!({"maxDuration": "30m"}),
        serde_json::json!({"images": {"watermarks": ["999988887777:approved by (web) it's [v1]/a@b_c-d."]}}),
        serde_json::json!({"images": {"names": ["golden-*"], "maxAge": "1d"}}),
    ] {
        assert!(Allowlist::parse(&by_itself(right.clone())).is_ok(), "{right}");
    }
    for names in [
        serde_json::json!(["*"]),
        serde_json::json!(["**"]),
        serde_json::json!(["golden-*", "*?*"]),
        serde_json::json!(["???*"]),
        serde_json::json!(["?*?*?"]),
        serde_json::json!(["???", "????*"]),
    ] {
        refused(&by_itself(serde_json::json!({"images": {"names": names}})), "match every image's name");
    }
    refused(&by_itself(serde_json::json!({"maxDuration": "29m"})), "at least `30m`");
    refused(
        &by_itself(serde_json::json!({"images": "all", "maxDuration": "5m"})),
        "can't be combined with `images: all`",
    );
    refused(&by_itself(serde_json::json!({"images": "all", "maxDuration": "5m"})), "at least `30m`");
    refused(&by_itself(serde_json::json!({"images": "all", "name": ""})), "can't be combined with `images: all`");
}

#[test]
fn a_rule_can_name_a_parameter_by_tags_that_its_images_have() {
    let parameter = "/golden/{tag:Family}/{architecture}/latest";
    let with_tags = serde_json::json!({"images": {"tags": {"Family": ["*"]}}, "publish": {"parameter": parameter}});
    let allowlist = Allowlist::parse(&with(with_tags)).unwrap();
    assert_eq!(allowlist.rules[0].publish.as_ref().map(ToString::to_string).as_deref(), Some(parameter));
    let anything = serde_json::json!({"images": "all", "publish": {"parameter": "/golden/{architecture}"}});
    assert!(Allowlist::parse(&with(anything)).is_ok());
    assert_eq!(Allowlist::parse(&with(serde_json::json!({}))).unwrap().rules[0].publish, None);
    let text = "version: 1\nrules:\n- name: web\n  requesters: [\"lambda:invoke\"]\n  actions: [share]\n  images: all\n  \
                targets: [\"111122223333\"]\n  publish:\n    parameter: /golden/{tag:Family}\n";
    let error = Allowlist::parse(text).unwrap_err().to_string();
    assert!(error.starts_with("line 9, rule `web`, field `publish.parameter`: "), "{error}");
}
