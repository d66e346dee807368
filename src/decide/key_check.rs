//! Owns the check of the keys behind an image: a row per key and target, and the refusals that follow from them.

use super::{ImageDecision, Question, covering_rule, refusals};
use crate::{
    allowlist::Keys,
    domain::{KeyArn, Target},
    facts::{Facts, Image, Key},
    key_access::{self, KeyAccess, KeyUse, Policy, Verdict},
    outcome::{Code, KeyRow, Refusal},
    request::AskedTarget,
};

/// Judges every key for every covered target.
pub(super) fn check(question: &Question<'_>, facts: &Facts, image: &Image, decision: &mut ImageDecision<'_>) {
    let covered: Vec<_> = decision.targets.iter().filter_map(|(asked, rule)| rule.map(|rule| (*asked, rule))).collect();
    if covered.is_empty() {
        return;
    }
    let mut usable = Vec::new();
    for key in image.keys() {
        match unusable(decision, key, facts.keys.get(key)) {
            Some(refusal) => decision.refusals.push(refusal),
            None => usable.push(key),
        }
    }
    for (asked, rule) in covered {
        let rows: Vec<_> = usable
            .iter()
            .map(|key| KeyRow {
                key_arn: (*key).clone(),
                target: asked.target.clone(),
                access: judge(question, key, facts.keys.get(*key), &asked.target),
            })
            .collect();
        for row in rows.iter().filter(|row| row.access.verdict != Verdict::Allowed) {
            match rule.keys {
                Keys::Unchecked => decision.warnings.push(unchecked_warning(row)),
                Keys::Grant if row.access.verdict != Verdict::Denied => {
                    decision.refusals.push(grants_not_built(decision.image_id, asked, row));
                }
                Keys::Verify | Keys::Grant => decision.refusals.push(refusal(decision.image_id, asked, row)),
            }
        }
        decision.keys.extend(rows);
    }
}

/// The account targets that a key's policy alone neither lets in nor denies: for those the grants matter.
pub fn unsettled_by_policy(question: &Question<'_>, facts: &Facts) -> Vec<(KeyArn, Target)> {
    let mut unsettled = Vec::new();
    for image in facts.images.values().filter(|image| image.owner == question.account) {
        let targets = question.request.targets.iter().map(|asked| &asked.target);
        let covered =
            targets.filter(|target| target.account().is_some() && covering_rule(question, image, target).is_ok());
        for target in covered {
            for arn in image.keys() {
                let Some(key) = facts.keys.get(arn) else { continue };
                let is_usable = key.metadata.as_ref().is_ok_and(|metadata| !metadata.is_aws_managed);
                let verdict = judge(question, arn, Some(key), target).verdict;
                let is_settled = matches!(verdict, Verdict::Allowed | Verdict::Denied);
                let pair = (arn.clone(), (*target).clone());
                if is_usable && !is_settled && key.policy.is_ok() && !unsettled.contains(&pair) {
                    unsettled.push(pair);
                }
            }
        }
    }
    unsettled
}

/// Why no target at all can be let in by this key.
fn unusable(decision: &ImageDecision<'_>, arn: &KeyArn, key: Option<&Key>) -> Option<Refusal> {
    let metadata = key?.metadata.as_ref().ok()?;
    if metadata.is_aws_managed {
        let message =
            format!("a snapshot is encrypted with {arn}, a key that AWS manages; such an image can't be shared");
        return Some(refusals::image(Code::DefaultKey, decision.image_id, message).remedy(
            "copy the image with a customer managed key (`aws ec2 copy-image --encrypted --kms-key-id …`) and share the copy",
        ));
    }
    if let Some(state) = &metadata.unusable_state {
        let message = format!("{arn} is in the state {state}, in which nobody can use it");
        return Some(
            refusals::image(Code::KeyNotUsable, decision.image_id, message)
                .remedy("enable the key, or cancel its deletion, and send the request again"),
        );
    }
    if !metadata.is_symmetric {
        let message = format!("{arn} is not a symmetric encryption key; EBS can't use it");
        return Some(
            refusals::image(Code::KeyNotUsable, decision.image_id, message).remedy("copy the image with another key"),
        );
    }
    None
}

fn judge(question: &Question<'_>, arn: &KeyArn, key: Option<&Key>, target: &Target) -> KeyAccess {
    let Some(key) = key else {
        return KeyAccess::unknown(format!("{arn} was not read"));
    };
    if arn.account() != question.account {
        return KeyAccess::unknown(format!(
            "{arn} belongs to account {}, and only the owner of a key may read its policy",
            arn.account()
        ));
    }
    let policy = match &key.policy {
        Ok(text) => Policy::parse(text),
        Err(error) => return KeyAccess::unknown(format!("the key policy of {arn} can't be read: {}", error.message)),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return KeyAccess::unknown(format!("the key policy of {arn} can't be understood: {error}")),
    };
    key_access::judge(&key_access::Question {
        key: arn,
        policy: &policy,
        grants: key.grants.as_deref().unwrap_or_default(),
        target,
        organization: &question.allowlist.organization_facts(target),
        key_use: &KeyUse::Launch,
    })
}

fn refusal(image_id: &crate::domain::ImageId, asked: &AskedTarget, row: &KeyRow) -> Refusal {
    let KeyRow { key_arn, target, access } = row;
    let (code, message) = match access.verdict {
        Verdict::Allowed | Verdict::Unknown => {
            (Code::KeyAccessUnknown, format!("whether {key_arn} lets {target} in is not known"))
        }
        Verdict::Missing => (
            Code::KeyAccessMissing,
            format!(
                "{key_arn} does not let {target} in: {} missing; its instances would die at launch",
                access.missing.join(", ")
            ),
        ),
        Verdict::Conditional => (
            Code::KeyAccessConditional,
            format!("whether {key_arn} lets {target} in hangs on {}", access.depends_on.join(", ")),
        ),
        Verdict::Denied => (Code::KeyAccessDenied, format!("the key policy of {key_arn} denies {target}")),
    };
    let notes = access.notes.join("; ");
    let message = if notes.is_empty() { message } else { format!("{message} ({notes})") };
    let refusal = refusals::pair(code, image_id, asked, message);
    match &access.remedy {
        Some(statements) => refusal.remedy(format!("add to the key policy of {key_arn}: {statements}")),
        None => refusal.remedy(match access.verdict {
            Verdict::Denied => "change the Deny statement named in `keys`; no grant and no Allow goes around it",
            Verdict::Allowed | Verdict::Missing | Verdict::Conditional | Verdict::Unknown => {
                "have the key's owner check that its policy lets the target in, and use a rule with `keys: unchecked`"
            }
        }),
    }
}

fn grants_not_built(image_id: &crate::domain::ImageId, asked: &AskedTarget, row: &KeyRow) -> Refusal {
    let message = format!("{} needs a grant for {}; creating grants is not built yet", row.key_arn, row.target);
    refusals::pair(Code::NotSupportedYet, image_id, asked, message)
}

fn unchecked_warning(row: &KeyRow) -> String {
    format!(
        "shared without the key check: {} may not let {} in, and its instances would then die at launch",
        row.key_arn, row.target
    )
}
