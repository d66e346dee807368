//! Owns how a rule of an allowlist is read.

use std::collections::BTreeSet;

use time::Duration;

use super::{
    super::{Images, KeyCheck, Pattern, RequesterPattern, Rule, Targets, yaml::Node},
    directory::Names,
    fault::Part,
    reader::{Field, Fields, Reader},
    values::{action, duration, keys, parse},
};
use crate::{
    domain::ServiceLinkedRole,
    request::{Access, Action},
};

impl Reader {
    pub(super) fn rules(&mut self, field: Field<'_>, names: &Names) -> Vec<Rule> {
        let items = self.items("rules", field, true);
        if items.is_some_and(<[Node]>::is_empty) {
            self.fault(field.0, "rules", "an empty list; nothing would be allowed to anybody");
        }
        let mut rules = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, entry) in (1..).zip(items.unwrap_or_default()) {
            self.part = Part::Rule(entry.text_of("name").map_or_else(|| format!("#{number}"), str::to_owned));
            rules.extend(self.rule(entry, &mut seen, names));
            self.part = Part::Document;
        }
        rules
    }

    fn rule<'n>(&mut self, entry: &'n Node, seen: &mut BTreeSet<&'n str>, names: &Names) -> Option<Rule> {
        let mut fields = self.fields("", (entry.line, entry), &RULE_FIELDS)?;
        let name = self.unique_name(entry, &mut fields, seen);
        let requesters = self
            .required("requesters", &mut fields)
            .map(|field| self.list("requesters", field, false, RequesterPattern::parse));
        let actions = self.required("actions", &mut fields).map(|field| self.list("actions", field, false, action));
        let images = self.required("images", &mut fields).and_then(|field| self.images(field));
        let targets = self.targets_of_rule(&mut fields, actions.as_deref().unwrap_or_default(), names);
        let access = fields.take("access").and_then(|field| self.parsed("access", field, str::parse::<Access>));
        let (keys, service_linked_roles) = self.keys_and_roles(&mut fields);
        let max_duration =
            fields.take("maxDuration").map(|field| (field.0, self.parsed("maxDuration", field, duration)));
        let approvers =
            fields.take("approvers").map(|field| self.list("approvers", field, false, RequesterPattern::approver));
        let publish = fields.take("publish").and_then(|field| self.publish(field, images.as_ref()));
        let copies = fields.take("copies").and_then(|field| self.copies(field));
        let on_available = fields.take("onAvailable").filter(|field| self.boolean("onAvailable", *field));
        if let Some((line, _)) = on_available {
            let requesters = requesters.as_deref().unwrap_or_default();
            self.on_available(line, requesters, actions.as_deref().unwrap_or_default(), images.as_ref());
            self.terms_on_available(line, max_duration, approvers.is_some());
        }
        Some(Rule {
            name: name?,
            requesters: requesters?,
            actions: actions?,
            images: images?,
            targets,
            access: access.unwrap_or_default(),
            keys,
            service_linked_roles,
            max_duration: max_duration.and_then(|(_, longest)| longest),
            on_available: on_available.is_some(),
            publish,
            copies,
            approvers: approvers.unwrap_or_default(),
        })
    }

    /// The targets, which some actions need.
    fn targets_of_rule(&mut self, fields: &mut Fields<'_>, actions: &[Action], names: &Names) -> Targets {
        match fields.take("targets") {
            Some(field) => self.targets("targets", field, names),
            None => {
                if actions.iter().any(|action| action.takes_targets()) {
                    self.fault(fields.line, "targets", "missing; `share`, `revoke` and `check` need targets");
                }
                Targets::default()
            }
        }
    }

    /// How keys are checked, and the service-linked roles, which only a grant lets in.
    fn keys_and_roles(&mut self, fields: &mut Fields<'_>) -> (KeyCheck, Vec<ServiceLinkedRole>) {
        let keys = fields.take("keys").and_then(|field| self.parsed("keys", field, keys)).unwrap_or_default();
        let Some(field) = fields.take("serviceLinkedRoles") else { return (keys, Vec::new()) };
        let roles = self.list("serviceLinkedRoles", field, true, parse::<ServiceLinkedRole>);
        if !roles.is_empty() && keys != KeyCheck::Grant {
            let message = "needs `keys: grant`; only a grant lets such a role use the key";
            self.fault(field.0, "serviceLinkedRoles", message);
        }
        (keys, roles)
    }

    fn unique_name<'n>(
        &mut self,
        entry: &'n Node,
        fields: &mut Fields<'n>,
        seen: &mut BTreeSet<&'n str>,
    ) -> Option<String> {
        self.required("name", fields).and_then(|field| {
            let name =
                self.checked("name", field, is_rule_name, "is not a rule's name: 1 to 128 printable characters")?;
            if !entry.text_of("name").is_some_and(|name| seen.insert(name)) {
                self.fault(field.0, "name", "another rule has this name");
            }
            Some(name)
        })
    }

    /// Checks a rule with `onAvailable`, which shares images without a request.
    fn on_available(
        &mut self,
        line: usize,
        requesters: &[RequesterPattern],
        actions: &[Action],
        images: Option<&Images>,
    ) {
        let is_automation = |pattern: &RequesterPattern| {
            pattern.as_str().starts_with("events:") && pattern.as_str().ends_with(":aws.ec2")
        };
        if !actions.contains(&Action::Share) {
            self.fault(line, "onAvailable", "needs `share` among the actions");
        }
        if !requesters.iter().any(is_automation) {
            self.fault(line, "onAvailable", "needs the requester `events:<this account>:aws.ec2`");
        }
        match images {
            Some(Images::All) => {
                self.fault(
                    line,
                    "onAvailable",
                    "can't be combined with `images: all`; every new image would be shared",
                );
            }
            Some(Images::Matching { names, tags, criteria }) => {
                let is_chosen = !names.is_empty() || !tags.is_empty() || !criteria.watermarks.is_empty();
                if match_every_name(names) {
                    self.fault(line, "onAvailable", "can't be combined with `names` that match every image's name");
                } else if !is_chosen && !criteria.is_empty() {
                    self.fault(
                        line,
                        "onAvailable",
                        "needs `names`, `tags` or `watermarks`; every new image would be shared",
                    );
                }
                if criteria.max_severity.is_some() || criteria.scanned_within.is_some() {
                    self.fault(
                        line,
                        "onAvailable",
                        "can't be combined with `maxSeverity` or `scannedWithin`: a new image is not scanned yet",
                    );
                }
            }
            None => {}
        }
    }

    /// Checks the terms of a rule with `onAvailable`: its `maxDuration`, with its line, and whether it has `approvers`.
    fn terms_on_available(
        &mut self,
        line: usize,
        max_duration: Option<(usize, Option<Duration>)>,
        has_approvers: bool,
    ) {
        if has_approvers {
            let message = "can't be combined with `approvers`: no request is sent for these shares";
            self.fault(line, "onAvailable", message);
        }
        if let Some((line, Some(longest))) = max_duration
            && longest < SHORTEST_BY_ITSELF
        {
            self.fault(line, "maxDuration", "must be at least `30m` with `onAvailable`: EC2's event may be late");
        }
    }
}

const RULE_FIELDS: [&str; 13] = [
    "name",
    "requesters",
    "actions",
    "images",
    "targets",
    "access",
    "keys",
    "serviceLinkedRoles",
    "maxDuration",
    "onAvailable",
    "publish",
    "copies",
    "approvers",
];

/// EC2's event may be minutes late. A shorter share might be over before it begins.
const SHORTEST_BY_ITSELF: Duration = Duration::minutes(30);

/// Whether every possible name of an image matches one of these patterns.
///
/// Names have 3 to 128 characters: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>
fn match_every_name(names: &[Pattern]) -> bool {
    let wild: Vec<_> = names.iter().filter(|pattern| pattern.is_only_wildcards()).collect();
    (3..=128).all(|length| wild.iter().any(|pattern| pattern.matches(&"x".repeat(length))))
}

fn is_rule_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 128 && !text.chars().any(char::is_control)
}
