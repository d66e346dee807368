//! Owns the JSON Lines interface: reads a question from each line and writes the answer to it. It opens no files.

use std::io::{self, BufRead, Read, Write};

use super::explain::explain;

/// The most bytes of a line that are read: a key policy of 32 KB and thousands of grants.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One line of JSON for each question.
    Json,
    /// Several lines of words for each question.
    Words,
}

/// Answers the question on each line, and skips blank lines. The answer to a line that is not a question says why it is
/// not; the lines after it are answered as usual. The fields of a question are those of [`explain`].
///
/// # Errors
/// The questions can't be read, or the answers can't be written. It is not an error if the reader of the answers stops
/// reading (`| head`).
pub fn answer(mut questions: impl BufRead, mut answers: impl Write, style: Style) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        let Some(read) = read_line(&mut questions, &mut line)? else { break };
        let text = String::from_utf8_lossy(&line);
        let written = match read {
            Line::Whole if text.trim().is_empty() => continue,
            Line::Whole => answer_line(number, &text, &mut answers, style),
            Line::TooLong => {
                let error = format!("the line is longer than {MAX_LINE_BYTES} bytes, so it was not read to its end");
                not_a_question(number, None, &error, &mut answers, style)
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match answers.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => flushed,
    }
}

fn answer_line(number: u64, text: &str, answers: &mut impl Write, style: Style) -> io::Result<()> {
    match (explain(text.trim()), style) {
        (Ok(answer), Style::Words) => writeln!(answers, "{}", answer.in_words()),
        (Ok(answer), Style::Json) => writeln!(answers, "{}", serde_json::to_string(&answer)?),
        (Err(error), _) => {
            let name =
                serde_json::from_str(text).ok().and_then(|question: serde_json::Value| question.get("name").cloned());
            not_a_question(number, name, &error.to_string(), answers, style)
        }
    }
}

fn not_a_question(
    number: u64,
    name: Option<serde_json::Value>,
    error: &str,
    answers: &mut impl Write,
    style: Style,
) -> io::Result<()> {
    match style {
        Style::Words => writeln!(answers, "line {number} is not a question: {error}\n"),
        Style::Json => writeln!(answers, "{}", serde_json::json!({"line": number, "name": name, "error": error})),
    }
}

enum Line {
    Whole,
    TooLong,
}

/// Reads the next line into `line`; if it is too long, only its beginning. Returns `None` at the end.
fn read_line(questions: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
    line.clear();
    let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1); // one for the end of the line
    if questions.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.len() <= MAX_LINE_BYTES || line.ends_with(b"\n") {
        return Ok(Some(Line::Whole));
    }
    questions.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = r#"{"name": "q", "policy": {"Statement": []}, "principal": {"account": "111122223333"}, "action": "kms:Decrypt", "resource": "arn:aws:kms:eu-west-1:999988887777:key/1"}"#;

    #[track_caller]
    fn check(questions: &str, style: Style, expect: &[&str]) {
        let mut answers = Vec::new();
        answer(questions.as_bytes(), &mut answers, style).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let lines: Vec<_> = answers.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
        assert_eq!(lines.len(), expect.len(), "{answers}");
        for (line, words) in lines.iter().zip(expect) {
            assert!(line.contains(words), "{line}\nshould say {words:?}");
        }
    }

    #[test]
    fn every_line_that_is_not_blank_gets_its_answer() {
        let questions = format!("{QUESTION}\n\n  \r\n{QUESTION}\r\n{QUESTION}");
        check(&questions, Style::Json, &[r#""verdict":"implicit-deny""#; 3]);
        check(&questions, Style::Words, &["q"; 3]);
        check("", Style::Json, &[]);
    }

    #[test]
    fn a_line_that_is_not_a_question_does_not_stop_the_others() {
        let questions = format!("no\n\n{{\"name\": 7}}\n{QUESTION}");
        let errors = [r#""line":1,"name":null"#, r#""line":3,"name":7"#, "implicit-deny"];
        check(&questions, Style::Json, &errors);
        check(&questions, Style::Words, &["line 1 is not a question", "line 3 is not a question", "q"]);
    }

    #[test]
    fn a_line_is_read_up_to_a_bound_and_the_next_one_whole() {
        let padded = |bytes: usize| format!("{QUESTION}{}", " ".repeat(bytes - QUESTION.len()));
        let questions = format!("{}\n{}\n{QUESTION}", padded(MAX_LINE_BYTES), padded(MAX_LINE_BYTES + 1));
        check(&questions, Style::Json, &["implicit-deny", "longer than 4194304 bytes", "implicit-deny"]);
        check(&padded(10 * MAX_LINE_BYTES), Style::Json, &["longer than"]);
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error_and_a_full_disk_is_one() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(self.0.into())
            }
        }
        for questions in ["", QUESTION] {
            assert!(answer(questions.as_bytes(), Fails(io::ErrorKind::BrokenPipe), Style::Json).is_ok());
            assert!(answer(questions.as_bytes(), Fails(io::ErrorKind::StorageFull), Style::Json).is_err());
        }
    }
}
