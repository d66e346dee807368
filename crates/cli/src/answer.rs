//! Owns how answers and failures are written: the two formats, the exit codes, standard output and standard error.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use serde::Serialize;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Words, // no doc comments: clap would spread the help over lines
    Json,
}

/// An answer that is yes or no.
pub(crate) trait Answer: Serialize {
    fn is_yes(&self) -> bool;

    /// The answer for people, ending with a line break.
    fn in_words(&self) -> String;
}

/// Why there is no answer, in a sentence that says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// A file, standard input or output can't be used.
    Unusable(String),
}

impl Failure {
    pub(crate) fn unusable(what: impl fmt::Display, error: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::Unusable(format!("{what}: {error}. {remedy}"))
    }

    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (format!("{message} `--help` shows the options."), 2),
            Self::Unusable(message) => (message, 3),
        };
        // If standard error can't be written to, there is no place to report it.
        let _ = writeln!(io::stderr(), "ami-share: {}", printable(&message));
        ExitCode::from(code)
    }
}

/// Writes an answer; the exit code says whether it is yes.
pub(crate) fn give(answer: &impl Answer, format: Format) -> Result<ExitCode, Failure> {
    let text = match format {
        Format::Words => printable(&answer.in_words()),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(answer).map_err(|error| {
                Failure::unusable("the answer can't be written as JSON", error, "Use --format words.")
            })?;
            text.push('\n');
            text
        }
    };
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // The reader has stopped reading: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            let remedy = "Make room for the answer, or write it somewhere else.";
            return Err(Failure::unusable("can't write to standard output", error, remedy));
        }
        Ok(()) => {}
    }
    Ok(if answer.is_yes() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Escapes control characters: text from a file could otherwise control the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
