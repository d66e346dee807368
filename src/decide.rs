//! Owns the decision: which rule covers what is asked, and every reason why not. Pure; a decision is a value.

mod audit;
mod backing_key;
mod ending;
mod grants;
mod group;
mod key_check;
mod leftovers;
mod refusals;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    allowlist::{Allowlist, Ask, Criterion, Rule, Terms},
    domain::{AccountId, ImageId, Requester, SnapshotId, Target},
    facts::{End, Facts, Image, ImageState},
    outcome::{Code, ErrorRow, Finding, KeyRow, Refusal},
    request::{Access, Action, AskedTarget, Request},
};

pub use audit::LeftGrant;
pub use ending::NeededEnd;
pub use grants::NeededGrant;
pub use group::resolve;
pub use key_check::grantees_to_look_up;

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
    /// Whether this deployment can end shares: whether it has a schedule group.
    pub can_end_shares: bool,
    /// What else this deployment may do.
    pub setup: Setup,
    /// Now.
    pub now: OffsetDateTime,
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
    /// A share has reached the end that was written down when it was made: nobody asks, and nobody is asked.
    EndOfShare(&'a End),
}

/// What is decided for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDecision<'a> {
    /// The image.
    pub image_id: &'a ImageId,
    /// The targets, with the rule that covers each; without one the target is refused.
    pub targets: Vec<(&'a AskedTarget, Option<&'a Rule>)>,
    /// The rule that covers the image, for actions without targets.
    pub rule: Option<&'a Rule>,
    /// What the keys say, for the covered targets.
    pub keys: Vec<KeyRow>,
    /// The grants that a share has to make first.
    pub grants: Vec<NeededGrant>,
    /// The ends that a share has to write down before anything else.
    pub ends: Vec<NeededEnd>,
    /// Where access is taken away: of each snapshot the accounts whose entries stay, with the image that needs each. Of one
    /// that is not here it could not be found out.
    pub needed_by: BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>,
    /// What an audit or repair came upon,
    pub findings: Vec<Finding>,
    /// and of that the grants for shares that aren't there.
    pub left: Vec<LeftGrant<'a>>,
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
            keys: Vec::new(),
            grants: Vec::new(),
            ends: Vec::new(),
            needed_by: BTreeMap::new(),
            findings: Vec::new(),
            left: Vec::new(),
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
                Code::RequesterNotAllowed
                    | Code::ActionNotAllowed
                    | Code::ImageNotAllowed
                    | Code::ImageNotFound
                    | Code::ImageNotOwned
                    | Code::TargetNotFound
            )
        })
    }

    /// Whether a refusal of this image refuses the request: a share is decided as a whole, and what may not be read
    /// is not read in part. Taking access away goes image by image.
    pub fn refuses_whole(&self, action: Action) -> bool {
        match action {
            Action::Share => !self.refusals.is_empty(),
            // A check lists what a share would meet; only what keeps it from looking refuses it.
            Action::List | Action::Check => self.blocks_reading(),
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
        Err(criterion) => vec![refusals::not_covered(criterion, question, None, None)],
        Ok(_) => not_built(request),
    }
}

fn not_built(request: &Request) -> Vec<Refusal> {
    if request.regions.is_empty() {
        return Vec::new();
    }
    let message = "copying to other Regions: part of the interface but not built yet";
    vec![Refusal { pointer: Some("/regions".to_owned()), ..Refusal::new(Code::NotSupportedYet, message) }]
}

/// Decides for every image, in the order of the request; an audit also for those that are gone and left something.
pub fn decide<'a>(question: &Question<'a>, facts: &'a Facts) -> Vec<ImageDecision<'a>> {
    if question.request.action.surveys() {
        return facts.images.iter().map(|(image_id, image)| audit::decide(question, facts, image_id, image)).collect();
    }
    let mut decisions: Vec<_> =
        question.request.image_ids.iter().map(|image_id| permit(question, facts, image_id)).collect();
    let refused: Vec<_> = decisions.iter().filter(|it| !it.refusals.is_empty()).map(|it| it.image_id).collect();
    for decision in decisions.iter_mut().filter(|decision| !decision.blocks_reading()) {
        let Some(image) = facts.images.get(decision.image_id) else { continue };
        let action = question.request.action;
        if action.is_about_sharing() {
            check_share(question, facts, image, decision);
        }
        if action.takes_away() {
            leftovers::find(question, facts, image, &refused, decision);
        }
        warn(question, facts, image, decision);
    }
    decisions
}

/// Decides whether a rule covers the image and the targets.
fn permit<'a>(question: &Question<'a>, facts: &Facts, image_id: &'a ImageId) -> ImageDecision<'a> {
    let mut decision = ImageDecision::new(image_id);
    let Some(image) = facts.images.get(image_id) else {
        decision.refusals.push(refusals::image_not_found(image_id));
        return decision;
    };
    match covering_rule_of_image(question, image) {
        Ok(rule) => decision.rule = rule,
        Err(criterion) => {
            decision.refusals.push(refusals::not_covered(criterion, question, Some(image_id), None));
        }
    }
    if image.owner != question.account {
        decision.refusals.push(refusals::image_not_owned(image_id));
    }
    if !decision.refusals.is_empty() {
        return decision;
    }
    if let Some(group) = &question.request.group
        && question.request.targets.is_empty()
    {
        decision.refusals.push(refusals::target_not_found(image_id, group));
        return decision;
    }
    for asked in &question.request.targets {
        match covering_rule(question, image, &asked.target) {
            Ok(rule) => decision.targets.push((asked, rule)),
            Err(criterion) => {
                decision.refusals.push(refusals::not_covered(criterion, question, Some(image_id), Some(asked)));
                decision.targets.push((asked, None));
            }
        }
    }
    decision
}

/// The rule that covers the image; none is needed where a share ends.
fn covering_rule_of_image<'a>(question: &Question<'a>, image: &Image) -> Result<Option<&'a Rule>, Criterion> {
    match question.authority {
        Authority::EndOfShare(_) => Ok(None),
        Authority::Requester(requester) => {
            question.allowlist.cover(&ask(question, requester, question.request.action, image, None)).map(Some)
        }
    }
}

fn covering_rule<'a>(question: &Question<'a>, image: &Image, target: &Target) -> Result<Option<&'a Rule>, Criterion> {
    covering_rule_for(question.request.action, question, image, target)
}

/// The rule that covers an action for a target; none is needed where a share ends.
fn covering_rule_for<'a>(
    action: Action,
    question: &Question<'a>,
    image: &Image,
    target: &Target,
) -> Result<Option<&'a Rule>, Criterion> {
    let Authority::Requester(requester) = question.authority else { return Ok(None) };
    let covered = question.allowlist.cover(&ask(question, requester, action, image, Some(target)));
    match covered {
        // What no rule of anybody names any more can always be taken away.
        Err(Criterion::Target) if action == Action::Revoke && !question.allowlist.names_target(target) => {
            question.allowlist.cover(&ask(question, requester, action, image, None)).map(Some)
        }
        Ok(_) | Err(_) => covered.map(Some),
    }
}

fn ask<'a>(
    question: &Question<'a>,
    requester: &'a Requester,
    action: Action,
    image: &'a Image,
    target: Option<&'a Target>,
) -> Ask<'a> {
    let request = question.request;
    let terms = Terms {
        access: request.access,
        service_linked_roles: &request.service_linked_roles,
        expires_at: request.expires_at,
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
fn check_share(question: &Question<'_>, facts: &Facts, image: &Image, decision: &mut ImageDecision<'_>) {
    let image_id = decision.image_id;
    if image.state != ImageState::Available {
        decision.refusals.push(refusals::image_not_available(image_id, &image.state));
    }
    for (asked, _) in &decision.targets {
        if asked.target == Target::Account(image.owner) {
            decision.refusals.push(refusals::target_is_owner(image_id, asked));
        }
    }
    if question.request.access == Access::Copy {
        decision.refusals.extend(copy_refusals(question, image, image_id, &decision.targets));
        if !question.setup.copy_access && lacks_copy_access(image, &decision.targets) {
            decision.refusals.push(refusals::copy_access_off(image_id));
        }
    }
    let entries = image.launch_permissions.as_ref().map_or(0, Vec::len).saturating_sub(usize::from(image.is_public()));
    let new = decision.targets.iter().filter(|(asked, _)| !image.is_shared_with(&asked.target)).count();
    let total = entries.saturating_add(new);
    if new > 0 && total > question.entity_quota {
        decision.refusals.push(refusals::quota_exceeded(image_id, entries, new, question.entity_quota));
    }
    key_check::check(question, facts, image, decision);
    ending::check(question, image, decision);
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
        .chain(foreign.map(|snapshot| refusals::copy_of_foreign_snapshot(image_id, snapshot)))
        .collect()
}

/// Whether a snapshot would have to be changed so that every account may copy it.
fn lacks_copy_access(image: &Image, targets: &[(&AskedTarget, Option<&Rule>)]) -> bool {
    let accounts: Vec<_> = targets.iter().filter_map(|(asked, _)| asked.target.account()).collect();
    image.snapshots.as_ref().is_ok_and(|snapshots| {
        snapshots.iter().any(|snapshot| {
            let may = snapshot.create_volume_permissions.as_deref().unwrap_or_default();
            accounts.iter().any(|account| !may.contains(account))
        })
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
    }
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
        }
    }
}
