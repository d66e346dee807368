//! Owns how the `copies` of a rule are read.

use time::Duration;

use super::{
    super::{Copies, parse_duration},
    reader::{Field, Reader},
    values::parse,
};
use crate::domain::{KeyArn, Region, quoted};

const FIELDS: [&str; 3] = ["from", "key", "within"];

/// How long a share waits for its copy if the rule doesn't say.
const WITHIN: Duration = Duration::hours(24);
/// The shortest and the longest time that a rule may say.
const SHORTEST: Duration = Duration::minutes(30);
const LONGEST: Duration = Duration::days(3);

impl Reader {
    pub(super) fn copies(&mut self, field: Field<'_>) -> Option<Copies> {
        let mut fields = self.fields("copies", field, &FIELDS)?;
        let line = field.0;
        let mut missing = |reader: &mut Self, name: &str| {
            let field = fields.take(name);
            if field.is_none() {
                reader.fault(line, &format!("copies.{name}"), "missing");
            }
            field
        };
        let from = missing(self, "from");
        let key = missing(self, "key");
        let from = from.map(|field| self.list("copies.from", field, false, parse::<Region>));
        let key = key.and_then(|field| self.parsed("copies.key", field, parse::<KeyArn>));
        let within = fields.take("within").and_then(|field| self.parsed("copies.within", field, within));
        Some(Copies { from: from?, key: key?, within: within.unwrap_or(WITHIN) })
    }
}

fn within(text: &str) -> Result<Duration, String> {
    let within = parse_duration(text).filter(|within| (SHORTEST..=LONGEST).contains(within));
    within.ok_or_else(|| format!("{} is not a duration from `30m` to `3d`: a number and m, h or d", quoted(text)))
}
