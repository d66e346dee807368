//! Owns the calls of a use: who makes them, and which condition keys they carry.

use std::sync::Arc;

use super::{
    call::Call,
    caller::{Caller, Whom},
    context::{ContextFact, ContextValue, Form, RequestContext},
    document::Policy,
    evaluate::{Allowing, Decision, Side, Sides},
    grants::Grant,
    key_use::{AskedUse, KeyUse, NEEDED, NEEDED_UNDER_THE_SAME_KEY},
    place::{known_place, path_forms},
    request::EvaluationRequest,
    several::nearest_miss,
    statement::Statement,
    truth::Truth,
};
use crate::domain::{AccountId, KeyArn, Partition, ServiceLinkedRole, Target};

/// The calls of a use, with their known condition keys.
///
/// Two callers make them. Somebody in the target's account calls through EC2, and the key policy or a grant must allow
/// it. When a volume is attached, EC2 decrypts its data key with its own role in that account, by a grant that it
/// created: only a `Deny` stops that.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
#[derive(Debug, Clone)]
pub(super) struct Calls {
    key: KeyArn,
    through_ec2: Caller,
    infrastructure: Caller,
    allowing: Allowing,
    carried: Arc<Carried>,
}

/// The condition keys of the calls, as far as they don't depend on the caller: the same for all targets.
#[derive(Debug)]
pub(super) struct Carried {
    describing: RequestContext,
    creating_grant: RequestContext,
    cryptographic: RequestContext,
    decrypting_at_attachment: RequestContext,
}

impl Carried {
    pub(super) fn by_calls_on(key: &KeyArn) -> Self {
        Self {
            describing: context(key, By::Somebody, On::Every),
            creating_grant: context(key, By::Somebody, On::CreateGrant),
            cryptographic: context(key, By::Somebody, On::Cryptographic),
            decrypting_at_attachment: context(key, By::Infrastructure, On::Cryptographic),
        }
    }

    fn of(&self, action: &str) -> &RequestContext {
        match action {
            "kms:CreateGrant" => &self.creating_grant,
            "kms:DescribeKey" => &self.describing,
            _ => &self.cryptographic,
        }
    }
}

impl Calls {
    /// `None` if no caller exists: a service-linked role of a whole organization. `carried` is by calls on the same key.
    pub(super) fn of(asked: &AskedUse, carried: Arc<Carried>) -> Option<Self> {
        let key = asked.key.clone();
        let (through_ec2, allowing) = caller(asked)?;
        let infrastructure = Caller::infrastructure_of(&through_ec2, key.partition());
        Some(Self { key, through_ec2, infrastructure, allowing, carried })
    }

    /// The calls of another use of the same key.
    pub(super) fn if_asked(&self, asked: &AskedUse) -> Option<Self> {
        Self::of(asked, Arc::clone(&self.carried))
    }

    /// The callers, as far as principals tell them apart.
    fn callers(&self) -> [Whom<'_>; 2] {
        [self.through_ec2.whom(), self.infrastructure.whom()]
    }

    /// Whether only a grant can help.
    pub(super) fn needs_grant(&self) -> bool {
        self.allowing == Allowing::GrantsOnly
    }

    /// Evaluates the policy for each call. A statement that names only others is looked at once.
    pub(super) fn ask<'p>(&self, policy: &'p Policy) -> Vec<(&'static str, Sides<'p>)> {
        let callers = self.callers();
        let is_about_them =
            |statement: &&Statement| callers.iter().any(|caller| statement.is_for(*caller).0 != Truth::False);
        let statements: Vec<&Statement> = policy.statements().iter().filter(is_about_them).collect();
        let sides = self.each().map(|(action, call)| {
            let attaching = (action == DECRYPT).then(|| Call::new(&self.at_attachment()));
            (action, Sides::of(statements.iter().copied(), &call, attaching.as_ref(), self.allowing))
        });
        sides.collect()
    }

    /// Evaluates the grants for each call, in the same order.
    pub(super) fn granted<'g>(&self, grants: &'g [Grant]) -> Vec<Side<'g>> {
        self.each().map(|(_, call)| Side::of_grants(grants, &call, self.allowing)).collect()
    }

    /// The statement that came nearest to allowing this action.
    pub(super) fn nearest_miss(&self, policy: &Policy, action: &str) -> Option<String> {
        nearest_miss(policy, &self.request(action))
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, Call<'_>)> {
        let actions = NEEDED.into_iter().chain(NEEDED_UNDER_THE_SAME_KEY);
        actions.map(|action| (action, Call::new(&self.request(action))))
    }

    fn request<'c>(&'c self, action: &'c str) -> EvaluationRequest<'c> {
        let context = self.carried.of(action);
        EvaluationRequest { caller: &self.through_ec2, action, resource: self.key.as_str(), context }
    }

    fn at_attachment(&self) -> EvaluationRequest<'_> {
        let (caller, context) = (&self.infrastructure, &self.carried.decrypting_at_attachment);
        EvaluationRequest { caller, action: DECRYPT, resource: self.key.as_str(), context }
    }
}

/// The verdicts on the calls, with the grants that allow each.
pub(super) fn decide<'a>(
    sides: &[(&'static str, Sides<'a>)],
    more: impl IntoIterator<Item = Side<'a>>,
) -> Vec<(&'static str, Decision<'a>)> {
    sides.iter().zip(more).map(|((action, sides), more)| (*action, sides.decide(more))).collect()
}

const DECRYPT: &str = "kms:Decrypt";

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Somebody in the target's account, through EC2.
    Somebody,
    /// EC2's own role in that account.
    Infrastructure,
    /// Both (only in rows of the table).
    Either,
}

/// Which calls a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Every,
    /// The calls that encrypt or decrypt.
    Cryptographic,
    CreateGrant,
}

/// A condition key, who makes the call, which call it is, and the value of the key in this call.
type Row = (&'static str, By, On, fn(&KeyArn) -> ContextFact);

/// The known condition keys of a call that don't depend on its caller, each with the page of AWS that says so. Every
/// other condition key is unknown. `docs/key-access.md` has the same table.
const CARRIED: &[Row] = &[
    // KMS accepts calls only over TLS:
    // <https://docs.aws.amazon.com/kms/latest/developerguide/infrastructure-security.html>
    ("aws:SecureTransport", By::Either, On::Every, |_| ContextFact::is("true")),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requestedregion>
    ("aws:RequestedRegion", By::Either, On::Every, |key| ContextFact::is(key.region())),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceaccount>
    ("aws:ResourceAccount", By::Either, On::Every, |key| ContextFact::is(key.account().to_string())),
    // Neither caller is a service principal. Only for a service principal is this key true, and do the six keys after
    // it exist:
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice>
    ("aws:PrincipalIsAWSService", By::Either, On::Every, |_| ContextFact::is("false")),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalservicename>
    ("aws:PrincipalServiceName", By::Either, On::Every, |_| ContextFact::Absent),
    ("aws:PrincipalServiceNamesList", By::Either, On::Every, |_| ContextFact::Absent),
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourcearn>
    ("aws:SourceArn", By::Either, On::Every, |_| ContextFact::Absent),
    ("aws:SourceAccount", By::Either, On::Every, |_| ContextFact::Absent),
    ("aws:SourceOrgID", By::Either, On::Every, |_| ContextFact::Absent),
    ("aws:SourceOrgPaths", By::Either, On::Every, |_| ContextFact::Absent),
    // EC2 passes on the caller's own session:
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_forward_access_sessions.html>
    ("aws:ViaAWSService", By::Somebody, On::Every, |_| ContextFact::is("true")),
    // The same suffix in all partitions:
    // <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#viaService_table>
    ("kms:ViaService", By::Somebody, On::Every, |key| ContextFact::is(format!("ec2.{}.amazonaws.com", key.region()))),
    // EBS accepts no other keys:
    // <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
    ("kms:KeySpec", By::Either, On::Every, |_| ContextFact::is("SYMMETRIC_DEFAULT")),
    ("kms:KeyUsage", By::Either, On::Every, |_| ContextFact::is("ENCRYPT_DECRYPT")),
    ("kms:EncryptionAlgorithm", By::Either, On::Cryptographic, |_| ContextFact::is("SYMMETRIC_DEFAULT")),
    // The ID says it: <https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html>
    ("kms:MultiRegion", By::Either, On::Every, |key| ContextFact::is(is_multi_region(key).to_string())),
    // The encryption context names the volume or the snapshot, and nothing else:
    // <https://docs.aws.amazon.com/ebs/latest/userguide/how-ebs-encryption-works.html>
    ("kms:EncryptionContext:aws:ebs:id", By::Either, On::Cryptographic, |_| ContextFact::like(["vol-*", "snap-*"])),
    ("kms:EncryptionContextKeys", By::Either, On::Cryptographic, |_| ContextFact::is("aws:ebs:id")),
    // EC2 creates a grant for one volume, and constrains it to that volume:
    // <https://docs.aws.amazon.com/kms/latest/developerguide/ct-ec2two.html>
    ("kms:GrantIsForAWSResource", By::Somebody, On::CreateGrant, |_| ContextFact::is("true")),
    ("kms:GrantConstraintType", By::Somebody, On::CreateGrant, |_| ContextFact::is("EncryptionContextSubset")),
    ("kms:EncryptionContext:aws:ebs:id", By::Somebody, On::CreateGrant, |_| ContextFact::like(["vol-*"])),
    ("kms:EncryptionContextKeys", By::Somebody, On::CreateGrant, |_| ContextFact::is("aws:ebs:id")),
    // The grant has `Decrypt`, and at most the operations that AWS's own policy for EBS permits in such a grant:
    // <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ROSAAmazonEBSCSIDriverOperatorPolicy.html>
    ("kms:GrantOperations", By::Somebody, On::CreateGrant, |_| operations_for_a_volume()),
];

/// The condition keys that such a call is known to carry.
fn context(key: &KeyArn, by: By, on: On) -> RequestContext {
    let complete = RequestContext::open().with_encryption_context_complete();
    CARRIED.iter().fold(complete, |context, (name, by_whom, on_which, fact)| {
        let is_about_it = (*by_whom == by || *by_whom == By::Either) && (*on_which == on || *on_which == On::Every);
        if is_about_it { context.with(name, fact(key)) } else { context }
    })
}

fn is_multi_region(key: &KeyArn) -> bool {
    key.as_str().rsplit('/').next().is_some_and(|id| id.starts_with("mrk-"))
}

fn operations_for_a_volume() -> ContextFact {
    let others = ["GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"].map(Form::new).to_vec();
    ContextFact::Present(vec![ContextValue::Exactly("Decrypt".to_owned()), ContextValue::Perhaps(others)])
}

/// Who makes the calls, and whether statements of the key policy can allow them.
fn caller(asked: &AskedUse) -> Option<(Caller, Allowing)> {
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
            // Every policy has a statement for the owner, which allows no other member of the organization.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CARRIED;

    #[test]
    fn the_table_of_what_is_known_is_the_one_in_the_docs() {
        let page = include_str!("../../../docs/key-access.md");
        let section = page.split("## What is taken as known").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        let documented: BTreeSet<&str> = rows.flat_map(|(keys, _)| keys.trim_end_matches('`').split("` `")).collect();
        let known: BTreeSet<&str> = CARRIED.iter().map(|row| row.0).collect();
        assert_eq!(documented, known);
    }
}
