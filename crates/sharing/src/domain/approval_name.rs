//! Owns [`AskName`] and [`DecisionName`]: how the two records of an approval are found again.

use std::{fmt, str::FromStr};

use super::{ParseError, digest, is_digest, quoted, serde_as_string};

/// Half of a SHA-256: no two requests have the same.
const DIGEST_BYTES: usize = 16;

/// What the names of asks begin with.
const ASK: &str = "ask-";

/// What the names of decisions begin with.
const DECISION: &str = "did-";

/// The name of the schedule that records a share that waits for approval:
/// `ask-<first 32 hexadecimal digits of SHA-256(who asked, what for)>`.
///
/// The same request of the same requester has the same name, so it is recorded once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskName(String);

impl AskName {
    /// What all these names begin with.
    pub const PREFIX: &str = ASK;

    /// The name for what is `asked`, which says by whom, too.
    pub fn new(asked: &str) -> Self {
        Self(format!("{ASK}{}", digest(asked, DIGEST_BYTES)))
    }

    /// The name for the ID that callers see; none if no approval can have it.
    pub fn of_id(id: &str) -> Option<Self> {
        is_digest(id, DIGEST_BYTES).then(|| Self(format!("{ASK}{id}")))
    }

    /// The ID that callers see.
    pub fn id(&self) -> &str {
        self.0.strip_prefix(ASK).unwrap_or(&self.0)
    }

    /// The name of the decision about it.
    pub fn decision(&self) -> DecisionName {
        DecisionName(format!("{DECISION}{}", self.id()))
    }

    /// Whether a name is meant to be one of these.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(ASK)
    }

    /// The name as Scheduler takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of the schedule that records what was decided about a share that waits for approval: `did-` and the digits of
/// the ask's name. So one decision about an ask can be created, and no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionName(String);

impl DecisionName {
    /// What all these names begin with.
    pub const PREFIX: &str = DECISION;

    /// The name of what it decides about.
    pub fn ask(&self) -> AskName {
        AskName(format!("{ASK}{}", self.0.strip_prefix(DECISION).unwrap_or_default()))
    }

    /// Whether a name is meant to be one of these.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(DECISION)
    }

    /// The name as Scheduler takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| is_digest(digits, DIGEST_BYTES))
}

impl FromStr for AskName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if is_name(text, ASK) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!("{} is not the name of a record about an approval", quoted(text))))
    }
}

impl FromStr for DecisionName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if is_name(text, DECISION) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!("{} is not the name of a record about a decision", quoted(text))))
    }
}

impl fmt::Display for AskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DecisionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_string!(AskName);
serde_as_string!(DecisionName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_and_the_decision_about_it_have_the_same_digits() {
        let name = AskName::new("111122223333");
        // printf 111122223333 | sha256sum
        assert_eq!(name.as_str(), "ask-aeb221660ff09134bb3a46b295554820");
        assert_eq!(name.decision().as_str(), "did-aeb221660ff09134bb3a46b295554820");
        assert_eq!(name.decision().ask(), name);
        assert_eq!(AskName::of_id(name.id()), Some(name.clone()));
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.decision().as_str().parse(), Ok(name.decision()));
    }

    #[test]
    fn nothing_else_is_a_name() {
        for wrong in ["", "ask-", "did-", "ask-AEB221660FF09134BB3A46B295554820", "ask-aeb2", "did-aeb2", "x"] {
            assert!(wrong.parse::<AskName>().is_err() && wrong.parse::<DecisionName>().is_err(), "{wrong}");
            assert_eq!(AskName::of_id(wrong), None);
        }
    }
}
