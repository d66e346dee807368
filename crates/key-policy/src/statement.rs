//! Owns [`Statement`]: one statement of a key policy, element by element, and how it is read.

use std::collections::BTreeSet;

use super::{
    because::{Because, BecauseEffect},
    caller::Whom,
    condition::{self, Condition},
    context::KeySource,
    pattern::{Token, tokens},
    principal::{Cover, Principals},
    remark::{Remark, clip},
    template::Template,
    truth::Truth,
};
use crate::json::Json;

/// One statement. An element that could not be read is [`Element::Unreadable`]: whether it applies is not known.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub sid: Option<String>,
    pub index: usize,
    /// The name of the statement among the condition keys that an answer depends on.
    pub label: String,
    pub effect: Effect,
    pub principal: Element<Principals>,
    pub action: Element<Vec<ActionPattern>>,
    pub resource: Element<Vec<Template>>,
    pub conditions: Vec<Condition>,
    /// Whether something in it beside the principal differs from account to account.
    pub tells_accounts_apart: bool,
    /// Whether something in the statement, or the statement itself, could not be read.
    pub is_unreadable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
    /// It may be either.
    Unreadable,
}

/// One of the elements that exist in a plain and a negated form (`Action`, `NotAction`).
#[derive(Debug, Clone)]
pub(super) enum Element<T> {
    /// KMS accepts such a statement, and it has no effect.
    Missing,
    Is(T),
    IsNot(T),
    Unreadable,
}

/// An action as a policy names it, in lower case.
#[derive(Debug, Clone)]
pub(super) enum ActionPattern {
    Named(Vec<Token>),
    /// IAM rejects wildcards in the prefix of the service: whether they match is not known.
    Unreadable,
}

/// The version of the policy language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    WithoutVariables,
    WithVariables,
    /// Whether text has variables is not known.
    Unreadable,
}

/// The elements of a statement in the document, each at most once.
#[derive(Default)]
struct Elements<'a> {
    sid: Option<&'a Json>,
    effect: Option<&'a Json>,
    principal: Option<&'a Json>,
    not_principal: Option<&'a Json>,
    action: Option<&'a Json>,
    not_action: Option<&'a Json>,
    resource: Option<&'a Json>,
    not_resource: Option<&'a Json>,
    condition: Option<&'a Json>,
    repeated: BTreeSet<&'a str>,
    foreign: Option<&'a str>,
}

impl<'a> Elements<'a> {
    fn of(elements: &'a [(String, Json)]) -> Self {
        let mut fields = Self::default();
        for (name, value) in elements {
            let slot = match name.as_str() {
                "Sid" => &mut fields.sid,
                "Effect" => &mut fields.effect,
                "Principal" => &mut fields.principal,
                "NotPrincipal" => &mut fields.not_principal,
                "Action" => &mut fields.action,
                "NotAction" => &mut fields.not_action,
                "Resource" => &mut fields.resource,
                "NotResource" => &mut fields.not_resource,
                "Condition" => &mut fields.condition,
                _ => {
                    fields.foreign.get_or_insert(name);
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                fields.repeated.insert(name);
            }
        }
        fields
    }

    /// What is wrong with the names of the elements.
    fn faults(&self) -> Vec<String> {
        let foreign = self.foreign.map(|name| format!("`{}` is not an element of a statement", clip(name)));
        let repeated = self.repeated.iter().map(|name| format!("`{name}` appears twice"));
        foreign.into_iter().chain(repeated).collect()
    }

    fn effect(&self, unreadable: &mut Vec<String>) -> Effect {
        match self.effect.and_then(Json::as_str) {
            _ if self.repeated.contains("Effect") => Effect::Unreadable,
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            Some(_) | None => {
                unreadable.push("its `Effect` is neither `Allow` nor `Deny`".to_owned());
                Effect::Unreadable
            }
        }
    }

    fn principal(&self, notes: &mut Vec<String>, unreadable: &mut Vec<String>) -> Element<Principals> {
        let (plain, negated) = (("Principal", self.principal), ("NotPrincipal", self.not_principal));
        self.element(plain, negated, |node| Principals::parse(node, notes), unreadable)
    }

    fn action(&self, notes: &mut Vec<String>, unreadable: &mut Vec<String>) -> Element<Vec<ActionPattern>> {
        let (plain, negated) = (("Action", self.action), ("NotAction", self.not_action));
        self.element(plain, negated, |node| actions(node, notes), unreadable)
    }

    fn resource(&self, version: Version, unreadable: &mut Vec<String>) -> Element<Vec<Template>> {
        let (plain, negated) = (("Resource", self.resource), ("NotResource", self.not_resource));
        let read = |node| {
            let texts = strings(node).ok_or("its resource is not a string or a list of strings")?;
            if version == Version::Unreadable && texts.iter().any(|text| text.contains("${")) {
                return Err("whether its resource has variables depends on the policy's version".to_owned());
            }
            Ok(texts.into_iter().map(|text| Template::new(text, version != Version::WithoutVariables)).collect())
        };
        self.element(plain, negated, read, unreadable)
    }

    fn conditions(&self, version: Version, notes: &mut Vec<String>, unreadable: &mut Vec<String>) -> Vec<Condition> {
        let Some(node) = self.condition.filter(|_| !self.repeated.contains("Condition")) else { return Vec::new() };
        read_conditions(node, version, notes).unwrap_or_else(|why| {
            unreadable.push(why);
            Vec::new()
        })
    }

    /// An element and its negation exclude each other. Where one appears twice, the element is unreadable.
    fn element<T>(
        &self,
        (name, plain): (&str, Option<&'a Json>),
        (not_name, negated): (&str, Option<&'a Json>),
        read: impl FnOnce(&'a Json) -> Result<T, String>,
        unreadable: &mut Vec<String>,
    ) -> Element<T> {
        let result = match (plain, negated) {
            (None, None) => return Element::Missing,
            (Some(_), Some(_)) => Err(format!("it has both `{name}` and `{not_name}`")),
            _ if self.repeated.contains(name) || self.repeated.contains(not_name) => {
                Err(format!("`{name}` appears twice"))
            }
            (Some(node), None) => read(node).map(Element::Is),
            (None, Some(node)) => read(node).map(Element::IsNot),
        };
        result.unwrap_or_else(|why| {
            unreadable.push(why);
            Element::Unreadable
        })
    }
}

impl Statement {
    pub(super) fn read(index: usize, node: &Json, version: Version, remarks: &mut Vec<Remark>) -> Self {
        let is_object = matches!(node, Json::Object(_));
        let fields = Elements::of(if let Json::Object(elements) = node { elements } else { &[] });
        let sid = fields.sid.and_then(Json::as_str).map(clip);
        let (mut unreadable, mut notes) = (fields.faults(), Vec::new());
        if !is_object {
            unreadable.push("it is not an object".to_owned());
        }
        let effect = fields.effect(&mut unreadable);
        // An element that is left out means that the statement has no effect. A statement that is not an object may
        // mean anything.
        let (principal, action, resource) = if is_object {
            (
                fields.principal(&mut notes, &mut unreadable).never_empty(Principals::is_empty),
                fields.action(&mut notes, &mut unreadable).never_empty(Vec::is_empty),
                fields.resource(version, &mut unreadable).never_empty(Vec::is_empty),
            )
        } else {
            (Element::Unreadable, Element::Unreadable, Element::Unreadable)
        };
        let conditions = fields.conditions(version, &mut notes, &mut unreadable);
        let is_unreadable = !unreadable.is_empty();
        if effect != Effect::Deny {
            notes.extend(conditions.iter().filter_map(holds_without_key));
        }
        notes.extend(missing(&principal, &action, &resource));
        notes.extend(not_principal(effect, &principal).map(str::to_owned));
        let unreadable = unreadable
            .into_iter()
            .map(|why| format!("the statement cannot be read, so it is not certain whether it applies: {why}"));
        remarks.extend(unreadable.chain(notes).map(|message| Remark { sid: sid.clone(), index: Some(index), message }));
        let label = format!("Statement[{index}]");
        let tells_accounts_apart = conditions.iter().any(|condition| condition.reads(is_about_account))
            || resource.value().into_iter().flatten().any(|template| template.reads(is_about_account));
        Self { sid, index, label, effect, principal, action, resource, conditions, tells_accounts_apart, is_unreadable }
    }

    /// Whether the principal covers the caller, and the condition key that this depends on.
    pub(super) fn is_for(&self, caller: Whom<'_>) -> (Truth, Option<&'static str>) {
        let key = |cover| if let Cover::DependsOn(key) = cover { Some(key) } else { None };
        match &self.principal {
            Element::Missing => (Truth::False, None),
            Element::Is(principals) => {
                let cover = principals.cover(caller);
                (cover.truth(), key(cover))
            }
            Element::IsNot(principals) => {
                let cover = principals.cover(caller);
                let is_unsure = match cover {
                    // KMS may accept a name in a form that is not known here.
                    Cover::No => principals.has_unrecognised(),
                    Cover::Yes => self.effect != Effect::Allow && !principals.surely_exempt(caller),
                    Cover::DependsOn(_) => false,
                };
                if is_unsure {
                    return (Truth::Unknown, Some("aws:PrincipalArn"));
                }
                // AWS does not support `NotPrincipal` with `Allow`, so no principal is certainly allowed.
                let is_sure = if self.effect == Effect::Allow { Truth::Unknown } else { Truth::True };
                (cover.truth().not().and(is_sure), key(cover))
            }
            Element::Unreadable => (Truth::Unknown, None),
        }
    }

    /// How messages name the statement.
    pub(super) fn in_words(&self) -> String {
        match &self.sid {
            Some(sid) => format!("statement `{sid}` (index {})", self.index),
            None => format!("the statement at index {}", self.index),
        }
    }

    /// How answers name the statement.
    pub(super) fn because(&self) -> Because {
        let effect = match self.effect {
            Effect::Allow => BecauseEffect::Allow,
            Effect::Deny => BecauseEffect::Deny,
            Effect::Unreadable => BecauseEffect::Unreadable,
        };
        Because::Statement { sid: self.sid.clone(), index: self.index, effect }
    }
}

/// Whether a condition key follows from the account of the caller.
fn is_about_account(source: KeySource) -> bool {
    match source {
        KeySource::CallerAccount | KeySource::CallerArn => true,
        KeySource::CallerOrganization | KeySource::CallerPaths | KeySource::Request => false,
    }
}

impl<T> Element<T> {
    fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) | Self::IsNot(value) => Some(value),
            Self::Missing | Self::Unreadable => None,
        }
    }

    /// `NotAction: []` would mean everything, and AWS does not say how KMS reads it.
    fn never_empty(self, is_empty: impl FnOnce(&T) -> bool) -> Self {
        match self {
            Self::IsNot(value) if is_empty(&value) => Self::Unreadable,
            Self::Missing | Self::Is(_) | Self::IsNot(_) | Self::Unreadable => self,
        }
    }
}

/// What is easily overlooked in a condition of an `Allow`.
fn holds_without_key(condition: &Condition) -> Option<String> {
    let (operator, key) = (&condition.operator, &condition.key.name);
    condition.holds_without_key().then(|| format!("`{operator}` on `{key}` also lets in requests that lack the key"))
}

/// What AWS documents about `NotPrincipal` with this effect.
fn not_principal(effect: Effect, principal: &Element<Principals>) -> Option<&'static str> {
    match (effect, principal) {
        (Effect::Allow, Element::IsNot(_)) => {
            Some("`NotPrincipal` with `Allow` is not supported, so it is not certain whom the statement allows")
        }
        (Effect::Deny, Element::IsNot(_)) => Some(
            "a `Deny` with `NotPrincipal` exempts only users, roles and sessions that are listed together with their \
             account. The account alone exempts its root user only, and nobody with a permissions boundary is exempt",
        ),
        _ => None,
    }
}

/// KMS accepts statements without these elements, and they have no effect:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html>
fn missing(
    principal: &Element<Principals>,
    action: &Element<Vec<ActionPattern>>,
    resource: &Element<Vec<Template>>,
) -> Option<String> {
    let name = match (principal, action, resource) {
        (Element::Missing, _, _) => "Principal",
        (_, Element::Missing, _) => "Action",
        (_, _, Element::Missing) => "Resource",
        _ => return None,
    };
    Some(format!("the statement has no `{name}`, so it has no effect"))
}

fn strings(node: &Json) -> Option<Vec<&str>> {
    node.items().iter().map(Json::as_str).collect()
}

fn actions(node: &Json, notes: &mut Vec<String>) -> Result<Vec<ActionPattern>, String> {
    let texts = strings(node).ok_or("its action is not a string or a list of strings")?;
    Ok(texts.into_iter().map(|text| action(text, notes)).collect())
}

fn action(text: &str, notes: &mut Vec<String>) -> ActionPattern {
    if text.eq_ignore_ascii_case("kms:ReEncrypt") {
        notes.push(
            "`kms:ReEncrypt` is not an action: use `kms:ReEncryptFrom` and `kms:ReEncryptTo`, or `kms:ReEncrypt*`"
                .to_owned(),
        );
    }
    let everything = !text.is_empty() && text.bytes().all(|byte| byte == b'*');
    let prefix_is_plain = text.split_once(':').is_some_and(|(prefix, _)| !prefix.contains(['*', '?']));
    if everything || prefix_is_plain || !text.contains(['*', '?']) {
        return ActionPattern::Named(tokens(&text.to_ascii_lowercase()));
    }
    notes.push(format!("`{}` has a wildcard in the prefix of the service", clip(text)));
    ActionPattern::Unreadable
}

/// Reads the conditions. Where a name appears twice, AWS does not say which one counts, so the element is unreadable.
fn read_conditions(node: &Json, version: Version, notes: &mut Vec<String>) -> Result<Vec<Condition>, String> {
    let Json::Object(operators) = node else { return Err("its `Condition` is not an object".to_owned()) };
    let mut conditions = Vec::new();
    let mut seen_operators = BTreeSet::new();
    for (operator, keys) in operators {
        if !seen_operators.insert(operator.as_str()) {
            return Err(format!("`{}` appears twice in its `Condition`", clip(operator)));
        }
        let Json::Object(keys) = keys else {
            notes.push(format!(
                "the condition `{}` cannot be read, so it is not certain whether the statement applies",
                clip(operator)
            ));
            conditions.push(condition::unreadable(operator));
            continue;
        };
        let mut seen_keys = BTreeSet::new();
        for (key, values) in keys {
            if !seen_keys.insert(key.to_ascii_lowercase()) {
                return Err(format!("`{}` appears twice under `{}`", clip(key), clip(operator)));
            }
            let has_variable = || values.items().iter().filter_map(Json::as_scalar).any(|text| text.contains("${"));
            if version == Version::Unreadable && has_variable() {
                conditions.push(condition::unreadable(key));
            } else {
                conditions.push(condition::parse(operator, key, values, version == Version::WithVariables, notes));
            }
        }
    }
    Ok(conditions)
}
