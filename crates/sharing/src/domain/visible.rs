//! Owns the characters that a text can't have because they are invisible: they could forge a line of a log, or hide
//! something in it.

/// The invisible characters of Unicode 17: control (`Cc`), format (`Cf`) and private-use (`Co`) characters, line and
/// paragraph separators (`Zl`, `Zp`), and those that are not displayed by default (`Default_Ignorable_Code_Point`):
/// <https://www.unicode.org/Public/17.0.0/ucd/UnicodeData.txt>,
/// <https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt>.
///
/// U+FE0E and U+FE0F are allowed, because keyboards use them to choose between a sign and its emoji.
const INVISIBLE: [(char, char); 30] = [
    ('\0', '\u{1F}'),
    ('\u{7F}', '\u{9F}'),
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{600}', '\u{605}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{6DD}', '\u{6DD}'),
    ('\u{70F}', '\u{70F}'),
    ('\u{890}', '\u{891}'),
    ('\u{8E2}', '\u{8E2}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{2028}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{E000}', '\u{F8FF}'),
    ('\u{FE00}', '\u{FE0D}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFFB}'),
    ('\u{110BD}', '\u{110BD}'),
    ('\u{110CD}', '\u{110CD}'),
    ('\u{13430}', '\u{1343F}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E0FFF}'),
    ('\u{F0000}', '\u{FFFFD}'),
    ('\u{100000}', '\u{10FFFD}'),
];

/// The first invisible character of a text, and its position; the first position is 1.
pub fn invisible(text: &str) -> Option<(usize, char)> {
    (1..).zip(text.chars()).find(|(_, character)| is_invisible(*character))
}

fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// The number of a character as Unicode writes it, such as `U+200D`.
pub fn code_point(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_named() {
        for (text, expect) in [
            ("line\nbreak", "U+000A"),
            ("\u{7f}", "U+007F"),
            ("next\u{85}line", "U+0085"),
            ("soft\u{ad}hyphen", "U+00AD"),
            ("joined\u{34f}graphemes", "U+034F"),
            ("Arabic letter\u{61c}mark", "U+061C"),
            ("Hangul\u{3164}filler", "U+3164"),
            ("zero\u{200b}width", "U+200B"),
            ("\u{1F469}\u{200d}\u{1F4BB}", "U+200D"),
            ("left\u{200e}right", "U+200E"),
            ("line\u{2028}separator", "U+2028"),
            ("paragraph\u{2029}separator", "U+2029"),
            ("over\u{202e}ride", "U+202E"),
            ("word\u{2060}joiner", "U+2060"),
            ("iso\u{2066}late", "U+2066"),
            ("private\u{e000}use", "U+E000"),
            ("variation\u{fe00}selector", "U+FE00"),
            ("\u{feff}byte order mark", "U+FEFF"),
            ("inter\u{fff9}linear", "U+FFF9"),
            ("musical\u{1d173}beam", "U+1D173"),
            ("tag\u{e0041}", "U+E0041"),
            ("variation\u{e0100}selector", "U+E0100"),
            ("private\u{10fffd}use", "U+10FFFD"),
        ] {
            assert_eq!(
                invisible(text).map(|(_, character)| code_point(character)).as_deref(),
                Some(expect),
                "{text:?}"
            );
        }
        assert_eq!(invisible("ab\tc"), Some((3, '\t')));
    }

    #[test]
    fn what_is_seen_is_left_alone() {
        for text in [
            "",
            " ",
            "für den Umzug ☂",
            "☂\u{fe0f} ✔\u{fe0e}",
            "日本語 עברית العربية हिन्दी",
            "\u{1F680}\u{1F3FD}",
            "e\u{301}",
        ] {
            assert_eq!(invisible(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_ranges_are_in_order() {
        let ends: Vec<char> = INVISIBLE.iter().flat_map(|(first, last)| [*first, *last]).collect();
        assert!(ends.is_sorted());
    }
}
