//! Owns which targets the bare ID of an organization or organizational unit means: the ARNs that are known to have it.

use super::{
    case::{Authority, Case},
    permit::covering_rule_of_image,
};
use crate::{
    domain::{GroupId, Target},
    facts::{CopyRecord, Facts, Image, LaunchPermission, Reading},
    request::AskedTarget,
};

/// The targets with this ID; none if nothing known has it, and then the decision refuses the request.
///
/// An ARN also names the management account, so it can't be made from the ID: it must have been seen. It is looked for first
/// among the current shares and those that wait, then in the rules that name the requester. The directory has only IDs, and the rules of other
/// requesters are not shown to this one. Fails if the shares could not be read and the rules don't help: then it is not known
/// whether there is such a target.
pub(super) fn targets_of_group(case: &Case<'_>, facts: &Facts, group: &GroupId) -> Reading<Vec<AskedTarget>> {
    let may_ask = |image: &&Image| image.owner == case.account && covering_rule_of_image(case, image).is_ok();
    let images = || facts.images.values().filter(may_ask);
    let shared = images().flat_map(|image| image.launch_permissions.iter().flatten());
    let mut targets = distinct(
        group,
        shared.filter_map(|entry| match entry {
            LaunchPermission::To(target) => Some(target),
            LaunchPermission::Public | LaunchPermission::Unknown(_) => None,
        }),
    );
    if targets.is_empty() {
        // What waits for a copy is shared later.
        let waiting = images().flat_map(|image| image.waiting.iter().flatten()).flat_map(CopyRecord::targets);
        targets = distinct(group, waiting);
    }
    if targets.is_empty() {
        targets = named_by_rules(case, group);
    }
    if targets.is_empty()
        && let Some(error) = images().find_map(|image| image.launch_permissions.failed())
    {
        return Err(error.clone());
    }
    Ok(targets.into_iter().enumerate().map(asked_at).collect())
}

/// The targets with this ID that the requester's rules name. This is known before anything is read.
pub(super) fn targets_by_rules(case: &Case<'_>, group: &GroupId) -> Vec<AskedTarget> {
    named_by_rules(case, group).into_iter().enumerate().map(asked_at).collect()
}

fn named_by_rules(case: &Case<'_>, group: &GroupId) -> Vec<Target> {
    let own_rules = case.allowlist.rules.iter().filter(|rule| match case.authority {
        Authority::Requester(requester) => rule.names(requester),
        Authority::Expiry(_) => false,
    });
    distinct(group, own_rules.flat_map(|rule| &rule.targets))
}

fn distinct<'a>(group: &GroupId, known: impl Iterator<Item = &'a Target>) -> Vec<Target> {
    let mut targets: Vec<Target> = known.filter(|target| group.is_of(target)).cloned().collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// The target with the place that it would have in a request document.
fn asked_at((index, target): (usize, Target)) -> AskedTarget {
    let field = match &target {
        Target::Account(_) => "accountIds",
        Target::Organization(_) => "organizationArns",
        Target::OrganizationalUnit(_) => "organizationalUnitArns",
    };
    AskedTarget { target, pointer: format!("/{field}/{index}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use key_policy::json::Json;
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        allowlist::Allowlist,
        decide::{Judgements, Setup, decide, resolve},
        domain::{AccountId, Requester},
        facts::{Fact, Failure, ImageState, Provenance},
        outcome::{ErrorCode, RefusalCode},
        request::Request,
    };

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);
    const ORGANIZATION: &str = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    const OTHERS: &str = "arn:aws:organizations::999988887777:organization/o-zzzzzzzzzz";
    const UNIT: &str = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
    const ALLOWLIST: &str = r#"
version: 1
accounts:
  "111122223333": {organizationId: o-yyyyyyyyyy}
rules:
  - name: mine
    requesters: ["lambda:invoke"]
    actions: [share, revoke, check]
    images: {names: ["golden-*"]}
    targets: ["arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"]
  - name: others
    requesters: ["arn:aws:iam::999988887777:role/portal"]
    actions: [share, revoke]
    images: all
    targets: ["arn:aws:organizations::999988887777:organization/o-zzzzzzzzzz"]
"#;

    /// What a revoke or check of `id` is about when the image is shared with these, and what is refused.
    #[expect(clippy::too_many_lines, reason = "it sets up an image, and is a test")]
    #[track_caller]
    fn check(id: &str, name: &str, shared: Reading<&[&str]>, expect: Result<(&[&str], &[RefusalCode]), ErrorCode>) {
        for action in ["revoke", "check"] {
            let document = format!(r#"{{"action": "{action}", "imageIds": ["ami-1a2b3c4d"]}}"#);
            let request = Request::parse_for(GroupId::parse(id), &Json::parse(&document).unwrap(), NOW).unwrap();
            let requester = Requester::new("lambda:invoke".to_owned());
            let allowlist = Allowlist::parse(ALLOWLIST).unwrap();
            let account: AccountId = "999988887777".parse().unwrap();
            let case = Case {
                request: &request,
                authority: Authority::Requester(&requester),
                unset_for_expiry: &[],
                is_automatic: false,
                region: "eu-west-1",
                request_id: "request",
                unset_for_copies: &[],
                named: &request.image_ids,
                hint: None,
                approval: crate::decide::Approval::Asked,
                deadline: NOW,
                setup: Setup { key_grants: true, copy_access: true, copies: true, approvals: true },
                allowlist: &allowlist,
                account,
                entity_quota: 1000,
                now: NOW,
            };
            let to = |target: &&str| LaunchPermission::To(target.parse().unwrap());
            let image = Image {
                owner: account,
                state: ImageState::Available,
                state_reason: None,
                name: Some(name.to_owned()),
                tags: BTreeMap::new(),
                provenance: Provenance::default(),
                architecture: None,
                volume_sizes: Vec::new(),
                deprecation_time: None,
                has_product_codes: false,
                launch_permissions: Fact::from(shared.clone().map(|shared| shared.iter().map(to).collect())),
                expiries: Fact::Known(BTreeMap::new()),
                remembered_keys: Vec::new(),
                source_naming: None,
                waiting: Fact::NotRead,
                is_instance_store: false,
                is_encrypted: false,
                snapshots: Vec::new(),
            };
            let mut facts = Facts::default();
            facts.images.insert("ami-1a2b3c4d".parse().unwrap(), image);
            match (resolve(&case, &facts), &expect) {
                (Err(error), Err(code)) => assert_eq!(error.code, *code),
                (Ok(request), Ok((targets, codes))) => {
                    let found: Vec<_> = request.targets.iter().map(|asked| asked.target.to_string()).collect();
                    assert_eq!(found, *targets, "{action}");
                    let case = Case { request: &request, ..case };
                    let refused: Vec<_> = decide(&case, &facts, &Judgements::until(&|| false))
                        .unwrap()
                        .remove(0)
                        .refusals()
                        .iter()
                        .map(|refusal| refusal.code)
                        .collect();
                    assert_eq!(refused, *codes, "{action}");
                }
                (found, _) => panic!("{found:?}"),
            }
        }
    }

    fn unreadable() -> Failure {
        Failure { code: ErrorCode::Throttled, call: None, resource: None, message: String::new(), retryable: true }
    }

    #[test]
    fn an_id_is_known_by_what_is_shared_now_or_by_the_requesters_own_rules() {
        check("o-a1b2c3d4e5", "golden-1", Ok(&[ORGANIZATION, UNIT]), Ok((&[ORGANIZATION], &[])));
        check("o-a1b2c3d4e5", "golden-1", Ok(&[]), Ok((&[ORGANIZATION], &[])));
        check("o-a1b2c3d4e5", "golden-1", Err(unreadable()), Ok((&[ORGANIZATION], &[])));
        // What is shared with a target of another's rule is no secret here, and still not this requester's to revoke.
        check("o-zzzzzzzzzz", "golden-1", Ok(&[OTHERS]), Ok((&[OTHERS], &[RefusalCode::TargetNotAllowed])));
    }

    #[test]
    fn an_id_that_nothing_known_has_is_not_found() {
        check("o-zzzzzzzzzz", "golden-1", Ok(&[ORGANIZATION]), Ok((&[], &[RefusalCode::TargetNotFound])));
        check("o-yyyyyyyyyy", "golden-1", Ok(&[]), Ok((&[], &[RefusalCode::TargetNotFound])));
        check("ou-ab12-11111111", "golden-1", Ok(&[ORGANIZATION]), Ok((&[], &[RefusalCode::TargetNotFound])));
        check("o-zzzzzzzzzz", "golden-1", Err(unreadable()), Err(ErrorCode::Throttled));
    }

    #[test]
    fn of_an_image_that_is_not_theirs_to_ask_about_a_requester_learns_no_target() {
        check("o-a1b2c3d4e5", "silver-1", Ok(&[]), Ok((&[ORGANIZATION], &[RefusalCode::ImageNotAllowed])));
        check("o-zzzzzzzzzz", "silver-1", Ok(&[OTHERS]), Ok((&[], &[RefusalCode::ImageNotAllowed])));
        check("o-zzzzzzzzzz", "silver-1", Err(unreadable()), Ok((&[], &[RefusalCode::ImageNotAllowed])));
    }
}
