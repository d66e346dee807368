//! Key policies and questions made of parts: nothing panics, and the laws of the evaluation hold. A statement that denies never
//! allows more; what is certain stays so when the rest is known; the remedy of what is missing works.

#![no_main]

use ami_share_fuzz::policies::{Question, Use, Whose};
use key_policy::{
    ActionVerdict, Explanation, KeyAccess, KeyQuestion, KeyUse, OrganizationFacts, Policy, Verdict, explain, judge,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use sharing::domain::{KeyArn, Target};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// No explanation is longer; a policy has at most 32 KB.
const LONGEST_EXPLANATION: usize = 1_000_000;

fuzz_target!(|question: Question| {
    let document = question.policy.document();
    if let Ok(answer) = explain(&question.text()) {
        let length = answer.in_words().len() + serde_json::to_string(&answer).expect("an answer is JSON").len();
        assert!(length < LONGEST_EXPLANATION, "{length} bytes");
    }
    let ask = |policy: &Value, mode: &str| explain(&question.value(policy, mode).to_string()).ok();
    if let (Some(open), Some(closed)) = (ask(&document, "open"), ask(&document, "closed")) {
        certain_stays(&open, &closed);
        let denied =
            with_statement(&document, json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}));
        if let Some(answer) = denied.and_then(|policy| ask(&policy, "open")) {
            assert!(
                answer.verdict >= open.verdict,
                "a Deny allowed more: {:?}, then {:?}",
                open.verdict,
                answer.verdict
            );
        }
    }
    judged(&document, &question);
});

/// What does not depend on anything that is not known is so when nothing more is there. Without any `Allow`, it doesn't matter
/// whether a `Deny` applies.
fn certain_stays(open: &Explanation, closed: &Explanation) {
    let stays = match open.verdict {
        ActionVerdict::Conditional => return,
        ActionVerdict::ImplicitDeny => closed.verdict >= ActionVerdict::ImplicitDeny,
        ActionVerdict::Allowed | ActionVerdict::Denied => closed.verdict == open.verdict,
    };
    assert!(stays, "{:?} became {:?}: {open:?}", open.verdict, closed.verdict);
    assert!(open.depends_on.is_empty(), "{open:?}");
}

/// The policy with one more statement, if its statements are a list.
fn with_statement(policy: &Value, statement: Value) -> Option<Value> {
    let mut policy = policy.clone();
    policy.get_mut("Statement")?.as_array_mut()?.push(statement);
    Some(policy)
}

fn judged(document: &Value, question: &Question) {
    let Ok(policy) = Policy::parse(&document.to_string()) else { return };
    let key: KeyArn = KEY.parse().expect("a key");
    let grants: Vec<key_policy::Grant> = serde_json::from_value(json!(question.grants)).unwrap_or_default();
    let target: Target = match question.target {
        Whose::Account => "444455556666",
        Whose::Organization => "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
        Whose::Unit => "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
    }
    .parse()
    .expect("a target");
    let key_use = match question.key_use {
        Use::Launch => KeyUse::Launch,
        Use::Copy => KeyUse::Copy,
        Use::Role => KeyUse::ServiceLinkedRole("autoscaling".parse().expect("a role")),
    };
    let organization = &OrganizationFacts::UNKNOWN;
    let asked =
        KeyQuestion { key: &key, policy: &policy, grants: &grants, target: &target, organization, key_use: &key_use };
    let access = judge(&asked);
    let length = serde_json::to_string(&access).expect("an answer is JSON").len();
    assert!(length < LONGEST_EXPLANATION, "{length} bytes");
    if matches!(question.key_use, Use::Launch) {
        remedied(document, &asked, &access);
    }
}

/// The statements of a remedy let the target in, unless a Deny stands in the way.
fn remedied(document: &Value, question: &KeyQuestion<'_>, access: &KeyAccess) {
    let Some(remedy) = access.remedy.as_ref().and_then(Value::as_array) else { return };
    let mut mended = Some(document.clone());
    for statement in remedy {
        mended = mended.and_then(|policy| with_statement(&policy, statement.clone()));
    }
    let Some(mended) = mended.and_then(|policy| Policy::parse(&policy.to_string()).ok()) else { return };
    let verdict = judge(&KeyQuestion { policy: &mended, ..*question }).verdict;
    assert_eq!(verdict, Verdict::Allowed, "{access:?}");
}
