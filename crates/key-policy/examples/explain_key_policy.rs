//! Says who may use a KMS key: reads questions as JSON Lines and answers each with a line of JSON, or with words if
//! `--pretty` is given.
//!
//! ```text
//! jq -c '.[][]' crates/key-policy/tests/data/key-policy-cases.json | cargo run -p key-policy --example explain_key_policy
//! ```
//!
//! The fields of a question are those of [`key_policy::explain`]. `ami-share key explain --json-lines` is
//! the same.

use std::io;

use key_policy::json_lines::{Style, answer};

fn main() -> io::Result<()> {
    let style = match std::env::args().nth(1).as_deref() {
        None => Style::Json,
        Some("--pretty") => Style::Words,
        Some(_) => return Err(io::Error::other("usage: explain_key_policy [--pretty] < questions.jsonl")),
    };
    answer(io::stdin().lock(), io::stdout().lock(), style)
}
