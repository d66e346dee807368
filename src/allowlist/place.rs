//! Owns which field of an allowlist's text a fault is in, for whoever has to mend it.

/// The names of the document's fields.
const FIELDS: [&str; 17] = [
    "version",
    "accounts",
    "rules",
    "name",
    "organizationId",
    "organizationPath",
    "requesters",
    "actions",
    "images",
    "names",
    "tags",
    "targets",
    "access",
    "keys",
    "serviceLinkedRoles",
    "maxDuration",
    "onAvailable",
];

/// The field that a position (counted from 1) is in: the last that is named up to there, in YAML or JSON.
pub(super) fn field(text: &str, line: usize, column: usize) -> Option<&'static str> {
    let mut before: String = text.lines().take(line.saturating_sub(1)).flat_map(|line| [line, "\n"]).collect();
    before.extend(text.lines().nth(line.saturating_sub(1)).into_iter().flat_map(|line| line.chars().take(column)));
    let last = |field: &&'static str| {
        [format!("{field}:"), format!("{field}\":")].iter().filter_map(|key| before.rfind(key.as_str())).max()
    };
    FIELDS.iter().filter_map(|field| Some((last(field)?, *field))).max().map(|(_, field)| field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowlist::Allowlist;

    /// Checks that the fault is said to be in this field of this line.
    #[track_caller]
    fn check(text: &str, line: usize, field: &str) {
        let error = Allowlist::parse(text).unwrap_err().to_string();
        assert!(
            error.contains(&format!("line {line}")) && error.ends_with(&format!("in the field `{field}`")),
            "{error}"
        );
    }

    #[test]
    fn a_fault_is_in_the_field_named_last() {
        let rule = "version: 1\nrules:\n  - name: a\n    requesters: [\"arn:aws:iam::999988887777:role/names:x\"]\n";
        check(&format!("{rule}    targets: [111122223333]\n"), 5, "targets");
        check(&format!("{rule}    targets:\n      - \"444455556666\"\n      - 111122223333\n"), 7, "targets");
        check(&format!("{rule}    images: {{names: [\"golden-*\"], tags: {{Tier: [1]}}}}\n"), 5, "tags");
        check(&format!("{rule}    actions: [publish]\n"), 5, "actions");
        check("version: one\nrules: []\n", 1, "version");
        check(r#"{"version": 1, "rules": [{"name": "a", "targets": [111122223333]}]}"#, 1, "targets");
        check("{\"version\": 1,\n \"rules\": [{\"name\": \"a\", \"requesters\": [\"*\"]}]}", 2, "requesters");
    }

    #[test]
    fn a_position_outside_the_text_is_in_its_last_field_or_none() {
        assert_eq!(field("", 0, 0), None);
        assert_eq!(field("version: 1", 9, 9), Some("version"));
        assert_eq!(field("version: 1", 1, 0), None);
        assert_eq!(field("é: 1\nversion: 1", 2, 99), Some("version"));
    }
}
