//! Owns the parts of documents: texts of a kind, fields that may be absent, lists, and JSON values that nobody expects.

use libfuzzer_sys::arbitrary::{self, Arbitrary, Result, Unstructured};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

/// Texts that are wrong nearly everywhere.
const HOSTILE: [&str; 22] = [
    "",
    " ",
    "*",
    "?",
    "**?*",
    "0",
    "-1",
    "true",
    "null",
    "all",
    "\0",
    "a\nb",
    "\u{202e}",
    "\u{feff}x",
    "\u{1f4a3}",
    "é",
    "${aws:PrincipalAccount}",
    "../..",
    "%2e%2f",
    "9999-12-31T23:59:59Z",
    "[a b]",
    "a,b",
];
/// How often a text is repeated when it is made long: longer than any text may be, and short enough for a list of two hundred.
const LONG: [usize; 3] = [3, 64, 300];
/// How often an item is repeated when a list is made long: about the most images and targets that a request may have.
const MANY: [usize; 3] = [3, 52, 203];
/// The most items of a list or map that nobody expects.
const MOST_ODD: usize = 4;
/// Deeper than any document is read.
const DEEP: usize = 70;
/// The length of a text that is not made of a valid one.
const LONGEST: usize = 64;

/// A text: mostly one of these, sometimes one of them with a fault, sometimes another.
pub fn text(u: &mut Unstructured<'_>, valid: &[&str]) -> Result<String> {
    let chosen = |u: &mut Unstructured<'_>| u.choose(valid).map(|text| (*text).to_owned());
    Ok(match u.arbitrary::<u8>()? {
        0..=207 => chosen(u)?,
        208..=219 => (*u.choose(&HOSTILE)?).to_owned(),
        220..=235 => {
            let mut text = chosen(u)?;
            let at = usize::from(u.arbitrary::<u8>()?) % text.chars().count().max(1);
            let at = text.char_indices().nth(at).map_or(0, |(index, _)| index);
            match u.int_in_range(0..=2)? {
                0 => text.truncate(at),
                1 => text.insert(at, u.arbitrary()?),
                _ => text.insert_str(at, u.choose(&HOSTILE)?),
            }
            text
        }
        236..=239 => chosen(u)?.repeat(*u.choose(&LONG)?),
        240.. => u.arbitrary::<Plain>()?.0.chars().take(LONGEST).collect(),
    })
}

/// The account that no trigger vouches for: only bodies and headers name it.
pub const PLANTED: &str = "arn:aws:iam::666666666666:role/evil";

/// Any text that does not name the account that is [`PLANTED`].
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Plain(pub String);

impl<'a> Arbitrary<'a> for Plain {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.arbitrary::<&str>()?.replace("666666", "555555")))
    }
}

/// Declares kinds of texts, each with its valid ones.
#[macro_export]
macro_rules! texts {
    ($($(#[$about:meta])* $name:ident: [$($valid:expr),+ $(,)?];)+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl<'a> libfuzzer_sys::arbitrary::Arbitrary<'a> for $name {
            fn arbitrary(u: &mut libfuzzer_sys::arbitrary::Unstructured<'a>) -> libfuzzer_sys::arbitrary::Result<Self> {
                $crate::fields::text(u, &[$($valid),+]).map(Self)
            }
        }
    )+};
}

/// A field of a document.
#[derive(Debug, Clone)]
pub enum Field<T, const IS_USUAL: bool> {
    Absent,
    Is(T),
    Odd(Odd),
}

/// A field that is there, with few exceptions.
pub type Needed<T> = Field<T, true>;
/// A field that is seldom there.
pub type Optional<T> = Field<T, false>;

impl<T, const IS_USUAL: bool> Field<T, IS_USUAL> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Odd(_) => None,
        }
    }
}

impl<'a, T: Arbitrary<'a>, const IS_USUAL: bool> Arbitrary<'a> for Field<T, IS_USUAL> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match (u.arbitrary::<u8>()?, IS_USUAL) {
            (0..=239, true) | (192..=245, false) => Self::Is(u.arbitrary()?),
            (240..=247, true) | (0..=191, false) => Self::Absent,
            (248.., true) | (246.., false) => Self::Odd(u.arbitrary()?),
        })
    }
}

impl<T: Serialize, const IS_USUAL: bool> Serialize for Field<T, IS_USUAL> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Is(value) => value.serialize(serializer),
            Self::Odd(value) => value.serialize(serializer),
        }
    }
}

/// One to four items, and now and then so many that a bound is passed.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Several<T>(pub Vec<T>);

impl<'a, T: Arbitrary<'a> + Clone> Arbitrary<'a> for Several<T> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (length, times) = match u.arbitrary::<u8>()? {
            length @ 0..=249 => (usize::from(length / 63) + 1, 1),
            250 => (0, 1),
            251..=254 => (2, MANY[0]),
            255 => (1, *u.choose(&MANY)?),
        };
        let items = (0..length).map(|_| u.arbitrary()).collect::<Result<Vec<T>>>()?;
        Ok(Self(std::iter::repeat_n(items, times).flatten().collect()))
    }
}

/// No item, or a few.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Few<T>(pub Vec<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Few<T> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let length = u.int_in_range(0..=4)?;
        (0..length).map(|_| u.arbitrary()).collect::<Result<_>>().map(Self)
    }
}

/// A JSON value of any form.
#[derive(Debug, Clone)]
pub enum Odd {
    Null,
    Bool(bool),
    Number(i64),
    Fraction(f64),
    Text(Plain),
    List(Vec<Odd>),
    Map(Vec<(Plain, Odd)>),
    /// Arrays, one inside the other.
    Deep,
}

impl<'a> Arbitrary<'a> for Odd {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let byte = u.arbitrary::<u8>()?;
        let length = usize::from(byte) % (MOST_ODD + 1);
        Ok(match byte {
            0..=49 => Self::Null,
            50..=79 => Self::Bool(u.arbitrary()?),
            80..=119 => Self::Number(u.arbitrary()?),
            120..=129 => Self::Fraction(u.arbitrary()?),
            130..=199 => Self::Text(u.arbitrary()?),
            200..=224 => Self::List((0..length).map(|_| u.arbitrary()).collect::<Result<_>>()?),
            225..=251 => Self::Map((0..length).map(|_| u.arbitrary()).collect::<Result<_>>()?),
            252.. => Self::Deep,
        })
    }
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => value.serialize(serializer),
            Self::Number(value) => value.serialize(serializer),
            Self::Fraction(value) => value.serialize(serializer),
            Self::Text(value) => value.serialize(serializer),
            Self::List(values) => values.serialize(serializer),
            Self::Map(fields) => {
                // A name may come twice.
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| map.serialize_entry(&name.0, value))?;
                map.end()
            }
            Self::Deep => {
                let nested = (0..DEEP).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
                nested.serialize(serializer)
            }
        }
    }
}

/// What happens to the text of a document on its way.
#[derive(Debug, Clone, Arbitrary)]
pub enum Damage {
    No,
    StillNo,
    NoAgain,
    /// It breaks off.
    Cut(u16),
    /// A part of it comes twice.
    Twice(u16, u8),
    /// Something is put into it.
    Inserted(u16, String),
}

impl Damage {
    pub fn is_none(&self) -> bool {
        matches!(self, Self::No | Self::StillNo | Self::NoAgain)
    }

    pub fn done_to(&self, mut text: String) -> String {
        let place = |text: &str, at: u16| {
            let at = usize::from(at) % (text.len() + 1);
            (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
        };
        match self {
            Self::No | Self::StillNo | Self::NoAgain => {}
            Self::Cut(at) => text.truncate(place(&text, *at)),
            Self::Twice(at, length) => {
                let from = place(&text, *at);
                let to = (from + usize::from(*length)).min(text.len());
                let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
                text.insert_str(to, &text[from..to].to_owned());
            }
            Self::Inserted(at, more) => text.insert_str(place(&text, *at), more),
        }
        text
    }
}

/// A document as JSON text.
pub fn text_of(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("a document is JSON")
}

/// Puts a field into an object, unless it is absent.
pub fn put<T: Serialize, const IS_USUAL: bool>(
    object: &mut Map<String, Value>,
    name: &str,
    field: &Field<T, IS_USUAL>,
) {
    if !field.is_absent() {
        object.insert(name.to_owned(), json!(field));
    }
}
