//! Owns [`Surveyed`]: how an audit or repair continues after some of its images. It decides whether to continue without
//! what could not be read.

use super::{
    case::Case,
    decision::{Decision, ImageDecision, Survey},
};
use crate::{
    domain::ExpiryName,
    facts::{Facts, Failure, Image},
    outcome::ErrorCode,
    request::{Action, NextToken},
};

/// With this many findings an answer is full: the next answer has the others.
const FULL: usize = 500;

/// With this many rows it is full, too.
const FULL_OF_ROWS: usize = 1_000;

/// What is known after a survey of some images, and determines how the survey continues.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surveyed {
    /// The number of findings.
    pub findings: usize,
    /// The number of rows.
    pub rows: usize,
    /// The overdue records, which a repair expires.
    pub overdue: Vec<ExpiryName>,
    /// What could not be read, but may be read by a retry.
    pub unread: Vec<Failure>,
    /// Whether everything about at least one image was read.
    pub is_any_read: bool,
    /// Whether a repair has something to do.
    pub has_repairs: bool,
    /// Where the survey continues.
    pub next: Option<NextToken>,
}

impl Surveyed {
    /// Takes what could not be read out of the decisions: the survey decides what follows from it.
    pub fn new(case: &Case<'_>, facts: &Facts, decisions: &mut [ImageDecision<'_>]) -> Self {
        let is_repair = case.request.action == Action::Repair;
        let mut surveyed = Self { next: next_token(case, facts), ..Self::default() };
        let mut unread = Vec::new();
        for decision in decisions {
            let Decision::Survey(Survey { findings, rows, orphaned, overdue, gaps }) = &mut decision.decision else {
                continue;
            };
            surveyed.findings = surveyed.findings.saturating_add(findings.len());
            surveyed.rows = surveyed.rows.saturating_add(rows.len());
            if !gaps.is_empty() {
                unread.push(decision.image_id);
                surveyed.unread.append(gaps);
            }
            if is_repair {
                surveyed.has_repairs |= !orphaned.is_empty() || !overdue.is_empty();
                surveyed.overdue.append(overdue);
            }
        }
        surveyed.is_any_read = case.request.image_ids.iter().any(|image_id| !unread.contains(&image_id));
        surveyed
    }

    /// A survey that begins at this place.
    pub fn from(place: Option<NextToken>) -> Self {
        Self { next: place, ..Self::default() }
    }

    /// Adds what is known after more images.
    pub fn add(&mut self, more: Self) {
        let Self { findings, rows, overdue, unread, is_any_read, has_repairs, next } = more;
        self.findings = self.findings.saturating_add(findings);
        self.rows = self.rows.saturating_add(rows);
        self.overdue.extend(overdue);
        self.unread.extend(unread);
        self.is_any_read |= is_any_read;
        self.has_repairs |= has_repairs;
        self.next = next;
    }

    /// Whether the answer has no room for more images.
    pub fn is_full(&self) -> bool {
        self.findings >= FULL || self.rows >= FULL_OF_ROWS
    }

    /// Whether the survey stops before these images, if the time for reading them is over. The next request begins with
    /// them.
    ///
    /// The first images of a request had all its time. Only if a call was not even made in that time may the next request
    /// read more; otherwise a lasting fault of one image would prevent the audit of all images after it.
    pub fn needs_more_time(&self, is_first: bool) -> bool {
        let is_out_of_time = || self.unread.iter().any(|failure| failure.code == ErrorCode::OutOfTime);
        !self.unread.is_empty() && !self.has_repairs && (!is_first || is_out_of_time())
    }
}

/// The warning about copies of which it is not known whether a rule covers them, because their sources could not be read. It
/// names none: the requester may not be allowed to know of them.
pub fn unsettled<'i>(case: &Case<'_>, uncovered: impl Iterator<Item = &'i Image>) -> Option<String> {
    let own = uncovered.filter(|image| image.owner == case.account);
    let unread: Vec<_> = own.filter_map(|image| image.provenance.unread()).collect();
    let failure = unread.first()?;
    Some(format!(
        "whether rules cover some copies is not known ({}), because their sources could not be read: {}",
        unread.len(),
        failure.message
    ))
}

/// Where a survey continues after the images of the request.
pub fn next_token(case: &Case<'_>, facts: &Facts) -> Option<NextToken> {
    let last = case.request.image_ids.last().filter(|_| case.request.action.surveys())?;
    let keys = facts.keys.keys().filter(|key| !facts.unfinished_keys.contains(key));
    Some(NextToken::new(case.request.next_token.as_ref(), last.clone(), keys))
}
