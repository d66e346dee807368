//! Owns the proofs by exhaustion: every pattern and text up to a length over a small alphabet, against the definition.

use std::fmt::Write as _;

use key_policy::Pattern;

/// Every text of these characters, up to the given length.
fn texts(characters: &str, longest: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut last = texts.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|text| characters.chars().map(move |character| format!("{text}{character}")))
            .collect();
        texts.extend(last.clone());
    }
    texts
}

/// What `*` and `?` mean, word for word: any run of characters, the empty one too, and exactly one.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_String>
fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|taken| matches(rest, &text[taken..])),
        Some((first, rest)) => {
            text.split_first().is_some_and(|(own, others)| (*first == '?' || first == own) && matches(rest, others))
        }
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[test]
fn every_short_pattern_matches_exactly_what_its_wildcards_mean() {
    let texts: Vec<_> = texts("abc", 5).into_iter().map(|text| (chars(&text), text)).collect();
    let mut compared = 0;
    for pattern in self::texts("ab*?", 5) {
        let (symbols, read) = (chars(&pattern), Pattern::new(&pattern));
        for (symbols_of_text, text) in &texts {
            assert_eq!(read.matches(text), matches(&symbols, symbols_of_text), "{pattern} {text}");
            compared += 1;
        }
    }
    assert_eq!(compared, 1_365 * 364);
}

#[test]
fn a_short_pattern_covers_another_only_if_it_matches_all_that_the_other_matches() {
    // Two characters that no pattern names stand for all others.
    let texts = texts("abyz", 4);
    let patterns: Vec<_> = self::texts("ab*?", 3).into_iter().map(|text| (Pattern::new(&text), text)).collect();
    let matched: Vec<Vec<bool>> =
        patterns.iter().map(|(pattern, _)| texts.iter().map(|text| pattern.matches(text)).collect()).collect();
    let mut wrong = String::new();
    for ((pattern, words), own) in patterns.iter().zip(&matched) {
        for ((other, other_words), others) in patterns.iter().zip(&matched) {
            let is_all = own.iter().zip(others).all(|(own, other)| *own || !*other);
            if pattern.covers(other) && !is_all {
                writeln!(wrong, "{words} does not cover {other_words}").unwrap();
            }
        }
    }
    assert_eq!(wrong, "");
}
