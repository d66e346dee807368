//! What is not an answer: help, wrong command lines, files and streams that can't be used.

use std::{fs::File, process::Stdio};

use crate::{check, command, finish, run};

const KEY: &str = "--key arn:aws:kms:eu-west-1:999988887777:key/1 --target 111122223333";

#[test]
fn help_tells_the_exit_codes_of_every_command() {
    for arguments in ["--help", "allowlist check --help", "allowlist explain --help", "key explain --help"] {
        check(&run(arguments, ""), 0, &["Exit codes:", "\n  0 ", "\n  1 ", "\n  2 ", "\n  3 "]);
    }
    check(&run("--version", ""), 0, &["ami-share 0."]);
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_is_right() {
    let portal = "allowlist explain examples/allowlist.yaml --requester arn:aws:iam::999988887777:role/portal";
    for (arguments, words) in [
        (String::new(), "Usage: ami-share <COMMAND>"),
        ("allowlist".to_owned(), "Usage: ami-share allowlist <COMMAND>"),
        ("allowlist check".to_owned(), "<FILE>"),
        ("allowlist check examples/allowlist.yaml --format xml".to_owned(), "words, json"),
        (portal.to_owned(), "--action <ACTION>"),
        (format!("{portal} --action steal"), "`share`, `revoke`"),
        (format!("{portal} --action share --target o-a1b2c3d4e5"), "the ARN of an organization"),
        (format!("{portal} --action share --access write"), "`launch` or `copy`"),
        (format!("{portal} --action share --role eks"), "is not one of `autoscaling`"),
        (format!("{portal} --action share --expires-in 30"), "m, h or d"),
        (format!("{portal} --action share --expires-in 1m"), "from `5m`"),
        (format!("{portal} --action share --severity bad"), "nor `none`"),
        (format!("{portal} --action share --scanned 1d"), "--severity <SEVERITY>"),
        (format!("{portal} --action share --age 180"), "m, h or d"),
        (
            format!("{portal} --action revoke --watermark 999988887777:approved"),
            "--watermark has no meaning for `revoke`",
        ),
        (format!("{portal} --action list --age 1d"), "--age has no meaning for `list`"),
        (format!("{portal} --action share --tag Tier"), "`Tier=gold`"),
        (format!("{portal} --action share --tag =gold"), "`Tier=gold`"),
        (format!("{portal} --action share --tag Tier=a --tag Tier=b"), "names the key `Tier` twice"),
        (format!("{portal} --action revoke --access copy"), "--access has no meaning for `revoke`"),
        (format!("{portal} --action revoke --role spot"), "--role has no meaning for `revoke`"),
        (format!("{portal} --action list --expires-in 1d"), "--expires-in has no meaning for `list`"),
        (format!("{portal} --action reset --target 111122223333"), "--target has no meaning for `reset`"),
        ("allowlist explain x --action list --requester portal".to_owned(), "is not a requester"),
        ("allowlist explain x --action list --requester lambda:*".to_owned(), "is not a requester"),
        ("allowlist explain x --action list --requester events:999988887777:a*".to_owned(), "write out one requester"),
        (
            "allowlist explain x --action list --requester arn:aws:sts::999988887777:assumed-role/portal/ada"
                .to_owned(),
            "write its role",
        ),
        ("key explain".to_owned(), "--key <KEY>"),
        (format!("key explain {KEY}"), "<POLICY>"),
        (format!("key explain x {KEY} --use steal"), "not `launch` or `copy`"),
        (format!("key explain - {KEY} --grants -"), "`-` stands for two files"),
        (format!("key explain x {KEY} --json-lines"), "--json-lines"),
        (format!("key explain x {KEY} --pretty"), "--pretty"),
        (format!("key explain {KEY} --pretty"), "<POLICY>"),
        ("key explain --json-lines --pretty --format json".to_owned(), "--pretty"),
        ("key explain x --key alias/golden --target 111122223333".to_owned(), "is not the ARN of a KMS key"),
        (
            "key explain x --key arn:aws:kms:eu-west-1:999988887777:key/1 --use spot \
             --target arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"
                .to_owned(),
            "belongs to one account",
        ),
    ] {
        let run = run(&arguments, "");
        check(&run, 2, &[words]);
        assert_eq!(run.stdout, "", "{arguments}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_3_and_the_sentence_says_what_to_do() {
    let large = vec![b' '; 1024 * 1024 + 1];
    for (arguments, stdin, words) in [
        ("allowlist check nowhere.yaml".to_owned(), "".as_bytes(), "can't read nowhere.yaml: "),
        ("allowlist check examples".to_owned(), b"", "can't read examples: "),
        ("allowlist check -".to_owned(), &large, "standard input is larger than 1 MB. Give a smaller file."),
        ("allowlist check /dev/zero".to_owned(), b"", "/dev/zero is larger than 1 MB"),
        ("allowlist check -".to_owned(), b"version: \xff", "standard input is not UTF-8 text: "),
        ("allowlist explain - --requester lambda:invoke --action list".to_owned(), b"version: 1", "not valid: "),
        (format!("key explain - {KEY}"), b"", "standard input is not a key policy: the key policy is not JSON"),
        (format!("key explain - {KEY}"), b"{}", "aws kms get-key-policy"),
        (format!("key explain - {KEY}"), b"{\"Policy\": \"{}\"}", "has no `Statement`"),
        (format!("key explain - {KEY} --grants nowhere.json"), b"{}", "can't read nowhere.json: "),
        (format!("key explain nowhere.json {KEY} --grants -"), b"{}", "it has no `Grants`"),
        (format!("key explain nowhere.json {KEY} --grants -"), b"[1]", "aws kms list-grants"),
        (format!("key explain nowhere.json {KEY} --grants -"), b"{\"Grants\": {}}", "aws kms list-grants"),
        (
            format!("key explain nowhere.json {KEY} --grants -"),
            b"{\"Grants\": [], \"Truncated\": true, \"NextMarker\": \"m\"}",
            "holds only some of them",
        ),
        (
            format!("key explain nowhere.json {KEY} --grants -"),
            b"{\"Grants\": [], \"NextToken\": \"t\"}",
            "--max-items",
        ),
        (format!("key explain nowhere.json {KEY} --allowlist -"), b"version: 2", "ami-share allowlist check"),
    ] {
        let run = run(&arguments, stdin);
        check(&run, 3, &["ami-share: ", words]);
        assert_eq!(run.stdout, "", "{arguments}");
    }
}

#[test]
fn a_file_of_just_the_bound_is_read() {
    let mut text = std::fs::read_to_string(crate::root().join("examples/allowlist.yaml")).unwrap();
    text.push_str(&"#".repeat(1024 * 1024 - text.len()));
    check(&run("allowlist check -", &text), 0, &["standard input: no faults; 4 rules"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&["allowlist", "check", "examples/allowlist.yaml"]);
    command.stdout(Stdio::from(writer));
    check(&finish(command, ""), 0, &[]);
}

#[test]
fn an_answer_that_cannot_be_written_is_3() {
    let question = include_str!("question.json").replace('\n', "");
    for arguments in [["allowlist", "check", "examples/allowlist.yaml"], ["key", "explain", "--json-lines"]] {
        let mut command = command(&arguments);
        command.stdout(Stdio::from(File::options().write(true).open("/dev/full").unwrap()));
        check(&finish(command, &question), 3, &["standard output"]);
    }
}

#[test]
fn what_a_file_says_cannot_command_the_terminal() {
    let policy = r#"{"Statement": {"Sid": "\u001b[2J\u009b2J", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
    let answer = run(&format!("key explain - {KEY}"), policy);
    check(&answer, 1, &[r"\u{1b}[2J\u{9b}2J"]);
    assert!(!answer.stdout.contains(|character: char| character.is_control() && character != '\n'), "{answer}");
}
