//! Owns one condition of a statement: how it is read, and whether it holds.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    context::{ConditionKey, ContextFact, ContextValue, Form, KeySource, UnknownKeys},
    operand::{Flag, Number, Range, is_base64, parse_bool, parse_date},
    pattern::{compare_arn_form, compare_form, matches, matches_arn},
    remark::clip,
    template::{FromVariables, Resolved, Template},
    truth::Truth,
};
use crate::json::Json;

/// One key under one operator.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// As the policy writes it, for messages.
    pub operator: String,
    pub key: ConditionKey,
    /// As the policy writes them, for messages.
    pub shown: String,
    set: SetOperator,
    if_exists: bool,
    negated: bool,
    test: Test,
}

/// How a key with several values is tested.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetOperator {
    None,
    ForAllValues,
    ForAnyValue,
}

/// What a value of the request is compared with; several values of the policy are alternatives.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
#[derive(Debug, Clone)]
enum Test {
    Equal(Vec<Template>),
    EqualIgnoringCase(Vec<Template>),
    Like(Vec<Template>),
    Arn(Vec<Template>),
    Number(fn(Ordering) -> bool, Vec<Number>),
    Date(fn(Ordering) -> bool, Vec<time::OffsetDateTime>),
    Bool(Vec<Flag>),
    Binary(Vec<String>),
    Address(Vec<Range>),
    /// Whether the key is absent.
    Null(Vec<Flag>),
    /// It is not known how KMS reads it.
    Unreadable,
}

/// Reads the values of one key under one operator. This never fails: a condition that cannot be read is unknown, and a
/// remark says so.
pub(super) fn parse(operator: &str, key: &str, values: &Json, variables: bool, remarks: &mut Vec<String>) -> Condition {
    let (set, name) = match operator.split_once(':') {
        Some(("ForAllValues", name)) => (SetOperator::ForAllValues, name),
        Some(("ForAnyValue", name)) => (SetOperator::ForAnyValue, name),
        // With an unknown set operator, the whole operator is unknown.
        Some(_) | None => (SetOperator::None, operator),
    };
    let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
    let scalars: Option<Vec<Cow<'_, str>>> = values.items().iter().map(Json::as_scalar).collect();
    let test = scalars
        .filter(|scalars| !scalars.is_empty())
        .and_then(|scalars| read_test(name, &scalars, variables))
        // `Null` asks for the key itself: with `IfExists` or a set operator it has no meaning.
        .filter(|(_, test)| !matches!(test, Test::Null(_)) || (!if_exists && set == SetOperator::None));
    let key = ConditionKey::new(key);
    if test.is_none() {
        remarks.push(format!(
            "the condition `{}` on `{}` cannot be read, so it is not certain whether the statement applies",
            clip(operator),
            clip(&key.name)
        ));
    }
    let (negated, test) = test.unwrap_or((false, Test::Unreadable));
    let shown =
        values.items().iter().take(3).map(|value| value.as_scalar().map_or("…".to_owned(), |text| clip(&text)));
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if values.items().len() > 3 {
        shown.push_str(", …");
    }
    Condition { operator: clip(operator), key, shown, set, if_exists, negated, test }
}

/// A condition of which only the operator could be read.
pub(super) fn unreadable(operator: &str) -> Condition {
    let operator = clip(operator);
    let (set, key) = (SetOperator::None, ConditionKey::new(&operator));
    Condition { operator, key, shown: String::new(), set, if_exists: false, negated: false, test: Test::Unreadable }
}

fn read_test(name: &str, scalars: &[Cow<'_, str>], variables: bool) -> Option<(bool, Test)> {
    let templates = || scalars.iter().map(|text| Template::new(text, variables)).collect::<Vec<_>>();
    let numbers = || scalars.iter().map(|text| Number::parse(text)).collect::<Option<Vec<_>>>();
    let dates = || scalars.iter().map(|text| parse_date(text)).collect::<Option<Vec<_>>>();
    let flags = || scalars.iter().map(|text| Flag::parse(text)).collect::<Option<Vec<_>>>();
    let ranges = || scalars.iter().map(|text| Range::parse(text)).collect::<Option<Vec<_>>>();
    Some(match name {
        "StringEquals" => (false, Test::Equal(templates())),
        "StringNotEquals" => (true, Test::Equal(templates())),
        "StringEqualsIgnoreCase" => (false, Test::EqualIgnoringCase(templates())),
        "StringNotEqualsIgnoreCase" => (true, Test::EqualIgnoringCase(templates())),
        "StringLike" => (false, Test::Like(templates())),
        "StringNotLike" => (true, Test::Like(templates())),
        "ArnEquals" | "ArnLike" => (false, Test::Arn(templates())),
        "ArnNotEquals" | "ArnNotLike" => (true, Test::Arn(templates())),
        "NumericEquals" => (false, Test::Number(Ordering::is_eq, numbers()?)),
        "NumericNotEquals" => (true, Test::Number(Ordering::is_eq, numbers()?)),
        "NumericLessThan" => (false, Test::Number(Ordering::is_lt, numbers()?)),
        "NumericLessThanEquals" => (false, Test::Number(Ordering::is_le, numbers()?)),
        "NumericGreaterThan" => (false, Test::Number(Ordering::is_gt, numbers()?)),
        "NumericGreaterThanEquals" => (false, Test::Number(Ordering::is_ge, numbers()?)),
        "DateEquals" => (false, Test::Date(Ordering::is_eq, dates()?)),
        "DateNotEquals" => (true, Test::Date(Ordering::is_eq, dates()?)),
        "DateLessThan" => (false, Test::Date(Ordering::is_lt, dates()?)),
        "DateLessThanEquals" => (false, Test::Date(Ordering::is_le, dates()?)),
        "DateGreaterThan" => (false, Test::Date(Ordering::is_gt, dates()?)),
        "DateGreaterThanEquals" => (false, Test::Date(Ordering::is_ge, dates()?)),
        "Bool" => (false, Test::Bool(flags()?)),
        "Null" => (false, Test::Null(flags()?)),
        "IpAddress" => (false, Test::Address(ranges()?)),
        "NotIpAddress" => (true, Test::Address(ranges()?)),
        "BinaryEquals" => {
            let all = scalars.iter().all(|text| is_base64(text));
            (false, Test::Binary(all.then(|| scalars.iter().map(ToString::to_string).collect())?))
        }
        _ => return None,
    })
}

impl Condition {
    /// Whether the condition holds for requests without the key.
    pub(super) fn holds_without_key(&self) -> bool {
        self.set == SetOperator::ForAllValues && !self.if_exists
    }

    /// Whether its key, or a variable in its values, is of such a source.
    pub(super) fn reads(&self, is_such: fn(KeySource) -> bool) -> bool {
        let templates = match &self.test {
            Test::Equal(templates)
            | Test::EqualIgnoringCase(templates)
            | Test::Like(templates)
            | Test::Arn(templates) => templates.as_slice(),
            Test::Number(..)
            | Test::Date(..)
            | Test::Bool(_)
            | Test::Binary(_)
            | Test::Address(_)
            | Test::Null(_)
            | Test::Unreadable => &[],
        };
        is_such(self.key.source) || templates.iter().any(|template| template.reads(is_such))
    }

    /// The values that have no variables.
    pub(super) fn plain_values(&self) -> impl Iterator<Item = &str> {
        let templates =
            if let Test::Equal(templates) | Test::Like(templates) = &self.test { templates.as_slice() } else { &[] };
        templates.iter().filter_map(|template| match template {
            Template::Plain { text, .. } => Some(text.as_str()),
            Template::Variables(_) | Template::Unreadable => None,
        })
    }

    /// Whether the condition holds. The condition keys that the answer depends on are added to `unknown`.
    pub(super) fn holds<'p, 'f>(
        &'p self,
        fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
        unknown: &mut UnknownKeys<'p>,
    ) -> Truth {
        let before = unknown.len();
        let truth = self.judge(fact, unknown);
        if truth != Truth::Unknown {
            unknown.truncate(before);
        } else if unknown.len() == before {
            unknown.push(self.key.name.as_str().into());
        }
        truth
    }

    fn judge<'p, 'f>(
        &'p self,
        fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
        unknown: &mut UnknownKeys<'p>,
    ) -> Truth {
        if matches!(self.test, Test::Unreadable) {
            return Truth::Unknown;
        }
        let values = match fact(&self.key) {
            ContextFact::Unknown => return Truth::Unknown,
            ContextFact::Absent => return self.without_key(),
            ContextFact::Present(values) => values,
        };
        if let Test::Null(wanted) = &self.test {
            // Whether an empty set counts as there is not documented.
            return if values.is_empty() { Truth::Unknown } else { any_flag(wanted, false) };
        }
        // For a set operator an empty text is "a null dataset": ForAllValues returns true, ForAnyValue returns false.
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
        let no_values = matches!(values.as_slice(), [ContextValue::Exactly(text)] if text.is_empty());
        if no_values && self.set != SetOperator::None {
            return (self.set == SetOperator::ForAllValues).into();
        }
        let mut each = values.iter().map(|value| (value, self.value_passes(value, fact, unknown)));
        match self.set {
            SetOperator::ForAllValues => each.fold(Truth::True, |so_far, (value, passes)| {
                so_far.and(if value.is_sure_to_be() { passes } else { passes.or(Truth::Unknown) })
            }),
            SetOperator::ForAnyValue => each.fold(Truth::False, |so_far, (value, passes)| {
                so_far.or(if value.is_sure_to_be() { passes } else { passes.and(Truth::Unknown) })
            }),
            SetOperator::None => match (each.next(), each.next()) {
                (Some((_, only)), None) if !self.key.is_multivalued() => only,
                // IAM requires a set operator here and does not say what happens without one.
                _ => Truth::Unknown,
            },
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_IfExists>
    fn without_key(&self) -> Truth {
        if let Test::Null(wanted) = &self.test {
            return any_flag(wanted, true);
        }
        match (self.set, self.if_exists) {
            (SetOperator::ForAllValues, _) | (SetOperator::None, true) => Truth::True,
            // `ForAnyValue` gives false and `IfExists` gives true; AWS does not say which one prevails.
            (SetOperator::ForAnyValue, true) => Truth::Unknown,
            (SetOperator::ForAnyValue, false) => Truth::False,
            (SetOperator::None, false) => self.negated.into(),
        }
    }

    fn value_passes<'p, 'f>(
        &'p self,
        value: &ContextValue,
        fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
        unknown: &mut UnknownKeys<'p>,
    ) -> Truth {
        let matched = match value {
            ContextValue::Exactly(text) => self.matches_text(text, fact, unknown),
            ContextValue::OneOf(forms) | ContextValue::Perhaps(forms) => {
                Truth::agreed(forms.iter().map(|form| self.matches_form(form, fact, unknown)))
            }
            ContextValue::TwoForms { usual, other } => {
                self.matches_form(usual, fact, unknown).or(self.matches_form(other, fact, unknown).and(Truth::Unknown))
            }
        };
        if self.negated { matched.not() } else { matched }
    }

    fn matches_text<'p, 'f>(
        &'p self,
        text: &str,
        fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
        unknown: &mut UnknownKeys<'p>,
    ) -> Truth {
        match &self.test {
            Test::Equal(templates) => any_template(templates, fact, unknown, |value| (value.text == text).into()),
            Test::EqualIgnoringCase(templates) => {
                any_template(templates, fact, unknown, |value| same_ignoring_case(&value.text, text).into())
            }
            Test::Like(templates) => any_template(templates, fact, unknown, |value| {
                if value.from_variables.wildcard { Truth::Unknown } else { matches(&value.pattern, text).into() }
            }),
            Test::Arn(templates) => any_template(templates, fact, unknown, |value| {
                let FromVariables { wildcard, colon } = value.from_variables;
                let matched = matches_arn(&value.pattern, text).filter(|_| !wildcard && !colon);
                matched.map_or(Truth::Unknown, Truth::from)
            }),
            Test::Number(compare, numbers) => Number::parse(text).map_or(Truth::Unknown, |value| {
                any(numbers
                    .iter()
                    .map(|number| value.compare(*number).map_or(Truth::Unknown, |order| compare(order).into())))
            }),
            Test::Date(compare, dates) => parse_date(text)
                .map_or(Truth::Unknown, |value| dates.iter().any(|date| compare(value.cmp(date))).into()),
            Test::Bool(wanted) => parse_bool(text).map_or(Truth::Unknown, |value| any_flag(wanted, value)),
            Test::Binary(wanted) => {
                if is_base64(text) {
                    wanted.iter().any(|wanted| wanted == text).into()
                } else {
                    Truth::Unknown
                }
            }
            Test::Address(ranges) => {
                text.parse().map_or(Truth::Unknown, |address| ranges.iter().any(|range| range.contains(address)).into())
            }
            Test::Null(_) | Test::Unreadable => Truth::Unknown,
        }
    }

    /// The same for a value of which only the form is known.
    fn matches_form<'p, 'f>(
        &'p self,
        form: &Form,
        fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
        unknown: &mut UnknownKeys<'p>,
    ) -> Truth {
        match &self.test {
            Test::Equal(templates) => any_template(templates, fact, unknown, |value| form.may_be(&value.text)),
            Test::Like(templates) => any_template(templates, fact, unknown, |value| {
                if value.from_variables.wildcard { Truth::Unknown } else { compare_form(&value.pattern, &form.0) }
            }),
            Test::Arn(templates) => any_template(templates, fact, unknown, |value| {
                let FromVariables { wildcard, colon } = value.from_variables;
                if wildcard || colon { Truth::Unknown } else { compare_arn_form(&value.pattern, &form.0) }
            }),
            Test::EqualIgnoringCase(_)
            | Test::Number(..)
            | Test::Date(..)
            | Test::Bool(_)
            | Test::Binary(_)
            | Test::Address(_)
            | Test::Null(_)
            | Test::Unreadable => Truth::Unknown,
        }
    }
}

/// Whether any of the policy's values matches.
fn any_template<'p, 'f>(
    templates: &'p [Template],
    fact: &impl Fn(&ConditionKey) -> &'f ContextFact,
    unknown: &mut UnknownKeys<'p>,
    matches: impl Fn(&Resolved<'p>) -> Truth,
) -> Truth {
    any(templates.iter().map(|template| match template.resolve(fact) {
        Ok(value) => matches(&value),
        Err(unresolved) => unresolved.matched(unknown),
    }))
}

fn any_flag(wanted: &[Flag], value: bool) -> Truth {
    any(wanted.iter().map(|flag| flag.equals(value)))
}

fn any(truths: impl IntoIterator<Item = Truth>) -> Truth {
    truths.into_iter().fold(Truth::False, Truth::or)
}

fn same_ignoring_case(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::ContextFact;

    const VALUES: [&str; 3] = ["a", "b", "c"];

    /// Every subset of the values.
    fn subsets() -> impl Iterator<Item = Vec<&'static str>> {
        (0..1 << VALUES.len()).map(|bits| {
            VALUES.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0).map(|(_, value)| *value).collect()
        })
    }

    /// Whether a condition holds, as AWS's tables say. `None` where AWS does not say it: `ForAnyValue` with `IfExists`
    /// without the key, and several values or a key for several values without a set operator.
    ///
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html>
    fn by_the_book(
        (set, is_negated, if_exists): (&str, bool, bool),
        wanted: &[&str],
        given: Option<&[&str]>,
    ) -> Option<bool> {
        let passes = |value: &&str| wanted.contains(value) != is_negated;
        match (set, given) {
            ("ForAllValues:", None) => Some(true),
            ("ForAllValues:", Some(given)) => Some(given.iter().all(passes)),
            ("ForAnyValue:", None) => (!if_exists).then_some(false),
            ("ForAnyValue:", Some(given)) => Some(given.iter().any(passes)),
            (_, None) => Some(if_exists || is_negated),
            (_, Some([only])) => Some(passes(only)),
            (_, Some(_)) => None,
        }
    }

    #[test]
    fn every_set_operator_negation_and_absence_means_what_awss_tables_say() {
        let mut compared = 0;
        for set in ["", "ForAllValues:", "ForAnyValue:"] {
            for (operator, is_negated) in
                [("StringEquals", false), ("StringLike", false), ("StringNotEquals", true), ("StringNotLike", true)]
            {
                for (suffix, if_exists) in [("", false), ("IfExists", true)] {
                    let operator = format!("{set}{operator}{suffix}");
                    for wanted in subsets().filter(|wanted| !wanted.is_empty()) {
                        let json = Json::parse(&format!("{wanted:?}")).unwrap();
                        let condition = parse(&operator, "aws:RequestTag/x", &json, false, &mut Vec::new());
                        for given in std::iter::once(None).chain(subsets().map(Some)) {
                            let fact = given.as_ref().map_or(ContextFact::Absent, |given| {
                                ContextFact::Present(
                                    given.iter().map(|value| ContextValue::Exactly((*value).to_owned())).collect(),
                                )
                            });
                            let holds = condition.holds(&|_: &ConditionKey| &fact, &mut UnknownKeys::default());
                            let book = by_the_book((set, is_negated, if_exists), &wanted, given.as_deref());
                            let expect = book.map_or(Truth::Unknown, Truth::from);
                            assert_eq!(holds, expect, "{operator} {wanted:?} {given:?}");
                            compared += 1;
                        }
                        let unknown =
                            condition.holds(&|_: &ConditionKey| &ContextFact::Unknown, &mut UnknownKeys::default());
                        assert_eq!(unknown, Truth::Unknown, "{operator} {wanted:?} of what is not known");
                    }
                }
            }
        }
        assert_eq!(compared, 3 * 4 * 2 * 7 * 9);
    }
}
