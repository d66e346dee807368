//! Owns the wording of the refusals: what is in the way, and what to do about it.

use super::{Authority, NeededGrant, Question};
use crate::{
    allowlist::{Criterion, Rule},
    domain::{GroupId, ImageId, Requester, quoted},
    facts::{ImageState, Snapshot},
    outcome::{Refusal, RefusalCode},
    request::AskedTarget,
};

pub(super) fn image(code: RefusalCode, image_id: &ImageId, message: impl Into<String>) -> Refusal {
    Refusal { image_id: Some(image_id.clone()), ..Refusal::new(code, message) }
}

pub(super) fn pair(code: RefusalCode, image_id: &ImageId, asked: &AskedTarget, message: impl Into<String>) -> Refusal {
    Refusal {
        target: Some(asked.target.clone()),
        pointer: Some(asked.pointer.clone()),
        ..image(code, image_id, message)
    }
}

/// No rule names the requester.
pub(super) fn stranger(requester: &Requester) -> Refusal {
    Refusal::new(
        RefusalCode::RequesterNotAllowed,
        format!("no rule of the allowlist names {}", quoted(requester.as_str())),
    )
}

/// No rule covers what is asked; `criterion` is the one that left none, and `rule` came nearest.
pub(super) fn not_covered(
    criterion: Criterion,
    question: &Question<'_>,
    image_id: Option<&ImageId>,
    asked: Option<&AskedTarget>,
    rule: Option<&Rule>,
) -> Refusal {
    let action = question.request.action;
    let who = match question.authority {
        Authority::Requester(requester) => quoted(requester.as_str()),
        Authority::Expiry(_) => "nobody".to_owned(),
    };
    let target = asked.map(|asked| asked.target.to_string()).unwrap_or_default();
    let (code, message, remedy) = match criterion {
        Criterion::Requester => {
            (RefusalCode::RequesterNotAllowed, format!("no rule of the allowlist names {who}"), None)
        }
        Criterion::Action => {
            let (this, to_which) = match rule {
                Some(rule) => (" this image", format!("rule {}, which covers the image", quoted(&rule.name))),
                None => ("", format!("a rule for {who}")),
            };
            (
                RefusalCode::ActionNotAllowed,
                format!("no rule allows {who} to `{action}`{this}"),
                Some(format!("ask the allowlist's owners to add `{action}` to the actions of {to_which}")),
            )
        }
        Criterion::Image => (
            RefusalCode::ImageNotAllowed,
            format!("no rule allows {who} to `{action}` an image with this name and these tags"),
            Some("compare the image's name and tags with the rule's `images`".to_owned()),
        ),
        Criterion::Target => (
            RefusalCode::TargetNotAllowed,
            format!("no rule allows {who} to `{action}` this image for {target}"),
            Some(format!("ask the allowlist's owners to add {} to the targets of a rule", quoted(&target))),
        ),
        Criterion::Access => (
            RefusalCode::AccessNotAllowed,
            format!("no rule allows {who} to share this image with {target} for copying"),
            Some("ask for `access: launch`, or for `access: copy` in the rule".to_owned()),
        ),
        Criterion::Roles => (
            RefusalCode::RoleNotAllowed,
            format!("no rule allows {who} a grant for every one of these service-linked roles in {target}"),
            Some(
                "ask for fewer roles, or for `keys: grant` and the roles in the rule's `serviceLinkedRoles`".to_owned(),
            ),
        ),
        Criterion::Duration if question.request.expires_at.is_none() => (
            RefusalCode::ExpiryRequired,
            format!("the rules that allow {who} to share this image with {target} want the share to expire"),
            Some("give `expiresAt`".to_owned()),
        ),
        Criterion::Duration => (
            RefusalCode::ExpiryNotAllowed,
            format!("no rule allows {who} to share this image with {target} until then"),
            Some("give an earlier `expiresAt`; the rule's `maxDuration` bounds it".to_owned()),
        ),
    };
    let refusal = match (image_id, asked) {
        (Some(image_id), Some(asked)) => pair(code, image_id, asked, message),
        (Some(image_id), None) => image(code, image_id, message),
        (None, _) => Refusal::new(code, message),
    };
    Refusal { remedy, ..refusal }
}

pub(super) fn image_not_found(image_id: &ImageId) -> Refusal {
    image(
        RefusalCode::ImageNotFound,
        image_id,
        format!("{image_id} does not exist in this Region, or this account can't see it"),
    )
    .remedy("images are per Region: ask the function in the Region where the image is")
}

pub(super) fn target_not_found(image_id: &ImageId, group: &GroupId) -> Refusal {
    let message = format!("{image_id} is not shared with {group}, and no rule for the requester names its ARN");
    image(RefusalCode::TargetNotFound, image_id, message)
        .remedy("name it by its ARN, in the document of `POST /requests`")
}

pub(super) fn image_not_owned(image_id: &ImageId) -> Refusal {
    image(
        RefusalCode::ImageNotOwned,
        image_id,
        format!("another account owns {image_id}; only the owner can see and change its launch permissions"),
    )
    .remedy("ask the owner, or copy the image and share the copy")
}

pub(super) fn image_not_available(image_id: &ImageId, state: &ImageState) -> Refusal {
    let remedy = match state {
        ImageState::Pending => "send the request again when the image is `available`",
        ImageState::Disabled => "enable the image first; disabling it removed every launch permission",
        ImageState::Available | ImageState::Deregistered | ImageState::Other(_) => {
            "see the image's state reason in the EC2 console"
        }
    };
    let message = format!("{image_id} is {}; only an `available` image can be shared", quoted(state.as_str()));
    let refusal = image(RefusalCode::ImageNotAvailable, image_id, message).remedy(remedy);
    Refusal { may_pass: *state == ImageState::Pending, ..refusal }
}

pub(super) fn target_is_owner(image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    pair(
        RefusalCode::TargetIsOwner,
        image_id,
        asked,
        format!("{} owns {image_id} and can always launch it", asked.target),
    )
    .remedy("leave the account out")
}

pub(super) fn copy_for_group(image_id: &ImageId, asked: &AskedTarget) -> Refusal {
    let message = format!(
        "EC2 has no create volume permission for organizations and their units, so {} can't be let copy",
        asked.target
    );
    pair(RefusalCode::CopyNotPossible, image_id, asked, message)
        .remedy("share with `access: launch`, and with `access: copy` with each account that must copy")
}

/// The role may not change snapshots: `AMI_SHARE_COPY_ACCESS`.
pub(super) fn copy_access_off(image_id: &ImageId) -> Refusal {
    let message = "this deployment can't give `access: copy`: its parameter EnableCopyAccess is off";
    Refusal { pointer: Some("/access".to_owned()), ..image(RefusalCode::NotSetUp, image_id, message) }
        .remedy("ask for `access: launch`, or have the stack updated with EnableCopyAccess=true")
}

/// The role may not make grants: `AMI_SHARE_KEY_GRANTS`.
pub(super) fn key_grants_off(image_id: &ImageId, asked: &AskedTarget, grant: &NeededGrant) -> Refusal {
    let message = format!(
        "{} would need a grant on {}, and this deployment can't make grants: its parameter EnableKeyGrants is off",
        grant.grantee, grant.key
    );
    pair(RefusalCode::NotSetUp, image_id, asked, message).remedy(format!(
        "have the stack updated with EnableKeyGrants=true, or let {} use the key by its key policy",
        grant.account
    ))
}

pub(super) fn copy_of_foreign_snapshot(image_id: &ImageId, snapshot: &Snapshot) -> Refusal {
    let message =
        format!("{} behind {image_id} belongs to account {}, which alone can share it", snapshot.id, snapshot.owner);
    image(RefusalCode::CopyNotPossible, image_id, message)
        .remedy("copy the image, so that its snapshots are this account's, and share the copy")
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>: whoever copies an instance store-backed image
/// needs to read its bundle in S3, and a bundle has no permission of its own.
pub(super) fn copy_of_instance_store(image_id: &ImageId) -> Refusal {
    let message = format!(
        "{image_id} is backed by an instance store: its data is a bundle in Amazon S3, which no create volume permission gives"
    );
    image(RefusalCode::CopyNotPossible, image_id, message)
        .remedy("share it with `access: launch`, or make an EBS-backed image of it and share that")
}

pub(super) fn quota_exceeded(image_id: &ImageId, entries: usize, new: usize, quota: usize) -> Refusal {
    let message = format!("{image_id} is shared with {entries} entities; {new} more would exceed the quota of {quota}");
    image(RefusalCode::QuotaExceeded, image_id, message).remedy(
        "share with an organization or organizational unit, which counts as one entity, or have the quota \
         \"AMI sharing\" raised and AMI_SHARE_ENTITY_QUOTA with it",
    )
}
