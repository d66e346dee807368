//! Owns the calls behind a use: who makes them, and what they are known to carry.

use super::{
    call::Call,
    caller::{Caller, Known, OrganizationFacts},
    context::{Context, Fact, Form, Value},
    document::Policy,
    evaluate::{Allowing, Request, Side, Sides},
    grants::Grant,
    judge::{Asked, KeyUse, NEEDED, NEEDED_UNDER_THE_SAME_KEY},
    several::nearest_miss,
    truth::Truth,
};
use crate::domain::{AccountId, KeyArn, OrganizationalUnitArn, Partition, ServiceLinkedRole, Target};

/// The calls of a use, with all that is known of them.
///
/// Two callers make them. Somebody in the target's account does through EC2, with what the key policy or a grant allows.
/// When a volume is attached, EC2 decrypts its data key as a role of its own in that account, under a grant that it made:
/// only a `Deny` stops that.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
#[derive(Debug, Clone)]
pub(super) struct Calls {
    key: KeyArn,
    through_ec2: Caller,
    infrastructure: Caller,
    allowing: Allowing,
    /// In the order of [`NEEDED`] and then [`NEEDED_UNDER_THE_SAME_KEY`].
    each: Vec<(&'static str, Context)>,
    decrypting_at_attachment: Context,
}

impl Calls {
    /// `None` where nobody can be asking: a service-linked role of a whole organization.
    pub(super) fn of(asked: &Asked) -> Option<Self> {
        let key = asked.key.clone();
        let (through_ec2, allowing) = caller(asked)?;
        let infrastructure = Caller::infrastructure_of(&through_ec2, key.partition());
        let actions = NEEDED.into_iter().chain(NEEDED_UNDER_THE_SAME_KEY);
        let each = actions.map(|action| (action, context(&key, By::Somebody, action))).collect();
        let decrypting_at_attachment = context(&key, By::Infrastructure, DECRYPT);
        Some(Self { key, through_ec2, infrastructure, allowing, each, decrypting_at_attachment })
    }

    /// Whether only a grant can help.
    pub(super) fn needs_grant(&self) -> bool {
        self.allowing == Allowing::GrantsOnly
    }

    /// What a policy says of each call.
    pub(super) fn ask<'p>(&self, policy: &'p Policy) -> Vec<(&'static str, Sides<'p>)> {
        let sides = self.concurrently().map(|(action, call)| {
            let attaching = (action == DECRYPT).then(|| Call::new(&self.at_attachment()));
            (action, Sides::of(policy, &call, attaching.as_ref(), self.allowing))
        });
        sides.collect()
    }

    /// What the grants allow of each call, in the same order.
    pub(super) fn granted<'g>(&self, grants: &'g [Grant]) -> Vec<Side<'g>> {
        self.concurrently().map(|(_, call)| Side::of_grants(grants, &call, self.allowing)).collect()
    }

    /// The statement that came nearest to allowing this action.
    pub(super) fn nearest_miss(&self, policy: &Policy, action: &str) -> Option<String> {
        let (action, context) = self.each.iter().find(|(own, _)| *own == action)?;
        nearest_miss(policy, &self.request(action, context))
    }

    fn concurrently(&self) -> impl Iterator<Item = (&'static str, Call<'_>)> {
        self.each.iter().map(|(action, context)| (*action, Call::new(&self.request(action, context))))
    }

    fn request<'c>(&'c self, action: &'c str, context: &'c Context) -> Request<'c> {
        Request { caller: &self.through_ec2, action, resource: self.key.as_str(), context }
    }

    fn at_attachment(&self) -> Request<'_> {
        let (caller, context) = (&self.infrastructure, &self.decrypting_at_attachment);
        Request { caller, action: DECRYPT, resource: self.key.as_str(), context }
    }
}

const DECRYPT: &str = "kms:Decrypt";

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Somebody in the target's account, through EC2.
    Somebody,
    /// EC2's own role in that account.
    Infrastructure,
    /// In a row of the table: both.
    Either,
}

/// Which calls a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Every,
    /// Those that encrypt or decrypt.
    Cryptographic,
    CreateGrant,
}

/// A condition key, who makes the call, which call it is, and what is known of the key then.
type Row = (&'static str, By, On, fn(&KeyArn) -> Fact);

/// What is known of a call beside who makes it, and on which page AWS says so; whatever else a call may carry is
/// unknown. The same table is in `docs/key-access.md`.
const CARRIED: &[Row] = &[
    // KMS takes calls by TLS alone: <https://docs.aws.amazon.com/kms/latest/developerguide/infrastructure-security.html>
    ("aws:SecureTransport", By::Either, On::Every, |_| Fact::is("true")),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requestedregion>
    ("aws:RequestedRegion", By::Either, On::Every, |key| Fact::is(key.region())),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceaccount>
    ("aws:ResourceAccount", By::Either, On::Every, |key| Fact::is(key.account().to_string())),
    // Neither caller is a service's principal, which alone makes it true and brings the six after it:
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice>
    ("aws:PrincipalIsAWSService", By::Either, On::Every, |_| Fact::is("false")),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalservicename>
    ("aws:PrincipalServiceName", By::Either, On::Every, |_| Fact::Absent),
    ("aws:PrincipalServiceNamesList", By::Either, On::Every, |_| Fact::Absent),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourcearn>
    ("aws:SourceArn", By::Either, On::Every, |_| Fact::Absent),
    ("aws:SourceAccount", By::Either, On::Every, |_| Fact::Absent),
    ("aws:SourceOrgID", By::Either, On::Every, |_| Fact::Absent),
    ("aws:SourceOrgPaths", By::Either, On::Every, |_| Fact::Absent),
    // EC2 passes on the caller's own session:
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_forward_access_sessions.html>
    ("aws:ViaAWSService", By::Somebody, On::Every, |_| Fact::is("true")),
    // The same suffix in all partitions:
    // <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#viaService_table>
    ("kms:ViaService", By::Somebody, On::Every, |key| Fact::is(format!("ec2.{}.amazonaws.com", key.region()))),
    // EBS takes no other keys:
    // <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
    ("kms:KeySpec", By::Either, On::Every, |_| Fact::is("SYMMETRIC_DEFAULT")),
    ("kms:KeyUsage", By::Either, On::Every, |_| Fact::is("ENCRYPT_DECRYPT")),
    ("kms:EncryptionAlgorithm", By::Either, On::Cryptographic, |_| Fact::is("SYMMETRIC_DEFAULT")),
    // The id says it: <https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html>
    ("kms:MultiRegion", By::Either, On::Every, |key| Fact::is(is_multi_region(key).to_string())),
    // The encryption context names the volume or the snapshot, and nothing else:
    // <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
    ("kms:EncryptionContext:aws:ebs:id", By::Either, On::Cryptographic, |_| Fact::like(["vol-*", "snap-*"])),
    ("kms:EncryptionContextKeys", By::Either, On::Cryptographic, |_| Fact::is("aws:ebs:id")),
    // What EC2 asks for is a grant for a volume, bound to it:
    // <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
    ("kms:GrantIsForAWSResource", By::Somebody, On::CreateGrant, |_| Fact::is("true")),
    ("kms:GrantConstraintType", By::Somebody, On::CreateGrant, |_| Fact::is("EncryptionContextSubset")),
    ("kms:EncryptionContext:aws:ebs:id", By::Somebody, On::CreateGrant, |_| Fact::like(["vol-*"])),
    ("kms:EncryptionContextKeys", By::Somebody, On::CreateGrant, |_| Fact::is("aws:ebs:id")),
    // It lets EC2 decrypt the data key, and no more than AWS's own policy for EBS lets such a grant hold:
    // <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ROSAAmazonEBSCSIDriverOperatorPolicy.html>
    ("kms:GrantOperations", By::Somebody, On::CreateGrant, |_| operations_for_a_volume()),
];

/// What a call is known to carry.
fn context(key: &KeyArn, by: By, action: &str) -> Context {
    let on = match action {
        "kms:CreateGrant" => On::CreateGrant,
        "kms:DescribeKey" => On::Every,
        _ => On::Cryptographic,
    };
    let complete = Context::open().with_encryption_context_complete();
    CARRIED.iter().fold(complete, |context, (name, by_whom, on_which, fact)| {
        let is_about_it = (*by_whom == by || *by_whom == By::Either) && (*on_which == on || *on_which == On::Every);
        if is_about_it { context.with(name, fact(key)) } else { context }
    })
}

fn is_multi_region(key: &KeyArn) -> bool {
    key.as_str().rsplit('/').next().is_some_and(|id| id.starts_with("mrk-"))
}

fn operations_for_a_volume() -> Fact {
    let others = ["GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"].map(Form::new).to_vec();
    Fact::Present(vec![Value::Exactly("Decrypt".to_owned()), Value::Perhaps(others)])
}

/// Who will be asking, and whether the key policy can help them.
fn caller(asked: &Asked) -> Option<(Caller, Allowing)> {
    let partition = asked.key.partition();
    let place = known_place(asked);
    let whole = |caller: Caller| caller.in_partition(partition).with_arn_forms().in_organization(&place);
    let caller = match (&asked.key_use, &asked.target) {
        (KeyUse::ServiceLinkedRole(role), Target::Account(account)) => {
            let caller = role_of(role, partition, *account)?.in_organization(&place);
            let own = asked.key.account() == *account;
            return Some((caller, if own { Allowing::PolicyAndGrants } else { Allowing::GrantsOnly }));
        }
        (KeyUse::ServiceLinkedRole(_), Target::Organization(_) | Target::OrganizationalUnit(_)) => return None,
        (KeyUse::Launch | KeyUse::Copy, Target::Account(account)) => whole(Caller::account_as_a_whole(*account)),
        (KeyUse::Launch | KeyUse::Copy, Target::Organization(_) | Target::OrganizationalUnit(_)) => {
            // The owner's own statement stands in every policy and lets no other member in.
            whole(Caller::any_member(Some(asked.key.account())))
        }
    };
    let forms = path_forms(&asked.target, &place);
    let caller = if forms.is_empty() { caller } else { caller.with_path_forms(forms) };
    Some((caller, Allowing::PolicyAndGrants))
}

fn role_of(role: &ServiceLinkedRole, partition: &str, account: AccountId) -> Option<Caller> {
    let arn = role.arn(&Partition::parse(partition)?, account);
    Caller::identity_in_account(&arn, None).ok()
}

/// What is known of the target's place, completed where one fact implies another.
fn known_place(asked: &Asked) -> OrganizationFacts {
    let mut place = asked.organization.clone();
    if let Known::Is(paths) = &mut place.paths {
        for path in paths.iter_mut().filter(|path| !path.ends_with('/')) {
            path.push('/');
        }
    }
    match &asked.target {
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
            None => forms_below(unit).to_vec(),
        },
    }
}

/// The forms of the paths at or below a unit of which no path is known: its id, `ou-<root>-<unit>`, names the root it is
/// under, but not how deep it stands.
fn forms_below(unit: &OrganizationalUnitArn) -> [Form; 2] {
    let (organization, unit) = (unit.organization_id(), unit.unit_id());
    let root = unit.strip_prefix("ou-").and_then(|id| id.split_once('-')).map_or("*", |(root, _)| root);
    ["", "*/"].map(|between| Form::new(&format!("{organization}/r-{root}/{between}{unit}/*")))
}

/// Whether the path may be the unit's own.
pub(super) fn may_be_path_of(unit: &OrganizationalUnitArn, path: &str) -> bool {
    forms_below(unit).iter().any(|form| form.may_be(path) != Truth::False)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CARRIED;

    #[test]
    fn the_table_of_what_is_known_is_the_one_in_the_docs() {
        let page = include_str!("../../../docs/key-access.md");
        let section = page.split("## What is taken as known").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        let told: BTreeSet<&str> = rows.flat_map(|(keys, _)| keys.trim_end_matches('`').split("` `")).collect();
        let known: BTreeSet<&str> = CARRIED.iter().map(|row| row.0).collect();
        assert_eq!(told, known);
    }
}
