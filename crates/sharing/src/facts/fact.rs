//! Owns [`Fact`]: one thing that AWS can be asked, and [`Failure`]: why AWS did not say it, or did not do it.

use crate::outcome::ErrorCode;

/// One thing that AWS can be asked. An empty list is an answer; that nobody asked is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// Nobody asked: the action does not need it, or AWS tells it to somebody else only.
    #[default]
    NotRead,
    /// It was asked, and this went wrong.
    Failed(Failure),
    /// AWS said so.
    Known(T),
}

/// What was read or done, or why not.
pub type Reading<T> = Result<T, Failure>;

/// Something that could not be found out or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The call that failed, such as `ec2:DescribeImages`.
    pub call: Option<&'static str>,
    /// What it was about.
    pub resource: Option<String>,
    /// What the caller may know.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl<T> Fact<T> {
    /// What AWS said.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotRead | Self::Failed(_) => None,
        }
    }

    /// Why it could not be found out.
    pub fn failed(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::NotRead | Self::Known(_) => None,
        }
    }

    /// Whether AWS said anything.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Whether AWS was asked.
    pub fn is_read(&self) -> bool {
        !matches!(self, Self::NotRead)
    }

    /// What AWS said, once or not at all.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.known().into_iter()
    }
}

impl<T> From<Reading<T>> for Fact<T> {
    fn from(read: Reading<T>) -> Self {
        read.map_or_else(Self::Failed, Self::Known)
    }
}
