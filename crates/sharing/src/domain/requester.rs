//! Owns [`Requester`]: who asks, and which groups a token puts them into.

use std::{fmt, hash};

use serde::{Deserialize, Serialize};

use super::{code_point, invisible};

/// The maximum length of a group:
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GroupType.html>
const MAX_GROUP: usize = 128;
/// The maximum number of groups of a token. Microsoft Entra ID puts at most this many into one:
/// <https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference>
pub const MAX_GROUPS: usize = 200;

/// Who sent a request, as its trigger determined it. It is never taken from a body or a header.
///
/// Its name is one of `arn:aws:iam::<account>:role/<name>`, `arn:aws:iam::<account>:user/<path><name>`,
/// `jwt:<issuer>#<subject>`, `events:<account>:<source>`, `sqs:<queue ARN>` or `lambda:invoke`. The holder of a token
/// may also have groups. They widen what rules cover, and say nothing of who it is: two requesters are the same if
/// they have the same name, whatever groups their tokens had.
///
/// Serde writes and reads all of it, as a record keeps it: the name, or an object with the name and the groups. What is
/// shown of a requester is the name alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Requester {
    name: String,
    groups: Vec<String>,
}

/// How a record has a requester.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    WithGroups { name: String, groups: Vec<String> },
}

impl Requester {
    /// The requester with this name. The triggers decide which names they make.
    pub fn new(name: String) -> Self {
        Self { name, groups: Vec::new() }
    }

    /// The same requester, whose token has these groups.
    #[must_use]
    pub fn with_groups(self, groups: Vec<String>) -> Self {
        Self { groups, ..self }
    }

    /// The requester as allowlists write it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The groups that its token puts it into, as the token's issuer names them.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}

impl PartialEq for Requester {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Requester {}

impl hash::Hash for Requester {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<Written> for Requester {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(name) => Self::new(name),
            Written::WithGroups { name, groups } => Self { name, groups },
        }
    }
}

impl From<Requester> for Written {
    fn from(Requester { name, groups }: Requester) -> Self {
        if groups.is_empty() { Self::Name(name) } else { Self::WithGroups { name, groups } }
    }
}

/// Why no rule can name a group of a token so, if so. API Gateway writes several groups as one text, with spaces and
/// brackets or with commas: a group with one of these could be taken for two others.
pub fn unnamable_group(group: &str) -> Option<String> {
    if group.is_empty() {
        return Some("is empty".to_owned());
    }
    if group.chars().nth(MAX_GROUP).is_some() {
        return Some(format!("is longer than {MAX_GROUP} characters"));
    }
    if let Some((_, character)) = invisible(group) {
        return Some(format!("holds {}, which can't be seen", code_point(character)));
    }
    group.chars().find_map(|character| match character {
        ',' => Some("holds a comma, which separates groups".to_owned()),
        '[' | ']' => Some("holds a bracket, which API Gateway puts around groups".to_owned()),
        character if character.is_whitespace() => Some("holds a space, which separates groups".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_keeps_the_groups_as_the_token_had_them() {
        let ada = || Requester::new("jwt:https://issuer.example#ada".to_owned());
        let groups = vec!["web".to_owned(), "00000000-0000-4000-8000-00000000000a".to_owned()];
        for (requester, written) in [
            (ada(), json!("jwt:https://issuer.example#ada")),
            (
                ada().with_groups(groups),
                json!({"name": "jwt:https://issuer.example#ada", "groups": ["web", "00000000-0000-4000-8000-00000000000a"]}),
            ),
        ] {
            assert_eq!(json!(requester), written);
            let read: Requester = serde_json::from_value(written).unwrap();
            assert_eq!((read.as_str(), read.groups()), (requester.as_str(), requester.groups()));
        }
    }

    #[test]
    fn groups_do_not_make_somebody_else_of_a_requester() {
        let ada = Requester::new("jwt:i#ada".to_owned());
        assert_eq!(ada, ada.clone().with_groups(vec!["web".to_owned()]));
        assert_ne!(ada, Requester::new("jwt:i#bob".to_owned()));
    }

    #[test]
    fn a_group_that_could_be_taken_for_two_has_no_name_in_a_rule() {
        for (group, why) in [
            ("web-team", None),
            ("équipe/web:prod#1", None),
            (&*"x".repeat(MAX_GROUP), None),
            (&*"x".repeat(MAX_GROUP + 1), Some("longer than 128")),
            ("", Some("empty")),
            ("web team", Some("a space")),
            ("web\u{a0}team", Some("a space")),
            ("web,team", Some("a comma")),
            ("[web", Some("a bracket")),
            ("web]", Some("a bracket")),
            ("web\u{200b}", Some("U+200B")),
            ("web\n", Some("U+000A")),
        ] {
            let found = unnamable_group(group);
            assert_eq!(found.is_some(), why.is_some(), "{group}: {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()), "{group}");
        }
    }
}
