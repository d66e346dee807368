//! What is decided and planned, without AWS: facts as EC2 and KMS would report them, a request, and what follows.

use ami_share_testing::{
    key_policies::{self, Statement as _, allow, deny, open_to, parsed},
    schemas::check_values,
    worlds::*,
};
use key_policy::Grant;
use serde_json::{Value, json};
use sharing::{
    decide::{
        Authority, Case, GrantPlan, ImageDecision, Judgements, Setup, due, grantees_to_look_up, is_refused_by_time,
        lost, second_looks,
    },
    domain::Target,
    facts::{CreateVolumePermissions, Fact, Facts, Failure, Image, ImageState, Key, KeyMetadata, LaunchPermission},
    outcome::ErrorCode,
    plan::{Step, plan, take_back},
    records::RecordName,
    request::Action,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

mod expiries;
mod keys;
mod shares;
mod taking_away;

/// What was decided, in words that a row can compare.
#[derive(Debug, Default, PartialEq)]
struct Decided {
    /// As `RefusalCode target`.
    refusals: Vec<String>,
    /// What the refusals say.
    messages: Vec<String>,
    /// As `service:Call resource +added -removed`.
    steps: Vec<String>,
    gaps: usize,
    warnings: Vec<String>,
    /// The remedies of the refusals, and of what roles lack.
    remedies: Vec<String>,
    /// The verdicts of the keys, with those of the roles behind them.
    verdicts: Vec<String>,
}

fn auto_scaling(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
}

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

/// A request about the image; `more` are its other fields.
fn ask(action: &str, more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn accounts(accounts: &[&str]) -> Value {
    json!({"accountIds": accounts})
}

/// What is decided about a world.
trait Decide {
    /// Everything of the decision about its image.
    fn decide(&self, request: &Value) -> Decided;

    /// The grantees whose grants would be asked for.
    fn looked_up(&self, request: &Value) -> Vec<String>;
}

impl Decide for World {
    fn decide(&self, request: &Value) -> Decided {
        self.put(request, |case, facts| summary(case, facts, &decide(case, facts).remove(0)))
    }

    fn looked_up(&self, request: &Value) -> Vec<String> {
        self.put(request, |case, facts| {
            grantees_to_look_up(case, facts, &Judgements::until(&|| false))
                .unwrap()
                .into_iter()
                .map(|(_, grantee)| grantee)
                .collect()
        })
    }
}

/// A step as `service:Call resource +added -removed`.
fn in_words(step: &Step) -> String {
    let names = |sign: char, targets: Vec<Target>| {
        targets.into_iter().map(move |target| format!(" {sign}{target}")).collect::<String>()
    };
    format!("{} {}{}{}", step.call(), step.resource(), names('+', step.adds()), names('-', step.removes()))
}

fn summary(case: &Case<'_>, facts: &Facts, decision: &ImageDecision<'_>) -> Decided {
    decision.refusals().iter().for_each(check_values);
    let steps = facts.images.get(decision.image_id).map(|image| plan(case, decision, image, facts));
    let keys: Vec<_> = decision.keys().iter().map(|key| key.row(GrantPlan::Counted, |_| GrantPlan::Counted)).collect();
    Decided {
        refusals: decision
            .refusals()
            .iter()
            .map(|refusal| {
                let target = refusal.target.as_ref().map(|target| format!(" {target}")).unwrap_or_default();
                format!("{}{target}", refusal.code)
            })
            .collect(),
        messages: decision.refusals().iter().map(|refusal| refusal.message.clone()).collect(),
        steps: steps.unwrap_or_default().iter().map(in_words).collect(),
        gaps: decision.gaps().len(),
        warnings: decision.warnings.clone(),
        remedies: (decision.refusals().iter().map(|refusal| refusal.remedy.clone()))
            .chain(keys.iter().flat_map(|row| &row.roles).map(|row| row.remedy.clone()))
            .flatten()
            .collect(),
        verdicts: keys
            .iter()
            .flat_map(|row| {
                let roles = row.roles.iter().map(|row| format!("{}: {:?}", row.role, row.verdict));
                std::iter::once(format!("{:?}", row.access.verdict)).chain(roles)
            })
            .collect(),
    }
}

/// The steps that are planned, where nothing is refused.
#[track_caller]
fn steps(world: &World, request: &Value, expect: &[&str]) -> Decided {
    let decided = world.decide(request);
    assert_eq!(decided.refusals, [""; 0], "{decided:#?}");
    assert_eq!(decided.steps, expect, "{decided:#?}");
    decided
}

/// The refusals, with which nothing is planned.
#[track_caller]
fn refused(world: &World, request: &Value, expect: &[&str]) -> Decided {
    let decided = world.decide(request);
    assert_eq!(decided.refusals, expect, "{decided:#?}");
    assert_eq!(decided.steps, [""; 0], "{decided:#?}");
    decided
}

/// That of the warnings exactly one has these words, or none where there are none.
#[track_caller]
fn warned(decided: &Decided, words: &[&str]) {
    assert_eq!(decided.warnings.len(), words.len(), "{decided:#?}");
    for (warning, words) in decided.warnings.iter().zip(words) {
        assert!(warning.contains(words), "{warning}");
    }
}

const ADD_LAUNCH: &str = "ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333";
const REMOVE_LAUNCH: &str = "ec2:ModifyImageAttribute ami-1a2b3c4d -111122223333";
const ADD_COPY: &str = "ec2:ModifySnapshotAttribute snap-1a2b3c4d +111122223333";
const REMOVE_COPY: &str = "ec2:ModifySnapshotAttribute snap-1a2b3c4d -111122223333";

fn create_grant() -> String {
    format!("kms:CreateGrant {KEY} +{ONE}")
}

fn revoke_grant() -> String {
    format!("kms:RevokeGrant {KEY} -{ONE}")
}

fn create(of: &str, at: OffsetDateTime) -> String {
    format!("scheduler:CreateSchedule {} +{of}", expiry(of, at).name)
}

fn delete(of: &str, at: OffsetDateTime) -> String {
    format!("scheduler:DeleteSchedule {} -{of}", expiry(of, at).name)
}
