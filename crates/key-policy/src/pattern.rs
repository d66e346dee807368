//! Owns IAM's wildcards: whether a pattern matches a text, or a value of which only the form is known.

use super::truth::Truth;

/// Text with IAM's wildcards: `*` stands for any characters, `?` for exactly one; case counts.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_String>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads a pattern. Every text is a valid pattern.
    pub fn new(text: &str) -> Self {
        Self(tokens(text))
    }

    /// Whether the whole of `text` matches. The steps are at most the square of the text's length, however long the
    /// pattern is.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// Whether it certainly matches every text that the other matches. Only a `*` of this pattern covers a `*` of the
    /// other.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }

    /// Whether it has nothing but wildcards.
    pub fn is_only_wildcards(&self) -> bool {
        self.0.iter().all(|token| matches!(token, Token::Star | Token::Any))
    }
}

/// One piece of a pattern: `*` any run of characters, `?` exactly one, everything else itself.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Char(char),
    Any,
    Star,
}

/// The parts of an ARN that are compared one by one; the sixth may itself hold colons.
const ARN_PARTS: usize = 6;

/// Reads `*` and `?` as wildcards.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    text.chars()
        .map(|character| match character {
            '*' => Token::Star,
            '?' => Token::Any,
            other => Token::Char(other),
        })
        .collect()
}

/// Whether the whole text matches.
pub(super) fn matches(pattern: &[Token], text: &str) -> bool {
    glob(pattern, text.chars().map(Token::Char), |token, symbol| token == Token::Any || token == symbol)
}

/// Whether a pattern matches a sequence of symbols. `fits` compares a symbol with a token that is not `*`.
///
/// Only the last `*` is retried, and a pattern that needs more symbols than there are fails at once. So the cost is at
/// most the square of the number of symbols, however long the pattern is, and one step for each `*` in a run.
fn glob(pattern: &[Token], symbols: impl Iterator<Item = Token> + Clone, fits: impl Fn(Token, Token) -> bool) -> bool {
    let (mut pattern, mut symbols) = (pattern, symbols);
    let mut retry = None;
    loop {
        #[cfg(test)]
        super::work::count_step();
        match pattern.split_first() {
            Some((Token::Star, [])) => return true,
            Some((Token::Star, rest)) => {
                pattern = rest;
                retry = Some((rest, symbols.clone()));
                continue;
            }
            Some((token, rest)) => {
                // If the symbols are used up here, a retry would have even fewer.
                let Some(symbol) = symbols.next() else { return false };
                if fits(*token, symbol) {
                    pattern = rest;
                    continue;
                }
            }
            None => {
                if symbols.next().is_none() {
                    return true;
                }
            }
        }
        let Some((rest, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = rest;
        symbols = from.clone();
    }
}

/// Whether an ARN matches part by part; `None` where the pattern itself is not an ARN.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN>
pub(super) fn matches_arn(pattern: &[Token], text: &str) -> Option<bool> {
    let patterns = arn_parts(pattern)?;
    let mut parts = text.splitn(ARN_PARTS, ':');
    let all = patterns.iter().all(|pattern| parts.next().is_some_and(|part| matches(pattern, part)));
    Some(all)
}

/// Whether the ARN of a resource matches. A `*` at the end of a segment of the pattern also matches the segments after
/// it. AWS says that any other `*` does not match a colon, but shows no example.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html#reference_policies_elements_resource_wildcards>
pub(super) fn matches_resource(pattern: &[Token], arn: &str) -> Truth {
    if !matches(pattern, arn) {
        return Truth::False;
    }
    // Apart from its `*`, a pattern that matches has at most as many tokens as the ARN has characters.
    let arn: Vec<char> = arn.chars().collect();
    let mut reached = vec![true];
    reached.resize(arn.len().saturating_add(1), false);
    let mut rest = pattern;
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        let crosses = match (token, after.first()) {
            // In a run of `*`, the last one matches the most.
            (Token::Star, Some(Token::Star)) => continue,
            (Token::Star, next) => Some(next.is_none_or(|next| *next == Token::Char(':'))),
            (Token::Any | Token::Char(_), _) => None,
        };
        let mut before = false;
        for (index, here) in reached.iter_mut().enumerate() {
            let symbol = index.checked_sub(1).and_then(|index| arn.get(index));
            let was = *here;
            *here = match crosses {
                // `before` says whether the `*` can reach this symbol.
                Some(crosses) => was || (before && (crosses || symbol != Some(&':'))),
                None => before && symbol.is_some_and(|symbol| *token == Token::Any || *token == Token::Char(*symbol)),
            };
            before = if crosses.is_some() { *here } else { was };
        }
    }
    if reached.last() == Some(&true) { Truth::True } else { Truth::Unknown }
}

/// Whether a pattern matches a value of which only the form is known. The form is also written with wildcards.
pub(super) fn compare_form(pattern: &[Token], form: &[Token]) -> Truth {
    if covers(pattern, form) {
        Truth::True
    } else if intersects(pattern, form) {
        Truth::Unknown
    } else {
        Truth::False
    }
}

/// [`compare_form`] for ARNs, part by part.
pub(super) fn compare_arn_form(pattern: &[Token], form: &[Token]) -> Truth {
    let (Some(patterns), Some(forms)) = (arn_parts(pattern), arn_parts(form)) else { return Truth::Unknown };
    patterns.iter().zip(forms).fold(Truth::True, |so_far, (pattern, form)| so_far.and(compare_form(pattern, form)))
}

fn arn_parts(pattern: &[Token]) -> Option<Vec<&[Token]>> {
    let parts: Vec<_> = pattern.splitn(ARN_PARTS, |token| *token == Token::Char(':')).collect();
    (parts.len() == ARN_PARTS).then_some(parts)
}

/// Whether the pattern certainly matches every value of the form. Only a `*` of the pattern matches a `*` of the form.
fn covers(pattern: &[Token], form: &[Token]) -> bool {
    glob(pattern, form.iter().copied(), |token, symbol| {
        symbol != Token::Star && (token == Token::Any || token == symbol)
    })
}

/// Whether some value matches both the pattern and the form.
fn intersects(pattern: &[Token], form: &[Token]) -> bool {
    match (pattern.contains(&Token::Star), form.contains(&Token::Star)) {
        // The part between the first and the last `*` of one can match at a `*` of the other, so only the ends are
        // compared.
        (true, true) => {
            agree_until_a_star(pattern.iter(), form.iter())
                && agree_until_a_star(pattern.iter().rev(), form.iter().rev())
        }
        (true, false) => glob(pattern, form.iter().copied(), may_be_equal),
        (false, _) => glob(form, pattern.iter().copied(), may_be_equal),
    }
}

fn agree_until_a_star<'a>(one: impl Iterator<Item = &'a Token>, other: impl Iterator<Item = &'a Token>) -> bool {
    one.zip(other)
        .take_while(|(one, other)| **one != Token::Star && **other != Token::Star)
        .all(|(one, other)| may_be_equal(*one, *other))
}

fn may_be_equal(one: Token, other: Token) -> bool {
    one == Token::Any || other == Token::Any || one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(&tokens(pattern), text), expected, "{pattern} on {text}");
    }

    #[test]
    fn stars_and_question_marks_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "ab", false),
            ("*?", "", false),
            ("*?", "abc", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("a*b*c", "abbbcbc", true),
            ("*ab", "aab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("kms:*key", "kms:generatedatakeypair", false),
            ("a.c", "abc", false),
            ("[a-z]", "b", false),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn a_pattern_made_to_backtrack_costs_no_more_than_the_text_squared() {
        let (text, form) = ("a".repeat(100), format!("{}*", "a".repeat(50)));
        for pattern in [
            "a*".repeat(16_000),
            format!("{}b", "a*".repeat(16_000)),
            format!("*{}b", "a".repeat(16_000)),
            format!("*{}b", "a".repeat(50)),
            format!("*{}b*", "?".repeat(16_000)),
            "*a".repeat(50),
            "*aaaaaaab".repeat(3_500),
        ] {
            let tokens = tokens(&pattern);
            let steps = super::super::work::steps_of(|| matches(&tokens, &text));
            assert!(steps <= 100 * 100, "{steps} steps for a pattern of {} on a text of 100", pattern.len());
            let steps = super::super::work::steps_of(|| compare_form(&tokens, &super::tokens(&form)));
            assert!(steps <= 2 * 51 * 51, "{steps} steps for a pattern of {} on a form of 51", pattern.len());
        }
        // Runs of `*` are passed over once.
        let stars = tokens(&"*".repeat(32_000));
        assert!(super::super::work::steps_of(|| matches(&stars, &text)) <= 32_000);
    }

    #[test]
    fn a_star_at_the_end_of_a_segment_of_a_resource_reaches_beyond_it() {
        const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234";
        for (pattern, expected) in [
            ("*", Truth::True),
            ("arn:aws:kms:*", Truth::True),
            ("arn:aws:kms:us-east-1:*", Truth::True),
            ("arn:aws:kms:*:key/*", Truth::True),
            ("arn:aws:kms:us-east-*:key/12*", Truth::True),
            ("arn:aws:kms:**:key/1234", Truth::True),
            ("arn:aws:kms:*:*:key/*", Truth::True),
            ("arn:aws:kms:*:1111222?3333:key/1*4", Truth::True),
            ("arn:*:1234", Truth::False),
            ("arn:aws:kms:*key/1234", Truth::Unknown),
            ("arn:aws:kms:us-*-1:*23", Truth::False),
            ("arn:aws:kms:us-*3:key/1234", Truth::Unknown),
            ("arn:aws:kms:us-east-1:111122223333:key/12345", Truth::False),
            ("arn:aws:kms:us-east-1:111122223333:key/123", Truth::False),
            ("", Truth::False),
        ] {
            assert_eq!(matches_resource(&tokens(pattern), ARN), expected, "{pattern}");
        }
    }

    #[test]
    fn arns_are_matched_part_by_part() {
        let check = |pattern: &str, text: &str| matches_arn(&tokens(pattern), text);
        assert_eq!(check("arn:aws:rds:*:*:db:*", "arn:aws:rds:us-east-1:1:db:a:b"), Some(true));
        assert_eq!(check("arn:aws:s3:*:1:x/*", "arn:aws:s3:us-east-2:9:store:1:x/y"), Some(false));
        assert_eq!(check("arn:aws:s3:::b", "arn:aws:s3:us-east-2::b"), Some(false));
        assert_eq!(check("arn:aws:s3:::b", "not an arn"), Some(false));
        assert_eq!(check("*", "arn:aws:s3:::b"), None);
        assert_eq!(check("arn:*", "arn:aws:s3:::b"), None);
    }

    #[test]
    fn a_form_is_covered_excluded_or_left_open() {
        let check = |pattern: &str, form: &str| compare_form(&tokens(pattern), &tokens(form));
        for (pattern, form, expected) in [
            ("*", "vol-*", Truth::True),
            ("vol-*", "vol-*", Truth::True),
            ("v*", "vol-*", Truth::True),
            ("vol-1", "vol-*", Truth::Unknown),
            ("vol-?*", "vol-*", Truth::Unknown),
            ("*1", "vol-*", Truth::Unknown),
            ("snap-*", "vol-*", Truth::False),
            ("vol", "vol-*", Truth::False),
            ("vol-", "vol-*", Truth::Unknown),
            ("o-a/r-1/ou-1/*", "o-a/r-1/ou-1/*", Truth::True),
            ("o-a/r-1/ou-1/", "o-a/r-1/ou-1/*", Truth::Unknown),
            ("o-a/*/ou-1/*", "o-a/r-1/*/ou-1/*", Truth::True),
            ("o-b/*", "o-a/r-*", Truth::False),
            ("abc", "abc", Truth::True),
            ("a?c", "abc", Truth::True),
            ("a?c", "a?c", Truth::True),
            ("abc", "a?c", Truth::Unknown),
            ("a??c", "a*", Truth::Unknown),
            ("a?b", "axb*", Truth::Unknown),
            ("a?c", "axb*", Truth::False),
            ("xyz", "a*", Truth::False),
        ] {
            assert_eq!(check(pattern, form), expected, "{pattern} against {form}");
        }
        let arn = |pattern: &str, form: &str| compare_arn_form(&tokens(pattern), &tokens(form));
        assert_eq!(arn("arn:aws:iam::1:*", "arn:aws:iam::1:*"), Truth::True);
        assert_eq!(arn("arn:aws:iam::*:role/A", "arn:aws:iam::1:*"), Truth::Unknown);
        assert_eq!(arn("arn:aws:iam::2:*", "arn:aws:iam::1:*"), Truth::False);
        assert_eq!(arn("*", "arn:aws:iam::1:*"), Truth::Unknown);
    }

    #[track_caller]
    fn check_all(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(Pattern::new(pattern).matches(text), "{pattern} should match {text:?}");
        }
        for text in no {
            assert!(!Pattern::new(pattern).matches(text), "{pattern} should not match {text:?}");
        }
    }

    #[test]
    fn stars_and_question_marks_are_the_only_wildcards() {
        check_all("golden", &["golden"], &["", "Golden", "golden1", "agolden"]);
        check_all("golden-*", &["golden-", "golden-1", "golden-*"], &["golden", "Golden-1"]);
        check_all("*-prod-*", &["a-prod-b", "-prod-", "a-prod-prod-"], &["a-prod", "prod"]);
        check_all("v?.?", &["v1.2", "vé.☂"], &["v1.", "v1.23", "v12"]);
        check_all("a*b*c", &["abc", "aXbbYc", "abcbc"], &["ab", "acb"]);
        check_all("[ab]{1,2}.", &["[ab]{1,2}."], &["a", "ab."]);
        check_all("*", &["", "x", "\n"], &[]);
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
    fn a_pattern_of_wildcards_alone_names_nothing() {
        for (pattern, expect) in
            [("*", true), ("?", true), ("*?*", true), ("**", true), ("a*", false), ("*-*", false), ("golden", false)]
        {
            assert_eq!(Pattern::new(pattern).is_only_wildcards(), expect, "{pattern}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        check_all(&"*a".repeat(200), &[], &[&"a".repeat(199), &"b".repeat(20_000)]);
    }
}
