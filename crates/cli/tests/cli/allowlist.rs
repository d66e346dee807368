//! `allowlist check` and `allowlist explain`.

use serde_json::{Value, json};

use crate::{check, command, finish, run};

const ONE_RULE: &str = r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["list"], "images": "all"}]}"#;

#[test]
fn the_allowlists_of_the_project_have_no_faults() {
    for (file, words) in [
        ("examples/allowlist.yaml", "no faults; 4 rules and 2 accounts in the directory"),
        ("demo/allowlist.yaml", "no faults; 11 rules and 3 accounts in the directory"),
    ] {
        check(&run(&format!("allowlist check {file}"), ""), 0, &[file, words]);
        let answer = run(&format!("allowlist check {file} --format json"), "");
        check(&answer, 0, &[]);
        assert_eq!(answer.json(), json!({"file": file, "faults": [], "warnings": []}));
    }
    check(&run("allowlist check -", ONE_RULE), 0, &["standard input: no faults; 1 rule and 0 accounts"]);
}

#[test]
fn a_fault_is_1_and_named_with_its_place() {
    let wrong = "version: 1\nrules:\n  - name: r\n    requesters: [\"lambda:invoke\"]\n    actions: [share]\n    images: all\n    targets: [111122223333]\n";
    for (document, words) in [
        (wrong, [":7: fault: rule `r`, field `targets", "put it in quotes", ""]),
        (
            &wrong.replace("[111122223333]", "[nobody]"),
            [":7: fault: rule `r`, field `targets", "`nobody` is not a", ""],
        ),
        ("", [":1: fault", "", ""]),
    ] {
        let answer = run("allowlist check -", document);
        check(&answer, 1, &["standard input", "1 fault\n"]);
        check(&answer, 1, &words);
        assert_eq!(answer.stderr, "");
        let answer = run("allowlist check - --format json", document);
        check(&answer, 1, &[]);
        let faults = &answer.json()["faults"];
        assert_eq!(faults.as_array().map(Vec::len), Some(1), "{answer}");
        assert!(faults[0]["message"].is_string(), "{answer}");
    }
}

#[test]
fn a_finding_says_what_it_is_about() {
    let document = r#"{"version": 1, "accounts": {"111122223333": {"nam": "a"}, "444455556666": {"name": "b"}},
        "groups": {"web": {"nam": "c"}},
        "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["lis"], "images": "all"}]}"#;
    let answer = run("allowlist check - --format json", document);
    let faults = answer.json()["faults"].as_array().unwrap().clone();
    for (name, value) in [("account", "111122223333"), ("group", "web"), ("rule", "r")] {
        assert!(faults.iter().any(|fault| fault[name] == value), "{name}: {answer}");
    }
    // A rule that can never decide is valid.
    let one = ONE_RULE.split_once('[').unwrap().1.strip_suffix("]}").unwrap();
    let loose = ONE_RULE.replace("]}", &format!(", {}]}}", one.replace("\"r\"", "\"s\"")));
    let answer = run("allowlist check - --format json", &loose);
    let warnings = answer.json()["warnings"].as_array().unwrap().clone();
    assert!(
        !warnings.is_empty() && warnings.iter().all(|it| it["message"].as_str().is_some_and(|it| !it.is_empty())),
        "{answer}"
    );
}

/// Asks the rules of `examples/allowlist.yaml`; `expect` is the rule that decides, or criterion and refusal.
#[track_caller]
fn asked(question: &str, expect: Result<&str, [&str; 2]>) {
    let explain = |format| run(&format!("allowlist explain examples/allowlist.yaml {question} --format {format}"), "");
    let (json, words) = (explain("json"), explain("words"));
    let answer = json.json();
    let rules: Vec<_> = answer["rules"].as_array().unwrap().iter().collect();
    assert_eq!(rules.len(), 4);
    match expect {
        Ok(rule) => {
            check(&words, 0, &[&format!("rule `{rule}` decides"), &format!("`{rule}` covers the request")]);
            assert_eq!((json.code, &answer["decides"], &answer["refusal"]), (Some(0), &rule.into(), &Value::Null));
            let first = rules.iter().find(|rule| rule["fails"].is_null()).unwrap();
            assert_eq!(first["rule"], rule);
        }
        Err([criterion, refusal]) => {
            check(&words, 1, &["no rule covers the request", criterion, refusal]);
            assert_eq!((json.code, &answer["decides"]), (Some(1), &Value::Null));
            assert_eq!((&answer["fails"], &answer["refusal"]), (&criterion.into(), &refusal.into()));
            assert!(rules.iter().all(|rule| rule["fails"].is_string() && rule["why"].is_string()), "{json}");
        }
    }
}

const PORTAL: &str = "--requester arn:aws:iam::999988887777:role/portal";
const OPERATOR: &str = "--requester arn:aws:iam::999988887777:role/platform-operator";
const GOLDEN: &str = "--image-name golden-1 --tag Tier=gold";

#[test]
fn the_first_rule_that_covers_decides() {
    asked(&format!("{PORTAL} --action share {GOLDEN} --target 111122223333"), Ok("portal-golden"));
    asked(&format!("{PORTAL} --action check {GOLDEN} --target 444455556666 --access launch"), Ok("portal-golden"));
    asked(&format!("{PORTAL} --action share {GOLDEN} --target 111122223333 --expires-in 3650d"), Ok("portal-golden"));
    asked(&format!("{OPERATOR} --action reset --image-name anything"), Ok("operators"));
    asked("--requester events:999988887777:ami-share.audit --action audit", Ok("audit"));
}

#[test]
fn where_none_covers_each_rule_tells_its_first_failing_criterion() {
    let share = format!("{PORTAL} --action share");
    asked("--requester lambda:invoke --action share", Err(["requester", "RequesterNotAllowed"]));
    asked(&format!("{PORTAL} --action reset"), Err(["action", "ActionNotAllowed"]));
    asked(&format!("{share} --image-name golden-1"), Err(["image", "ImageNotAllowed"]));
    asked(&format!("{share} {GOLDEN} --target 777788889999"), Err(["target", "TargetNotAllowed"]));
    asked(&format!("{share} {GOLDEN} --target 111122223333 --access copy"), Err(["access", "AccessNotAllowed"]));
    asked(&format!("{share} {GOLDEN} --target 111122223333 --role spot"), Err(["roles", "RoleNotAllowed"]));
}

#[test]
fn a_rule_says_what_of_the_request_it_lacks_and_nothing_else() {
    let rule = r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["share", "list"],
        "images": {"names": ["golden-*"], "tags": {"Team": ["web"], "Tier": ["gold"]}}, "targets": ["111122223333"],
        "keys": "grant", "serviceLinkedRoles": ["autoscaling"]}]}"#;
    let explain = |options: &str| {
        run(&format!("allowlist explain - --requester lambda:invoke {options} --format json"), rule).json()
    };
    let why = |options: &str| explain(options)["rules"][0]["why"].as_str().unwrap_or_default().to_owned();
    let share = "--action share --target 111122223333";
    for (options, words) in [
        (
            "--image-name silver-1 --tag Team=web --tag Tier=gold",
            "none of the `names` of its `images` matches `silver-1`",
        ),
        ("--tag Team=web --tag Tier=gold", "the image has no name"),
        ("--image-name golden-1 --tag Team=web", "its `images` have the tag `Tier`, and the image has no such tag"),
        ("--image-name golden-1 --tag Team=web --tag Tier=tin", "for the tag `Tier` matches `tin`"),
        (
            "--image-name golden-1 --tag Team=web --tag Tier=gold --role autoscaling --role spot",
            "its `serviceLinkedRoles` don't include `spot`",
        ),
    ] {
        let why = why(&format!("{share} {options}"));
        assert!(why.contains(words), "{options}: {why}");
    }
    // A rule that has only tags says nothing of names.
    let tagged = rule.replace(r#""names": ["golden-*"], "#, "");
    for name in ["", " --image-name silver-1"] {
        let explain =
            format!("allowlist explain - --requester lambda:invoke {share} --tag Team=web{name} --format json");
        let why = run(&explain, &tagged).json()["rules"][0]["why"].to_string();
        assert!(why.contains("the tag `Tier`") && !why.contains("name"), "{why}");
    }
    // A list has no target that could have been given.
    let list = explain("--action list --image-name golden-1 --tag Team=web --tag Tier=gold");
    assert_eq!((&list["decides"], &list["notAsked"]), (&json!("r"), &json!([])), "{list:#}");
}

#[test]
fn a_group_is_asked_about_beside_its_token() {
    let rules = ONE_RULE.replace("lambda:invoke", "jwt-group:https://issuer.example#web-*");
    let explain = |options: &str| run(&format!("allowlist explain - --action list {options}"), &rules);
    let ada = "--requester jwt:https://issuer.example#ada";
    check(&explain(&format!("{ada} --group ops --group web-team")), 0, &["rule `r` decides"]);
    for (options, code, words) in [
        (ada.to_owned(), 1, "its `requesters` don't name `jwt:https://issuer.example#ada`\n"),
        (format!("{ada} --group ops"), 1, "don't name `jwt:https://issuer.example#ada` or one of its groups"),
        ("--requester jwt:https://other.example#ada --group web-team".to_owned(), 1, "RequesterNotAllowed"),
        ("--requester jwt-group:https://issuer.example#web-team".to_owned(), 2, "is a group"),
        (format!("{PORTAL} --group web-team"), 2, "--group"),
        (format!("{ada} --group web,ops"), 2, "holds a comma"),
    ] {
        let answer = explain(&options);
        check(&answer, code, &[]);
        assert!(format!("{}{}", answer.stdout, answer.stderr).contains(words), "{options}: {answer}");
    }
}

#[test]
fn explain_says_whether_somebody_must_approve_and_who() {
    let demo = |options: &str| {
        let explain = format!("allowlist explain demo/allowlist.yaml {PORTAL} {options} --target 111122223333");
        (run(&explain, ""), run(&format!("{explain} --format json"), "").json()["approvers"].clone())
    };
    let operator = "arn:aws:iam::999988887777:role/platform-operator";
    for action in ["share", "check"] {
        let (words, approvers) = demo(&format!("--action {action} --image-name licensed-1"));
        check(
            &words,
            0,
            &["rule `licensed` decides", &format!("waits until somebody else approves it: `{operator}`;")],
        );
        assert_eq!(approvers, json!([operator]));
    }
    for options in ["--action revoke --image-name licensed-1".to_owned(), format!("--action share {GOLDEN}")] {
        let (words, approvers) = demo(&options);
        check(&words, 0, &["decides"]);
        assert!(!words.stdout.contains("approves") && approvers.is_null(), "{words}");
    }
}

#[test]
fn a_revoke_of_a_target_that_no_rule_names_needs_no_target_match() {
    asked(&format!("{PORTAL} --action revoke {GOLDEN} --target 777788889999"), Ok("portal-golden"));
    let demo = format!("allowlist explain demo/allowlist.yaml {PORTAL} --action revoke {GOLDEN}");
    check(
        &run(&format!("{demo} --target 777788889999"), ""),
        0,
        &["note: the rules were not checked for the target: no rule"],
    );
    // Another rule names this one.
    check(&run(&format!("{demo} --target 222233334444"), ""), 1, &["TargetNotAllowed"]);
}

#[test]
fn a_rule_with_a_longest_duration_wants_an_end_within_it() {
    let trial = format!(
        "allowlist explain demo/allowlist.yaml {PORTAL} --action share --image-name trial-1 --target 222233334444"
    );
    for (end, code, words) in [
        ("", 1, ["ExpiryRequired", "`trial` fails at duration: it has a `maxDuration`"]),
        ("--expires-in 721h", 1, ["ExpiryNotAllowed", "lasts longer than its `maxDuration`"]),
        ("--expires-in 30d", 0, ["rule `trial` decides", ""]),
    ] {
        check(&run(&format!("{trial} {end}"), ""), code, &words);
    }
}

#[test]
fn an_image_and_a_target_that_are_not_given_are_not_asked_about() {
    let answer = run(&format!("allowlist explain examples/allowlist.yaml {PORTAL} --action share --format json"), "");
    check(&answer, 0, &[]);
    let criteria: Vec<_> =
        answer.json()["notAsked"].as_array().unwrap().iter().map(|it| it["criterion"].clone()).collect();
    assert_eq!(criteria, ["image", "target"]);
}

#[test]
fn a_rule_says_what_of_its_images_does_not_match() {
    let of = |image: &[&str]| {
        let requester = "arn:aws:iam::999988887777:role/portal";
        let share = ["allowlist", "explain", "examples/allowlist.yaml", "--action", "share", "--requester", requester];
        let arguments = [&share, image].concat();
        finish(command(&arguments), "")
    };
    for (image, words) in [
        (["--tag", "Tier=gold"].as_slice(), "the image has no name (--image-name)"),
        (&["--image-name", "a name"], "none of the `names` of its `images` matches `a name`"),
        (&["--image-name", "golden-1"], "the image has no such tag (--tag)"),
        (&["--image-name", "golden-1", "--tag", "Tier=a=b"], "for the tag `Tier` matches `a=b`"),
        (&["--image-name", "golden-1", "--tag", "Tier="], "for the tag `Tier` matches ``"),
    ] {
        check(&of(image), 1, &["`portal-golden` fails at image: ", words]);
    }
}

const CHOSEN: &str = r#"{"version": 1, "rules": [
    {"name": "chosen", "requesters": ["lambda:invoke"], "actions": ["share", "revoke"], "targets": ["111122223333"],
     "images": {"names": ["golden-*"], "watermarks": ["999988887777:approved"], "maxSeverity": "medium", "scannedWithin": "30d", "maxAge": "180d"}}]}"#;

#[test]
fn what_ec2_says_of_an_image_is_asked_about_where_it_is_given() {
    let ask = |action: &str, options: &str| {
        let question = format!("allowlist explain - --requester lambda:invoke --action {action} --image-name golden-1");
        run(&format!("{question} --target 111122223333 {options}"), CHOSEN)
    };
    let right = "--watermark 999988887777:approved --severity medium --scanned 30d --age 180d";
    for (options, words) in [
        (right.to_owned(), "rule `chosen` decides"),
        (format!("--watermark 111122223333:other {right}"), "rule `chosen` decides"),
        (right.replace("--severity medium", "--severity none"), "rule `chosen` decides"),
        (
            String::new(),
            "note: the rules were not checked for the image's watermarks, scan and age: none of --watermark",
        ),
    ] {
        check(&ask("share", &options), 0, &[words]);
    }
    for (options, words) in [
        (
            right.replace("approved", "approve"),
            "want the watermark `999988887777:approved`, and the image has no such one",
        ),
        (
            right.replace("--severity medium --scanned 30d", ""),
            "want a scan, and the image was not scanned (--severity)",
        ),
        (right.replace("medium", "high"), "have the `maxSeverity` `medium`, and the image has findings up to `high`"),
        (right.replace("--scanned 30d", ""), "(--scanned)"),
        (right.replace("30d", "31d"), "longer ago than the `scannedWithin` of its `images`, 30d"),
        (right.replace("--age 180d", ""), "(--age)"),
        (right.replace("180d", "181d"), "older than the `maxAge` of its `images`, 180d"),
        ("--age 1d".to_owned(), "no such one (--watermark), and its `images` want a scan"),
    ] {
        check(&ask("share", &options), 1, &["ImageNotAllowed", "`chosen` fails at image: ", words]);
    }
    // Access is taken away by name and tags.
    let revoke = ask("revoke", "");
    check(&revoke, 0, &["rule `chosen` decides"]);
    assert!(!revoke.stdout.contains("note:"), "{revoke}");
}

#[test]
fn whole_answers_are_as_they_were_reviewed() {
    let member = format!(
        "allowlist explain demo/allowlist.yaml {PORTAL} --action share --image-name fleet-1 --target 111122223333 --access copy"
    );
    let revoke =
        format!("allowlist explain examples/allowlist.yaml {PORTAL} --action revoke {GOLDEN} --target 777788889999");
    for (name, arguments) in [
        ("explain_no_rule", member.clone()),
        ("explain_no_rule_json", format!("{member} --format json")),
        ("explain_a_rule", revoke.clone()),
        ("explain_a_rule_json", format!("{revoke} --format json")),
        ("check", "allowlist check examples/allowlist.yaml".to_owned()),
    ] {
        insta::assert_snapshot!(name, run(&arguments, ""), &arguments);
    }
}

#[test]
fn explain_says_where_the_image_is_published() {
    let rules = r#"{"version": 1, "rules": [{"name": "r", "requesters": ["lambda:invoke"], "actions": ["share", "revoke"],
        "images": {"tags": {"Family": ["*"]}}, "targets": ["111122223333"], "publish": {"parameter": "/golden/{tag:Family}/latest"}}]}"#;
    let explain = |options: &str| run(&format!("allowlist explain - --requester lambda:invoke {options}"), rules);
    let published = "the newest image that all its targets have is published to `/golden/{tag:Family}/latest`";
    check(&explain("--action share --tag Family=web --target 111122223333"), 0, &["rule `r` decides", published]);
    check(&explain("--action share"), 0, &[published]);
    check(&explain("--action share --tag Family=web/db"), 0, &["PublishNotPossible", "the tag `Family` is `web/db`"]);
    let revoke = explain("--action revoke --tag Family=web/db --format json").json();
    assert_eq!((revoke.get("publishes"), revoke.get("cannotPublish")), (None, None));
    let share = explain("--action share --tag Family=web/db --format json").json();
    assert_eq!(share["publishes"], "/golden/{tag:Family}/latest");
    assert!(share["cannotPublish"].is_string(), "{share}");
}
