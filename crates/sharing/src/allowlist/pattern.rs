//! Owns [`Pattern`]: IAM's wildcards.

/// Text with IAM's wildcards: `*` stands for any characters, `?` for exactly one; case counts.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_String>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Takes the text as it is; every text is a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// Whether the whole of `text` matches; takes at most pattern × text steps.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_all(text.chars(), |expected, found| expected == '?' || expected == found)
    }

    /// Whether it has nothing but wildcards.
    pub(super) fn is_only_wildcards(&self) -> bool {
        self.0.iter().all(|character| matches!(character, '*' | '?'))
    }

    /// Whether it surely matches every text that the other matches. A star of the other is only taken by one of ours.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.matches_all(other.0.iter().copied(), |expected, found| match (expected, found) {
            (_, '*') => false,
            (expected, '?') => expected == '?',
            (expected, found) => expected == '?' || expected == found,
        })
    }

    fn matches_all(&self, text: impl Iterator<Item = char> + Clone, is_one: impl Fn(char, char) -> bool) -> bool {
        let mut pattern = self.0.as_slice();
        let mut rest = text;
        // Where the latest star began: what follows it, and the text it has not swallowed yet.
        let mut star = None;
        loop {
            match (pattern.split_first(), rest.clone().next()) {
                (Some(('*', after)), _) => {
                    star = Some((after, rest.clone()));
                    pattern = after;
                }
                (Some((expected, after)), Some(found)) if is_one(*expected, found) => {
                    pattern = after;
                    rest.next();
                }
                (None, None) => return true,
                (Some(_) | None, _) => {
                    // Let the star swallow one character more and try again from there.
                    let Some((after, swallowed)) = star.as_mut() else { return false };
                    if swallowed.next().is_none() {
                        return false;
                    }
                    pattern = after;
                    rest = swallowed.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(Pattern::new(pattern).matches(text), "{pattern} should match {text:?}");
        }
        for text in no {
            assert!(!Pattern::new(pattern).matches(text), "{pattern} should not match {text:?}");
        }
    }

    #[test]
    fn stars_and_question_marks_are_the_only_wildcards() {
        check("golden", &["golden"], &["", "Golden", "golden1", "agolden"]);
        check("golden-*", &["golden-", "golden-1", "golden-*"], &["golden", "Golden-1"]);
        check("*-prod-*", &["a-prod-b", "-prod-", "a-prod-prod-"], &["a-prod", "prod"]);
        check("v?.?", &["v1.2", "vé.☂"], &["v1.", "v1.23", "v12"]);
        check("a*b*c", &["abc", "aXbbYc", "abcbc"], &["ab", "acb"]);
        check("[ab]{1,2}.", &["[ab]{1,2}."], &["a", "ab."]);
        check("*", &["", "x", "\n"], &[]);
    }

    #[test]
    fn a_pattern_covers_another_that_matches_nothing_else() {
        for (pattern, other, expect) in [
            ("golden-*", "golden-*", true),
            ("golden-*", "golden-web-*", true),
            ("golden-*", "golden-?", true),
            ("golden-*", "golden-", true),
            ("*", "**?", true),
            ("?*", "??", true),
            ("??", "a?", true),
            ("*-prod-*", "eu-prod-web-*", true),
            ("golden-web-*", "golden-*", false),
            ("golden-?", "golden-*", false),
            ("golden-?", "golden-??", false),
            ("a?", "??", false),
            ("?*", "*", false),
            ("golden", "Golden", false),
        ] {
            assert_eq!(Pattern::new(pattern).covers(&Pattern::new(other)), expect, "{pattern} {other}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        check(&"*a".repeat(200), &[], &[&"a".repeat(199), &"b".repeat(20_000)]);
    }
}
