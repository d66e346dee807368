//! Owns the values of conditions and resources: text that may contain policy variables.

use std::borrow::Cow;

use super::{
    context::{ConditionKey, ContextFact, ContextValue, KeySource, UnknownKeys},
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
    Variables(Vec<TemplatePart>),
    /// It has a `${` that does not begin a variable.
    Unreadable,
}

#[derive(Debug, Clone)]
pub(super) enum TemplatePart {
    Tokens(Vec<Token>),
    Variable { key: ConditionKey, default: Option<String> },
}

/// Special characters in the values of variables. AWS does not say whether IAM treats such a `*` as a wildcard, or such
/// a `:` as a separator of an ARN. If it matters, the result is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FromVariables {
    pub wildcard: bool,
    pub colon: bool,
}

/// The value of a template for one request.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// The value as text, with wildcards as written.
    pub text: Cow<'a, str>,
    pub pattern: Cow<'a, [Token]>,
    pub from_variables: FromVariables,
}

/// Why a template has no value for a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unresolved<'a> {
    /// A variable has no value.
    NoValue,
    /// A variable's value is not known.
    DependsOn(&'a str),
    /// AWS does not say how IAM reads it.
    Unclear,
}

impl<'a> Unresolved<'a> {
    /// Whether a value of the request matches: nothing matches a template without a value.
    pub(super) fn matched(self, unknown: &mut UnknownKeys<'a>) -> Truth {
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
    /// Reads a value. Variables exist only in policies of version 2012-10-17.
    pub(super) fn new(text: &str, variables: bool) -> Self {
        if !variables || !text.contains("${") {
            return Self::Plain { text: text.to_owned(), pattern: tokens(text) };
        }
        parse(text).unwrap_or(Self::Unreadable)
    }

    /// Whether one of its variables is of such a source.
    pub(super) fn reads(&self, is_such: fn(KeySource) -> bool) -> bool {
        let Self::Variables(parts) = self else { return false };
        parts.iter().any(|part| matches!(part, TemplatePart::Variable { key, .. } if is_such(key.source)))
    }

    /// Puts in the values of the variables.
    pub(super) fn resolve<'p, 'f>(
        &'p self,
        fact: impl Fn(&ConditionKey) -> &'f ContextFact,
    ) -> Result<Resolved<'p>, Unresolved<'p>> {
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
                TemplatePart::Tokens(tokens) => {
                    whole.extend_from_slice(tokens);
                    continue;
                }
                TemplatePart::Variable { key, default } => (key, default.as_deref()),
            };
            let value = match (fact(key), default) {
                // A key with several values can't be a variable. AWS does not say whether its default then counts.
                (_, Some(_)) if key.is_multivalued() => return Err(Unresolved::Unclear),
                (_, None) if key.is_multivalued() => return Err(Unresolved::NoValue),
                (ContextFact::Unknown, _) => return Err(Unresolved::DependsOn(&key.name)),
                (ContextFact::Absent, Some(default)) => default,
                (ContextFact::Absent, None) => return Err(Unresolved::NoValue),
                (ContextFact::Present(values), _) => match values.as_slice() {
                    [ContextValue::Exactly(value)] => value,
                    [ContextValue::OneOf(_) | ContextValue::TwoForms { .. }] => {
                        return Err(Unresolved::DependsOn(&key.name));
                    }
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
                parts.push(TemplatePart::Tokens(std::mem::take(&mut literal)));
                parts.push(variable(inside)?);
            }
        }
    }
    literal.extend(tokens(rest));
    if parts.is_empty() {
        return Some(Template::Plain { text: as_text(&literal), pattern: literal });
    }
    parts.push(TemplatePart::Tokens(literal));
    Some(Template::Variables(parts))
}

/// A default in quotes may contain a brace.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|character| {
        quoted ^= character == '\'';
        character == '}' && !quoted
    })?;
    let (inside, rest) = text.split_at_checked(end)?;
    Some((inside, rest.strip_prefix('}')?))
}

fn variable(inside: &str) -> Option<TemplatePart> {
    let (name, default) = match inside.split_once(',') {
        Some((name, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (name, Some(default.to_owned()))
        }
        None => (inside, None),
    };
    let name = name.trim();
    let is_name = !name.is_empty() && !name.contains(['$', '{', '\'', '*', '?']);
    is_name.then(|| TemplatePart::Variable { key: ConditionKey::new(name), default })
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
