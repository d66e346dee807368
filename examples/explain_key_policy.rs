//! Says who may use a KMS key: reads questions as JSON Lines, answers each with a line of JSON,
//! or with words under `--pretty`.
//!
//! ```text
//! jq -c '.[][]' tests/data/key-policy-cases.json | cargo run --no-default-features --example explain_key_policy
//! ```
//!
//! The fields of a question are those of [`ami_share::key_access::explain`].

use std::io::{self, Write};

use ami_share::key_access::explain;

fn main() -> io::Result<()> {
    let pretty = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--pretty") => true,
        Some(_) => return Err(io::Error::other("usage: explain_key_policy [--pretty] < questions.jsonl")),
    };
    let result = answer(io::stdin().lock(), &mut io::stdout().lock(), pretty);
    match result {
        // Whoever reads has seen enough: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn answer(mut questions: impl io::BufRead, answers: &mut impl Write, pretty: bool) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if questions.by_ref().read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        match explain(text.trim()) {
            Ok(answer) if pretty => writeln!(answers, "{}", answer.in_words())?,
            Ok(answer) => writeln!(answers, "{}", serde_json::to_string(&answer)?)?,
            Err(error) if pretty => writeln!(answers, "line {number} is no question: {error}\n")?,
            Err(error) => {
                let name = serde_json::from_str(&text)
                    .ok()
                    .and_then(|question: serde_json::Value| question.get("name").cloned());
                writeln!(answers, "{}", serde_json::json!({"line": number, "name": name, "error": error.to_string()}))?;
            }
        }
    }
    answers.flush()
}
