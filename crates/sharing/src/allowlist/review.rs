//! Owns [`Allowlist::warnings`]: what is valid in an allowlist but probably not intended.

use std::collections::BTreeMap;

use super::{Allowlist, ImageCriteria, Images, Pattern, Rule};
use crate::request::Action;

impl Allowlist {
    /// Warnings about rules that can never decide, and about requester patterns that match every requester of their
    /// kind.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let open = rule.requesters.iter().filter(|pattern| pattern.is_open());
            warnings.extend(open.map(|pattern| {
                format!("rule `{}`: the last part of the requester `{}` is only wildcards", rule.name, pattern.as_str())
            }));
            warnings.extend(rule.idle_criteria());
            warnings.extend(rule.idle_publish());
            warnings.extend(rule.idle_copies());
            warnings.extend(rule.idle_approvers());
            if let Some(earlier) = self.rules.iter().take(index).find(|earlier| earlier.covers(rule)) {
                warnings.push(format!(
                    "rule `{}` can never decide: rule `{}` before it covers everything that it covers",
                    rule.name, earlier.name
                ));
            }
        }
        warnings
    }
}

impl Rule {
    /// Warns about criteria that apply only when access is given, in a rule that never gives access.
    fn idle_criteria(&self) -> Option<String> {
        let gives = self.actions.iter().copied().any(Action::is_about_sharing);
        let criteria = self.images.criteria().filter(|criteria| !criteria.is_empty() && !gives)?;
        let fields = criteria.fields().join("`, `");
        Some(format!("rule `{}`: `{fields}` apply only to `share` and `check`, and the rule allows neither", self.name))
    }

    /// A parameter to publish to, in a rule that shares nothing.
    fn idle_publish(&self) -> Option<String> {
        let is_idle = self.publish.is_some() && !self.actions.contains(&Action::Share);
        is_idle
            .then(|| format!("rule `{}`: `publish` applies only to `share`, which the rule does not allow", self.name))
    }

    /// Copies in a rule that allows neither `share` nor `check`.
    fn idle_copies(&self) -> Option<String> {
        let is_idle = self.copies.is_some() && !self.actions.iter().copied().any(Action::is_about_sharing);
        is_idle.then(|| {
            format!("rule `{}`: `copies` apply only to `share` and `check`, and the rule allows neither", self.name)
        })
    }

    /// Approvers of shares that the rule does not allow.
    fn idle_approvers(&self) -> Option<String> {
        let is_idle = !self.approvers.is_empty() && !self.actions.contains(&Action::Share);
        is_idle
            .then(|| format!("rule `{}`: `approvers` apply only to `share`, which the rule does not allow", self.name))
    }

    /// Whether this rule certainly covers every request that the other rule covers.
    fn covers(&self, other: &Self) -> bool {
        let requesters =
            other.requesters.iter().all(|requester| self.requesters.iter().any(|pattern| pattern.covers(requester)));
        let duration = match (self.max_duration, other.max_duration) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(longest), Some(other)) => other <= longest,
        };
        // The targets of a rule don't matter for an action without targets.
        let takes_targets = other.actions.iter().any(|action| action.takes_targets());
        requesters
            && other.actions.iter().all(|action| self.actions.contains(action))
            && self.images.cover(&other.images, other.actions.iter().copied().any(Action::is_about_sharing))
            && (!takes_targets || other.targets.iter().all(|target| self.targets.contains(target)))
            && other.access <= self.access
            && other.service_linked_roles.iter().all(|role| self.service_linked_roles.contains(role))
            && (duration || !other.actions.iter().copied().any(Action::is_about_sharing))
            && other.copies.iter().flat_map(|copies| &copies.from).all(|region| self.copies_from(region))
            && (self.on_available || !other.on_available)
    }
}

impl Images {
    fn criteria(&self) -> Option<&ImageCriteria> {
        match self {
            Self::All => None,
            Self::Matching { criteria, .. } => Some(criteria),
        }
    }

    /// Whether these images certainly include all the others. The criteria that apply when access is given are compared
    /// only for actions that give access.
    fn cover(&self, others: &Self, gives: bool) -> bool {
        let Self::Matching { names, tags, criteria } = self else { return true };
        let none = ImageCriteria::default();
        if gives && !criteria.cover(others.criteria().unwrap_or(&none)) {
            return false;
        }
        let everything = (Vec::new(), BTreeMap::new());
        let (other_names, other_tags) = match others {
            Self::All => (&everything.0, &everything.1),
            Self::Matching { names, tags, .. } => (names, tags),
        };
        let named = names.is_empty() || (!other_names.is_empty() && cover(names, other_names));
        let tagged = tags
            .iter()
            .all(|(key, values)| other_tags.get(key).is_some_and(|other_values| cover(values, other_values)));
        named && tagged
    }
}

fn cover(patterns: &[Pattern], others: &[Pattern]) -> bool {
    others.iter().all(|other| patterns.iter().any(|pattern| pattern.covers(other)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// The warnings of a document with these rules, each of which lacks what is the same for all.
    fn warnings(rules: &[serde_json::Value]) -> Vec<String> {
        let rules: Vec<_> = rules
            .iter()
            .enumerate()
            .map(|(number, change)| {
                let mut rule = json!({"name": format!("r{number}"), "requesters": ["arn:aws:iam::999988887777:role/portal"],
                    "actions": ["share", "revoke"], "images": {"names": ["golden-*"]}, "targets": ["111122223333", "444455556666"]});
                for (field, value) in change.as_object().unwrap() {
                    rule[field] = value.clone();
                }
                rule
            })
            .collect();
        Allowlist::parse(&json!({"version": 1, "rules": rules}).to_string()).unwrap().warnings()
    }

    #[track_caller]
    fn check(earlier: serde_json::Value, later: serde_json::Value, can_decide: bool) {
        let warnings = warnings(&[earlier, later]);
        let never = warnings.iter().any(|warning| warning.starts_with("rule `r1` can never decide: rule `r0`"));
        assert_eq!(never, !can_decide, "{warnings:?}");
    }

    #[test]
    fn a_rule_never_decides_whose_every_criterion_an_earlier_one_covers() {
        check(json!({}), json!({}), false);
        check(json!({}), json!({"images": {"names": ["golden-web-*"], "tags": {"Tier": ["gold"]}}}), false);
        check(json!({}), json!({"actions": ["revoke"], "targets": ["444455556666"]}), false);
        check(json!({"images": "all"}), json!({"images": {"tags": {"Tier": ["gold"]}}}), false);
        check(json!({"access": "copy", "keys": "unchecked"}), json!({"maxDuration": "1d"}), false);
        check(json!({"requesters": ["arn:aws:iam::999988887777:role/port*"]}), json!({}), false);
        check(json!({"maxDuration": "2d"}), json!({"maxDuration": "1d"}), false);
        check(json!({"actions": ["list"]}), json!({"actions": ["list"], "maxDuration": "1d"}), false);
    }

    #[test]
    fn a_rule_may_decide_that_goes_further_in_any_criterion() {
        check(json!({}), json!({"requesters": ["arn:aws:iam::999988887777:role/portal", "lambda:invoke"]}), true);
        check(json!({}), json!({"requesters": ["arn:aws:iam::999988887777:role/*"]}), true);
        check(json!({}), json!({"actions": ["share", "check"]}), true);
        check(json!({}), json!({"images": "all"}), true);
        check(json!({}), json!({"images": {"names": ["*-golden"]}}), true);
        check(json!({}), json!({"images": {"tags": {"Tier": ["gold"]}}}), true);
        check(json!({"images": {"tags": {"Tier": ["gold"]}}}), json!({}), true);
        check(
            json!({"images": {"tags": {"Tier": ["gold"]}}}),
            json!({"images": {"tags": {"Tier": ["gold", "silver"]}}}),
            true,
        );
        check(json!({}), json!({"targets": ["777788889999"]}), true);
        check(json!({}), json!({"access": "copy"}), true);
        check(json!({"keys": "grant"}), json!({"keys": "grant", "serviceLinkedRoles": ["spot"]}), true);
        check(json!({"maxDuration": "1d"}), json!({"maxDuration": "2d"}), true);
        check(json!({"maxDuration": "1d"}), json!({}), true);
        let copies = |from: &[&str]| json!({"copies": {"from": from, "key": KEY}});
        check(json!({}), copies(&["eu-west-1"]), true);
        check(copies(&["eu-west-1"]), copies(&["eu-west-1", "eu-west-2"]), true);
        check(copies(&["eu-west-1", "eu-west-2"]), copies(&["eu-west-2"]), false);
        check(copies(&["eu-west-1"]), json!({}), false);
        let by_itself = json!({"requesters": ["events:999988887777:aws.ec2"], "onAvailable": true});
        check(json!({"requesters": ["events:999988887777:aws.ec2"]}), by_itself, true);
    }

    #[test]
    fn criteria_of_provenance_leave_a_later_rule_something_only_where_access_is_given() {
        let with = |criteria: serde_json::Value| json!({"images": criteria});
        let gold = |mut criteria: serde_json::Value| {
            criteria["names"] = json!(["golden-*"]);
            with(criteria)
        };
        let marked = gold(json!({"watermarks": ["999988887777:approved", "999988887777:tested"]}));
        check(marked.clone(), json!({}), true);
        check(json!({}), marked.clone(), false);
        check(marked.clone(), gold(json!({"watermarks": ["999988887777:tested"]})), false);
        check(gold(json!({"watermarks": ["999988887777:tested"]})), marked.clone(), true);
        check(gold(json!({"maxSeverity": "medium"})), gold(json!({"maxSeverity": "low", "maxAge": "1d"})), false);
        check(gold(json!({"maxSeverity": "medium"})), gold(json!({"maxSeverity": "high"})), true);
        check(gold(json!({"scannedWithin": "2d"})), gold(json!({"scannedWithin": "1d"})), false);
        check(gold(json!({"scannedWithin": "2d"})), gold(json!({"maxSeverity": "low"})), true);
        check(gold(json!({"maxAge": "1d"})), gold(json!({"maxAge": "2d"})), true);
        // Access is taken away by names and tags alone.
        let mut revoker = json!({"actions": ["revoke"]});
        check(marked, revoker.clone(), false);
        revoker["images"] = json!("all");
        check(with(json!({"maxAge": "1d"})), revoker, false);
        check(with(json!({"maxAge": "1d"})), with(json!("all")), true);
    }

    #[test]
    fn criteria_in_a_rule_that_gives_no_access_are_noticed() {
        let images = json!({"names": ["a"], "watermarks": ["999988887777:approved"], "maxAge": "1d"});
        for (actions, is_idle) in
            [(json!(["list", "revoke"]), true), (json!(["revoke", "check"]), false), (json!(["share"]), false)]
        {
            let warnings = warnings(&[json!({"images": images, "actions": actions})]);
            assert_eq!(warnings.len(), usize::from(is_idle), "{warnings:?}");
            assert!(
                warnings.iter().all(|warning| warning.contains("`watermarks`, `maxAge` apply only")),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn a_parameter_in_a_rule_that_shares_nothing_is_noticed() {
        for (actions, is_idle) in [(json!(["list", "revoke", "check"]), true), (json!(["revoke", "share"]), false)] {
            let warnings = warnings(&[json!({"publish": {"parameter": "/golden/latest"}, "actions": actions})]);
            assert_eq!(warnings.len(), usize::from(is_idle), "{warnings:?}");
            assert!(
                warnings.iter().all(|warning| warning.contains("`publish` applies only to `share`")),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn copies_of_a_rule_that_gives_no_access_are_noticed() {
        let copies = json!({"from": ["eu-west-1"], "key": KEY});
        for (actions, is_idle) in [(json!(["list", "revoke"]), true), (json!(["check"]), false)] {
            let warnings = warnings(&[json!({"copies": copies, "actions": actions})]);
            assert_eq!(warnings.len(), usize::from(is_idle), "{warnings:?}");
        }
    }

    #[test]
    fn approvers_of_a_rule_that_shares_nothing_are_noticed() {
        for (actions, is_idle) in [(json!(["list", "check"]), true), (json!(["share"]), false)] {
            let warnings = warnings(&[json!({"approvers": ["jwt:https://issuer.example/#ada"], "actions": actions})]);
            assert_eq!(warnings.len(), usize::from(is_idle), "{warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains("`approvers` apply only")), "{warnings:?}");
        }
        assert_eq!(warnings(&[json!({"actions": ["list"]})]), [""; 0]);
    }

    #[test]
    fn a_requester_that_is_everybody_of_its_kind_is_noticed() {
        for (requester, is_open) in [
            ("arn:aws:iam::999988887777:role/*", true),
            ("events:999988887777:*", true),
            ("jwt:https://issuer.example/#??*", true),
            ("arn:aws:iam::999988887777:role/portal-*", false),
            ("lambda:invoke", false),
        ] {
            let warnings = warnings(&[json!({"requesters": [requester]})]);
            assert_eq!(warnings.len(), usize::from(is_open), "{warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains(requester) && warning.contains("only wildcards")));
        }
    }
}
