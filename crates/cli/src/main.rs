//! `ami-share`, the command line: checks an allowlist and explains its rules, and explains a KMS key. It needs no AWS.

mod allowlist;
mod answer;
mod input;
mod key;

use std::process::ExitCode;

use answer::Failure;
use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
  0  The answer is yes: the allowlist has no faults, a rule covers the request, the key lets the target in.
     With `key explain --json-lines`: every line was answered, with yes or no.
  1  The answer is no: faults, no rule, or a key that does not surely let the target in.
  2  The command line is wrong.
  3  There is no answer: a file, standard input or output can't be used.

Answers go to standard output, errors to standard error.";

/// Checks allowlists and explains key policies, without AWS
#[derive(Parser)]
#[command(name = "ami-share", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The allowlist: who may share which images with whom
    #[command(subcommand)]
    Allowlist(AllowlistCommand),
    /// The KMS keys behind encrypted images
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Subcommand)]
enum AllowlistCommand {
    /// Name every fault of an allowlist
    #[command(after_help = EXIT_CODES)]
    Check(allowlist::Check),
    /// Say which rule covers a request, or why each rule does not
    #[command(after_help = EXIT_CODES)]
    Explain(Box<allowlist::Explain>),
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Say whether a key policy and grants let a target use the key, why, and what is missing
    #[command(after_help = EXIT_CODES)]
    Explain(key::Explain),
}

fn main() -> ExitCode {
    let answered = match Cli::parse().command {
        Command::Allowlist(AllowlistCommand::Check(check)) => check.run(),
        Command::Allowlist(AllowlistCommand::Explain(explain)) => explain.run(),
        Command::Key(KeyCommand::Explain(explain)) => explain.run(),
    };
    answered.unwrap_or_else(Failure::report)
}
