//! Owns which images and targets a requester may ask about: those that a rule covers. The descriptions of the images
//! decide this, and those of the sources of copies if a rule depends on them. Nothing more is read about what is
//! refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    case::{Authority, Case},
    decision::{Covered, Decision, ImageDecision, Unshareable, blocks_reading},
    refusals,
};
use crate::{
    allowlist::{Allowlist, Ask, Criterion, Rule, Terms},
    domain::{ImageId, Region, Requester, Target, partition_of},
    facts::{CopyRecord, Fact, Failure, Image},
    outcome::{ErrorCode, Refusal, RefusalCode},
    request::{Action, AskedTarget, MAX_PAIRS},
};

/// Refuses what can be refused before AWS is called. So a requester that no rule names costs no call and learns
/// nothing.
pub fn admit(case: &Case<'_>) -> Vec<Refusal> {
    let request = case.request;
    let Authority::Requester(requester) = case.authority else { return Vec::new() };
    let ask = Ask { requester, action: request.action, image: None, provenance: None, target: None, terms: None };
    match case.allowlist.cover(&ask) {
        // The requester of a share that waits may take it back without a rule that allows `revoke`.
        Err(criterion) if criterion > Criterion::Requester && may_withdraw(case) => Vec::new(),
        // A rule names approvers, too.
        Err(Criterion::Requester) if case.allowlist.names_approver(requester) => {
            let refusal = || refusals::not_covered(Criterion::Action, case, request.action, None, None, None);
            request.action.needs_entry().then(refusal).into_iter().collect()
        }
        Err(criterion) => vec![refusals::not_covered(criterion, case, request.action, None, None, None)],
        Ok(_) => unreachable(case).into_iter().collect(),
    }
}

/// Why nothing in the Region of the source can be read, if so.
///
/// "AMIs can't be copied across partitions": <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
fn unreachable(case: &Case<'_>) -> Option<Refusal> {
    let region = case.request.copy_from.as_ref().filter(|_| !case.request.action.takes_away())?;
    (!is_reachable(case, region)).then(|| refusals::copy_from_other_partition(case, region))
}

/// Whether images of that Region can be read and copied from here.
pub fn is_reachable(case: &Case<'_>, region: &Region) -> bool {
    partition_of(&region.to_string()) == partition_of(case.region)
}

/// Whether the request may take shares back that wait for a copy, whatever else the requester may: it names the image that is
/// copied, or perhaps a copy that a rule of the requester has made.
pub fn may_withdraw(case: &Case<'_>) -> bool {
    let Authority::Requester(requester) = case.authority else { return false };
    let makes_copies = |rule: &Rule| rule.copies.is_some() && rule.names(requester);
    let may_be_copies = || case.allowlist.rules.iter().any(makes_copies);
    case.request.action == Action::Revoke && (case.request.copy_from.is_some() || may_be_copies())
}

/// The refusal of a requester that no rule names; `None` if a rule names it.
pub fn stranger(allowlist: &Allowlist, requester: &Requester) -> Option<Refusal> {
    let is_named = allowlist.rules.iter().any(|rule| rule.names(requester) || rule.is_approved_by(requester));
    (!is_named).then(|| refusals::stranger(requester))
}

/// Whether a requester may ask about an image, and about which targets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Permit<'a> {
    /// The image.
    pub(super) image_id: &'a ImageId,
    /// The rule that covers the image; `None` for an expiry, which needs no rule.
    pub(super) rule: Option<&'a Rule>,
    /// The covered targets; of a check those that a rule covers for a share.
    pub(super) targets: Vec<Covered<'a>>,
    /// The other targets that a check is about.
    pub(super) unshareable: Vec<Unshareable<'a>>,
    /// The targets that a check is about, with the rule that covers the check.
    pub(super) checked: Vec<Covered<'a>>,
    /// The targets of a revoke that no rule covers, and whose waiting shares the requester asked for.
    pub(super) withdrawn: Vec<&'a AskedTarget>,
    /// The refusals of the image or of the other targets.
    pub(super) refusals: Vec<Refusal>,
    /// What was not read: whether a rule covers a target depends on it.
    pub(super) gaps: Vec<Failure>,
    /// What could not be read: whether a rule covers the image, or whether there is one, depends on it.
    pub(super) unsettled: Option<Failure>,
}

impl<'a> Permit<'a> {
    /// Whether the requester may learn nothing about the image.
    pub(super) fn blocks_reading(&self) -> bool {
        self.unsettled.is_some() || blocks_reading(&self.refusals)
    }

    /// Whether a share lacks only an expiry. The existing share may have one.
    pub(super) fn may_expire(&self) -> bool {
        self.refusals.iter().any(|refusal| refusal.code == RefusalCode::ExpiryRequired)
    }

    /// Whether more must be read than the image's description. Nothing more is read about what is refused: it would
    /// cost calls, and a failure could reveal what the requester may not know.
    pub(super) fn needs_reading(&self, case: &Case<'_>) -> bool {
        match case.request.action {
            Action::Share => {
                let is_about_targets = case.request.group.is_some() || !self.targets.is_empty();
                !self.blocks_reading() && (is_about_targets || self.may_expire())
            }
            Action::List | Action::Check | Action::Usage | Action::Audit | Action::Repair => !self.blocks_reading(),
            Action::Revoke | Action::Reset => self.unsettled.is_none() && self.refusals.is_empty(),
            Action::Images | Action::Approvals | Action::Approve | Action::Reject => false,
        }
    }

    /// The decision if nothing more is read.
    pub(super) fn refused(self) -> ImageDecision<'a> {
        let Self { image_id, rule, targets, refusals, unsettled, .. } = self;
        let decision = unsettled.map_or(Decision::Refused(refusals), Decision::Unsettled);
        ImageDecision { image_id, rule, targets, decision, warnings: Vec::new() }
    }
}

/// The refusal if the images that a request names have too many copies for its targets. A request about one image and one
/// target is always answered.
pub fn too_many_pairs(case: &Case<'_>) -> Option<Refusal> {
    let (images, targets) = (case.request.image_ids.len(), case.request.targets.len());
    let can_be_divided = case.named.len() > 1 || targets > 1;
    let is_too_many = can_be_divided && images > case.named.len() && images.saturating_mul(targets) > MAX_PAIRS;
    is_too_many.then(|| refusals::too_many_pairs(images, targets))
}

/// The images about which more than their descriptions may and must be read.
pub fn permitted(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> BTreeSet<ImageId> {
    // The catalogue needs only the descriptions of the images.
    if case.request.action == Action::Images || too_many_pairs(case).is_some() {
        return BTreeSet::new();
    }
    if case.request.action.surveys() || case.request.shared_with.is_some() {
        return covered(case, images);
    }
    let permits = case.request.image_ids.iter().map(|image_id| permit(case, images, image_id));
    permits.filter(|permit| permit.needs_reading(case)).map(|permit| permit.image_id.clone()).collect()
}

/// The images of this account that a rule of the requester covers.
pub(super) fn covered(case: &Case<'_>, images: &BTreeMap<ImageId, Image>) -> BTreeSet<ImageId> {
    let is_own = |image: &&Image| image.owner == case.account;
    let covered = images.iter().filter(|(_, image)| is_own(image) && covering_rule_of_image(case, image).is_ok());
    covered.map(|(id, _)| id.clone()).collect()
}

/// The rules of the requester that cover the image, in the order of the allowlist, each with the actions for which it does.
pub fn covering_rules<'a>(case: &Case<'a>, image: &Image) -> Vec<(&'a Rule, Vec<Action>)> {
    let Authority::Requester(requester) = case.authority else { return Vec::new() };
    let covers = |action: Action, rule: &Rule| {
        let rules = rules_by_name(case, image, |rule, name, tags| {
            rule.names(requester) && rule.actions.contains(&action) && rule.images.include(name, tags)
        });
        rules.iter().any(|other| other.name == rule.name)
    };
    let actions = |rule: &Rule| rule.actions.iter().copied().filter(|action| covers(*action, rule)).collect();
    let rules = case.allowlist.rules.iter().map(|rule| (rule, actions(rule)));
    rules.filter(|(_, actions): &(&Rule, Vec<Action>)| !actions.is_empty()).collect()
}

/// The rules that allow some requester to share the image with the target. A rule that may cover the image counts,
/// because findings are certain.
pub(super) fn sharing_rules<'a>(case: &Case<'a>, image: &Image, target: &Target) -> Vec<&'a Rule> {
    rules_by_name(case, image, |rule, name, tags| {
        rule.actions.contains(&Action::Share)
            && rule.images.may_include(name, tags, &image.provenance, case.now)
            && rule.targets.contains(target)
    })
}

/// The rules that cover the image by its own name and tags, or if none does, by those of the source of a copy.
pub(super) fn rules_by_name<'a>(
    case: &Case<'a>,
    image: &Image,
    covers: impl Fn(&Rule, Option<&str>, &BTreeMap<String, String>) -> bool,
) -> Vec<&'a Rule> {
    let rules = |name: Option<&str>, tags: &BTreeMap<String, String>| -> Vec<&'a Rule> {
        case.allowlist.rules.iter().filter(|rule| covers(rule, name, tags)).collect()
    };
    let own = rules(image.name.as_deref(), &image.tags);
    match &image.source_naming {
        Some(source) if own.is_empty() => rules(source.name.as_deref(), &source.tags),
        Some(_) | None => own,
    }
}

/// Whether a rule of the requester covers the image, so that the requester may learn that it exists. An expiry has no
/// requester, so this is `false`.
pub fn is_covered(case: &Case<'_>, image: &Image) -> bool {
    matches!(covering_rule_of_image(case, image), Ok(Some(_)))
}

/// Whether the name and the tags of the image itself are enough: rules cover by them everything that the request asks about
/// it. Otherwise, those of the source of a copy may count.
pub fn is_covered_by_own_name(case: &Case<'_>, image: &Image) -> bool {
    let request = case.request;
    let image = &Image { source_naming: None, ..image.clone() };
    let is_covered_for = |action| matches!(covering_rule_of_image_for(action, case, image), Ok(Some(_)));
    let may_be_shared = || {
        let (name, tags) = (image.name.as_deref(), &image.tags);
        case.allowlist.rules.iter().any(|rule| rule.actions.contains(&Action::Share) && rule.images.include(name, tags))
    };
    let are_targets_covered = || {
        let is_covered = |asked: &AskedTarget| covering_rule(request.action, case, image, &asked.target).is_ok();
        request.group.is_none() && request.targets.iter().all(is_covered)
    };
    is_covered_for(request.action)
        && match request.action {
            Action::Check => is_covered_for(Action::Share) && are_targets_covered(),
            Action::Revoke => are_targets_covered(),
            Action::Audit | Action::Repair => may_be_shared(),
            Action::Share
            | Action::Reset
            | Action::List
            | Action::Usage
            | Action::Images
            | Action::Approvals
            | Action::Approve
            | Action::Reject => true,
        }
}

/// Decides whether a rule covers the image and the targets.
pub(super) fn permit<'a>(case: &Case<'a>, images: &BTreeMap<ImageId, Image>, image_id: &'a ImageId) -> Permit<'a> {
    let (targets, unshareable, checked) = (Vec::new(), Vec::new(), Vec::new());
    let (withdrawn, refusals, gaps) = (Vec::new(), Vec::new(), Vec::new());
    let (rule, unsettled) = (None, None);
    let mut permit = Permit { image_id, rule, targets, unshareable, checked, withdrawn, refusals, gaps, unsettled };
    let Some(image) = images.get(image_id) else {
        permit.refusals.push(refusals::image_not_found(case, image_id));
        return permit;
    };
    match covering_rule_of_image(case, image) {
        Ok(rule) => {
            permit.rule = rule;
            let unread = image.provenance.unread().filter(|_| may_not_exist(image));
            permit.unsettled =
                unread.map(|failure| Failure { resource: Some(image_id.to_string()), ..failure.clone() });
        }
        Err(criterion) => match unread_source(case, image_id, image) {
            Some(failure) => permit.unsettled = Some(failure),
            None => permit.refusals.push(refusal(case.request.action, case, (image_id, image), None, criterion)),
        },
    }
    if image.owner != case.account {
        permit.refusals.push(refusals::image_not_owned(case, image_id));
    }
    if permit.refusals.is_empty() && permit.unsettled.is_none() {
        let action = case.request.action;
        let asks = Coverage::new(action, case, image);
        let shares = (action == Action::Check).then(|| Coverage::new(Action::Share, case, image));
        let targets = case.request.targets.iter();
        targets.for_each(|asked| permit.add_target(case, image, asked, (&asks, shares.as_ref())));
    }
    withdraw_own(case, image, &mut permit);
    permit
}

impl<'a> Permit<'a> {
    /// Decides whether a rule covers the target: for a check one that lets the requester ask, and then one that would let the
    /// requester share.
    fn add_target(
        &mut self,
        case: &Case<'a>,
        image: &Image,
        asked: &'a AskedTarget,
        (asks, shares): (&Coverage<'a, '_>, Option<&Coverage<'a, '_>>),
    ) {
        let action = case.request.action;
        let covering = asks.rule(case, &asked.target);
        let Some(shares) = shares else {
            match covering {
                Ok(rule) => self.targets.push((asked, rule)),
                Err(criterion) => self.refuse_target(action, case, image, asked, criterion),
            }
            return;
        };
        // The terms are those of the share.
        let asked_by = match covering {
            Ok(rule) => rule,
            Err(criterion) if criterion > Criterion::Target => {
                nearest_rule(action, case, image, Some(&asked.target), criterion)
            }
            Err(criterion) => return self.refuse_target(action, case, image, asked, criterion),
        };
        self.checked.push((asked, covering.ok().flatten()));
        match shares.rule(case, &asked.target) {
            Ok(rule) => self.targets.push((asked, rule)),
            Err(criterion) => {
                let nearest = nearest_rule(Action::Share, case, image, Some(&asked.target), criterion);
                let judged_by = nearest.filter(|_| criterion > Criterion::Target).or(asked_by);
                self.unshareable.extend(judged_by.map(|rule| (asked, rule)));
                self.refuse_target(Action::Share, case, image, asked, criterion);
            }
        }
    }

    /// Says why no rule covers the action for the target, or that this is not known.
    fn refuse_target(
        &mut self,
        action: Action,
        case: &Case<'a>,
        image: &Image,
        asked: &'a AskedTarget,
        criterion: Criterion,
    ) {
        let unknown = match criterion {
            Criterion::Duration => unknown_expiry(case, image, self.image_id, asked),
            Criterion::Target if action == Action::Revoke => unread_source(case, self.image_id, image),
            Criterion::Requester
            | Criterion::Action
            | Criterion::Image
            | Criterion::Provenance
            | Criterion::Target
            | Criterion::Access
            | Criterion::Roles
            | Criterion::Copies => None,
        };
        match unknown {
            Some(unknown) => self.gaps.push(unknown),
            None => self.refusals.push(refusal(action, case, (self.image_id, image), Some(asked), criterion)),
        }
    }
}

/// The records of shares with the target that the requester asked for.
fn own_waiting<'i>(case: &Case<'i>, image: &'i Image, target: &'i Target) -> impl Iterator<Item = &'i CopyRecord> {
    let own = match case.authority {
        Authority::Requester(requester) => Some(requester),
        Authority::Expiry(_) => None,
    };
    image.waiting_for(move |other| other == target).filter(move |record| Some(&record.requester) == own)
}

/// Lets a requester that may not revoke take back the shares that it asked for and that wait for a copy. A record also
/// exists for a while after its share was made: then nothing waits, and only a rule allows the revoke.
fn withdraw_own<'a>(case: &Case<'a>, image: &Image, permit: &mut Permit<'a>) {
    let is_stopped = permit.unsettled.is_some() || !permit.refusals.is_empty();
    if !is_stopped || image.owner != case.account || !may_withdraw(case) {
        return;
    }
    let is_covered = |asked: &AskedTarget| permit.targets.iter().any(|(covered, _)| covered.target == asked.target);
    let others: Vec<_> = case.request.targets.iter().filter(|asked| !is_covered(asked)).collect();
    let is_own_waiting = |asked: &&AskedTarget| {
        !image.is_shared_with(&asked.target) && own_waiting(case, image, &asked.target).next().is_some()
    };
    if !others.is_empty() && others.iter().all(is_own_waiting) {
        permit.withdrawn = others;
        permit.refusals.clear();
        permit.unsettled = None;
    }
}

/// Why it is not known whether a rule covers a copy by the name and tags of its source: that could not be read. If it can't
/// be read for good, those don't count, unless the request names it.
pub(super) fn unread_source(case: &Case<'_>, image_id: &ImageId, image: &Image) -> Option<Failure> {
    let failure = image.provenance.unread()?;
    let source = match &case.request.copy_from {
        Some(region) => format!("its source in {region}"),
        // Nobody learns of which image it is a copy who may not ask about it.
        None if failure.retryable => "the image that it is a copy of".to_owned(),
        None => return None,
    };
    let message =
        format!("whether a rule covers {image_id} depends on {source}, which could not be read: {}", failure.message);
    Some(Failure { resource: Some(image_id.to_string()), message, ..failure.clone() })
}

/// Whether nothing but its name in the request says that there is an image.
fn may_not_exist(image: &Image) -> bool {
    image.as_awaited().is_some() && image.waiting.is_read() && image.waiting.iter().all(Vec::is_empty)
}

/// The refusal if no rule for the action meets this criterion.
fn refusal(
    action: Action,
    case: &Case<'_>,
    (image_id, image): (&ImageId, &Image),
    asked: Option<&AskedTarget>,
    criterion: Criterion,
) -> Refusal {
    if criterion == Criterion::Provenance {
        let rules = rules_but_for_provenance(action, case, image);
        return refusals::lacks_provenance(case, action, (image_id, image), asked, &rules);
    }
    let rule = nearest_rule(action, case, image, asked.map(|asked| &asked.target), criterion);
    refusals::not_covered(criterion, case, action, Some(image_id), asked, rule)
}

/// The rule that covers the image; `None` for an expiry, which needs no rule.
pub(super) fn covering_rule_of_image<'a>(case: &Case<'a>, image: &Image) -> Result<Option<&'a Rule>, Criterion> {
    covering_rule_of_image_for(case.request.action, case, image)
}

/// The rule that covers the image for this action. An expiry needs none.
pub(super) fn covering_rule_of_image_for<'a>(
    action: Action,
    case: &Case<'a>,
    image: &Image,
) -> Result<Option<&'a Rule>, Criterion> {
    let Authority::Requester(requester) = case.authority else { return Ok(None) };
    case.allowlist.cover(&ask(case, requester, action, image, None)).map(Some)
}

/// Whether a rule of the requester is about image and target, for whatever action: only then may it learn which rules others
/// have there, and what these ask for.
pub(super) fn is_about_pair(case: &Case<'_>, image: &Image, target: &Target) -> bool {
    !rules_about_pair(case, image, target).is_empty()
}

/// The rules of the requester that are about image and target, for whatever action.
pub(super) fn rules_about_pair<'a>(case: &Case<'a>, image: &Image, target: &Target) -> Vec<&'a Rule> {
    let Authority::Requester(requester) = case.authority else { return Vec::new() };
    rules_by_name(case, image, |rule, name, tags| {
        rule.names(requester) && rule.images.include(name, tags) && rule.targets.contains(target)
    })
}

/// The rules that cover the image by its name and tags, but for which it lacks other criteria.
fn rules_but_for_provenance<'a>(action: Action, case: &Case<'a>, image: &Image) -> Vec<&'a Rule> {
    let Authority::Requester(requester) = case.authority else { return Vec::new() };
    let ask = ask(case, requester, action, image, None);
    let failing = case.allowlist.explain(&ask).filter(|(_, fails)| *fails == Some(Criterion::Provenance));
    failing.map(|(rule, _)| rule).collect()
}

/// The rule that a refusal because of this criterion names.
pub(super) fn nearest_rule<'a>(
    action: Action,
    case: &Case<'a>,
    image: &Image,
    target: Option<&Target>,
    criterion: Criterion,
) -> Option<&'a Rule> {
    let Authority::Requester(requester) = case.authority else { return None };
    case.allowlist.nearest(&ask(case, requester, action, image, target), criterion)
}

/// Why the expiry time of an existing share is not known, if the request gives none: its records were not read. Whether a
/// rule's `maxDuration` allows the share is not known either.
fn unknown_expiry(case: &Case<'_>, image: &Image, image_id: &ImageId, asked: &AskedTarget) -> Option<Failure> {
    let is_by_record = case.request.expires_at.is_none() && image.is_shared_with(&asked.target);
    unread_expiries(image, image_id).filter(|_| is_by_record)
}

/// Why the records of an image are not known.
pub(super) fn unread_expiries(image: &Image, image_id: &ImageId) -> Option<Failure> {
    match &image.expiries {
        Fact::Known(_) => None,
        Fact::Failed(failure) => Some(failure.clone()),
        Fact::NotRead => Some(Failure {
            code: ErrorCode::Unexpected,
            call: None,
            resource: Some(image_id.to_string()),
            message: format!("the recorded expiries of {image_id} were not read"),
            retryable: false,
        }),
    }
}

/// The rule that covers an action for a target; `None` for an expiry, which needs no rule.
pub(super) fn covering_rule<'a>(
    action: Action,
    case: &Case<'a>,
    image: &Image,
    target: &Target,
) -> Result<Option<&'a Rule>, Criterion> {
    Coverage::new(action, case, image).rule(case, target)
}

/// Which rules cover an action for an image, found once for all targets.
struct Coverage<'a, 'i> {
    action: Action,
    image: &'i Image,
    about_image: Vec<(&'a Rule, Option<Criterion>)>,
}

impl<'a, 'i> Coverage<'a, 'i> {
    fn new(action: Action, case: &Case<'a>, image: &'i Image) -> Self {
        let about_image = match case.authority {
            Authority::Requester(requester) => case.allowlist.about_image(&ask(case, requester, action, image, None)),
            Authority::Expiry(_) => Vec::new(),
        };
        Self { action, image, about_image }
    }

    /// The rule that covers the target; `None` for an expiry, which needs no rule.
    fn rule(&self, case: &Case<'a>, target: &Target) -> Result<Option<&'a Rule>, Criterion> {
        let Authority::Requester(requester) = case.authority else { return Ok(None) };
        let ask = ask(case, requester, self.action, self.image, Some(target));
        // Whether the name of a copy or that of its source counts depends on the target.
        let rule = match self.image.source_naming {
            Some(_) => case.allowlist.cover(&ask),
            None => case.allowlist.cover_target(&ask, &self.about_image),
        };
        rule.map(Some)
    }
}

fn ask<'a>(
    case: &Case<'a>,
    requester: &'a Requester,
    action: Action,
    image: &'a Image,
    target: Option<&'a Target>,
) -> Ask<'a> {
    let request = case.request;
    // A request without an expiry time does not change that of an existing share.
    let recorded = target.filter(|target| image.is_shared_with(target)).and_then(|target| image.expiry_of(target));
    let terms = Terms {
        access: request.access,
        service_linked_roles: &request.service_linked_roles,
        expires_at: request.expires_at.or(recorded.map(|expiry| expiry.at)),
        copy_from: request.copy_from.as_ref(),
        now: case.now,
    };
    let terms = (target.is_some() && action.is_about_sharing()).then_some(terms);
    Ask { target, terms, ..by_name(case, requester, action, image, target) }
}

/// What is asked of the rules about an image by its name. A copy is covered by its own name and tags, and if no rule covers
/// it by these, by those of its source. A share with `copyFrom` goes by those of the image that it names, so a revoke or check
/// may go by either for each target: what was given must not be kept from being taken away.
fn by_name<'a>(
    case: &Case<'a>,
    requester: &'a Requester,
    action: Action,
    image: &'a Image,
    target: Option<&'a Target>,
) -> Ask<'a> {
    let ask = |image_name: Option<&'a str>, tags: &'a BTreeMap<String, String>| Ask {
        requester,
        action,
        image: Some((image_name, tags)),
        // These criteria apply when access is given, never when it is removed.
        provenance: action.is_about_sharing().then_some((&image.provenance, case.now)),
        target: None,
        terms: None,
    };
    let own = ask(image.name.as_deref(), &image.tags);
    let Some(source) = &image.source_naming else { return own };
    let by_source = ask(source.name.as_deref(), &source.tags);
    let is_named_by_source = case.request.copy_from.is_some() && action.is_about_sharing();
    let is_covered = |ask: &Ask<'_>| case.allowlist.cover(ask).is_ok();
    let is_by_source =
        |target: Option<&'a Target>| !is_covered(&Ask { target, ..own }) && is_covered(&Ask { target, ..by_source });
    let looked_at = target.filter(|_| action != Action::Share);
    if is_named_by_source || is_by_source(None) || looked_at.is_some() && is_by_source(looked_at) {
        by_source
    } else {
        own
    }
}
