//! Owns how the log entry of a request is divided into lines of bounded length. Pure.

use sharing::domain::shortened;

/// The longest lists in one line, as written. CloudWatch Logs accepts 1 MB a line and shows less, and Lambda accepts
/// 256 KB. With everything else, our lines have at most 64 KB.
const LONGEST_LISTS: usize = 40_000;

/// The longest single text in a line, in characters.
pub const LONGEST_TEXT: usize = 4_000;

/// Divides lists into lines, in order. No item is divided. An item that is too long for a line is shortened, and the
/// line shows this.
pub fn parts<const LISTS: usize>(lists: [Vec<String>; LISTS]) -> Vec<[Vec<String>; LISTS]> {
    let empty = || std::array::from_fn::<Vec<String>, LISTS, _>(|_| Vec::new());
    let (mut parts, mut part, mut length) = (Vec::new(), empty(), 0_usize);
    for (place, list) in lists.into_iter().enumerate() {
        for item in list {
            let item = shortened(&item, LONGEST_TEXT).into_owned();
            let written = written(&item);
            if length > 0 && length.saturating_add(written) > LONGEST_LISTS {
                parts.push(std::mem::replace(&mut part, empty()));
                length = 0;
            }
            length = length.saturating_add(written);
            if let Some(list) = part.get_mut(place) {
                list.push(item);
            }
        }
    }
    parts.push(part);
    parts
}

/// Divides a text into lines. Nothing is lost.
pub fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<_> = text.chars().collect();
    let pieces: Vec<_> = characters.chunks(LONGEST_TEXT).map(|piece| piece.iter().collect()).collect();
    if pieces.is_empty() { vec![String::new()] } else { pieces }
}

/// The length of an item in a line: it is quoted in a list, and the list is quoted in a JSON line.
fn written(item: &str) -> usize {
    let escaped = item.chars().map(|character| match character {
        '"' | '\\' => 4,
        character if character.is_ascii_graphic() || character == ' ' => 1,
        // `\u{10ffff}`, the backslash doubled.
        _ => 11,
    });
    escaped.sum::<usize>().saturating_add(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_record_is_one_line() {
        let lists = [vec!["a".to_owned()], Vec::new(), vec!["b".to_owned()]];
        assert_eq!(parts(lists.clone()), [lists]);
        assert_eq!(parts::<2>(Default::default()).len(), 1);
    }

    #[test]
    fn a_long_text_is_several_pieces_and_whole() {
        let text = "é\"".repeat(10_000);
        assert_eq!((pieces(&text).len(), pieces(&text).concat()), (5, text));
        assert_eq!(pieces(""), [""]);
    }

    #[test]
    fn what_does_not_fit_goes_into_further_lines_in_order_and_whole() {
        for text in ["x", "\"\\", "\u{0}\u{200b}é", &"long ".repeat(2_000)] {
            let items: Vec<_> = (0..3_000).map(|n| format!("{n} {}", text.repeat(10))).collect();
            let lists = [vec!["first".to_owned()], items.clone(), items.clone()];
            let parts = parts(lists);
            assert!(parts.len() > 2, "{text}");
            for part in &parts {
                let line = serde_json::json!(format!("{:?} {:?} {:?}", part[0], part[1], part[2])).to_string();
                assert!(line.len() < 50_000, "{text}: {}", line.len());
            }
            let whole = |place: usize| parts.iter().flat_map(|part| part[place].clone()).collect::<Vec<_>>();
            let expect: Vec<_> = items.iter().map(|item| shortened(item, LONGEST_TEXT).into_owned()).collect();
            assert_eq!((whole(0), whole(1), whole(2)), (vec!["first".to_owned()], expect.clone(), expect));
        }
    }
}
