//! Owns how rules write durations.

use time::Duration;

/// Reads a duration as `maxDuration` has it: a number and m, h or d, from `5m` to `3650d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number = text.strip_suffix(unit)?;
    let number: i64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()?;
    let minutes = number.checked_mul(match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    })?;
    (5..=3650 * 24 * 60).contains(&minutes).then(|| Duration::minutes(minutes))
}

/// Writes a duration as rules do.
pub fn written(duration: Duration) -> String {
    let (minutes, hours, days) = (duration.whole_minutes(), duration.whole_hours(), duration.whole_days());
    if Duration::days(days) == duration {
        format!("{days}d")
    } else if Duration::hours(hours) == duration {
        format!("{hours}h")
    } else {
        format!("{minutes}m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_rules_write_it() {
        for (text, shown) in
            [("5m", "5m"), ("90m", "90m"), ("120m", "2h"), ("36h", "36h"), ("48h", "2d"), ("3650d", "3650d")]
        {
            assert_eq!(parse_duration(text).map(written).as_deref(), Some(shown));
        }
    }
}
