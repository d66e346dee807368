//! Owns what a rule covers. [`Allowlist::cover`] returns the rule that decides, or the criterion that no rule met;
//! [`Allowlist::explain`] does so for each rule.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Allowlist, Images, Rule, Shortfall};
use crate::{
    domain::{Region, Requester, ServiceLinkedRole, Target},
    facts::Provenance,
    request::{Access, Action},
};

/// A question to the rules.
///
/// If a part is `None`, every rule meets its criterion.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The requester.
    pub requester: &'a Requester,
    /// The action.
    pub action: Action,
    /// The image's name and tags.
    pub image: Option<(Option<&'a str>, &'a BTreeMap<String, String>)>,
    /// What else EC2 says about the image, and the current time; `None` for actions that don't give access.
    pub provenance: Option<(&'a Provenance, OffsetDateTime)>,
    /// The target.
    pub target: Option<&'a Target>,
    /// The terms of the share; `None` for actions that don't give access.
    pub terms: Option<Terms<'a>>,
}

/// The terms of a share.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The access of the target.
    pub access: Access,
    /// The service-linked roles that need grants.
    pub service_linked_roles: &'a [ServiceLinkedRole],
    /// When the share expires.
    pub expires_at: Option<OffsetDateTime>,
    /// The Region of the source, if the request is about the image's copy in this Region.
    pub copy_from: Option<&'a Region>,
    /// Now.
    pub now: OffsetDateTime,
}

/// The criteria of a rule, in the order in which they are checked. A refusal names the first one after which no rule is
/// left: no rule that meets the criteria before it meets this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criterion {
    /// No rule names the requester.
    Requester,
    /// No such rule has the action.
    Action,
    /// No such rule covers the image.
    Image,
    /// The image does not meet the criteria of these rules for watermarks, scan and age.
    Provenance,
    /// No such rule names the target.
    Target,
    /// No such rule allows the requested access.
    Access,
    /// No such rule has every requested role.
    Roles,
    /// No such rule allows a share of this duration.
    Duration,
    /// None of those makes copies of images in that Region.
    Copies,
}

impl Criterion {
    /// The criterion in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Action => "action",
            // Like the name and tags, they are criteria of the rule's `images`.
            Self::Image | Self::Provenance => "image",
            Self::Target => "target",
            Self::Access => "access",
            Self::Roles => "roles",
            Self::Duration => "duration",
            Self::Copies => "copies",
        }
    }
}

impl Allowlist {
    /// The first rule in document order that covers the question, or the criterion that no rule met.
    pub fn cover(&self, ask: &Ask<'_>) -> Result<&Rule, Criterion> {
        self.first_that_covers(ask, self.explain(ask))
    }

    /// Every rule in document order, with the first criterion before [`Criterion::Target`] that it does not meet: this is the same
    /// for every target.
    pub fn about_image(&self, ask: &Ask<'_>) -> Vec<(&Rule, Option<Criterion>)> {
        self.rules.iter().map(|rule| (rule, rule.falls_short_of_image(ask))).collect()
    }

    /// Answers as [`Self::cover`] does, if `about_image` is what is known of the question without its target.
    pub fn cover_target<'a>(
        &'a self,
        ask: &Ask<'_>,
        about_image: &[(&'a Rule, Option<Criterion>)],
    ) -> Result<&'a Rule, Criterion> {
        let asked = self.with_needed_target(ask);
        let of_target = |(rule, falls_short): &(&'a Rule, Option<Criterion>)| {
            (*rule, falls_short.or_else(|| rule.falls_short_of_target(&asked)))
        };
        self.first_that_covers(ask, about_image.iter().map(of_target))
    }

    fn first_that_covers<'a>(
        &'a self,
        ask: &Ask<'_>,
        rules: impl Iterator<Item = (&'a Rule, Option<Criterion>)>,
    ) -> Result<&'a Rule, Criterion> {
        let mut furthest = Criterion::Requester;
        for (rule, falls_short) in rules {
            match falls_short {
                None => return Ok(rule),
                Some(criterion) => furthest = furthest.max(criterion),
            }
        }
        // If rules cover the image for other actions, then the action is the problem, and not the image.
        let is_about_image = || self.nearest(ask, Criterion::Action).is_some();
        Err(if furthest == Criterion::Image && is_about_image() { Criterion::Action } else { furthest })
    }

    /// The rule that a refusal because of this criterion names: the first that meets all criteria before it and covers
    /// the image. If the criterion is the duration, it is the rule that allows the longest one.
    pub fn nearest(&self, ask: &Ask<'_>, criterion: Criterion) -> Option<&Rule> {
        let is_about_image = |rule: &Rule| ask.image.is_none_or(|(name, tags)| rule.images.include(name, tags));
        let rules = self.explain(ask).filter(|(_, falls_short)| *falls_short == Some(criterion)).map(|(rule, _)| rule);
        let rules = rules.filter(|rule| criterion != Criterion::Action || is_about_image(rule));
        let is_longer =
            |one: &Rule, other: &Rule| criterion == Criterion::Duration && other.max_duration > one.max_duration;
        rules.reduce(|one, other| if is_longer(one, other) { other } else { one })
    }

    /// Every rule in document order, with the first criterion that it does not meet. The first rule that meets all
    /// criteria decides.
    ///
    /// Access can always be removed. So a revoke for a target that no rule of any requester names needs no rule that
    /// names the target.
    pub fn explain<'a>(&'a self, ask: &Ask<'_>) -> impl Iterator<Item = (&'a Rule, Option<Criterion>)> {
        let ask = self.with_needed_target(ask);
        let falls_short =
            move |rule: &Rule| rule.falls_short_of_image(&ask).or_else(|| rule.falls_short_of_target(&ask));
        self.rules.iter().map(move |rule| (rule, falls_short(rule)))
    }

    fn with_needed_target<'q>(&self, ask: &Ask<'q>) -> Ask<'q> {
        let needs_target = |target: &&Target| ask.action != Action::Revoke || self.names_target(target);
        Ask { target: ask.target.filter(needs_target), ..*ask }
    }

    /// Whether any rule, of any requester, names the target.
    pub fn names_target(&self, target: &Target) -> bool {
        self.rules.iter().any(|rule| rule.targets.contains(target))
    }

    /// Whether what the requester asks for may have to be approved.
    pub fn wants_approval_of(&self, requester: &Requester) -> bool {
        self.rules.iter().any(|rule| !rule.approvers.is_empty() && rule.names(requester))
    }

    /// Whether any rule names the requester as an approver.
    pub fn names_approver(&self, requester: &Requester) -> bool {
        self.rules.iter().any(|rule| rule.is_approved_by(requester))
    }
}

/// The first criterion that is not met. Nothing is asked after it.
fn first_unmet<const N: usize>(criteria: [(Criterion, &dyn Fn() -> bool); N]) -> Option<Criterion> {
    criteria.into_iter().find(|(_, is_met)| !is_met()).map(|(criterion, _)| criterion)
}

impl Rule {
    /// Whether it names the requester, by itself or by a group.
    pub fn names(&self, requester: &Requester) -> bool {
        self.requesters.iter().any(|pattern| pattern.matches(requester))
    }

    /// Whether it names the requester as an approver.
    pub fn is_approved_by(&self, requester: &Requester) -> bool {
        self.approvers.iter().any(|pattern| pattern.matches(requester))
    }

    /// The first criterion before [`Criterion::Target`] that this rule does not meet.
    fn falls_short_of_image(&self, ask: &Ask<'_>) -> Option<Criterion> {
        first_unmet([
            (Criterion::Requester, &|| self.names(ask.requester)),
            (Criterion::Action, &|| !ask.action.needs_entry() || self.actions.contains(&ask.action)),
            (Criterion::Image, &|| ask.image.is_none_or(|(name, tags)| self.images.include(name, tags))),
            (Criterion::Provenance, &|| {
                ask.provenance.is_none_or(|(it, now)| self.images.shortfalls(it, now).is_empty())
            }),
        ])
    }

    /// The first criterion from [`Criterion::Target`] on that this rule does not meet.
    fn falls_short_of_target(&self, ask: &Ask<'_>) -> Option<Criterion> {
        let terms = ask.terms.as_ref();
        first_unmet([
            (Criterion::Target, &|| ask.target.is_none_or(|target| self.targets.contains(target))),
            (Criterion::Access, &|| terms.is_none_or(|terms| terms.access <= self.access)),
            (Criterion::Roles, &|| terms.is_none_or(|terms| self.allows_roles(terms.service_linked_roles))),
            (Criterion::Duration, &|| terms.is_none_or(|terms| self.allows_end(terms))),
            (Criterion::Copies, &|| {
                terms.and_then(|terms| terms.copy_from).is_none_or(|region| self.copies_from(region))
            }),
        ])
    }

    /// Whether the rule allows grants for all of these roles.
    pub fn allows_roles(&self, roles: &[ServiceLinkedRole]) -> bool {
        roles.iter().all(|role| self.service_linked_roles.contains(role))
    }

    /// Whether it makes copies of images in that Region.
    pub fn copies_from(&self, region: &Region) -> bool {
        self.copies.as_ref().is_some_and(|copies| copies.from.contains(region))
    }

    fn allows_end(&self, terms: &Terms<'_>) -> bool {
        self.max_duration.is_none_or(|max| terms.expires_at.is_some_and(|end| end - terms.now <= max))
    }
}

impl Images {
    /// Whether an image with this name and these tags matches.
    pub fn include(&self, name: Option<&str>, image_tags: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All => true,
            Self::Matching { names, tags, .. } => {
                let named =
                    names.is_empty() || name.is_some_and(|name| names.iter().any(|pattern| pattern.matches(name)));
                let tagged = tags.iter().all(|(key, patterns)| {
                    image_tags.get(key).is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
                });
                named && tagged
            }
        }
    }

    /// What an image lacks of the criteria that apply when access is given.
    pub fn shortfalls<'a>(&'a self, provenance: &'a Provenance, now: OffsetDateTime) -> Vec<Shortfall<'a>> {
        match self {
            Self::All => Vec::new(),
            Self::Matching { criteria, .. } => criteria.shortfalls(provenance, now),
        }
    }

    /// Whether access may be given to an image with this name and these tags, as far as the image is known.
    pub fn may_include(
        &self,
        name: Option<&str>,
        image_tags: &BTreeMap<String, String>,
        provenance: &Provenance,
        now: OffsetDateTime,
    ) -> bool {
        self.include(name, image_tags) && !self.shortfalls(provenance, now).iter().any(Shortfall::is_certain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: portal
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share, revoke]
    images: {names: ["golden-*", "base-?"], tags: {Tier: [gold, "silver*"]}}
    targets: ["111122223333"]
  - name: portal-copy
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["444455556666", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
    access: copy
    keys: grant
    serviceLinkedRoles: [autoscaling, spot]
    maxDuration: 1h
    copies: {from: [eu-west-1, eu-central-1], key: "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
  - name: lister
    requesters: ["arn:aws:iam::999988887777:role/viewer-*"]
    actions: [list]
    images: all
  - name: builder-looks
    requesters: ["arn:aws:iam::999988887777:role/builder"]
    actions: [list, check]
    images: {names: ["nightly-*"]}
    targets: ["111122223333"]
  - name: builder-shares
    requesters: ["arn:aws:iam::999988887777:role/builder"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
"#;
    const BUILDER: &str = "arn:aws:iam::999988887777:role/builder";
    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    const PORTAL: &str = "arn:aws:iam::999988887777:role/portal";

    #[derive(Clone, Copy)]
    struct Asked {
        requester: &'static str,
        action: Action,
        name: Option<&'static str>,
        tags: &'static [(&'static str, &'static str)],
        target: &'static str,
        access: Access,
        roles: &'static [&'static str],
        minutes: Option<i64>,
        copy_from: Option<&'static str>,
    }

    const SHARE: Asked = Asked {
        requester: PORTAL,
        action: Action::Share,
        name: Some("golden-1"),
        tags: &[("Tier", "gold")],
        target: "111122223333",
        access: Access::Launch,
        roles: &[],
        minutes: None,
        copy_from: None,
    };

    #[track_caller]
    fn check(asked: Asked, expect: Result<&str, Criterion>) {
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        let requester = Requester::new(asked.requester.to_owned());
        let tags = asked.tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let target = asked.target.parse().unwrap();
        let roles: Vec<_> = asked.roles.iter().map(|role| role.parse().unwrap()).collect();
        let copy_from = asked.copy_from.map(|region| region.parse().unwrap());
        let ask = Ask {
            requester: &requester,
            action: asked.action,
            image: Some((asked.name, &tags)),
            provenance: None,
            target: Some(&target),
            terms: Some(Terms {
                access: asked.access,
                service_linked_roles: &roles,
                expires_at: asked.minutes.and_then(|minutes| NOW.checked_add(time::Duration::minutes(minutes))),
                copy_from: copy_from.as_ref(),
                now: NOW,
            }),
        };
        assert_eq!(allowlist.cover(&ask).map(|rule| rule.name.as_str()), expect);
        let about_image = allowlist.about_image(&Ask { target: None, terms: None, ..ask });
        assert_eq!(allowlist.cover_target(&ask, &about_image), allowlist.cover(&ask));
    }

    #[test]
    fn the_first_rule_that_covers_everything_decides() {
        check(SHARE, Ok("portal"));
        check(Asked { tags: &[("Tier", "silver-2"), ("x", "y")], name: Some("base-1"), ..SHARE }, Ok("portal"));
        check(
            Asked { target: "444455556666", minutes: Some(60), access: Access::Copy, roles: &["spot"], ..SHARE },
            Ok("portal-copy"),
        );
    }

    #[test]
    fn the_refusal_is_the_criterion_that_left_no_rule() {
        check(Asked { requester: "lambda:invoke", ..SHARE }, Err(Criterion::Requester));
        check(Asked { requester: "arn:aws:iam::111122223333:role/portal", ..SHARE }, Err(Criterion::Requester));
        check(Asked { action: Action::Reset, ..SHARE }, Err(Criterion::Action));
        check(Asked { name: Some("silver-1"), ..SHARE }, Err(Criterion::Image));
        // A rule of the requester is about the image, and none of those has the action.
        let viewer = Asked { requester: "arn:aws:iam::999988887777:role/viewer-1", ..SHARE };
        check(viewer, Err(Criterion::Action));
        check(Asked { requester: BUILDER, name: Some("nightly-1"), ..SHARE }, Err(Criterion::Action));
        check(Asked { requester: BUILDER, name: Some("silver-1"), ..SHARE }, Err(Criterion::Image));
        check(Asked { requester: BUILDER, action: Action::Reset, ..SHARE }, Err(Criterion::Action));
        check(Asked { name: None, ..SHARE }, Err(Criterion::Image));
        check(Asked { name: Some("Golden-1"), ..SHARE }, Err(Criterion::Image));
        // Without the tag the first rule is out, and the second does not name the target.
        check(Asked { tags: &[], ..SHARE }, Err(Criterion::Target));
        check(Asked { target: "777788889999", ..SHARE }, Err(Criterion::Target));
        // The first rule names the target but only for launching.
        check(Asked { access: Access::Copy, ..SHARE }, Err(Criterion::Access));
        check(Asked { roles: &["autoscaling"], ..SHARE }, Err(Criterion::Roles));
        let second = Asked { target: "444455556666", ..SHARE };
        check(Asked { roles: &["ec2fleet"], ..second }, Err(Criterion::Roles));
    }

    #[test]
    fn a_rule_with_a_longest_duration_wants_an_end_within_it() {
        let second = || Asked { target: "444455556666", ..SHARE };
        check(second(), Err(Criterion::Duration));
        check(Asked { minutes: Some(61), ..second() }, Err(Criterion::Duration));
        check(Asked { minutes: Some(60), ..second() }, Ok("portal-copy"));
        check(Asked { minutes: Some(1_000_000), ..SHARE }, Ok("portal"));
    }

    #[test]
    fn the_last_criterion_is_whether_the_rule_makes_copies_of_images_in_that_region() {
        let second = || Asked { target: "444455556666", minutes: Some(60), ..SHARE };
        check(Asked { copy_from: Some("eu-central-1"), ..second() }, Ok("portal-copy"));
        check(Asked { copy_from: Some("us-west-2"), ..second() }, Err(Criterion::Copies));
        check(Asked { copy_from: Some("us-west-2"), minutes: None, ..second() }, Err(Criterion::Duration));
        check(Asked { copy_from: Some("eu-west-1"), ..SHARE }, Err(Criterion::Copies));
    }

    #[test]
    fn the_nearest_rule_is_the_first_or_lets_a_share_last_longest() {
        let rule = |name: &str, longest: &str| {
            format!(
                "  - {{name: {name}, requesters: [\"{PORTAL}\"], actions: [share], images: all, targets: [\"444455556666\"], maxDuration: {longest}}}\n"
            )
        };
        let allowlist = [ALLOWLIST, &rule("longer", "2h"), &rule("as-long", "2h"), &rule("shorter", "30m")].concat();
        let allowlist = Allowlist::parse(&allowlist).unwrap();
        let requester = Requester::new(PORTAL.to_owned());
        let (tags, target) = (BTreeMap::new(), "444455556666".parse().unwrap());
        let terms =
            Terms { access: Access::Launch, service_linked_roles: &[], expires_at: None, copy_from: None, now: NOW };
        let ask = Ask {
            requester: &requester,
            action: Action::Share,
            image: Some((Some("golden-1"), &tags)),
            provenance: None,
            target: Some(&target),
            terms: Some(terms),
        };
        let named = |ask: &Ask<'_>| {
            let criterion = allowlist.cover(ask).unwrap_err();
            allowlist.nearest(ask, criterion).map(|rule| rule.name.as_str())
        };
        assert_eq!(named(&ask), Some("longer"));
        assert_eq!(named(&Ask { action: Action::Reset, terms: None, ..ask }), Some("portal-copy"));
    }

    #[test]
    fn every_rule_is_explained_by_the_first_criterion_that_it_does_not_meet() {
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        let requester = Requester::new(PORTAL.to_owned());
        let tags = BTreeMap::new();
        let explain = |action, target: &str| {
            let target = target.parse().unwrap();
            let ask = Ask {
                requester: &requester,
                action,
                image: Some((Some("golden-1"), &tags)),
                provenance: None,
                target: Some(&target),
                terms: None,
            };
            allowlist.explain(&ask).map(|(_, falls_short)| falls_short.map(Criterion::as_str)).collect::<Vec<_>>()
        };
        let others = [Some("requester"); 3];
        let of_portal = |first, second| [&[first, second][..], &others].concat();
        assert_eq!(explain(Action::Share, "444455556666"), of_portal(Some("image"), None));
        assert_eq!(explain(Action::Share, "777788889999"), of_portal(Some("image"), Some("target")));
        assert_eq!(explain(Action::Reset, "444455556666"), of_portal(Some("action"), Some("action")));
    }

    #[test]
    fn a_revoke_of_a_target_that_no_rule_names_needs_no_target_match() {
        let revoke = Asked { action: Action::Revoke, ..SHARE };
        check(Asked { target: "777788889999", ..revoke }, Ok("portal"));
        // The second rule names this one.
        check(Asked { target: "444455556666", ..revoke }, Err(Criterion::Target));
        check(Asked { target: "777788889999", name: Some("silver-1"), ..revoke }, Err(Criterion::Image));
    }

    #[test]
    fn an_organization_in_a_rule_covers_itself_and_never_its_members() {
        let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
        assert!(
            allowlist.names_target(&"arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5".parse().unwrap())
        );
        assert!(!allowlist.names_target(&"777788889999".parse().unwrap()));
        assert!(
            !allowlist
                .names_target(&"arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111".parse().unwrap())
        );
    }
}
