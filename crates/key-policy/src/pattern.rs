//! Owns IAM's wildcards: matching, and what a pattern says of a value of which only the form is known.

use super::truth::Truth;

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

/// Whether a pattern matches a row of symbols, of which `fits` compares each with a token that is no `*`.
///
/// Only the last `*` is ever retried, and a pattern that wants more than there is fails at once. So the cost is at most
/// the square of the number of symbols, however long the pattern, beside passing over runs of `*`.
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
                // Where the symbols are used up, a retry would leave even fewer.
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

/// What is known of whether a resource's ARN matches. A `*` that ends a segment of the pattern reaches beyond the colon.
/// That any other does not is only said in so many words.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html#reference_policies_elements_resource_wildcards>
pub(super) fn matches_resource(pattern: &[Token], arn: &str) -> Truth {
    if !matches(pattern, arn) {
        return Truth::False;
    }
    // A pattern that matches has no more tokens than the ARN has characters, but for its `*`.
    let arn: Vec<char> = arn.chars().collect();
    let mut reached = vec![true];
    reached.resize(arn.len().saturating_add(1), false);
    let mut rest = pattern;
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        let crosses = match (token, after.first()) {
            // Of several in a row the last reaches furthest.
            (Token::Star, Some(Token::Star)) => continue,
            (Token::Star, next) => Some(next.is_none_or(|next| *next == Token::Char(':'))),
            (Token::Any | Token::Char(_), _) => None,
        };
        let mut before = false;
        for (index, here) in reached.iter_mut().enumerate() {
            let symbol = index.checked_sub(1).and_then(|index| arn.get(index));
            let was = *here;
            *here = match crosses {
                // `before` is whether the `*` got as far as the symbol.
                Some(crosses) => was || (before && (crosses || symbol != Some(&':'))),
                None => before && symbol.is_some_and(|symbol| *token == Token::Any || *token == Token::Char(*symbol)),
            };
            before = if crosses.is_some() { *here } else { was };
        }
    }
    if reached.last() == Some(&true) { Truth::True } else { Truth::Unknown }
}

/// What a pattern says of a value that is only known to be of a form (itself written with wildcards).
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

/// Whether the pattern surely matches every value of the form: a `*` of the form is a symbol that nothing but a `*` of
/// the pattern matches.
fn covers(pattern: &[Token], form: &[Token]) -> bool {
    glob(pattern, form.iter().copied(), |token, symbol| {
        symbol != Token::Star && (token == Token::Any || token == symbol)
    })
}

/// Whether any value at all is both of the pattern and of the form.
fn intersects(pattern: &[Token], form: &[Token]) -> bool {
    match (pattern.contains(&Token::Star), form.contains(&Token::Star)) {
        // What stands between the first and the last `*` of one goes where the other has a `*`, so only the ends meet.
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
}
