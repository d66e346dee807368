//! Owns how long texts get in lines of the log. Pure.

/// The longest single text in a line, in characters.
pub const LONGEST_TEXT: usize = 4_000;

/// Divides a text among lines; nothing of it is lost.
pub fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<_> = text.chars().collect();
    let pieces: Vec<_> = characters.chunks(LONGEST_TEXT).map(|piece| piece.iter().collect()).collect();
    if pieces.is_empty() { vec![String::new()] } else { pieces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_several_pieces_and_whole() {
        let text = "é\"".repeat(10_000);
        assert_eq!((pieces(&text).len(), pieces(&text).concat()), (5, text));
        assert_eq!(pieces(""), [""]);
    }
}
