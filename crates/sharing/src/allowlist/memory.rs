//! Owns [`Memory`]: the last valid allowlist, and for which actions it may be used at which age. Pure.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::Allowlist;
use crate::{domain::rfc3339, request::Action};

/// The last copy and its age.
#[derive(Debug)]
pub struct Memory {
    ttl: Duration,
    copy: Option<(OffsetDateTime, Arc<Allowlist>)>,
}

/// An allowlist that may be used now.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The allowlist.
    pub allowlist: Arc<Allowlist>,
    /// What the caller should know about it.
    pub warning: Option<String>,
}

impl Memory {
    /// A memory without a copy.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, copy: None }
    }

    /// The copy, if it is fresh: not older than the TTL. A copy from the future is not fresh, because the clock was set
    /// back.
    pub fn fresh(&self, now: OffsetDateTime) -> Option<Loaded> {
        let (read_at, allowlist) = self.copy.as_ref()?;
        let is_fresh = *read_at <= now && now - *read_at < self.ttl;
        is_fresh.then(|| Loaded { allowlist: Arc::clone(allowlist), warning: None })
    }

    /// Stores a copy that was just read.
    pub fn insert(&mut self, allowlist: Allowlist, now: OffsetDateTime) -> Loaded {
        let allowlist = Arc::new(allowlist);
        self.copy = Some((now, Arc::clone(&allowlist)));
        Loaded { allowlist, warning: None }
    }

    /// Makes the copy fresh again: its source says that nothing has changed.
    pub fn touch(&mut self, now: OffsetDateTime) -> Option<Loaded> {
        let (read_at, allowlist) = self.copy.as_mut()?;
        *read_at = now;
        Some(Loaded { allowlist: Arc::clone(allowlist), warning: None })
    }

    /// The old copy, if no new one can be read. Only actions that remove access may use it, because nothing may prevent
    /// those. Access is never given by a rule that may have been withdrawn.
    pub fn stale(&self, action: Action) -> Option<Loaded> {
        let (read_at, allowlist) = self.copy.as_ref().filter(|_| action.takes_away())?;
        let read_at = rfc3339(*read_at);
        let warning = format!(
            "the allowlist can't be read now, and the function's log says why; this was decided by the copy of {read_at}"
        );
        Some(Loaded { allowlist: Arc::clone(allowlist), warning: Some(warning) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);

    fn at(seconds: i64) -> OffsetDateTime {
        NOW.checked_add(time::Duration::seconds(seconds)).unwrap()
    }

    fn memory() -> Memory {
        let mut memory = Memory::new(Duration::from_secs(60));
        assert_eq!(memory.fresh(NOW), None);
        assert_eq!(memory.touch(NOW), None, "what was never read is not renewed");
        assert_eq!(memory.stale(Action::Revoke), None);
        let allowlist = Allowlist::parse(include_str!("../../../../examples/allowlist.yaml")).unwrap();
        assert_eq!(memory.insert(allowlist, NOW).allowlist.rules.len(), 4);
        memory
    }

    #[test]
    fn a_copy_is_fresh_until_its_ttl_and_never_before_it_was_read() {
        let mut memory = memory();
        for (seconds, is_fresh) in [(0, true), (59, true), (60, false), (61, false), (-1, false)] {
            assert_eq!(memory.fresh(at(seconds)).is_some(), is_fresh, "after {seconds} seconds");
        }
        assert!(memory.touch(at(60)).is_some());
        assert!(memory.fresh(at(119)).is_some() && memory.fresh(at(120)).is_none());
    }

    #[test]
    fn an_old_copy_takes_access_away_with_a_warning_and_does_nothing_else() {
        let memory = memory();
        for action in [Action::Revoke, Action::Reset] {
            let warning = memory.stale(action).unwrap().warning.unwrap();
            assert!(warning.contains("2026-11-22T12:00:00Z"), "{warning}");
        }
        for action in Action::ALL.into_iter().filter(|action| !action.takes_away()) {
            assert_eq!(memory.stale(action), None, "{action}");
        }
    }
}
