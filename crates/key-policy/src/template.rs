//! Owns the values a condition or a resource compares with: text with policy variables in it.

use std::borrow::Cow;

use super::{
    context::{Fact, Key, Unknown, Value},
    pattern::{Token, tokens},
    truth::Truth,
};

/// A value as a policy writes it, read according to the policy's version.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Without variables: the text, and the same text read as a pattern.
    Plain { text: String, pattern: Vec<Token> },
    /// With variables, to be resolved for each request.
    Variables(Vec<Part>),
    /// A `${` that is no variable.
    Unreadable,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Tokens(Vec<Token>),
    Variable { key: Key, default: Option<String> },
}

/// Characters that came out of variables. Whether IAM reads a `*` from there as a wildcard, or
/// lets a `:` from there part an ARN, is not documented: where it matters nothing is certain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FromVariables {
    pub wildcard: bool,
    pub colon: bool,
}

/// What a template comes to for one request.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// As text, wildcards as written.
    pub text: Cow<'a, str>,
    pub pattern: Cow<'a, [Token]>,
    pub from_variables: FromVariables,
}

/// Why a template comes to nothing for a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unresolved<'a> {
    /// A variable has no value.
    NoValue,
    /// A variable's value is not known.
    DependsOn(&'a str),
    /// What IAM makes of this is not documented.
    Unclear,
}

impl<'a> Unresolved<'a> {
    /// What is then known of whether a value of the request matches: nothing matches what has no value.
    pub(super) fn matched(self, unknown: &mut Unknown<'a>) -> Truth {
        match self {
            Self::NoValue => Truth::False,
            Self::DependsOn(key) => {
                unknown.push(key.into());
                Truth::Unknown
            }
            Self::Unclear => Truth::Unknown,
        }
    }
}

impl Template {
    /// Reads a value; variables exist only from policy version 2012-10-17 on.
    pub(super) fn new(text: &str, variables: bool) -> Self {
        if !variables || !text.contains("${") {
            return Self::Plain { text: text.to_owned(), pattern: tokens(text) };
        }
        parse(text).unwrap_or(Self::Unreadable)
    }

    /// Puts in the values of the variables.
    pub(super) fn resolve<'p, 'f>(&'p self, fact: impl Fn(&Key) -> &'f Fact) -> Result<Resolved<'p>, Unresolved<'p>> {
        let parts = match self {
            Self::Plain { text, pattern } => {
                let (text, pattern) = (text.into(), pattern.into());
                return Ok(Resolved { text, pattern, from_variables: FromVariables::default() });
            }
            Self::Unreadable => return Err(Unresolved::Unclear),
            Self::Variables(parts) => parts,
        };
        let mut whole = Vec::new();
        let mut from_variables = FromVariables::default();
        for part in parts {
            let (key, default) = match part {
                Part::Tokens(tokens) => {
                    whole.extend_from_slice(tokens);
                    continue;
                }
                Part::Variable { key, default } => (key, default.as_deref()),
            };
            let value = match (fact(key), default) {
                // KeyCheck with several values are no variables; whether the default then counts is not said.
                (_, Some(_)) if key.is_multivalued() => return Err(Unresolved::Unclear),
                (_, None) if key.is_multivalued() => return Err(Unresolved::NoValue),
                (Fact::Unknown, _) => return Err(Unresolved::DependsOn(&key.name)),
                (Fact::Absent, Some(default)) => default,
                (Fact::Absent, None) => return Err(Unresolved::NoValue),
                (Fact::Present(values), _) => match values.as_slice() {
                    [Value::Exactly(value)] => value,
                    [Value::OneOf(_) | Value::TwoForms { .. }] => return Err(Unresolved::DependsOn(&key.name)),
                    _ => return Err(Unresolved::Unclear),
                },
            };
            from_variables.wildcard |= value.contains(['*', '?']);
            from_variables.colon |= value.contains(':');
            whole.extend(value.chars().map(Token::Char));
        }
        Ok(Resolved { text: as_text(&whole).into(), pattern: whole.into(), from_variables })
    }
}

fn parse(text: &str) -> Option<Template> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        literal.extend(tokens(before));
        let (inside, after) = split_at_brace(after)?;
        rest = after;
        match inside {
            "*" => literal.push(Token::Char('*')),
            "?" => literal.push(Token::Char('?')),
            "$" => literal.push(Token::Char('$')),
            _ => {
                parts.push(Part::Tokens(std::mem::take(&mut literal)));
                parts.push(variable(inside)?);
            }
        }
    }
    literal.extend(tokens(rest));
    if parts.is_empty() {
        return Some(Template::Plain { text: as_text(&literal), pattern: literal });
    }
    parts.push(Part::Tokens(literal));
    Some(Template::Variables(parts))
}

/// A default in quotes may itself hold a brace.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|character| {
        quoted ^= character == '\'';
        character == '}' && !quoted
    })?;
    let (inside, rest) = text.split_at_checked(end)?;
    Some((inside, rest.strip_prefix('}')?))
}

fn variable(inside: &str) -> Option<Part> {
    let (name, default) = match inside.split_once(',') {
        Some((name, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (name, Some(default.to_owned()))
        }
        None => (inside, None),
    };
    let name = name.trim();
    let is_name = !name.is_empty() && !name.contains(['$', '{', '\'', '*', '?']);
    is_name.then(|| Part::Variable { key: Key::new(name), default })
}

fn as_text(tokens: &[Token]) -> String {
    tokens
        .iter()
        .map(|token| match token {
            Token::Char(character) => *character,
            Token::Any => '?',
            Token::Star => '*',
        })
        .collect()
}
