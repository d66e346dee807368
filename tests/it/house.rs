//! The rules of the house that no compiler checks, checked on the source text.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under the folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found
}

/// Checks that none of `words` stands in the code (not the comments) of the function's files for which `is_bound` is true.
#[track_caller]
fn absent(words: &[&str], is_bound: impl Fn(&str) -> bool) {
    each_line(is_bound, |name, line| {
        for word in words {
            assert!(!line.contains(word), "{name} has {word}: {line}");
        }
    });
}

/// Looks at each line of code (not the comments and tests) of the function's files for which `is_bound` is true.
#[track_caller]
fn each_line(is_bound: impl Fn(&str) -> bool, look: impl Fn(&str, &str)) {
    let source = root().join("src");
    let mut looked_at = 0;
    for path in files(&source, "rs") {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if !is_bound(&name) {
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            look(&name, line);
        }
    }
    assert!(looked_at > 0, "no file was looked at");
}

#[test]
fn only_aws_names_an_sdk_type() {
    absent(&["aws_sdk_", "aws_smithy_", "aws_config", "aws_types"], |name| {
        name != "aws.rs" && !name.starts_with("aws/")
    });
}

#[test]
fn only_main_reads_the_environment_and_the_clock() {
    absent(&["env::var", "SystemTime::now", "now_utc"], |name| name != "main.rs");
    absent(&["from_env("], |name| !["main.rs", "aws/connector.rs"].contains(&name));
}

#[test]
fn aws_is_written_to_only_where_a_plan_is_carried_out() {
    let writes = [
        ".add_launch_permissions(",
        ".remove_launch_permissions(",
        ".reset_launch_permissions(",
        ".add_create_volume_permissions(",
        ".remove_create_volume_permissions(",
        ".copy_image(",
        ".create_grant(",
        ".revoke_grant(",
        ".create_schedule(",
        ".delete_schedule(",
        ".put_image_parameter(",
        ".create_usage_report(",
    ];
    let is_record = |name: &str| name == "records.rs";
    let carries_out = |name: &str| name == "carry_out.rs" || name.starts_with("carry_out/");
    absent(&writes, |name| !carries_out(name) && !is_record(name) && !name.starts_with("aws/"));
    absent(&["records.create(", "records.delete("], |name| !carries_out(name));
}

/// The fields of outcomes, of their rows, and of what was decided and done, each with the names by which other values are known
/// that have a field of the same name.
const REPORTED: [(&str, &[&str]); 25] = [
    ("result", &[]),
    ("retryable", &[]),
    ("refusals", &[]),
    ("errors", &[]),
    ("warnings", &[]),
    ("findings", &[]),
    ("rows", &["asked", "request"]),
    ("images", &["facts"]),
    ("targets", &["request"]),
    ("approval", &["case"]),
    ("approvals", &[]),
    ("announcement", &[]),
    ("decided", &[]),
    ("changed", &[]),
    ("is_changed", &[]),
    ("failures", &[]),
    ("deleted", &[]),
    ("decision", &[]),
    ("steps", &[]),
    ("lost", &[]),
    ("state", &["event", "image"]),
    ("error", &[]),
    ("is_uncertain", &[]),
    ("grant_id", &[]),
    ("copy_id", &[]),
];

/// What a line of code asks of an outcome, or of what was decided and done. To make one and to add to one asks nothing.
fn asked_of_a_report(line: &str) -> Option<String> {
    let is_made = |word: &str| {
        ["Outcome::new(", "result: Status::", "let result = ", "StepResult::new("]
            .iter()
            .any(|made| line.contains(made))
            && !["==", "!=", "matches!", "| "].iter().any(|how| line.contains(&format!("{how}{word}")))
    };
    let word = ["Status::", "StepState::"].into_iter().find(|word| {
        let is_it = line.match_indices(word).any(|(at, _)| !line[..at].ends_with(char::is_alphanumeric));
        is_it && !is_made(word)
    });
    let taken_apart = ["let Outcome {", "let ImageResult {", "let StepResult {", "let Attempt {", "|ImageResult {"];
    let rows = ["ImageRow", "TargetRow", "TargetState", "StepRow", "attempt."];
    let asked = taken_apart.into_iter().chain(rows).find(|word| line.contains(word));
    let field = REPORTED.iter().find(|(field, others)| {
        let field = format!(".{field}");
        line.match_indices(&field).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + field.len()..]);
            let of = before.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap();
            let is_whole = !after.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '(');
            let is_added_to = [".extend(", ".push(", " = "].iter().any(|added| after.starts_with(added));
            is_whole && !is_added_to && !others.contains(&of)
        })
    });
    word.or(asked).map(str::to_owned).or(field.map(|(field, _)| format!(".{field}")))
}

/// What happens next is decided in `sharing`, from what was decided and done: otherwise a word for people would decide, and no
/// test without AWS could show it.
#[test]
fn whoever_carries_out_asks_nothing_of_what_it_reports() {
    for (line, is_asking) in [
        ("if outcome.result == Status::Failed {", true),
        ("Status::Refused | Status::Failed => {}", true),
        ("let is_changed = outcome.images.iter().any(|row| row.changed);", true),
        ("match (outcome.result, outcome.errors.pop()) {", true),
        ("let Outcome { errors, .. } = outcome;", true),
        ("if taken.state == StepState::Done {", true),
        ("match &result.decision.decision {", true),
        ("if attempt.may_succeed_later() {", true),
        ("    .retryable", true),
        ("Outcome { result: Status::Planned, ..outcome }", false),
        ("outcome.warnings.push(why);", false),
        ("let image = facts.images.get(id);", false),
        ("StepResult::new(step, StepState::Skipped)", false),
        ("matches!(image.state, ImageState::Pending | ImageState::Available)", false),
        ("match fate::of_copy(&attempt, &record, run.now) {", false),
    ] {
        assert_eq!(asked_of_a_report(line).is_some(), is_asking, "{line}: {:?}", asked_of_a_report(line));
    }
    each_line(
        |name| name.starts_with("execute") || name.starts_with("carry_out"),
        |name, line| assert_eq!(asked_of_a_report(line), None, "{name}: {line}"),
    );
}

#[test]
fn only_main_knows_the_lambda_runtime() {
    absent(&["lambda_runtime"], |name| name != "main.rs");
}

/// What carries a request out is called by whoever has a request: the function, a command line, a test.
#[test]
fn a_request_is_carried_out_whatever_it_came_through() {
    // They begin with an event of AWS, and read what it is about.
    let reads_events = |name: &str| ["execute/automation.rs", "execute/copies.rs"].contains(&name);
    let is_trigger_free = |name: &str| {
        let carries_out = ["execute.rs", "deployment.rs", "records.rs"].contains(&name) || name.starts_with("execute/");
        carries_out && !reads_events(name)
    };
    absent(&["triggers::", "service::", "telemetry::", "metrics::"], is_trigger_free);
}

/// A read plan says what is read and what follows where it can't be; whoever carries it out need not know what it is for.
#[test]
fn what_is_read_does_not_depend_on_the_action_where_it_is_read() {
    absent(&["action", "Action"], |name| name == "observe.rs" || name.starts_with("observe/"));
}

#[test]
fn the_row_of_an_error_is_made_in_the_report_alone() {
    absent(&["ErrorRow"], |_| true);
}

#[test]
fn every_call_is_made_as_patiently_as_time_allows() {
    absent(&["CallError::new("], |name| name != "aws/ask.rs" && name != "aws/error.rs");
}

/// No SDK, no runtime and no HTTP: what these crates depend on, the lock file knows.
#[test]
fn what_decides_depends_on_nothing_that_does_io() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages: Vec<&str> = lock.split("[[package]]").collect();
    let direct = |name: &str| -> Vec<String> {
        let package = packages.iter().find(|text| text.contains(&format!("\nname = \"{name}\"\n"))).unwrap();
        let Some((_, list)) = package.split_once("dependencies = [") else { return Vec::new() };
        list.split('"').skip(1).step_by(2).map(|entry| entry.split(' ').next().unwrap().to_owned()).collect()
    };
    // The lock file has dev-dependencies too; the tests' crate brings none of these either.
    for name in ["key-policy", "sharing", "triggers", "ami-share-cli"] {
        let (mut seen, mut left) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(next) = left.pop() {
            if seen.insert(next.clone()) {
                left.extend(direct(&next));
            }
        }
        assert!(seen.contains("serde_json"), "{name}: {seen:?}");
        let barred = |dependency: &&String| {
            dependency.starts_with("aws-")
                || ["tokio", "hyper", "reqwest", "lambda_runtime", "ami-share"].contains(&dependency.as_str())
        };
        assert_eq!(seen.iter().find(barred), None, "{name}");
    }
}

#[test]
fn every_file_opens_with_what_it_owns() {
    for path in [files(&root().join("src"), "rs"), files(&root().join("crates"), "rs")].concat() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it owns", path.display());
    }
}

#[test]
fn a_module_is_a_file_of_its_name() {
    for folder in ["src", "tests/it", "crates"] {
        for path in files(&root().join(folder), "rs") {
            assert!(!path.ends_with("mod.rs"), "{} is named after its folder elsewhere", path.display());
        }
    }
}

/// A snapshot whose test is gone, or renamed, proves nothing and is never looked at again.
#[test]
fn every_snapshot_has_its_test() {
    let snapshots = [files(&root().join("tests"), "snap"), files(&root().join("crates"), "snap")].concat();
    assert!(snapshots.len() > 5, "{snapshots:?}");
    for path in snapshots {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = text.lines().find_map(|line| line.strip_prefix("source: ")).unwrap();
        let test = std::fs::read_to_string(root().join(source)).unwrap_or_else(|error| panic!("{source}: {error}"));
        let name = path.file_stem().unwrap().to_str().unwrap().rsplit("__").next().unwrap();
        let is_named = test.contains(&format!("fn {name}(")) || test.contains(&format!("\"{name}\""));
        assert!(is_named, "{} has no test in {source}", path.display());
    }
}

#[test]
fn the_compiler_here_is_the_oldest_that_is_promised() {
    let channel = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let promised = env!("CARGO_PKG_RUST_VERSION");
    assert!(channel.contains(&format!("channel = \"{promised}\"")), "rust-version {promised}, but {channel}");
}
