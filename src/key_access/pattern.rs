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

/// Whether the whole text matches. Only the last `*` is ever retried, so the cost is bounded by
/// the product of the two lengths, whatever the pattern.
pub(super) fn matches(pattern: &[Token], text: &str) -> bool {
    let mut pattern = pattern;
    let mut text = text.chars();
    let mut retry = None;
    loop {
        match pattern.split_first() {
            Some((Token::Star, [])) => return true,
            Some((Token::Star, rest)) => {
                pattern = rest;
                retry = Some((rest, text.clone()));
                continue;
            }
            Some((Token::Any, rest)) => {
                if text.next().is_some() {
                    pattern = rest;
                    continue;
                }
                // The text is used up, and a retry would leave even less of it.
                return false;
            }
            Some((Token::Char(wanted), rest)) => {
                if text.next() == Some(*wanted) {
                    pattern = rest;
                    continue;
                }
            }
            None => {
                if text.as_str().is_empty() {
                    return true;
                }
            }
        }
        let Some((rest, mut from)) = retry.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = rest;
        text = from.clone();
        retry = Some((rest, from));
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

/// Whether the pattern surely matches every value of the form: a `*` of the form is a character
/// that nothing but a `*` of the pattern matches.
fn covers(pattern: &[Token], form: &[Token]) -> bool {
    // reached[j]: the pattern so far matches the first j pieces of the form.
    let mut reached = start(form);
    for token in pattern {
        match token {
            Token::Star => flood(&mut reached),
            Token::Any => reached = step(&reached, form, |piece| matches!(piece, Token::Char(_) | Token::Any)),
            Token::Char(_) => reached = step(&reached, form, |piece| piece == *token),
        }
    }
    reached.last().copied().unwrap_or(false)
}

/// Whether any value at all is both of the pattern and of the form.
fn intersects(pattern: &[Token], form: &[Token]) -> bool {
    let mut reached = start(form);
    skip_stars(&mut reached, form);
    for token in pattern {
        match token {
            Token::Star => flood(&mut reached),
            Token::Any | Token::Char(_) => {
                let both = |piece: Token| {
                    piece == *token || piece == Token::Any || (*token == Token::Any && piece != Token::Star)
                };
                let mut next = step(&reached, form, both);
                // A `*` of the form may swallow the character and go on.
                for ((next, reached), piece) in next.iter_mut().zip(&reached).zip(form) {
                    *next |= *reached && *piece == Token::Star;
                }
                reached = next;
            }
        }
        skip_stars(&mut reached, form);
    }
    reached.last().copied().unwrap_or(false)
}

fn start(form: &[Token]) -> Vec<bool> {
    std::iter::once(true).chain(form.iter().map(|_| false)).collect()
}

fn step(reached: &[bool], form: &[Token], fits: impl Fn(Token) -> bool) -> Vec<bool> {
    let moved = reached.iter().zip(form).map(|(reached, piece)| *reached && fits(*piece));
    std::iter::once(false).chain(moved).collect()
}

fn flood(reached: &mut [bool]) {
    let mut before = false;
    for here in reached {
        before |= *here;
        *here = before;
    }
}

fn skip_stars(reached: &mut [bool], form: &[Token]) {
    let mut carried = false;
    let stars = form.iter().map(|piece| *piece == Token::Star).chain(std::iter::once(false));
    for (here, is_star) in reached.iter_mut().zip(stars) {
        *here |= carried;
        carried = *here && is_star;
    }
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
    fn a_pattern_made_to_backtrack_stays_cheap() {
        check(&"a*".repeat(2_000), &"a".repeat(1_999), false);
        check(&format!("{}b", "a*".repeat(200)), &"a".repeat(20_000), false);
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
