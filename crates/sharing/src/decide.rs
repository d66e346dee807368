//! Owns the decision: which rule covers what is asked, and every reason why not. Pure; a decision is a value.

mod audit;
mod backing_key;
mod expiry;
mod grants;
mod group;
mod judged_key;
mod judgements;
mod key_check;
mod refusals;
mod remaining;
mod residue;

use std::collections::{BTreeMap, BTreeSet};

pub use audit::OrphanedGrant;
pub use expiry::{SecondLook, Seen, is_due, is_near, is_refused_by_time, lost, second_looks};
pub use grants::NeededGrant;
pub use group::resolve;
pub use judged_key::{GrantPlan, JudgedKey};
pub use judgements::Judgements;
pub use key_check::grantees_to_look_up;
pub use remaining::{Remaining, remaining};
use time::OffsetDateTime;

use crate::{
    allowlist::{Allowlist, Ask, Criterion, Rule, Terms},
    domain::{AccountId, ExpiryName, ImageId, Requester, SnapshotId, Target, quoted, rfc3339},
    facts::{Expiry, Facts, Image, ImageState, LaunchPermission, Reading},
    outcome::{ErrorRow, Finding, Refusal, RefusalCode},
    request::{Access, Action, AskedTarget, Request},
};

/// Everything a decision rests on besides the facts.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// By what right.
    pub authority: Authority<'a>,
    /// What is allowed.
    pub allowlist: &'a Allowlist,
    /// The account the function runs in.
    pub account: AccountId,
    /// How many entities one image may be shared with:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-quotas.html>
    pub entity_quota: usize,
    /// The variables that this deployment lacks to record when a share expires; none where it can.
    pub unset_for_expiry: &'a [&'static str],
    /// Whether a rule shares by itself and nobody asks.
    pub is_automatic: bool,
    /// What else this deployment may do.
    pub setup: Setup,
    /// Now.
    pub now: OffsetDateTime,
    /// When the invocation ends at the latest: what it sends arrives before that.
    pub deadline: OffsetDateTime,
}

/// What this deployment may do beside launch permissions; its role is made to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Whether it may make grants.
    pub key_grants: bool,
    /// Whether it may give create volume permissions.
    pub copy_access: bool,
}

/// By what right something is done.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// Somebody asks, and the allowlist decides.
    Requester(&'a Requester),
    /// The recorded expiry of a share is due: nobody asks, and nobody is asked.
    Expiry(&'a Expiry),
}

/// What is decided for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDecision<'a> {
    /// The image.
    pub image_id: &'a ImageId,
    /// The targets that a rule covers, with that rule; none is needed where a share ends. Of a target that no rule covers
    /// there is a refusal and nothing else.
    pub targets: Vec<(&'a AskedTarget, Option<&'a Rule>)>,
    /// The rule that covers the image, for actions without targets.
    pub rule: Option<&'a Rule>,
    /// Of a check: the targets that a rule covers but for access, roles or duration. Their keys are judged by it all the
    /// same; the refusal stands beside.
    pub short_of_terms: Vec<(&'a AskedTarget, &'a Rule)>,
    /// What the keys say, for the covered targets.
    pub keys: Vec<JudgedKey>,
    /// Whether a key is in a state in which it lets no target in.
    pub has_unusable_key: bool,
    /// The grants that a share has to make first.
    pub grants: Vec<NeededGrant>,
    /// The expiries that a share has to record before anything else.
    pub new_expiries: Vec<Expiry>,
    /// Of a share that a rule makes by itself: the targets whose existing shares are left as they are.
    pub left_as_they_are: Vec<(&'a AskedTarget, Option<&'a Rule>)>,
    /// Whether a later record has taken the place of the expiry that is due: then only its own record is deleted.
    pub is_superseded: bool,
    /// The records that an audit or repair found overdue.
    pub overdue: Vec<ExpiryName>,
    /// Where access is taken away: of each snapshot the accounts whose entries stay, with the image that needs each. Of one
    /// that is not here it could not be found out.
    pub needed_by: BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>,
    /// What an audit or repair came upon,
    pub findings: Vec<Finding>,
    /// and of that the grants for shares that aren't there.
    pub orphaned: Vec<OrphanedGrant<'a>>,
    /// Every reason why not.
    pub refusals: Vec<Refusal>,
    /// What could not be found out and was gone on without, because taking access away is never held up.
    pub gaps: Vec<ErrorRow>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

impl<'a> ImageDecision<'a> {
    fn new(image_id: &'a ImageId) -> Self {
        Self {
            image_id,
            targets: Vec::new(),
            rule: None,
            short_of_terms: Vec::new(),
            keys: Vec::new(),
            has_unusable_key: false,
            grants: Vec::new(),
            new_expiries: Vec::new(),
            left_as_they_are: Vec::new(),
            is_superseded: false,
            overdue: Vec::new(),
            needed_by: BTreeMap::new(),
            findings: Vec::new(),
            orphaned: Vec::new(),
            refusals: Vec::new(),
            gaps: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether a refusal keeps the requester from learning anything of the image.
    pub fn blocks_reading(&self) -> bool {
        self.refusals.iter().any(|refusal| {
            matches!(
                refusal.code,
                RefusalCode::RequesterNotAllowed
                    | RefusalCode::ActionNotAllowed
                    | RefusalCode::ImageNotAllowed
                    | RefusalCode::ImageNotFound
                    | RefusalCode::ImageNotOwned
                    | RefusalCode::TargetNotFound
            )
        })
    }

    /// Whether more must be read of the image than its description. What is refused already is not looked at: reading
    /// would cost AWS calls, and its errors would tell what the requester may not know.
    fn needs_reading(&self, request: &Request) -> bool {
        match request.action {
            Action::Share => {
                // A share that is there may have the expiry that is wanted.
                let may_be_there = self.refusals.iter().any(|refusal| refusal.code == RefusalCode::ExpiryRequired);
                !self.blocks_reading() && (request.group.is_some() || !self.targets.is_empty() || may_be_there)
            }
            Action::List | Action::Check | Action::Audit | Action::Repair => !self.blocks_reading(),
            Action::Revoke | Action::Reset => self.refusals.is_empty(),
        }
    }

    /// Whether a share of the image with this target would be accepted as asked.
    pub fn accepts(&self, image: &Image, target: &Target) -> bool {
        let is_about_it = |refusal: &Refusal| match &refusal.target {
            Some(other) => other == target,
            // Who is there already takes no room.
            None => refusal.code != RefusalCode::QuotaExceeded || !image.is_shared_with(target),
        };
        !self.refusals.iter().any(is_about_it)
    }

    /// Whether a refusal of this image refuses the request: a share is decided as a whole. Looking and taking access
    /// away go image by image.
    pub fn refuses_whole(&self, action: Action) -> bool {
        match action {
            Action::Share => !self.refusals.is_empty(),
            // A check lists what a share would meet, but for what no share can ask.
            Action::List | Action::Check => {
                self.refusals.iter().any(|refusal| refusal.code == RefusalCode::MalformedRequest)
            }
            Action::Revoke | Action::Reset | Action::Audit | Action::Repair => false,
        }
    }
}

/// What can be refused before AWS is asked anything: a stranger costs no call and learns nothing.
pub fn admit(question: &Question<'_>) -> Vec<Refusal> {
    let request = question.request;
    let Authority::Requester(requester) = question.authority else { return Vec::new() };
    let ask = Ask { requester, action: request.action, image: None, target: None, terms: None };
    match question.allowlist.cover(&ask) {
        Err(criterion) => vec![refusals::not_covered(criterion, question, None, None, None)],
        Ok(_) => request.copy_from.iter().map(|_| copies_not_set_up()).collect(),
    }
}

/// Why a requester that no rule names is refused; nothing where a rule names it.
pub fn stranger(allowlist: &Allowlist, requester: &Requester) -> Option<Refusal> {
    let is_named = allowlist.rules.iter().any(|rule| rule.requesters.iter().any(|pattern| pattern.matches(requester)));
    (!is_named).then(|| refusals::stranger(requester))
}

fn copies_not_set_up() -> Refusal {
    let message = "copies of images in other Regions are not set up in this deployment";
    Refusal::new(RefusalCode::CopyNotPossible, message).at("/copyFrom")
}

/// The images of which more may and must be read than their descriptions.
pub fn permitted(question: &Question<'_>, images: &BTreeMap<ImageId, Image>) -> BTreeSet<ImageId> {
    if question.request.action.surveys() {
        let is_own = |image: &&Image| image.owner == question.account;
        let covered =
            images.iter().filter(|(_, image)| is_own(image) && covering_rule_of_image(question, image).is_ok());
        return covered.map(|(id, _)| id.clone()).collect();
    }
    let decisions = question.request.image_ids.iter().map(|image_id| permit(question, images, image_id));
    let needed = decisions.filter(|decision| decision.needs_reading(question.request));
    needed.map(|decision| decision.image_id.clone()).collect()
}

/// Whether a rule of the requester covers the image, so that the requester may learn that there is such an image. Where a
/// share expires nobody asks, and so nobody may.
pub fn is_covered(question: &Question<'_>, image: &Image) -> bool {
    matches!(covering_rule_of_image(question, image), Ok(Some(_)))
}

/// Decides for every image, in the order of the request; an audit also for those that are gone and left something.
/// Fails where time runs out before every key is judged.
pub fn decide<'a>(
    question: &Question<'a>,
    facts: &'a Facts,
    judgements: &Judgements<'_>,
) -> Reading<Vec<ImageDecision<'a>>> {
    if question.request.action.surveys() {
        let images = facts.images.iter();
        return images.map(|(image_id, image)| audit::decide(question, facts, judgements, image_id, image)).collect();
    }
    let mut decisions: Vec<_> =
        question.request.image_ids.iter().map(|image_id| permit(question, &facts.images, image_id)).collect();
    for decision in decisions.iter_mut().filter(|decision| !decision.blocks_reading()) {
        let Some(image) = facts.images.get(decision.image_id) else { continue };
        let request = question.request;
        if let (Some(group), true) = (&request.group, request.targets.is_empty() && decision.refusals.is_empty()) {
            decision.refusals.push(refusals::target_not_found(decision.image_id, group));
            continue;
        }
        if expiry::is_superseded(question, image) {
            supersede(image, decision);
            continue;
        }
        if request.action == Action::Share {
            decision.short_of_terms.clear();
        }
        if request.action.is_about_sharing() {
            expiry::leave_existing(question, image, decision);
            check_share(question, facts, judgements, image, decision)?;
        }
        if request.action.takes_away() && decision.refusals.is_empty() {
            residue::find(question, facts, image, decision);
        }
        if decision.needs_reading(request) {
            warn(question, facts, image, decision);
        }
    }
    Ok(decisions)
}

/// An expiry that finds a later record deletes its own record and does nothing else.
fn supersede(image: &Image, decision: &mut ImageDecision<'_>) {
    decision.is_superseded = true;
    for (asked, _) in &decision.targets {
        if let Some(latest) = image.expiry_of(&asked.target) {
            let (image_id, target, at) = (decision.image_id, &asked.target, rfc3339(latest.at));
            decision.warnings.push(format!("the share of {image_id} with {target} was renewed and expires at {at}"));
        }
    }
}

/// Decides whether a rule covers the image and the targets.
fn permit<'a>(question: &Question<'a>, images: &BTreeMap<ImageId, Image>, image_id: &'a ImageId) -> ImageDecision<'a> {
    let mut decision = ImageDecision::new(image_id);
    let Some(image) = images.get(image_id) else {
        decision.refusals.push(refusals::image_not_found(question, image_id));
        return decision;
    };
    match covering_rule_of_image(question, image) {
        Ok(rule) => decision.rule = rule,
        Err(criterion) => {
            let rule = nearest_rule(question, image, None, criterion);
            decision.refusals.push(refusals::not_covered(criterion, question, Some(image_id), None, rule));
        }
    }
    if image.owner != question.account {
        decision.refusals.push(refusals::image_not_owned(question, image_id));
    }
    if !decision.refusals.is_empty() {
        return decision;
    }
    for asked in &question.request.targets {
        match covering_rule(question, image, &asked.target) {
            Ok(rule) => decision.targets.push((asked, rule)),
            Err(criterion) => {
                let rule = nearest_rule(question, image, Some(&asked.target), criterion);
                if criterion > Criterion::Target && question.request.action.is_about_sharing() {
                    decision.short_of_terms.extend(rule.map(|rule| (asked, rule)));
                }
                decision.refusals.push(refusals::not_covered(criterion, question, Some(image_id), Some(asked), rule));
            }
        }
    }
    decision
}

/// The rule that covers the image; none is needed where a share expires.
fn covering_rule_of_image<'a>(question: &Question<'a>, image: &Image) -> Result<Option<&'a Rule>, Criterion> {
    match question.authority {
        Authority::Expiry(_) => Ok(None),
        Authority::Requester(requester) => {
            question.allowlist.cover(&ask(question, requester, question.request.action, image, None)).map(Some)
        }
    }
}

/// The rule that a refusal speaks of where this criterion left none.
fn nearest_rule<'a>(
    question: &Question<'a>,
    image: &Image,
    target: Option<&Target>,
    criterion: Criterion,
) -> Option<&'a Rule> {
    let Authority::Requester(requester) = question.authority else { return None };
    question.allowlist.nearest(&ask(question, requester, question.request.action, image, target), criterion)
}

fn covering_rule<'a>(question: &Question<'a>, image: &Image, target: &Target) -> Result<Option<&'a Rule>, Criterion> {
    covering_rule_for(question.request.action, question, image, target)
}

/// The rule that covers an action for a target; none is needed where a share expires.
fn covering_rule_for<'a>(
    action: Action,
    question: &Question<'a>,
    image: &Image,
    target: &Target,
) -> Result<Option<&'a Rule>, Criterion> {
    let Authority::Requester(requester) = question.authority else { return Ok(None) };
    question.allowlist.cover(&ask(question, requester, action, image, Some(target))).map(Some)
}

fn ask<'a>(
    question: &Question<'a>,
    requester: &'a Requester,
    action: Action,
    image: &'a Image,
    target: Option<&'a Target>,
) -> Ask<'a> {
    let request = question.request;
    // Who asks for no expiry time leaves that of a share as it is.
    let recorded = target.filter(|target| image.is_shared_with(target)).and_then(|target| image.expiry_of(target));
    let terms = Terms {
        access: request.access,
        service_linked_roles: &request.service_linked_roles,
        expires_at: request.expires_at.or(recorded.map(|expiry| expiry.at)),
        now: question.now,
    };
    Ask {
        requester,
        action,
        image: Some((image.name.as_deref(), &image.tags)),
        target,
        terms: (target.is_some() && action.is_about_sharing()).then_some(terms),
    }
}

/// What a share of the image would meet.
fn check_share(
    question: &Question<'_>,
    facts: &Facts,
    judgements: &Judgements<'_>,
    image: &Image,
    decision: &mut ImageDecision<'_>,
) -> Reading<()> {
    let image_id = decision.image_id;
    if image.state != ImageState::Available {
        decision.refusals.push(refusals::image_not_available(question, image_id, &image.state));
    }
    for (asked, _) in &decision.targets {
        if asked.target == Target::Account(image.owner) {
            decision.refusals.push(refusals::target_is_owner(question, image_id, asked));
        }
    }
    if question.request.access == Access::Copy {
        decision.refusals.extend(copy_refusals(question, image, image_id, &decision.targets));
        if !question.setup.copy_access && lacks_copy_access(image, &decision.targets) {
            decision.refusals.push(refusals::copy_access_off(image_id));
        }
    }
    let entries = image.launch_permissions.iter().flatten().filter(|entry| **entry != LaunchPermission::Public).count();
    let new = decision.targets.iter().filter(|(asked, _)| !image.is_shared_with(&asked.target)).count();
    let total = entries.saturating_add(new);
    if new > 0 && total > question.entity_quota {
        decision.refusals.push(refusals::quota_exceeded(image_id, entries, new, question.entity_quota));
    }
    key_check::check(question, facts, judgements, image, decision)?;
    expiry::check(question, image, decision);
    Ok(())
}

/// Snapshots can be shared with accounts only, and only by the account that owns them.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html>
fn copy_refusals(
    question: &Question<'_>,
    image: &Image,
    image_id: &ImageId,
    targets: &[(&AskedTarget, Option<&Rule>)],
) -> Vec<Refusal> {
    let groups = targets.iter().filter(|(asked, _)| asked.target.account().is_none());
    let foreign = image.snapshots.iter().flatten().filter(|snapshot| snapshot.owner != question.account);
    groups
        .map(|(asked, _)| refusals::copy_for_group(image_id, asked))
        .chain(image.is_instance_store.then(|| refusals::copy_of_instance_store(image_id)))
        .chain(foreign.map(|snapshot| refusals::copy_of_foreign_snapshot(image_id, snapshot)))
        .collect()
}

/// Whether a snapshot would have to be changed so that every account may copy it.
fn lacks_copy_access(image: &Image, targets: &[(&AskedTarget, Option<&Rule>)]) -> bool {
    let accounts: Vec<_> = targets.iter().filter_map(|(asked, _)| asked.target.account()).collect();
    let mut snapshots = image.snapshots.iter().flatten();
    snapshots.any(|snapshot| {
        let may: Vec<_> = snapshot.create_volume_permissions.iter().flatten().collect();
        accounts.iter().any(|account| !may.contains(&account))
    })
}

/// What to do about a snapshot that is public.
fn take_back_from_all(snapshot_id: &SnapshotId) -> String {
    format!(
        "take it back with `aws ec2 modify-snapshot-attribute --snapshot-id {snapshot_id} --attribute \
         createVolumePermission --operation-type remove --group-names all`"
    )
}

fn warn(question: &Question<'_>, facts: &Facts, image: &Image, decision: &mut ImageDecision<'_>) {
    let image_id = decision.image_id;
    if matches!(question.request.action, Action::List | Action::Check) {
        let unread = image.unread().into_iter();
        decision
            .warnings
            .extend(unread.map(|error| format!("not everything of {image_id} is told: {}", error.message)));
        let untold = image.snapshots.iter().flatten().filter(|snapshot| snapshot.owner != question.account);
        decision.warnings.extend(untold.map(|snapshot| {
            format!(
                "who may copy {} of {image_id} is not known: account {} owns the snapshot, and EC2 tells its owner only",
                snapshot.id, snapshot.owner
            )
        }));
    }
    decision.warnings.extend(image.launch_permissions.iter().flatten().filter_map(|entry| match entry {
        LaunchPermission::Unknown(text) => Some(format!(
            "{image_id} has a launch permission of a kind that this version does not know: {}; whom it lets launch the \
             image is not known",
            quoted(text)
        )),
        LaunchPermission::Public | LaunchPermission::To(_) => None,
    }));
    if image.is_public() {
        decision.warnings.push(format!(
            "{image_id} is PUBLIC: every AWS account can launch it, whatever is shared or revoked here; \
             `reset` ends that, and block public access for AMIs keeps it from coming back"
        ));
    }
    for snapshot in image.public_snapshots() {
        decision.warnings.push(format!(
            "{} behind {image_id} is PUBLIC: every AWS account can copy it, whatever is shared or revoked here; {}",
            snapshot.id,
            take_back_from_all(&snapshot.id)
        ));
    }
    if matches!(question.request.action, Action::Revoke | Action::Check) {
        remaining::warn(question, image, decision);
    }
    if question.request.action == Action::Revoke {
        for (asked, _) in &decision.targets {
            let again = question.allowlist.on_available(image.name.as_deref(), &image.tags, &asked.target);
            decision.warnings.extend(again.map(|rule| {
                format!(
                    "rule `{}` shares {image_id} with {} again when the image next becomes available; change the rule to end that",
                    rule.name, asked.target
                )
            }));
        }
    }
    if facts.blocks_public_images == Some(false) {
        decision.warnings.push(
            "block public access for AMIs is off in this Region: anybody with ec2:ModifyImageAttribute can make an image public"
                .to_owned(),
        );
    }
    let makes_grants = !decision.grants.is_empty() && decision.refusals.is_empty();
    if question.request.action == Action::Share && makes_grants {
        decision
            .warnings
            .push("grants take up to 5 minutes to be felt everywhere; a launch before that can fail".to_owned());
    }
    if question.request.action.is_about_sharing() {
        if let Some(time) = &image.deprecation_time {
            decision.warnings.push(format!(
                "{image_id} is or will be deprecated ({time}): targets then no longer find it by searching"
            ));
        }
        if image.has_product_codes {
            decision
                .warnings
                .push(format!("{image_id} carries AWS Marketplace product codes: targets need the subscription"));
            if question.request.access == Access::Copy {
                // "You can't copy an AMI with a product code": https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html
                decision.warnings.push(format!(
                    "AWS lets no other account copy {image_id}, because of its AWS Marketplace product codes; \
                     `access: copy` gives the targets its snapshots all the same"
                ));
            }
        }
    }
}
