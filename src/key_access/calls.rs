//! Owns the calls behind a use: who will be asking, and what EC2's calls to KMS are known to carry.

use crate::domain::{AccountId, KeyArn, OrganizationalUnitArn, Partition, ServiceLinkedRole, Target};

use super::{
    caller::{Caller, Known, OrganizationFacts},
    context::{Context, Fact, Form},
    document::Policy,
    evaluate::{Allowing, Decision, Request, evaluate_by},
    grants::Grant,
    judge::{KeyUse, NEEDED, NEEDED_UNDER_THE_SAME_KEY, Question},
    several::nearest_miss,
};

/// The calls of a use, with all that is known of them.
pub(super) struct Calls<'a> {
    key: &'a KeyArn,
    caller: Caller,
    allowing: Allowing,
    describing: Context,
    granting: Context,
    cryptographic: Context,
}

impl<'a> Calls<'a> {
    /// `None` where nobody can be asking: a service-linked role of a whole organization.
    pub(super) fn of(question: &Question<'a>) -> Option<Self> {
        let key = question.key;
        let (caller, allowing) = caller(question)?;
        let describing = carried_by_each(key);
        let granting = describing.clone().with("kms:GrantIsForAWSResource", Fact::is("true"));
        // The encryption context names the volume or the snapshot, and nothing else.
        let cryptographic = describing
            .clone()
            .with("kms:EncryptionContext:aws:ebs:id", Fact::like(["vol-*", "snap-*"]))
            .with("kms:EncryptionContextKeys", Fact::is("aws:ebs:id"))
            .with_encryption_context_complete();
        Some(Self { key, caller, allowing, describing, granting, cryptographic })
    }

    /// Whether only a grant can help.
    pub(super) fn needs_grant(&self) -> bool {
        self.allowing == Allowing::GrantsOnly
    }

    /// The verdict on each call, in the order of [`NEEDED`] and then [`NEEDED_UNDER_THE_SAME_KEY`].
    pub(super) fn decide<'b>(&'b self, policy: &'b Policy, grants: &'b [Grant]) -> Vec<(&'b str, Decision<'b>)> {
        let actions = NEEDED.iter().chain(&NEEDED_UNDER_THE_SAME_KEY);
        actions.map(|action| (*action, evaluate_by(policy, grants, &self.request(action), self.allowing))).collect()
    }

    /// For each of these actions the statement that came nearest to allowing it.
    pub(super) fn nearest_misses(&self, policy: &Policy, missing: &[String]) -> Vec<String> {
        missing.iter().filter_map(|action| nearest_miss(policy, &self.request(action))).collect()
    }

    fn request<'b>(&'b self, action: &'b str) -> Request<'b> {
        let context = match action {
            "kms:CreateGrant" => &self.granting,
            "kms:DescribeKey" => &self.describing,
            _ => &self.cryptographic,
        };
        Request { caller: &self.caller, action, resource: self.key.as_str(), context }
    }
}

/// What each of EC2's calls is known to carry; whatever else one may carry is unknown.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
fn carried_by_each(key: &KeyArn) -> Context {
    Context::open()
        .with("kms:ViaService", via_ec2(key))
        // Only calls of services carry what stands behind them:
        // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourcearn>
        .with("aws:SourceArn", Fact::Absent)
        .with("aws:SourceAccount", Fact::Absent)
        .with("aws:SourceOrgID", Fact::Absent)
        .with("aws:SourceOrgPaths", Fact::Absent)
}

/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
fn via_ec2(key: &KeyArn) -> Fact {
    let region = key.region();
    match key.partition() {
        "aws" | "aws-us-gov" => Fact::is(format!("ec2.{region}.amazonaws.com")),
        // Which domain the other partitions write there is not documented alike everywhere.
        _ => Fact::like([format!("ec2.{region}.*").as_str()]),
    }
}

/// Who will be asking, and whether the key policy can help them.
fn caller(question: &Question<'_>) -> Option<(Caller, Allowing)> {
    let partition = question.key.partition();
    let place = known_place(question);
    let whole = |caller: Caller| caller.in_partition(partition).with_arn_forms().in_organization(&place);
    let caller = match (question.key_use, question.target) {
        (KeyUse::ServiceLinkedRole(role), Target::Account(account)) => {
            let caller = role_of(role, partition, *account)?.in_organization(&place);
            let own = question.key.account() == *account;
            return Some((caller, if own { Allowing::PolicyAndGrants } else { Allowing::GrantsOnly }));
        }
        (KeyUse::ServiceLinkedRole(_), Target::Organization(_) | Target::OrganizationalUnit(_)) => return None,
        (KeyUse::Launch | KeyUse::Copy, Target::Account(account)) => whole(Caller::account_as_a_whole(*account)),
        (KeyUse::Launch | KeyUse::Copy, Target::Organization(_) | Target::OrganizationalUnit(_)) => {
            // The owner's own statement stands in every policy and lets no other member in.
            whole(Caller::any_member(Some(question.key.account())))
        }
    };
    let forms = path_forms(question.target, &place);
    let caller = if forms.is_empty() { caller } else { caller.with_path_forms(forms) };
    Some((caller, Allowing::PolicyAndGrants))
}

fn role_of(role: &ServiceLinkedRole, partition: &str, account: AccountId) -> Option<Caller> {
    let arn = role.arn(&Partition::parse(partition)?, account);
    Caller::identity_in_account(&arn, None).ok()
}

/// What is known of the target's place, completed where one fact implies another.
fn known_place(question: &Question<'_>) -> OrganizationFacts {
    let mut place = question.organization.clone();
    if let Known::Is(paths) = &mut place.paths {
        for path in paths.iter_mut().filter(|path| !path.ends_with('/')) {
            path.push('/');
        }
    }
    match question.target {
        Target::Account(_) => {
            if let (Known::Unknown, Known::Is(paths)) = (&place.organization_id, &place.paths) {
                let named = paths.first().and_then(|path| path.split('/').next()).map(ToOwned::to_owned);
                place.organization_id = named.map_or(Known::Unknown, |id| Known::Is(Some(id)));
            }
            // An account of an organization always has a path, so an empty list is no knowledge.
            if let (Known::Is(Some(_)), Known::Is(paths)) = (&place.organization_id, &place.paths)
                && paths.is_empty()
            {
                place.paths = Known::Unknown;
            }
            if place.organization_id == Known::Is(None) {
                place.paths = Known::Is(Vec::new());
            }
        }
        Target::Organization(organization) => {
            place.organization_id = Known::Is(Some(organization.organization_id().to_owned()));
        }
        Target::OrganizationalUnit(unit) => place.organization_id = Known::Is(Some(unit.organization_id().to_owned())),
    }
    place
}

/// The forms `aws:PrincipalOrgPaths` can have for the target; none where the paths are known or nothing is.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths>
fn path_forms(target: &Target, place: &OrganizationFacts) -> Vec<Form> {
    match (target, &place.organization_id, &place.paths) {
        (Target::Account(_), Known::Is(Some(organization)), Known::Unknown) => {
            vec![Form::new(&format!("{organization}/r-*/"))]
        }
        (Target::Account(_), _, _) => Vec::new(),
        (Target::Organization(organization), _, paths) => {
            let organization = organization.organization_id();
            let top = path_to(paths, |part| part.starts_with("r-"));
            let top = top.filter(|path| path.strip_prefix(organization).is_some_and(|rest| rest.starts_with('/')));
            vec![Form::new(&top.map_or_else(|| format!("{organization}/r-*/"), |path| format!("{path}*")))]
        }
        (Target::OrganizationalUnit(unit), _, paths) => match unit_path(unit, paths) {
            Some(path) => vec![Form::new(&format!("{path}*"))],
            None => {
                // A unit's id, `ou-<root>-<unit>`, names the root it is under; how deep it stands is not known.
                let (organization, unit) = (unit.organization_id(), unit.unit_id());
                let root = unit.strip_prefix("ou-").and_then(|id| id.split_once('-')).map_or("*", |(root, _)| root);
                let top = format!("{organization}/r-{root}/{unit}/*");
                vec![Form::new(&top), Form::new(&format!("{organization}/r-{root}/*/{unit}/*"))]
            }
        },
    }
}

/// The unit's own path with its final slash, read off a path at or below it.
pub(super) fn unit_path(unit: &OrganizationalUnitArn, paths: &Known<Vec<String>>) -> Option<String> {
    path_to(paths, |part| part == unit.unit_id())
        .filter(|path| path.strip_prefix(unit.organization_id()).is_some_and(|rest| rest.starts_with('/')))
}

/// The first path that has such a part, up to and with that part.
fn path_to(paths: &Known<Vec<String>>, is_last: impl Fn(&str) -> bool) -> Option<String> {
    let Known::Is(paths) = paths else { return None };
    paths.iter().find_map(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        let last = parts.iter().position(|part| is_last(part))?;
        Some(parts.iter().take(last.saturating_add(1)).map(|part| format!("{part}/")).collect())
    })
}
