//! Owns [`Publish`]: the parameter of Parameter Store to which a rule publishes its newest image.

use std::{collections::BTreeMap, fmt};

use crate::domain::{ParameterName, is_parameter_text, quoted};

/// The parameter of a rule: a path with placeholders that the image fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Literal text.
    Literal(String),
    /// `{tag:KEY}`: the value of the image's tag.
    Tag(String),
    /// `{architecture}`: EC2's word for it, such as `arm64`.
    Architecture,
}

/// Why an image has no parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfillable {
    /// The tag whose value does not fit, if the reason is a tag.
    pub tag: Option<String>,
    /// The value, if there is one.
    pub given: Option<String>,
    /// The reason, as the end of a sentence that begins with the parameter.
    pub why: String,
}

impl Publish {
    /// Reads the path of a rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pieces = pieces(text)?;
        let first_level = text.strip_prefix('/').unwrap_or(text).split('/').next().unwrap_or_default();
        if first_level.contains('{') {
            return Err(format!(
                "the first level of {} is not literal: IAM allows what is before the first `{{`",
                quoted(text)
            ));
        }
        // A placeholder is replaced by at least one character, and by no more than one level.
        let filled = |piece: &Piece| match piece {
            Piece::Literal(literal) => literal.clone(),
            Piece::Tag(_) | Piece::Architecture => "x".to_owned(),
        };
        let sample: String = pieces.iter().map(filled).collect();
        sample.parse::<ParameterName>().map_err(|error| error.replace(&quoted(&sample), &quoted(text)))?;
        Ok(Self { pieces })
    }

    /// The keys of the tags that it names.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Tag(key) => Some(key.as_str()),
            Piece::Literal(_) | Piece::Architecture => None,
        })
    }

    /// The parameter of an image.
    pub fn parameter(
        &self,
        tags: &BTreeMap<String, String>,
        architecture: Option<&str>,
    ) -> Result<ParameterName, Unfillable> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => name.push_str(literal),
                Piece::Tag(key) => name.push_str(value(Some(key), &format!("the tag {}", quoted(key)), tags.get(key))?),
                Piece::Architecture => name.push_str(value(None, "the architecture", architecture)?),
            }
        }
        name.parse().map_err(|why| Unfillable { tag: None, given: None, why })
    }
}

/// The text for a placeholder, if Parameter Store accepts it in a name.
fn value<'v>(
    tag: Option<&str>,
    what: &str,
    given: Option<&'v (impl AsRef<str> + ?Sized)>,
) -> Result<&'v str, Unfillable> {
    let given = given.map(AsRef::as_ref);
    let why = match given {
        Some(given) if is_parameter_text(given) => return Ok(given),
        Some(given) => {
            format!("{what} is {}, and a name may have only letters, digits, `_`, `.` and `-`", quoted(given))
        }
        None => format!("the image does not have {what}"),
    };
    Err(Unfillable { tag: tag.map(str::to_owned), given: given.map(str::to_owned), why })
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((placeholder, after)) = after.split_once('}') else {
            return Err(format!("{} has a `{{` without its `}}`", quoted(text)));
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(match placeholder.strip_prefix("tag:") {
            Some(key) if !key.is_empty() => Piece::Tag(key.to_owned()),
            None if placeholder == "architecture" => Piece::Architecture,
            Some(_) | None => {
                let it = quoted(&format!("{{{placeholder}}}"));
                return Err(format!("{it} is no placeholder: `{{tag:KEY}}` and `{{architecture}}` are"));
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(literal) => f.write_str(literal),
            Piece::Tag(key) => write!(f, "{{tag:{key}}}"),
            Piece::Architecture => f.write_str("{architecture}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = Publish::parse(text).unwrap_err();
        assert!(error.contains(why), "{error}\nshould say {why}");
    }

    #[test]
    fn a_parameter_is_a_path_with_a_literal_first_level_and_known_placeholders() {
        for text in [
            "/golden/{tag:Family}/{architecture}/latest",
            "/golden/latest",
            "/golden",
            "/golden/{tag:Family}-{tag:a b:c}.{architecture}",
            "/golden/v{architecture}",
        ] {
            assert_eq!(Publish::parse(text).unwrap().to_string(), text);
        }
        refused("/{tag:Family}/latest", "is not literal");
        refused("/golden-{tag:Family}/latest", "is not literal");
        refused("{architecture}", "is not literal");
        refused("golden/latest", "`golden/latest` does not begin with `/`");
        refused("", "does not begin with `/`");
        refused("/aws/{tag:Family}", "`/aws/{tag:Family}` begins with `/aws`");
        refused("/SSM/{tag:Family}", "AWS keeps for itself");
        refused("/golden/../{tag:Family}", "has `..`");
        refused("/golden/{tag:Family}/", "is not a path");
        refused("/golden//{tag:Family}", "is not a path");
        refused("/golden/ {tag:Family}", "is not a path");
        refused("/golden/{tag:Family", "without its `}`");
        refused("/golden/tag}", "is not a path");
        for placeholder in ["{name}", "{tag:}", "{tag}", "{Tag:Family}", "{architecture }", "{}", "{account}"] {
            refused(&format!("/golden/{placeholder}"), "is no placeholder");
        }
    }

    #[track_caller]
    fn filled(text: &str, tags: &[(&str, &str)], architecture: Option<&str>, expect: Result<&str, &str>) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        match (Publish::parse(text).unwrap().parameter(&tags, architecture), expect) {
            (Ok(name), Ok(expect)) => assert_eq!(name.as_str(), expect),
            (Err(unfillable), Err(expect)) => assert!(unfillable.why.contains(expect), "{unfillable:?}"),
            (filled, _) => panic!("{filled:?}"),
        }
    }

    #[test]
    fn an_image_fills_in_its_tags_and_its_architecture_where_a_name_takes_them() {
        let text = "/golden/{tag:Family}/{architecture}/latest";
        let family = |value| [("Family", value), ("Other", "a b")];
        filled(text, &family("web"), Some("x86_64"), Ok("/golden/web/x86_64/latest"));
        filled(text, &family("web-1.2_b"), Some("arm64"), Ok("/golden/web-1.2_b/arm64/latest"));
        for value in ["web/db", "", "a b", "wéb", "web\n", "*", "{architecture}", "a:1"] {
            filled(text, &family(value), Some("arm64"), Err("the tag `Family` is"));
        }
        filled(text, &[], Some("arm64"), Err("the image does not have the tag `Family`"));
        filled(text, &family("web"), None, Err("the image does not have the architecture"));
        filled(text, &family(".."), Some("arm64"), Err("has `..`"));
        filled("/golden/{tag:Family}{tag:Family}", &family("."), None, Err("has `..`"));
        filled("/golden/{tag:Family}", &family(&"a".repeat(893)), None, Err("900 characters"));
        filled("/golden/latest", &[], None, Ok("/golden/latest"));
    }
}
