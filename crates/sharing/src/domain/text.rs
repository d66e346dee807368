//! Owns how long texts and lists are shortened.

/// The text, or only its beginning if it has more characters than this.
pub fn shortened(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((end, _)) => format!("{}… (shortened)", text.get(..end).unwrap_or_default()).into(),
    }
}

/// The first few items of a list, and the number of the others.
pub fn some_of(items: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    const SHOWN: usize = 5;
    let mut items = items.into_iter();
    let mut shown = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_list_some_are_named_and_the_others_counted() {
        assert_eq!(some_of(0..0), "");
        assert_eq!(some_of(1..=5), "1, 2, 3, 4, 5");
        assert_eq!(some_of(1..=8), "1, 2, 3, 4, 5 and 3 more");
    }
}
