//! Owns the messages and remedies of refusals.

use time::OffsetDateTime;

use super::{
    backing_key::remedy_of_key_state,
    case::{Authority, Case},
};
use crate::{
    allowlist::{Criterion, KeyCheck, Publish, Rule, Shortfall, Unfillable, written},
    domain::{GroupId, ImageId, KeyArn, Region, Requester, ServiceLinkedRole, quoted, rfc3339},
    facts::{Failure, Image, ImageState, Snapshot},
    needs::{GranteeKind, NeededGrant},
    outcome::{Lasts, Refusal, RefusalCode},
    request::{Action, AskedTarget, FaultKind, MAX_PAIRS, Request},
};

pub(super) fn image(code: RefusalCode, image_id: &ImageId, message: impl Into<String>) -> Refusal {
    Refusal { image_id: Some(image_id.clone()), ..Refusal::new(code, message) }
}

pub(super) fn pair(code: RefusalCode, image_id: &ImageId, asked: &AskedTarget, message: impl Into<String>) -> Refusal {
    Refusal { target: Some(asked.target.clone()), ..image(code, image_id, message) }.at(&asked.pointer)
}

/// The place of the image in the request.
fn place(case: &Case<'_>, image_id: &ImageId) -> String {
    place_at(case.named.iter().position(|asked| asked == image_id).unwrap_or_default())
}

fn place_at(index: usize) -> String {
    format!("/imageIds/{index}")
}

/// The refusal of a copy, at the place at which the request names its source. If nothing else is said about the copy, it is
/// the source that is refused: nobody learns of a copy who may not ask about it.
pub(super) fn of_copy(refusal: Refusal, (source_id, index): (&ImageId, usize), is_shown: bool) -> Refusal {
    let is_of_image = refusal.pointer.as_ref().is_some_and(|pointer| pointer.starts_with("/imageIds/"));
    let pointer = if is_of_image { Some(place_at(index)) } else { refusal.pointer.clone() };
    let image_id = if is_shown { refusal.image_id.clone() } else { Some(source_id.clone()) };
    Refusal { pointer, image_id, ..refusal }
}

/// The images that a request names have too many copies for its targets.
pub(super) fn too_many_pairs(images: usize, targets: usize) -> Refusal {
    let message = format!(
        "the request is about {images} images, which are copies of those that it names, and {targets} targets; at most \
         {MAX_PAIRS} pairs of image and target are allowed"
    );
    let refusal = Refusal::new(RefusalCode::MalformedRequest, message)
        .at("/imageIds")
        .value("most", MAX_PAIRS)
        .remedy("send fewer images or targets in one request");
    Refusal { fault: Some(FaultKind::TooMany), ..refusal }
}

/// No rule names the requester.
pub(super) fn stranger(requester: &Requester) -> Refusal {
    let who = quoted(requester.as_str());
    Refusal::new(RefusalCode::RequesterNotAllowed, format!("no rule of the allowlist names {who}"))
        .value("requester", requester.as_str())
}

/// No rule covers the request for this action, which for a check may be `share`: none met `criterion`. `rule` is the one that
/// the refusal names.
pub(super) fn not_covered(
    criterion: Criterion,
    case: &Case<'_>,
    action: Action,
    image_id: Option<&ImageId>,
    asked: Option<&AskedTarget>,
    rule: Option<&Rule>,
) -> Refusal {
    let requester = match case.authority {
        Authority::Requester(requester) => requester.as_str(),
        Authority::Expiry(_) => "nobody",
    };
    let new = |code, message| match (image_id, asked) {
        (Some(image_id), Some(asked)) => pair(code, image_id, asked, message),
        (Some(image_id), None) => image(code, image_id, message).at(place(case, image_id)),
        (None, _) => Refusal::new(code, message),
    };
    let refusal = match (criterion, asked) {
        (Criterion::Requester, _) => {
            let message = format!("no rule of the allowlist names {}", quoted(requester));
            new(RefusalCode::RequesterNotAllowed, message)
        }
        (Criterion::Action, _) => action_not_allowed(action, requester, rule, new),
        (Criterion::Provenance, _) => {
            let who = quoted(requester);
            new(RefusalCode::ImageNotAllowed, format!("no rule allows {who} to `{action}` this image as it is"))
                .value("action", action.as_str())
        }
        (Criterion::Image, _) | (_, None) => {
            let who = quoted(requester);
            let message = format!("no rule allows {who} to `{action}` an image with this name and these tags");
            new(RefusalCode::ImageNotAllowed, message)
                .value("action", action.as_str())
                .remedy("compare the image's name and tags with the rule's `images`")
        }
        (Criterion::Target, Some(asked)) => {
            let (who, target) = (quoted(requester), &asked.target);
            new(RefusalCode::TargetNotAllowed, format!("no rule allows {who} to `{action}` this image for {target}"))
                .value("action", action.as_str())
                .remedy(format!("ask the allowlist's owners to add `{target}` to the targets of a rule"))
        }
        (Criterion::Access | Criterion::Roles | Criterion::Duration | Criterion::Copies, Some(asked)) => {
            let target = case.allowlist.called(&asked.target);
            let refusal = terms_not_allowed(criterion, case, requester, &target, rule, new);
            match rule {
                Some(rule) => refusal.value("rule", rule.name.as_str()),
                None => refusal,
            }
        }
    };
    refusal.value("requester", requester)
}

/// The image has no parameter that the rule could publish it to.
pub(super) fn publish_not_possible(
    case: &Case<'_>,
    image_id: &ImageId,
    rule: &Rule,
    publish: &Publish,
    Unfillable { tag, given, why }: Unfillable,
) -> Refusal {
    let name = quoted(&publish.to_string());
    let message = format!("rule {} publishes the image to {name}, and {why}", quoted(&rule.name));
    let refusal = image(RefusalCode::PublishNotPossible, image_id, message)
        .at(place(case, image_id))
        .value("rule", rule.name.as_str())
        .value("parameter", publish.to_string())
        .remedy(match &tag {
            Some(tag) => {
                format!("give the image another value of the tag {}, or change the rule's `publish`", quoted(tag))
            }
            None => "change the rule's `publish`".to_owned(),
        });
    let refusal = match tag {
        Some(tag) => refusal.value("tag", tag),
        None => refusal,
    };
    match given {
        Some(given) => refusal.value("given", given),
        None => refusal,
    }
}

/// The maximum number of rules that are named with what an image lacks for them.
const RULES_NAMED: usize = 5;

/// The image does not meet all criteria of these rules, which cover it by name and tags.
pub(super) fn lacks_provenance(
    case: &Case<'_>,
    action: Action,
    (image_id, image): (&ImageId, &Image),
    asked: Option<&AskedTarget>,
    rules: &[&Rule],
) -> Refusal {
    let refusal = not_covered(Criterion::Provenance, case, action, Some(image_id), asked, None);
    let first = rules.first().map(|rule| rule.images.shortfalls(&image.provenance, case.now));
    let mut remedies: Vec<_> = first.iter().flatten().map(Shortfall::remedy).collect();
    remedies.dedup();
    let message = refusal.message.clone() + &lacking(rules, image, case.now);
    Refusal { message, remedy: Some(remedies.join("; ")), ..refusal }
}

/// What an image lacks for each of these rules, as the end of a sentence.
pub(super) fn lacking(rules: &[&Rule], image: &Image, now: OffsetDateTime) -> String {
    let named = rules.iter().take(RULES_NAMED).map(|rule| {
        let lacking = rule.images.shortfalls(&image.provenance, now);
        let lacking: Vec<_> = lacking.iter().map(ToString::to_string).collect();
        format!("for rule {}, {}", quoted(&rule.name), lacking.join(", and "))
    });
    let named: Vec<_> = named.collect();
    match rules.len().saturating_sub(RULES_NAMED) {
        0 => format!(": {}", named.join("; ")),
        more => format!(": {}; and {more} more rules", named.join("; ")),
    }
}

fn action_not_allowed(
    action: Action,
    requester: &str,
    rule: Option<&Rule>,
    new: impl Fn(RefusalCode, String) -> Refusal,
) -> Refusal {
    let who = quoted(requester);
    let (this, to_which) = match rule {
        Some(rule) => (" this image", format!("rule {}, which covers the image", quoted(&rule.name))),
        None => ("", format!("a rule for {who}")),
    };
    let refusal = new(RefusalCode::ActionNotAllowed, format!("no rule allows {who} to `{action}`{this}"))
        .at("/action")
        .value("action", action.as_str())
        .remedy(format!("ask the allowlist's owners to add `{action}` to the actions of {to_which}"));
    match rule {
        Some(rule) => refusal.value("rule", rule.name.as_str()),
        None => refusal,
    }
}

/// The rules for the image and the target don't allow the requested terms.
fn terms_not_allowed(
    criterion: Criterion,
    case: &Case<'_>,
    requester: &str,
    target: &str,
    rule: Option<&Rule>,
    new: impl Fn(RefusalCode, String) -> Refusal,
) -> Refusal {
    let (request, who) = (case.request, quoted(requester));
    let longest = rule.and_then(|rule| rule.max_duration).map(written);
    let most = longest.as_ref().map(|longest| format!(", at most {longest} from now")).unwrap_or_default();
    let refusal = match (criterion, request.expires_at) {
        (Criterion::Roles, _) => role_not_allowed(request, requester, target, rule, &new),
        (Criterion::Duration, None) => {
            let message =
                format!("the rules that allow {who} to share this image with {target} require an expiry{most}");
            new(RefusalCode::ExpiryRequired, message).at("/expiresAt").remedy("set `expiresAt`")
        }
        (Criterion::Duration, Some(at)) => {
            let message = format!("no rule allows {who} to share this image with {target} until this time{most}");
            new(RefusalCode::ExpiryNotAllowed, message)
                .at("/expiresAt")
                .value("given", rfc3339(at))
                .remedy("give an earlier `expiresAt`; the rule's `maxDuration` bounds it")
        }
        (Criterion::Copies, _) => {
            let region = request.copy_from.as_ref().map(ToString::to_string).unwrap_or_default();
            let message = format!(
                "the rules that allow {who} to share this image with {target} don't allow copies of images in {region}"
            );
            new(RefusalCode::CopyNotAllowed, message)
                .at("/copyFrom")
                .value("copyFrom", region.as_str())
                .remedy(format!("ask the allowlist's owners to add `{region}` to the `copies.from` of a rule"))
        }
        (_, _) => {
            let message = format!("no rule allows {who} to give {target} copy access to this image");
            new(RefusalCode::AccessNotAllowed, message)
                .at("/access")
                .value("access", "launch")
                .remedy("request `access: launch`, or ask the allowlist's owners to set `access: copy` in the rule")
        }
    };
    match longest.filter(|_| criterion == Criterion::Duration) {
        Some(longest) => refusal.value("maxDuration", longest),
        None => refusal,
    }
}

/// The rules for the image and the target don't allow grants for all requested roles.
fn role_not_allowed(
    request: &Request,
    requester: &str,
    target: &str,
    rule: Option<&Rule>,
    new: impl Fn(RefusalCode, String) -> Refusal,
) -> Refusal {
    let who = quoted(requester);
    let allowed = rule.filter(|rule| rule.keys == KeyCheck::Grant).map(|rule| &rule.service_linked_roles);
    let allowed: Vec<_> = allowed.into_iter().flatten().collect();
    let mut lacking = request.service_linked_roles.iter().enumerate();
    let first = lacking.find(|(_, role)| !allowed.contains(role)).map_or(0, |(index, _)| index);
    let roles: Vec<_> = request.service_linked_roles.iter().filter(|role| !allowed.contains(role)).collect();
    let named = |roles: &[&ServiceLinkedRole]| roles.iter().map(ToString::to_string).collect::<Vec<_>>();
    let message = format!("no rule allows {who} grants for all of these service-linked roles in {target}");
    new(RefusalCode::RoleNotAllowed, message)
        .at(format!("/serviceLinkedRoles/{first}"))
        .value("roles", named(&roles))
        .value("allowed", named(&allowed))
        .remedy("request fewer roles, or ask the allowlist's owners to set `keys: grant` in the rule and to list the roles in its `serviceLinkedRoles`")
}

pub(super) fn image_not_found(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    let (region, remedy) = match &case.request.copy_from {
        None => {
            let remedy = "an image is in one Region only: send the request to the deployment of that Region, or set `copyFrom` to it";
            ("this Region".to_owned(), remedy)
        }
        Some(region) => (region.to_string(), "set `copyFrom` to the Region of the image"),
    };
    let message = format!("{image_id} does not exist in {region}, or this account can't see it");
    image(RefusalCode::ImageNotFound, image_id, message).at(place(case, image_id)).remedy(remedy)
}

pub(super) fn target_not_found(image_id: &ImageId, group: &GroupId) -> Refusal {
    let message = format!("{image_id} is not shared with {group}, and no rule for the requester names its ARN");
    image(RefusalCode::TargetNotFound, image_id, message)
        .at("/organizationArns")
        .value("id", group.to_string())
        .remedy("name it by its ARN, in the document of `POST /requests`")
}

pub(super) fn image_not_owned(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    image(
        RefusalCode::ImageNotOwned,
        image_id,
        format!("another account owns {image_id}; only the owner can see and change its launch permissions"),
    )
    .at(place(case, image_id))
    .remedy("ask the owner to share it, or copy the image and share the copy")
}

pub(super) fn image_not_available(case: &Case<'_>, image_id: &ImageId, state: &ImageState) -> Refusal {
    let remedy = match state {
        ImageState::Pending => "send the request again when the image is `available`",
        ImageState::Disabled => "enable the image first; disabling it removed every launch permission",
        ImageState::Available | ImageState::Deregistered | ImageState::Awaited(_) | ImageState::Other(_) => {
            "look at the image's state reason in the EC2 console"
        }
    };
    let message = format!("{image_id} is {}; only an `available` image can be shared", quoted(state.as_str()));
    let refusal = image(RefusalCode::ImageNotAvailable, image_id, message)
        .at(place(case, image_id))
        .value("state", state.as_str())
        .remedy(remedy);
    if *state == ImageState::Pending { Refusal { lasts: Lasts::ForAWhile, ..refusal } } else { refusal }
}

pub(super) fn target_is_owner(case: &Case<'_>, image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let target = case.allowlist.called(&asked.target);
    pair(RefusalCode::TargetIsOwner, image_id, asked, format!("{target} owns {image_id} and can always launch it"))
        .remedy("leave the account out of the request")
}

pub(super) fn copy_for_group(image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let message = format!(
        "EC2 has no create volume permission for organizations and their units, so {} can't be given copy access",
        asked.target
    );
    pair(RefusalCode::CopyNotPossible, image_id, asked, message)
        .remedy("share with `access: launch`, or share with `access: copy` with each account that must copy")
}

/// The function's role may not change snapshots: `AMI_SHARE_COPY_ACCESS`.
pub(super) fn copy_access_off(image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let message = "this deployment can't give `access: copy`: its parameter EnableCopyAccess is off";
    pair(RefusalCode::NotSetUp, image_id, asked, message)
        .at("/access")
        .value("parameter", "EnableCopyAccess")
        .remedy("ask for `access: launch`, or have the stack updated with EnableCopyAccess=true")
}

/// The function's role may not create grants: `AMI_SHARE_KEY_GRANTS`.
pub(super) fn key_grants_off(image_id: &ImageId, asked: &AskedTarget, grant: &NeededGrant) -> Refusal {
    let message = format!(
        "{} would need a grant on {}, and this deployment can't make grants: its parameter EnableKeyGrants is off",
        grant.grantee, grant.key
    );
    let refusal = pair(RefusalCode::NotSetUp, image_id, asked, message)
        .key(&grant.key)
        .value("parameter", "EnableKeyGrants")
        .remedy(format!(
            "have the stack updated with EnableKeyGrants=true, or let {} use the key by its key policy",
            grant.account
        ));
    match &grant.kind {
        GranteeKind::Account => refusal,
        GranteeKind::Role(role) => refusal.value("role", role.to_string()),
    }
}

pub(super) fn copy_of_foreign_snapshot(image_id: &ImageId, snapshot: &Snapshot) -> Refusal {
    let message = format!(
        "{} behind {image_id} belongs to account {}, and only its owner can share it",
        snapshot.id, snapshot.owner
    );
    image(RefusalCode::CopyNotPossible, image_id, message)
        .at("/access")
        .value("snapshotId", snapshot.id.to_string())
        .value("owner", snapshot.owner.to_string())
        .remedy("copy the image, so that its snapshots are this account's, and share the copy")
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>: an account that copies an instance
/// store-backed image must be able to read its bundle in Amazon S3, which is not part of a share.
pub(super) fn copy_of_instance_store(image_id: &ImageId) -> Refusal {
    let message = format!(
        "{image_id} is backed by an instance store: its data is a bundle in Amazon S3, to which a create volume permission gives no access"
    );
    image(RefusalCode::CopyNotPossible, image_id, message)
        .at("/access")
        .remedy("share it with `access: launch`, or make an EBS-backed image of it and share that")
}

pub(super) fn quota_exceeded(image_id: &ImageId, entries: usize, new: usize, quota: usize) -> Refusal {
    let message = format!("{image_id} is shared with {entries} entities; {new} more would exceed the quota of {quota}");
    let refusal = image(RefusalCode::QuotaExceeded, image_id, message)
        .value("count", entries)
        .value("new", new)
        .value("quota", quota);
    refusal.remedy(
        "share with an organization or organizational unit, which counts as one entity, or have the quota \
         \"AMI sharing\" raised and AMI_SHARE_ENTITY_QUOTA with it",
    )
}

/// This deployment can't record what waits, or may not copy images: `AMI_SHARE_COPIES`.
pub(super) fn copies_not_set_up(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    let why = match case.unset_for_copies.join(", ") {
        unset if unset.is_empty() => "its parameter EnableCopies is off".to_owned(),
        unset => format!("it has no {unset}"),
    };
    let message = format!("copies are not set up in this deployment: {why}");
    let refusal = image(RefusalCode::CopyNotPossible, image_id, message)
        .at("/copyFrom")
        .value("parameter", "EnableCopies")
        .remedy("have the stack updated with EnableCopies=true");
    if case.unset_for_copies.is_empty() { refusal } else { refusal.value("variables", case.unset_for_copies) }
}

pub(super) fn copy_from_other_partition(case: &Case<'_>, region: &Region) -> Refusal {
    let message =
        format!("{region} is in another partition than {}, and no image can be copied from there", case.region);
    Refusal::new(RefusalCode::CopyNotPossible, message).at("/copyFrom").remedy(
        "bring the image there by an S3 bucket: \
         https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/store-restore-how-it-works.html",
    )
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
pub(super) fn copy_of_bundle(case: &Case<'_>, image_id: &ImageId) -> Refusal {
    let message = format!(
        "{image_id} is backed by an instance store: its data is a bundle in Amazon S3, which no key of a rule encrypts"
    );
    image(RefusalCode::CopyNotPossible, image_id, message)
        .at(place(case, image_id))
        .remedy("make an EBS-backed image of it and share a copy of that")
}

pub(super) fn copies_under_several_keys(image_id: &ImageId, keys: &[KeyArn]) -> Refusal {
    let names: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let message = format!("the targets are under rules whose copies have different keys: {}", names.join(", "));
    image(RefusalCode::CopyNotPossible, image_id, message)
        .at("/copyFrom")
        .value("keys", names)
        .remedy("send one request for the targets of each key")
}

/// It would have to be shared as one copy and be the source of another.
pub(super) fn copied_too(image_id: &ImageId) -> Refusal {
    let message =
        format!("{image_id} is a copy of another image of the request, which names it too, to be copied itself");
    image(RefusalCode::CopyNotPossible, image_id, message)
        .at("/copyFrom")
        .remedy("send one request for each of the images")
}

pub(super) fn copy_key_elsewhere(image_id: &ImageId, key: &KeyArn, region: &str) -> Refusal {
    let message = format!("{key} is in {}, and a copy in {region} can't be encrypted with it", key.region());
    image(RefusalCode::CopyKeyNotUsable, image_id, message)
        .at("/copyFrom")
        .key(key)
        .remedy(format!("change the rule's `copies.key` to a key of {region}"))
}

/// What is wrong with the key that a copy would be encrypted with.
pub(super) fn of_copy_key(key: &KeyArn, code: RefusalCode, why: &str) -> String {
    let is_default = code == RefusalCode::DefaultKey;
    let why = if is_default { "AWS manages it, and what is encrypted with it can't be shared" } else { why };
    format!("a copy can't be encrypted with {key}, the key of the rule: {why}")
}

/// The same refusal with the remedy for an AWS managed key: a copy of the image under the key of a rule.
pub(super) fn with_remedy_by_copy(refusal: Refusal, rule: &Rule, region: &str) -> Refusal {
    let remedy = format!(
        "send the request with `copyFrom: {region}`: rule {} has the image copied with a key that can be shared, and shares \
         the copy",
        quoted(&rule.name)
    );
    refusal.remedy(remedy).value("rule", rule.name.as_str()).value("copyFrom", region)
}

pub(super) fn copy_key_unread(image_id: &ImageId, key: &KeyArn, failure: &Failure) -> Refusal {
    let message = format!("whether {key} can encrypt a copy is not known: {}", failure.message);
    let refusal = image(RefusalCode::CopyKeyNotUsable, image_id, message).at("/copyFrom").key(key);
    let remedy = "change the rule's `copies.key` to a key that the function's role may use";
    Refusal { lasts: Lasts::UntilRead, ..refusal.remedy(remedy) }
}

/// A copy can be made only of what can be decrypted.
pub(super) fn source_key_not_usable(image_id: &ImageId, key: &KeyArn, state: &str) -> Refusal {
    let message =
        format!("{key}, with which the image is encrypted, is in the state {state}, in which nobody can use it");
    image(RefusalCode::KeyNotUsable, image_id, message)
        .key(key)
        .value("state", state)
        .remedy(remedy_of_key_state(state))
}

pub(super) fn source_key_unread(image_id: &ImageId, key: &KeyArn, failure: &Failure) -> Refusal {
    let message =
        format!("whether {key}, with which the image is encrypted, can be used is not known: {}", failure.message);
    let remedy = "let the function's role use the key, in the role's IAM policy and by the key policy";
    Refusal { lasts: Lasts::UntilRead, ..image(RefusalCode::KeyNotUsable, image_id, message).key(key).remedy(remedy) }
}
