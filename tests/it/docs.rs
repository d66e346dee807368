//! The documentation against the code and the files it speaks of: examples, tables, links.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ami_share::{config::Config, metrics::Measured};
use ami_share_testing::schemas::{check_allowlist, check_outcome, check_request, error_code_names, error_codes};
use serde_json::Value;
use sharing::{
    allowlist::Allowlist,
    outcome::{
        ErrorRow, FindingCode, ImageRow, Launch, Outcome, Refusal, RefusalCode, Status, StepRow, StepState, TargetRow,
        TargetState,
    },
    request::{Action, FaultKind},
};
use triggers::{Event, Incoming, Invocation, Trigger, open, refusal_status, reply};

/// A fenced code block: its page, its info string, its text.
struct Block {
    page: String,
    info: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that is written for people.
fn pages() -> Vec<PathBuf> {
    let of = |folder: &str| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    let mut pages = [of("."), of("docs")].concat();
    pages.sort();
    assert!(pages.len() > 8, "{pages:?}");
    pages
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let name = page.file_name().unwrap().display().to_string();
        let mut open: Option<(usize, Block)> = None;
        for line in read(&page).lines() {
            let indent = line.len() - line.trim_start().len();
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(info)) => {
                    let block = Block { page: name.clone(), info: info.to_owned(), text: String::new() };
                    open = Some((indent, block));
                }
                (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
                (Some((indent, block)), None) => {
                    block.text.push_str(line.get(*indent..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name} has a code block that does not end");
    }
    blocks
}

#[test]
fn every_yaml_block_is_an_allowlist_and_those_that_say_so_are_refused() {
    let (mut right, mut wrong) = (0, 0);
    for Block { page, info, text } in blocks() {
        match info.as_str() {
            "yaml" => {
                Allowlist::parse(&text).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
                check_allowlist(&serde_saphyr::from_str(&text).unwrap());
                right += 1;
            }
            info if info.starts_with("yaml refused: ") => {
                let words = info.trim_start_matches("yaml refused: ");
                let error = Allowlist::parse(&text).expect_err("a page says that this is refused").to_string();
                assert!(error.contains(words), "{page} says `{words}` of\n{text}\nand it is: {error}");
                wrong += 1;
            }
            _ => assert!(!info.contains("yaml"), "{page}: `{info}`"),
        }
    }
    assert!(right >= 5 && wrong >= 4, "{right} right, {wrong} wrong");
}

#[test]
fn the_demos_allowlist_is_in_order() {
    let text = read(&root().join("demo/allowlist.yaml"));
    Allowlist::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    check_allowlist(&serde_saphyr::from_str(&text).unwrap());
}

#[test]
fn every_json_block_is_a_request_an_outcome_or_a_policy() {
    let mut kinds = BTreeMap::new();
    for Block { page, info, text } in blocks().into_iter().filter(|block| block.info.starts_with("json")) {
        assert_eq!(info, "json", "{page}");
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{page}: {error}\n{text}"));
        let kind = ["result", "detail", "action", "Statement"].into_iter().find(|name| document.get(name).is_some());
        match kind {
            Some("result") => check_outcome(&document),
            Some("detail") => check_request(&document["detail"]),
            Some("action") => check_request(&document),
            Some(_) => assert_eq!(document["Version"], "2012-10-17", "{page}"),
            None => panic!("{page}: what is this?\n{text}"),
        }
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert!(kinds.len() == 4, "{kinds:?}");
}

/// The rows of a table in a page, cells trimmed and without backticks; the table is the one with this heading row.
#[track_caller]
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(&root().join(page));
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "{page} has no table {heading}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.trim_matches('|').replace("\\|", "\u{0}");
        row.split('|').map(|cell| cell.replace('\u{0}', "|").trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_runbook_has_every_refusal_with_its_status_and_title() {
    let told: Vec<_> = table("docs/runbook.md", "| code | status | it means | what to do |")
        .into_iter()
        .map(|row| row[..3].to_vec())
        .collect();
    let plain = |text: &str| text.replace('`', "");
    let known: Vec<_> = RefusalCode::ALL
        .iter()
        .map(|code| vec![code.to_string(), refusal_status(*code).to_string(), plain(code.title())])
        .collect();
    assert_eq!(told, known);
    for row in table("docs/runbook.md", "| code | status | it means | what to do |") {
        assert!(row.len() == 4 && row[3].len() > 10, "{row:?} does not say what to do");
    }
}

#[test]
fn the_page_about_answers_has_every_code_with_its_values_and_every_fault() {
    let told = table("docs/answers.md", "| code | it means | values | fault |");
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let known: Vec<_> = RefusalCode::ALL
        .iter()
        .map(|code| {
            let fault = if *code == RefusalCode::MalformedRequest { "one of the words below" } else { "-" };
            let title = code.title().replace('`', "");
            vec![code.to_string(), title, or_dash(code.values().join(", ")), fault.to_owned()]
        })
        .collect();
    assert_eq!(told, known);
    let words = |page_table: &str| table("docs/answers.md", page_table).into_iter().map(|row| row[0].clone());
    let name = |value: Value| value.as_str().unwrap().to_owned();
    let faults: Vec<_> = FaultKind::ALL.iter().map(|kind| name(serde_json::json!(kind))).collect();
    assert_eq!(words("| fault | it means |").collect::<Vec<_>>(), faults);
    let schema = ami_share_testing::schemas::read("outcome");
    for (heading, place) in [
        ("| `targets[].state` | it means | do |", "/definitions/targetState/properties/state/enum"),
        ("| `targets[].launch` | it means |", "/definitions/targetState/properties/launch/enum"),
        ("| `verdict` | `grant` | it means | do |", "/definitions/verdict/enum"),
    ] {
        let known = schema.pointer(place).unwrap().as_array().unwrap();
        let known: BTreeSet<_> = known.iter().map(|word| name(word.clone())).collect();
        assert_eq!(words(heading).collect::<BTreeSet<_>>(), known, "{heading}");
    }
}

#[test]
fn the_runbook_has_every_kind_of_failure() {
    let rows = table("docs/runbook.md", "| code | status | retry | it means | what to do |");
    let told: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(told, error_code_names());
    assert_eq!(told.len(), rows.len());
    for code in error_codes() {
        let name = serde_json::json!(code);
        let row = rows.iter().find(|row| row[0] == name.as_str().unwrap()).unwrap();
        let error = ErrorRow { code, call: None, resource: None, message: String::new(), retryable: true };
        let outcome = Outcome { errors: vec![error], ..Outcome::new("id", Status::Failed) };
        let answer = serde_json::json!(reply(Trigger::Http { allow: None }, outcome).unwrap());
        assert_eq!(row[1], answer["statusCode"].to_string(), "{name}");
        assert_eq!(row[2], if code.may_pass() { "yes" } else { "no" }, "{name}");
    }
}

#[test]
fn the_audits_page_has_every_finding() {
    let rows = table("docs/audit.md", "| finding | meaning | what to do | does `repair` fix it? |");
    let told: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(told, FindingCode::ALL.map(|code| code.as_str()));
}

/// The names of the template's resources of a type.
fn resources(kind: &str) -> BTreeSet<String> {
    let template = read(&root().join("template.yaml"));
    let lines: Vec<_> = template.lines().collect();
    let is_one = |pair: &&[&str]| pair[1].trim() == format!("Type: {kind}");
    let found: BTreeSet<_> =
        lines.windows(2).filter(is_one).map(|pair| pair[0].trim().trim_end_matches(':').to_owned()).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

#[test]
fn the_runbook_has_every_queue_and_every_alarm_of_the_template() {
    for (heading, kind) in [
        ("| queue | holds | what to do |", "AWS::SQS::Queue"),
        ("| alarm | it means | what to do |", "AWS::CloudWatch::Alarm"),
    ] {
        let rows = table("docs/runbook.md", heading);
        let told: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!(told, resources(kind));
        assert_eq!(told.len(), rows.len(), "{heading}");
    }
}

/// The metrics of the events that the function writes.
fn metrics() -> BTreeSet<String> {
    let refusals = vec![Refusal::new(RefusalCode::DefaultKey, "no")];
    let measured = Measured {
        function_name: "f",
        lambda_request_id: "id",
        trigger: Trigger::Direct,
        outcome: &Outcome::refused("id", refusals),
        at: time::OffsetDateTime::UNIX_EPOCH,
        duration: std::time::Duration::ZERO,
        calls: 0,
        retries: 0,
        is_cold: false,
    };
    let list = |value: &Value| value.as_array().unwrap().clone();
    let directives = measured.events().into_iter().flat_map(|event| list(&event["_aws"]["CloudWatchMetrics"]));
    let names = directives.flat_map(|directive| list(&directive["Metrics"]));
    names.map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_runbook_has_every_metric_and_alarms_stand_on_no_others() {
    let mut known = metrics();
    known.insert("Findings".to_owned());
    let rows = table("docs/runbook.md", "| metric | further dimensions | it counts |");
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<BTreeSet<_>>(), known);
    let template = read(&root().join("template.yaml"));
    let lines: Vec<_> = template.lines().map(str::trim).collect();
    let ours = lines.windows(2).filter(|pair| pair[0] == "Namespace: AmiShare");
    let watched: BTreeSet<_> = ours.map(|pair| pair[1].trim_start_matches("MetricName: ").to_owned()).collect();
    assert!(watched.len() >= 3 && watched.is_subset(&known), "{watched:?}");
}

#[test]
fn the_readme_has_every_refusal() {
    let plain = |text: &str| text.replace('`', "");
    let known: Vec<_> = RefusalCode::ALL
        .iter()
        .map(|code| vec![code.to_string(), refusal_status(*code).to_string(), plain(code.title())])
        .collect();
    assert_eq!(table("README.md", "| code | status | it means |"), known);
}

#[test]
fn the_deployment_guide_has_every_parameter_as_the_template_has_it() {
    let template = read(&root().join("template.yaml"));
    let (_, parameters) = template.split_once("\nParameters:\n").unwrap();
    let (parameters, _) = parameters.split_once("\nRules:\n").unwrap();
    let parameters: Value = serde_saphyr::from_str(parameters).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let known: BTreeSet<_> = parameters
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, parameter)| vec![name.clone(), text(&parameter["Default"]), text(&parameter["Description"])])
        .collect();
    assert!(known.len() > 20);
    let rows = table("docs/deployment.md", "| parameter | default | what it is |");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), known);

    let grouped = template.split("Parameters:").next().map(str::len).unwrap_or_default();
    let (groups, _) = template[grouped..].split_once("\nParameters:\n").unwrap();
    let told = groups.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<BTreeSet<_>>();
    for row in &known {
        assert!(told.contains(&row[0]), "{} is in no group of the interface", row[0]);
    }
    for row in table("README.md", "| you want | set |") {
        for name in row[1].split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_pascal(word)) {
            assert!(parameters.get(name).is_some() || name == "ContentUri", "the README names {name}");
        }
    }
}

/// Whether a word has a second capital inside, as names of parameters have.
fn is_pascal(word: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase();
    word.starts_with(is_upper) && word.chars().skip(2).any(is_upper) && !word.chars().all(is_upper)
}

#[test]
fn the_deployment_guide_has_every_variable() {
    let told: BTreeSet<_> = table("docs/deployment.md", "| variable | meaning |")
        .iter()
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let asked = std::cell::RefCell::new(BTreeSet::new());
    let _ = Config::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "AMI_SHARE_ALLOWLIST").then(|| "file:allowlist.yaml".to_owned())
    });
    let own: BTreeSet<_> = asked.take().into_iter().filter(|name| name.starts_with("AMI_SHARE_")).collect();
    assert_eq!(told, own);
}

#[test]
fn the_allowlist_that_the_stack_makes_lets_its_audit_look_and_nobody_share() {
    let template = read(&root().join("template.yaml"));
    let (_, value) = template.split_once("  FirstAllowlist:\n    Type:").unwrap();
    let (_, value) = value.split_once("Value: !Sub |\n").unwrap();
    let text: String =
        value.lines().take_while(|line| !line.is_empty()).map(|line| format!("{}\n", &line[8..])).collect();
    let allowlist = Allowlist::parse(&text.replace("${AWS::AccountId}", "444455556666")).unwrap();
    let [rule] = &allowlist.rules[..] else { panic!("one rule") };
    assert_eq!(rule.actions, [Action::Audit]);
    let event = serde_json::json!({"id": "1", "detail-type": "AMI Share Request", "source": "ami-share.audit",
        "account": "444455556666", "time": "1970-01-01T00:00:00Z", "detail": {"action": "audit"}});
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let event = serde_json::from_value(event).unwrap();
    let Incoming::One(envelope) = open(&event, &Invocation { request_id: "id", now, groups_claim: "groups" }) else {
        panic!("one request")
    };
    assert!(rule.requesters.iter().any(|pattern| pattern.matches(envelope.requester.as_ref().unwrap())));
}

/// JSON without the spaces and line breaks between its parts; the order of fields stays.
fn minified(json: &str) -> String {
    let (mut text, mut is_string, mut is_escaped) = (String::new(), false, false);
    for c in json.chars() {
        if is_string || !c.is_whitespace() {
            text.push(c);
        }
        is_string ^= c == '"' && !is_escaped;
        is_escaped = is_string && c == '\\' && !is_escaped;
    }
    text
}

#[test]
fn the_readmes_request_is_an_event_and_its_answer_what_the_function_writes() {
    let blocks = blocks();
    let [request, answer] = &blocks
        .iter()
        .filter(|block| block.page == "README.md" && block.info == "json")
        .map(|block| block.text.as_str())
        .collect::<Vec<_>>()[..]
    else {
        panic!("the README has a request and an answer")
    };
    let event = read(&root().join("events/direct-share.json"));
    assert_eq!(minified(request), minified(&event));

    let event: Event = serde_json::from_str(&read(&root().join("events/rest-share.json"))).unwrap();
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let Incoming::One(envelope) = open(&event, &Invocation { request_id: "id", now, groups_claim: "groups" }) else {
        panic!("one request")
    };
    let requester = envelope.requester;

    let target = "111122223333".parse().unwrap();
    let row = ImageRow {
        image_id: Some("ami-0123456789abcdef0".parse().unwrap()),
        copy_of: None,
        copy: None,
        name: Some("golden-web".to_owned()),
        region: "eu-west-1".to_owned(),
        tags: [("Tier".to_owned(), "gold".to_owned())].into(),
        shared_tags: Vec::new(),
        watermarks: Vec::new(),
        scan: None,
        changed: true,
        key_arns: Vec::new(),
        rule: Some("portal-golden".to_owned()),
        steps: vec![StepRow {
            call: "ec2:ModifyImageAttribute",
            resource: "ami-0123456789abcdef0".to_owned(),
            grant_name: None,
            add: vec![sharing::domain::Target::clone(&target)],
            remove: Vec::new(),
            state: StepState::Done,
            detail: None,
        }],
        targets: vec![TargetRow {
            target,
            name: None,
            state: TargetState::Shared,
            launch: Some(Launch::Really),
            accepted: None,
            expires_at: None,
            rule: Some("portal-golden".to_owned()),
            detail: None,
        }],
        keys: Vec::new(),
        permissions: None,
        catalogue: None,
        usage: None,
    };
    let outcome = Outcome {
        action: Some(Action::Share),
        requester,
        images: vec![row],
        ..Outcome::new("c6af9ac6-7b61-11e6-9a41-93e8deadbeef", Status::Completed)
    };
    assert_eq!(minified(answer), outcome.to_text());
    let problem =
        reply(Trigger::Http { allow: None }, Outcome::refused("id", vec![Refusal::new(RefusalCode::DefaultKey, "no")]));
    let problem = serde_json::json!(problem.unwrap());
    let body = problem["body"].as_str().unwrap();
    assert!(body.starts_with(r#"{"type":"urn:ami-share:problem:DefaultKey","title":"#), "{body}");
    assert!(
        body.contains(r#""detail":"no","version":"1","requestId":"id","dryRun":false,"result":"refused","#),
        "{body}"
    );
}

/// The targets of a page's links, without those in code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if !in_code {
            links.extend(
                line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()),
            );
        }
    }
    links
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_inside_the_project_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            if link.contains("://") {
                assert!(link.starts_with("https://"), "{}: {link}", page.display());
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !fragment.is_empty() {
                let text = read(&target);
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| anchor(heading.trim_start_matches('#').trim()));
                assert!(anchors.any(|anchor| anchor == fragment), "{}: {link} has no such heading", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let mut seen = BTreeSet::new();
    let mut open = vec![root().join("README.md")];
    while let Some(page) = open.pop() {
        let page = page.canonicalize().unwrap();
        if !seen.insert(page.clone()) {
            continue;
        }
        let own = links(&read(&page)).into_iter().filter(|link| !link.contains("://"));
        let paths = own.map(|link| page.parent().unwrap().join(link.split('#').next().unwrap_or_default()));
        open.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let docs: Vec<_> = pages().into_iter().filter(|page| page.parent().unwrap().ends_with("docs")).collect();
    assert!(docs.len() > 4);
    for page in docs {
        assert!(seen.contains(&page.canonicalize().unwrap()), "nothing leads to {}", page.display());
    }
}
