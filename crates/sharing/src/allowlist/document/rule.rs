//! Owns how a rule of an allowlist is read.

use std::collections::BTreeSet;

use time::Duration;

use super::{
    super::{Images, KeyCheck, Pattern, RequesterPattern, Rule, yaml::Node},
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
        let given_targets = fields.take("targets");
        let targets = given_targets.map(|field| self.targets("targets", field, names)).unwrap_or_default();
        let access = fields.take("access").and_then(|field| self.parsed("access", field, str::parse::<Access>));
        let keys = fields.take("keys").and_then(|field| self.parsed("keys", field, keys));
        let given_roles = fields.take("serviceLinkedRoles");
        let service_linked_roles = given_roles
            .map(|field| self.list("serviceLinkedRoles", field, true, parse::<ServiceLinkedRole>))
            .unwrap_or_default();
        let given_duration = fields.take("maxDuration");
        let max_duration = given_duration.and_then(|field| self.parsed("maxDuration", field, duration));
        let given_on_available = fields.take("onAvailable");
        let on_available = given_on_available.is_some_and(|field| self.boolean("onAvailable", field));
        let publish = fields.take("publish").and_then(|field| self.publish(field, images.as_ref()));
        let copies = fields.take("copies").and_then(|field| self.copies(field));
        let given_approvers = fields.take("approvers");
        let approvers = given_approvers
            .map(|field| self.list("approvers", field, false, RequesterPattern::approver))
            .unwrap_or_default();

        if given_targets.is_none() && actions.iter().flatten().any(|action| action.takes_targets()) {
            self.fault(fields.line, "targets", "missing; `share`, `revoke` and `check` are about targets");
        }
        if let (Some((line, _)), false) = (given_roles, service_linked_roles.is_empty())
            && keys != Some(KeyCheck::Grant)
        {
            self.fault(line, "serviceLinkedRoles", "needs `keys: grant`; a role is let in by a grant");
        }
        if let (Some((line, _)), true) = (given_on_available, on_available) {
            if given_approvers.is_some() {
                self.fault(line, "onAvailable", "not together with `approvers`: nobody asks for these shares");
            }
            let requesters = requesters.as_deref().unwrap_or_default();
            self.on_available(line, requesters, actions.as_deref().unwrap_or_default(), images.as_ref());
            if let (Some((line, _)), true) =
                (given_duration, max_duration.is_some_and(|longest| longest < SHORTEST_BY_ITSELF))
            {
                self.fault(line, "maxDuration", "with `onAvailable` at least `30m`: EC2's event may be late");
            }
        }
        Some(Rule {
            name: name?,
            requesters: requesters?,
            actions: actions?,
            images: images?,
            targets,
            access: access.unwrap_or_default(),
            keys: keys.unwrap_or_default(),
            service_linked_roles,
            max_duration,
            on_available,
            publish,
            copies,
            approvers,
        })
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
                self.fault(line, "onAvailable", "not together with `images: all`; every new image would be shared");
            }
            Some(Images::Matching { names, tags, criteria }) => {
                let is_chosen = !names.is_empty() || !tags.is_empty() || !criteria.watermarks.is_empty();
                if match_every_name(names) {
                    self.fault(line, "onAvailable", "not together with `names` that match every image's name");
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
                        "not together with `maxSeverity` or `scannedWithin`: a new image is not scanned yet",
                    );
                }
            }
            None => {}
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
