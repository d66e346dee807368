//! Owns what AWS must be asked before anything is decided, in as few waves as the data allows:
//! images and their launch permissions, then the snapshots, then the keys, then (where a key policy alone doesn't
//! settle the question) the grants.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use futures_util::{StreamExt, future, stream};

use crate::{
    aws::{Aws, CallError},
    decide::{self, Question},
    domain::{KeyArn, SnapshotId, Target},
    facts::{Facts, Image, ImageState, Key, Reading},
    outcome::{ErrorCode, ErrorRow},
    request::Action,
};

/// So many calls are under way at once: the Describe buckets hold 100 and refill 20 a second for the whole account,
/// console and Terraform included. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
const CONCURRENCY: usize = 10;

/// Reads everything the decision needs. Fails where a fact is missing without which nothing may be decided.
pub async fn observe(aws: &Aws, question: &Question<'_>) -> Reading<Facts> {
    let action = question.request.action;
    let ids = &question.request.image_ids;
    let (described, mut permissions) =
        future::join(aws.describe_images(ids), each(ids.clone(), async |id| aws.launch_permissions(id).await)).await;

    let mut facts = Facts::default();
    let mut backing: BTreeMap<_, Vec<SnapshotId>> = BTreeMap::new();
    for (id, described) in described.map_err(row)? {
        let is_own = described.image.owner == question.account;
        let launch_permissions = permissions.remove(&id).unwrap_or_else(|| Ok(Vec::new())).map_err(row);
        if is_own && !takes_away(action) {
            launch_permissions.clone()?;
        }
        if is_own {
            backing.insert(id.clone(), described.snapshot_ids);
        }
        facts.images.insert(id, Image { launch_permissions, ..described.image });
    }
    if action.is_about_sharing() {
        read_keys(aws, question, &mut facts, &backing).await?;
    }
    if matches!(action, Action::List | Action::Check) {
        read_create_volume_permissions(aws, &mut facts, backing).await;
    }
    Ok(facts)
}

/// Taking access away is never held up by what can't be read.
fn takes_away(action: Action) -> bool {
    match action {
        Action::Revoke | Action::Reset => true,
        Action::Share | Action::List | Action::Check | Action::Audit | Action::Repair => false,
    }
}

/// Reads the snapshots of the images that could be shared, and every key behind them once.
async fn read_keys(
    aws: &Aws,
    question: &Question<'_>,
    facts: &mut Facts,
    backing: &BTreeMap<crate::domain::ImageId, Vec<SnapshotId>>,
) -> Reading<()> {
    let mut images: Vec<_> =
        facts.images.iter_mut().filter(|(_, image)| image.state == ImageState::Available).collect();
    let of_image = |id| backing.get(id).into_iter().flatten();
    let wanted: BTreeSet<_> = images.iter().flat_map(|(id, _)| of_image(id)).cloned().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let snapshots = aws.describe_snapshots(&wanted.into_iter().collect::<Vec<_>>()).await.map_err(row)?;
    for (id, image) in &mut images {
        image.snapshots = Ok(of_image(id).filter_map(|id| snapshots.get(id).cloned()).collect());
    }

    let arns: BTreeSet<KeyArn> = snapshots.into_values().filter_map(|snapshot| snapshot.key).collect();
    let keys = each(arns.into_iter().collect(), async |arn| read_key(aws, question, arn).await).await;
    for (arn, key) in keys {
        facts.keys.insert(arn, key?);
    }

    let unsettled = decide::unsettled_by_policy(question, facts);
    let grants = each(unsettled, async |(arn, target)| aws.grants(arn, &grantee(arn, target)).await).await;
    for ((arn, _), found) in grants {
        let Some(key) = facts.keys.get_mut(&arn) else { continue };
        match (tolerate(found)?, &mut key.grants) {
            (Ok(found), Ok(grants)) => grants.extend(found),
            (Err(error), grants) => *grants = Err(error),
            (Ok(_), Err(_)) => {}
        }
    }
    Ok(())
}

/// An account as ListGrants names it: the account root principal.
fn grantee(key: &KeyArn, target: &Target) -> String {
    format!("arn:{}:iam::{target}:root", key.partition())
}

async fn read_key(aws: &Aws, question: &Question<'_>, arn: &KeyArn) -> Reading<Key> {
    let is_own = arn.account() == question.account;
    let policy = async {
        // "Cross-account use: No": https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
        if is_own { Some(aws.key_policy(arn).await) } else { None }
    };
    let (metadata, policy) = future::join(aws.describe_key(arn), policy).await;
    let policy = policy.map_or_else(|| Ok(Err(not_ours(arn))), tolerate)?;
    Ok(Key { metadata: tolerate(metadata)?, policy, grants: Ok(Vec::new()) })
}

fn not_ours(arn: &KeyArn) -> ErrorRow {
    let message = format!("{arn} belongs to account {}, which alone may read its policy", arn.account());
    ErrorRow { code: ErrorCode::Denied, call: None, resource: Some(arn.to_string()), message, retryable: false }
}

async fn read_create_volume_permissions(
    aws: &Aws,
    facts: &mut Facts,
    backing: BTreeMap<crate::domain::ImageId, Vec<SnapshotId>>,
) {
    let all: BTreeSet<_> = backing.values().flatten().cloned().collect();
    let read = each(all.into_iter().collect(), async |id| aws.create_volume_permissions(id).await).await;
    let read: BTreeMap<_, _> = read.into_iter().map(|(id, accounts)| (id, accounts.map_err(row))).collect();
    for (id, snapshot_ids) in backing {
        if let Some(image) = facts.images.get_mut(&id) {
            let of_image =
                snapshot_ids.into_iter().filter_map(|id| read.get(&id).cloned().map(|accounts| (id, accounts)));
            image.create_volume_permissions = of_image.collect();
        }
    }
}

/// What may be decided without (the answer is then `unknown`) and what must be asked again later.
fn tolerate<T>(read: Result<T, CallError>) -> Reading<Reading<T>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(CallError { row, .. }) if row.retryable => Err(row),
        Err(CallError { row, .. }) => Ok(Err(row)),
    }
}

fn row(error: CallError) -> ErrorRow {
    error.row
}

/// Runs one call per item, so many at a time.
async fn each<K: Ord + Hash, T>(items: Vec<K>, call: impl AsyncFn(&K) -> T) -> BTreeMap<K, T> {
    let call = &call;
    stream::iter(items)
        .map(|item| async move {
            let answer = call(&item).await;
            (item, answer)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await
}
