//! Owns reading keys: each once, however many snapshots it encrypts.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;
use key_policy::{Grant, Policy, PolicyError};
use sharing::{
    decide::{Case, Judgements},
    domain::KeyArn,
    facts::{Fact, Facts, Failure, GrantScan, Key, Reading},
    outcome::ErrorCode,
    read_plan::{self, GrantReads, KeyReads, Need, ReadPlan},
};

use super::{
    answers::{Ahead, concurrently},
    own_grants,
};
use crate::aws::{Aws, CallError};

/// The most pages of one grantee's grants that are read for a share. A key with more of them is not judged.
const GRANTEE_PAGES: usize = 20;

/// The keys, and the results of the scans of their grants.
type Keys = (BTreeMap<KeyArn, Key>, BTreeMap<KeyArn, GrantScan>);

/// Reads what the plan asks for about every key.
pub(super) async fn read_keys(aws: &Aws, case: &Case<'_>, reads: &KeyReads, arns: Vec<KeyArn>) -> Reading<Keys> {
    let among = arns.len();
    let is_own = |arn: &KeyArn| arn.account() == case.account;
    let is_read = |arn: &KeyArn| reads.metadata.is_read() || reads.grants != GrantReads::No && is_own(arn);
    let wanted = arns.into_iter().filter(is_read).collect();
    let read = concurrently(wanted, async |arn| read_key(aws, reads, arn, is_own(arn), among).await).await;
    let (mut keys, mut scans) = Keys::default();
    for (arn, read) in read {
        let (key, scan) = read?;
        scans.extend(scan.map(|scan| (arn.clone(), scan)));
        keys.insert(arn, key);
    }
    Ok((keys, scans))
}

async fn read_key(
    aws: &Aws,
    reads: &KeyReads,
    arn: &KeyArn,
    is_own: bool,
    among: usize,
) -> Reading<(Key, Option<GrantScan>)> {
    // "Cross-account use: No": https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
    let policy = if is_own { reads.policy } else { Need::No };
    let (metadata, policy, grants) = future::join3(
        asked(reads.metadata, async || aws.describe_key(arn).await),
        asked(policy, async || aws.key_policy(arn).await),
        read_grants(aws, if is_own { &reads.grants } else { &GrantReads::No }, arn, among),
    )
    .await;
    // Parsed once here, evaluated for every target.
    let policy = match policy? {
        Fact::Known(text) => Policy::parse(&text).map_err(|error| not_understood(arn, &error)).into(),
        Fact::Failed(failure) => Fact::Failed(failure),
        Fact::NotRead => Fact::NotRead,
    };
    let metadata = metadata?;
    let (grants, scan) = grants?;
    Ok((Key { metadata, policy, grants }, scan))
}

/// Reads the grants on a key that can be read before the key is described. `among` is the number of keys that share the
/// limit of pages.
async fn read_grants(
    aws: &Aws,
    reads: &GrantReads,
    arn: &KeyArn,
    among: usize,
) -> Reading<(Fact<Vec<Grant>>, Option<GrantScan>)> {
    match reads {
        GrantReads::No | GrantReads::OfGrantees(_) => Ok((Fact::NotRead, None)),
        GrantReads::Every { pages, fewest, need } => {
            let pages = pages.checked_div(among).unwrap_or_default().max(*fewest);
            Ok((asked(*need, async || aws.grants(arn, None, pages).await).await?, None))
        }
        GrantReads::Own(wanted) => Ok(match own_grants::scan(aws, wanted, arn).await {
            Ok((grants, scan)) => (Fact::Known(grants), Some(scan)),
            Err(failure) => (Fact::Failed(failure), None),
        }),
    }
}

/// Makes a call if it is needed.
async fn asked<T>(need: Need, call: impl AsyncFnOnce() -> Result<T, CallError>) -> Reading<Fact<T>> {
    if need.is_read() { need.settle(call().await.map_err(Failure::from)) } else { Ok(Fact::NotRead) }
}

fn not_understood(arn: &KeyArn, error: &PolicyError) -> Failure {
    let (call, resource) = (Some("kms:GetKeyPolicy"), Some(arn.to_string()));
    Failure { code: ErrorCode::Unexpected, call, resource, message: error.to_string(), retryable: false }
}

/// A key and a grantee.
type Pair = (KeyArn, String);

/// The grants of grantees that are read before it is known whether they are needed.
pub(super) type GrantsAhead<'a> = Ahead<'a, Pair, Result<Vec<Grant>, CallError>>;

/// Begins to read the grants of grantees who probably need them, if the plan may ask for them.
pub(super) fn read_grants_ahead<'a>(
    aws: &'a Aws,
    plan: &ReadPlan,
    likely: &BTreeMap<KeyArn, BTreeSet<String>>,
) -> GrantsAhead<'a> {
    let are_keys_read = plan.images.values().any(|reads| reads.snapshots.is_read());
    let may_be_needed = are_keys_read && matches!(plan.keys.grants, GrantReads::OfGrantees(_));
    let pairs = likely.iter().filter(|_| may_be_needed);
    let pairs = pairs.flat_map(|(arn, grantees)| grantees.iter().map(|grantee| (arn.clone(), grantee.clone())));
    Ahead::ask(pairs.collect(), async |pair| grants_of_grantee(aws, pair).await)
}

async fn grants_of_grantee(aws: &Aws, (arn, grantee): &Pair) -> Result<Vec<Grant>, CallError> {
    aws.grants(arn, Some(grantee), GRANTEE_PAGES).await
}

/// Reads the grants of grantees whom a key policy does not let in.
pub(super) async fn read_grants_of_grantees(
    aws: &Aws,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    plan: &ReadPlan,
    facts: &mut Facts,
    ahead: GrantsAhead<'_>,
) -> Reading<()> {
    let GrantReads::OfGrantees(need) = plan.keys.grants else { return Ok(()) };
    let wanted = read_plan::grantees(case, facts, judgements)?;
    for (arn, grantee) in &wanted {
        facts.grantees.entry(arn.clone()).or_default().insert(grantee.clone());
    }
    let (asked, others): (BTreeSet<_>, BTreeSet<_>) = wanted.into_iter().partition(|pair| ahead.includes(pair));
    let others = concurrently(others.into_iter().collect(), async |pair| grants_of_grantee(aws, pair).await);
    let (mut read, others) = future::join(ahead.answers_to(&asked), others).await;
    read.extend(others);
    for ((arn, _), found) in read {
        if let Some(key) = facts.keys.get_mut(&arn) {
            add(&mut key.grants, need.settle(found.map_err(Failure::from))?);
        }
    }
    Ok(())
}

/// Adds the grants of one more grantee. If the grants of one grantee can't be read, the fact is `Failed`.
fn add(grants: &mut Fact<Vec<Grant>>, found: Fact<Vec<Grant>>) {
    match (grants, found) {
        (Fact::Failed(_), _) | (_, Fact::NotRead) => {}
        (Fact::Known(grants), Fact::Known(found)) => grants.extend(found),
        (grants, found) => *grants = found,
    }
}
