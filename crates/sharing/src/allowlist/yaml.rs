//! Owns [`Node`]: a YAML or JSON text as a tree. Each node knows its line.
//!
//! An allowlist can't have tags, anchors and aliases. The reader continues after them, so that all faults of a document
//! are reported together.

use granit_parser::{Event, Parser, ScalarStyle};
use serde::de::IgnoredAny;

/// A value and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Its line; the first line is 1.
    pub(super) line: usize,
    /// What it is.
    pub(super) value: Value,
    /// Its tag, anchor or alias, which an allowlist can't have.
    pub(super) oddity: Option<&'static str>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text: it is in quotes, or has no other meaning in YAML.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, `~` or nothing.
    Null,
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the document, with repeated keys.
    Map(Vec<(Node, Node)>),
}

const TAG: &str = "a tag (`!`): write out what it stands for";
const ANCHOR_OR_ALIAS: &str = "an anchor or alias (`&`, `*`): write out what it stands for";

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The line where the reader noticed it.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
    /// The name, or `#` and the number, of the rule that was being read.
    pub(super) rule: Option<String>,
}

impl Unreadable {
    fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), rule: None }
    }
}

impl Node {
    /// Reads one document.
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.trim_start().starts_with('{') {
            // YAML includes JSON, but its reader accepts invalid JSON too.
            let read = serde_json::from_str::<IgnoredAny>(text);
            read.map_err(|error| Unreadable::at(error.line(), error.to_string()))?;
        }
        let mut tree = Tree::default();
        let options = granit_parser::options! { emit_unresolved_aliases: true };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| Unreadable {
                rule: tree.rule(),
                ..unreadable(text, error.marker().line(), &error.info())
            })?;
            tree.take(event, span.start.line())?;
        }
        tree.root.ok_or_else(|| Unreadable::at(1, "there is nothing in the document"))
    }

    /// The text that a map has under this key.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
            (Value::Text(key), Value::Text(text)) if key == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// What the node is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Where the text can't be read as YAML, and why. Our words come first, because the parser's words are about its
/// grammar.
fn unreadable(text: &str, line: usize, reason: &str) -> Unreadable {
    let tab = text.lines().position(|line| line.trim_start_matches(' ').starts_with('\t'));
    match tab.map(|index| index.saturating_add(1)).filter(|tab| *tab <= line.saturating_add(1)) {
        Some(tab) => Unreadable::at(tab, "the line begins with a tab: indent with spaces"),
        None => Unreadable::at(line, format!("the text is not YAML: {} ({reason})", in_words(reason))),
    }
}

/// What to look for, by what the reader says.
fn in_words(reason: &str) -> &'static str {
    let is = |words: &str| reason.contains(words);
    if is("anchor or alias") {
        "text that begins with `*` or `&` must be in quotes"
    } else if is("simple key expected") {
        "a `:` with a space after it is missing here, or in the line before"
    } else if is("did not find expected key") || is("did not find expected '-' indicator") {
        "this line, or one before it, is indented by too many or too few spaces"
    } else {
        "look at the indentation, quotes and brackets here and in the lines before"
    }
}

/// The part of a document that has been read.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    /// The lists and maps that are not read to their end, each with the key whose value comes next.
    open: Vec<(Node, Option<Node>)>,
}

impl Tree {
    /// The rule that is being read, or else the one that was read last.
    fn rule(&self) -> Option<String> {
        let (rules, entry) = match self.open.as_slice() {
            [(_, Some(key)), (rules, _), rest @ ..] if key.value == Value::Text("rules".to_owned()) => {
                (rules, rest.first().map(|(entry, _)| entry))
            }
            _ => return None,
        };
        let Value::List(read) = &rules.value else { return None };
        let number = read.len().saturating_add(entry.iter().len());
        let entry = entry.or(read.last())?;
        Some(entry.text_of("name").map_or_else(|| format!("#{number}"), str::to_owned))
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Unreadable> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(text.into_owned()) };
                self.add(Node { line, value, oddity: oddity(anchor, tag.is_some()) });
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.add(Node { line, value: Value::Null, oddity: Some(ANCHOR_OR_ALIAS) });
            }
            Event::SequenceStart(_, anchor, tag) => {
                let value = Value::List(Vec::new());
                self.open.push((Node { line, value, oddity: oddity(anchor, tag.is_some()) }, None));
            }
            Event::MappingStart(_, anchor, tag) => {
                let value = Value::Map(Vec::new());
                self.open.push((Node { line, value, oddity: oddity(anchor, tag.is_some()) }, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((node, _)) = self.open.pop() {
                    self.add(node);
                }
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err(Unreadable::at(line, "a second document; an allowlist is one"));
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | _ => {}
        }
        Ok(())
    }

    /// Puts a node where it belongs: into the list or map that is being read.
    fn add(&mut self, node: Node) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }
}

fn oddity(anchor: usize, has_tag: bool) -> Option<&'static str> {
    match (anchor, has_tag) {
        (0, false) => None,
        (0, true) => Some(TAG),
        (_, _) => Some(ANCHOR_OR_ALIAS),
    }
}

/// What text without quotes is: <https://yaml.org/spec/1.2.2/#1032-tag-resolution>
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let all =
        |digits: &str, is_digit: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|byte| is_digit(&byte));
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |byte| matches!(byte, b'0'..=b'7'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, u8::is_ascii_hexdigit);
    }
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(rest, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.is_empty() || all(text, u8::is_ascii_digit);
    is_digits(whole)
        && is_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| all(exponent, u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_quotes_is_what_the_core_schema_says() {
        for number in
            ["0", "-1", "+12", "011122223333", "1.5", ".5", "1.", "1e3", "1.5E-7", "0o17", "0x1F", "-.inf", ".nan"]
        {
            assert_eq!(plain(number), Value::Number(number.to_owned()), "{number}");
        }
        for text in ["1a", "1.2.3", "2027-01-01", "1_000", "e3", ".", "-", "1e", "0x", "0o8", "yes", "golden-*", "30d"]
        {
            assert_eq!(plain(text), Value::Text(text.to_owned()), "{text}");
        }
        assert_eq!((plain("true"), plain("~"), plain("")), (Value::Bool(true), Value::Null, Value::Null));
    }

    #[test]
    fn everything_knows_its_line() {
        let root = Node::parse("a: 1\nb:\n  - x\n  - {c: \"7\"}\n").unwrap();
        let Value::Map(entries) = root.value else { panic!() };
        let lines: Vec<_> = entries.iter().map(|(key, value)| (key.line, value.line)).collect();
        assert_eq!(lines, [(1, 1), (2, 3)]);
        let Value::List(items) = &entries[1].1.value else { panic!() };
        assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 4]);
        let Value::Map(inner) = &items[1].value else { panic!() };
        assert_eq!(inner[0].1.value, Value::Text("7".to_owned()));
    }

    #[test]
    fn json_is_read_as_strictly_as_json_is() {
        let text = "{\n\t\"a\": [\"\\u00e9\\ud83d\\ude00\\/\", -1.5e3, null, true],\n\t\"b\": {}\n}";
        let Value::Map(entries) = Node::parse(text).unwrap().value else { panic!() };
        let Value::List(items) = &entries[0].1.value else { panic!() };
        let values: Vec<_> = items.iter().map(|item| item.value.clone()).collect();
        let expect =
            [Value::Text("é😀/".to_owned()), Value::Number("-1.5e3".to_owned()), Value::Null, Value::Bool(true)];
        assert_eq!(values, expect);
        assert_eq!(entries[1].0.line, 3);
        for wrong in ["{a: 1}", "{\"a\": 1,}", "{\"a\": 1} x", "{\"a\": 'x'}", "{\"a\": 01}"] {
            assert!(Node::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tags_anchors_and_aliases_are_noticed_and_read_over() {
        for (text, expect) in [
            ("[!!binary aGk=]", TAG),
            ("[!foo x]", TAG),
            ("[!!str x]", TAG),
            ("[! x]", TAG),
            ("[!<tag:yaml.org,2002:str> x]", TAG),
            ("[!!seq [x]]", TAG),
            ("[&a x]", ANCHOR_OR_ALIAS),
            ("[&a !!str x]", ANCHOR_OR_ALIAS),
            ("[&a [x]]", ANCHOR_OR_ALIAS),
            ("[*a]", ANCHOR_OR_ALIAS),
        ] {
            let Value::List(items) = Node::parse(text).unwrap().value else { panic!("{text}") };
            assert_eq!(items[0].oddity, Some(expect), "{text}");
        }
    }

    #[test]
    fn one_document_is_one_document() {
        for (text, line) in [("", 1), ("# nothing\n", 1), ("a: 1\n---\nb: 2", 2), ("a: [1\n", 1), ("a:\n\tb", 2)] {
            assert_eq!(Node::parse(text).unwrap_err().line, line, "{text:?}");
        }
        assert!(Node::parse(&"[".repeat(100_000)).is_err());
    }
}
