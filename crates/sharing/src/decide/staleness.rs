//! Owns the age of a request, and when it is too old to be carried out.
//!
//! Queues keep events for hours, and archives keep them forever. A share that arrives late may give access that was
//! taken away in the meantime. Every other action is as harmless late as on time, so only shares have an age limit.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    outcome::{Refusal, RefusalCode},
    request::{Action, Values},
};

/// Clocks differ a little. A time further ahead than this is not the time at which the event was sent.
const LARGEST_LEAD: Duration = Duration::minutes(5);

/// When a request was sent, as far as its trigger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAt {
    /// The caller is waiting.
    Now,
    /// It was sent at this time.
    At(OffsetDateTime),
    /// It is an archived event that was sent again:
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>
    Again,
    /// The trigger should say when it was sent, but gives no valid time.
    Unknown,
}

impl SentAt {
    /// The time of an EventBridge event.
    pub fn at_rfc3339(text: Option<&str>) -> Self {
        text.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()).map_or(Self::Unknown, Self::At)
    }

    /// The time of an SQS message: milliseconds since 1970, as text.
    pub fn at_milliseconds(text: Option<&str>) -> Self {
        let time = |text: &str| {
            let nanoseconds =
                text.parse::<u64>().ok().map(|milliseconds| i128::from(milliseconds).saturating_mul(1_000_000))?;
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
        };
        text.and_then(time).map_or(Self::Unknown, Self::At)
    }

    /// The older of two times. If one is not known, neither is the older one.
    pub fn older(self, other: Self) -> Self {
        match (self, other) {
            (Self::Again, _) | (_, Self::Again) => Self::Again,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::At(one), Self::At(another)) => Self::At(one.min(another)),
            (Self::Now, then) | (then, Self::Now) => then,
        }
    }

    /// The time from which durations count: that of the event, so that a retry of the event asks for the same.
    pub fn since(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::At(sent) => sent.min(now),
            Self::Now | Self::Again | Self::Unknown => now,
        }
    }

    /// Why a request of this age must not be carried out, if so.
    pub fn refusal(self, action: Action, now: OffsetDateTime, max_age: std::time::Duration) -> Option<Refusal> {
        match action {
            Action::Share => {}
            Action::Revoke
            | Action::Reset
            | Action::List
            | Action::Check
            | Action::Usage
            | Action::Audit
            | Action::Repair
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => return None,
        }
        let mut values = Values::new();
        let message = match self {
            Self::Now => return None,
            Self::At(sent) if now - sent > max_age => {
                values.insert("age", (now - sent).whole_seconds().into());
                values.insert("maxAge", max_age.as_secs().into());
                format!(
                    "the share was asked for {} seconds ago; the limit is {}",
                    (now - sent).whole_seconds(),
                    max_age.as_secs()
                )
            }
            Self::At(sent) if sent - now > LARGEST_LEAD => {
                values.insert("age", (now - sent).whole_seconds().into());
                format!("the share is dated {} seconds in the future", (sent - now).whole_seconds())
            }
            Self::At(_) => return None,
            Self::Again => "the event is a replay; a share is carried out only when it is first asked for".to_owned(),
            Self::Unknown => "the event does not say when it was sent, so it may be any age".to_owned(),
        };
        let refusal = Refusal { values, ..Refusal::new(RefusalCode::StaleRequest, message) };
        Some(refusal.remedy("if the share is still wanted, ask for it again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(900);

    #[track_caller]
    fn check(sent: SentAt, is_stale: bool) {
        let refusal = sent.refusal(Action::Share, NOW, MAX_AGE);
        assert_eq!(refusal.map(|refusal| refusal.code), is_stale.then_some(RefusalCode::StaleRequest), "{sent:?}");
    }

    #[test]
    fn a_share_is_stale_when_too_old_too_new_replayed_or_of_unknown_age() {
        check(SentAt::Now, false);
        for (time, is_stale) in [
            ("2026-11-22T12:00:00Z", false),
            ("2026-11-22T11:45:00Z", false),
            ("2026-11-22T11:44:59Z", true),
            ("2026-11-22T12:05:00Z", false),
            ("2026-11-22T12:05:01Z", true),
            ("2026-11-22T13:00:00+01:00", false),
            ("0000-01-01T00:00:00Z", true),
            ("9999-12-31T23:59:59Z", true),
            ("2026-11-22", true),
            ("1795348800", true),
            ("", true),
        ] {
            check(SentAt::at_rfc3339(Some(time)), is_stale);
        }
        check(SentAt::at_rfc3339(None), true);
        check(SentAt::Again, true);
    }

    #[test]
    fn a_refusal_says_the_age_and_the_limit_as_data() {
        let values = |time: &str| {
            let refusal = SentAt::at_rfc3339(Some(time)).refusal(Action::Share, NOW, MAX_AGE).unwrap();
            serde_json::json!(refusal.values)
        };
        assert_eq!(values("2026-11-22T11:44:59Z"), serde_json::json!({"age": 901, "maxAge": 900}));
        assert_eq!(values("2026-11-22T12:05:01Z"), serde_json::json!({"age": -301}));
    }

    #[test]
    fn a_message_is_dated_in_milliseconds() {
        for (time, is_stale) in [
            ("1795348800000", false),
            ("1795347900000", false),
            ("1795347899999", true),
            ("1795349100000", false),
            ("1795349100001", true),
            ("0", true),
            ("-1", true),
            ("+1795348800000x", true),
            ("18446744073709551615", true),
            ("18446744073709551616", true),
            ("", true),
        ] {
            check(SentAt::at_milliseconds(Some(time)), is_stale);
        }
        check(SentAt::at_milliseconds(None), true);
    }

    #[test]
    fn nothing_but_a_share_is_held_up_by_its_age() {
        for action in Action::ALL.into_iter().filter(|action| *action != Action::Share) {
            for sent in [SentAt::Now, SentAt::At(OffsetDateTime::UNIX_EPOCH), SentAt::Again, SentAt::Unknown] {
                assert_eq!(sent.refusal(action, NOW, MAX_AGE), None, "{action} {sent:?}");
            }
        }
    }
}
