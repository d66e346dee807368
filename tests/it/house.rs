//! The invariants of the house, checked on its source text.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Checks that none of `words` stands in the code (not the comments) of files for which `is_bound` is true.
#[track_caller]
fn absent(words: &[&str], is_bound: impl Fn(&str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for path in sources(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if !is_bound(&name) {
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in words {
                assert!(!line.contains(word), "{name} has {word}: {line}");
            }
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
fn what_decides_is_synchronous_and_does_no_io() {
    let is_pure = |name: &str| {
        [
            "domain/",
            "decide",
            "plan",
            "key_access/",
            "report.rs",
            "request",
            "inbound",
            "json.rs",
            "outcome",
            "facts.rs",
            "metrics.rs",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
            || (name.starts_with("allowlist") && name != "allowlist/source.rs")
    };
    absent(
        &["async ", ".await", "std::fs", "std::net", "std::env", "std::process", "tokio", "SystemTime", "Instant"],
        is_pure,
    );
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
        ".create_grant(",
        ".revoke_grant(",
        ".create_expiry(",
        ".delete_expiry(",
    ];
    absent(&writes, |name| name != "carry_out.rs" && !name.starts_with("aws/"));
}

#[test]
fn every_call_is_made_as_patiently_as_time_allows() {
    absent(&["CallError::new("], |name| name != "aws/ask.rs" && name != "aws/error.rs");
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it owns", path.display());
    }
}
