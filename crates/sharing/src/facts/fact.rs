//! Owns [`Fact`]: an answer of AWS, or why there is none; and [`Failure`]: why something could not be read or done.

use crate::outcome::ErrorCode;

/// An answer of AWS, or why there is none. So an empty list is an answer, and differs from a list that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// It was not read: the action does not need it, or AWS does not return it to this account.
    #[default]
    NotRead,
    /// It could not be read.
    Failed(Failure),
    /// AWS answered this.
    Known(T),
}

/// What was read or done, or why not.
pub type Reading<T> = Result<T, Failure>;

/// Why something could not be read or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The call that failed, such as `ec2:DescribeImages`.
    pub call: Option<&'static str>,
    /// The resource of the call.
    pub resource: Option<String>,
    /// What the caller may know about it.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl<T> Fact<T> {
    /// The answer, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotRead | Self::Failed(_) => None,
        }
    }

    /// Why it could not be read, if so.
    pub fn failed(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::NotRead | Self::Known(_) => None,
        }
    }

    /// Whether the answer is known.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Whether it was read, with or without success.
    pub fn is_read(&self) -> bool {
        !matches!(self, Self::NotRead)
    }

    /// Iterates over the answer: one item if it is known, otherwise none.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.known().into_iter()
    }
}

impl<T> From<Reading<T>> for Fact<T> {
    fn from(read: Reading<T>) -> Self {
        read.map_or_else(Self::Failed, Self::Known)
    }
}
