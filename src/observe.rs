//! Owns what AWS must be asked before anything is decided, in as few waves as the data allows: the images; of those that
//! may be read further their launch permissions, snapshots and the names of their records; then what depends on these (keys
//! and policies, create volume permissions, other images, records); then, where a key policy alone doesn't settle the
//! question, the grants.

mod deregistered;
mod grants;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, future, future::LocalBoxFuture, stream};
use key_policy::{Policy, PolicyError};
use sharing::{
    decide::{self, Authority, Judgements, Question, SecondLook, Seen},
    domain::{AccountId, ExpiryName, ImageId, KeyArn, SnapshotId},
    facts::{Expiry, Fact, Facts, GrantScan, Image, ImageState, Key, Reading, Recorded, Snapshot},
    outcome::{ErrorCode, ErrorRow},
    request::{Access, Action},
};

use crate::aws::{Aws, CONCURRENCY, CallError, DescribedImage, Schedules};

/// An audit looks through so many pages of grants for the images that it reads together: half a minute's worth at five
/// calls a second. A key with more than its share is not judged, and does not keep the rest from being looked at,
const SURVEYED_PAGES: usize = 150;
/// however many keys there are.
const FEWEST_PAGES: usize = 3;

/// So many pages of the grants of one grantee are read to judge a share; a key with more of them is not judged.
const GRANTEE_PAGES: usize = 20;

/// Reads everything the decision needs. Fails where a fact is missing without which nothing may be decided; taking
/// access away is never held up by what can't be read, so there the gap itself becomes a fact.
///
/// Of an image that is refused by its description nothing more is read.
pub async fn observe(
    aws: &Aws,
    schedules: Option<&Schedules>,
    question: &Question<'_>,
    judgements: &Judgements<'_>,
) -> Reading<Facts> {
    let records_of = |ids| concurrently(ids, async |id| read_expiries(aws, schedules, question, id).await);
    if question.request.action.surveys() {
        // What a record that has outlived its image remembers is looked at too.
        let expiries = records_of(question.request.image_ids.clone()).await;
        let (mut facts, backing) = read_images(aws, question).await?;
        deregistered::of_expiries(aws, question, &expiries, &mut facts).await?;
        read_further(aws, question, judgements, &mut facts, backing).await?;
        deregistered::of_grants(aws, question, &mut facts).await?;
        keep(question, &mut facts, expiries)?;
        return Ok(facts);
    }
    let (mut facts, mut backing) = read_images(aws, question).await?;
    let ids: Vec<_> = decide::permitted(question, &facts.images).into_iter().collect();
    let is_nothing = ids.is_empty();
    let blocks_public_images = async {
        let is_asked = question.request.action == Action::Check && !is_nothing;
        if is_asked { aws.blocks_public_images().await.ok() } else { None }
    };
    // An expiry time that is too near needs no more reading than that of the records.
    let early =
        if decide::is_near(question.request, question.now) { Some(records_of(ids.clone()).await) } else { None };
    if let Some(expiries) = &early {
        backing.retain(|id, _| {
            let records = expiries.get(id).and_then(|read| read.as_ref().ok());
            !decide::is_refused_by_time(question, id, records.map(|records| &records.expiries))
        });
    }
    let expiries = async {
        match early {
            Some(expiries) => expiries,
            None => records_of(ids).await,
        }
    };
    let (read, expiries, blocks_public_images) =
        future::join3(read_further(aws, question, judgements, &mut facts, backing), expiries, blocks_public_images)
            .await;
    read?;
    facts.blocks_public_images = blocks_public_images;
    keep(question, &mut facts, expiries)?;
    Ok(facts)
}

/// Keeps what the records say; fails where nothing may be decided without them.
fn keep(question: &Question<'_>, facts: &mut Facts, expiries: Expiries) -> Reading<()> {
    let is_needed = question.request.expires_at.is_some() || matches!(question.authority, Authority::Expiry(_));
    for (id, records) in expiries {
        let Some(image) = facts.images.get_mut(&id) else { continue };
        if is_needed {
            records.as_ref().map_err(Clone::clone)?;
        }
        image.expiries = records.map(|Records { expiries, nobodys }| {
            facts.nobodys_records.extend(nobodys);
            expiries
        });
    }
    Ok(())
}

/// The snapshots that DescribeImages names, of each image.
type Backing = BTreeMap<ImageId, Vec<SnapshotId>>;

/// When the shares of each image expire.
type Expiries = BTreeMap<ImageId, Reading<Records>>;

/// The records of an image's shares.
#[derive(Debug, Clone, Default)]
struct Records {
    /// Those that are ours.
    expiries: BTreeMap<ExpiryName, Expiry>,
    /// Those that are nobody's, with what is wrong.
    nobodys: BTreeMap<ExpiryName, String>,
}

impl Records {
    fn insert(&mut self, name: ExpiryName, recorded: Recorded) {
        match recorded {
            Recorded::Nothing => {}
            Recorded::Expiry(expiry) => drop(self.expiries.insert(name, expiry)),
            Recorded::Nobodys { why } => drop(self.nobodys.insert(name, why)),
        }
    }
}

/// Reads what the images are; of one that is gone, what the record of its share remembers.
async fn read_images(aws: &Aws, question: &Question<'_>) -> Reading<(Facts, Backing)> {
    let mut described = aws.describe_images(&question.request.image_ids).await.map_err(row)?;
    if let Authority::Expiry(expiry) = question.authority
        && !described.contains_key(&expiry.image_id)
    {
        deregistered::ensure_deregistered(aws, &expiry.image_id).await?;
        described.insert(expiry.image_id.clone(), DescribedImage::deregistered(expiry, question.account));
    }
    let (mut facts, mut backing) = (Facts::default(), Backing::new());
    for (id, DescribedImage { image, snapshot_ids }) in described {
        if image.owner == question.account {
            backing.insert(id.clone(), snapshot_ids);
        }
        facts.images.insert(id, image);
    }
    sources::read(aws, question, &mut facts.images).await?;
    Ok((facts, backing))
}

/// Reads the records of an image's shares: with the asked targets, or where none are asked about, with all.
async fn read_expiries(
    aws: &Aws,
    schedules: Option<&Schedules>,
    question: &Question<'_>,
    image_id: &ImageId,
) -> Reading<Records> {
    let Some(schedules) = schedules else { return Ok(Records::default()) };
    let request = question.request;
    // Of a group in a URL only the id is known yet, and so not the names of its records.
    let has_targets = request.action.takes_targets() && request.group.is_none();
    let prefix = match request.targets.as_slice() {
        [asked] if has_targets => ExpiryName::pair_prefix(image_id, &asked.target),
        _ => ExpiryName::image_prefix(image_id),
    };
    let mut names = aws.expiry_names(schedules, Some(&prefix)).await.map_err(row)?;
    let pairs: BTreeSet<_> =
        request.targets.iter().map(|asked| ExpiryName::pair_prefix(image_id, &asked.target)).collect();
    names.retain(|name| !has_targets || pairs.contains(&format!("{}-", name.pair())));
    let read =
        concurrently(wanted(question, image_id, names), async |names| read_latest(aws, schedules, names).await).await;
    let mut records = Records::default();
    for (_, read) in read {
        for (name, recorded) in read? {
            records.insert(name, recorded);
        }
    }
    Ok(records)
}

/// The names to read, in lists of which the first that is a record will do. What is looked at or shared has the expiry time
/// of its latest record, and a share needs to know of the very record that it asks for; what is taken away has all.
fn wanted(question: &Question<'_>, image_id: &ImageId, names: Vec<ExpiryName>) -> Vec<Vec<ExpiryName>> {
    let request = question.request;
    if let Authority::Expiry(own) = question.authority {
        // All that it asks of the others is whether a later one has taken its place: of a share that is renewed often
        // there are too many to read.
        let (own, mut later): (Vec<_>, Vec<_>) =
            names.into_iter().filter(|name| *name >= own.name).partition(|name| *name == own.name);
        later.reverse();
        return [later, own].into_iter().filter(|names| !names.is_empty()).collect();
    }
    if !request.action.is_about_sharing() && request.action != Action::List {
        return names.into_iter().map(|name| vec![name]).collect();
    }
    let newest_first = |names: &[ExpiryName]| names.iter().rev().cloned().collect::<Vec<_>>();
    let mut lists: Vec<_> = names.chunk_by(|one, other| one.pair() == other.pair()).map(newest_first).collect();
    let very = request.targets.iter().filter_map(|asked| ExpiryName::new(image_id, &asked.target, request.expires_at?));
    let is_first = |name: &ExpiryName| lists.iter().any(|list| list.first() == Some(name));
    let very: Vec<_> = very.filter(|name| names.contains(name) && !is_first(name)).map(|name| vec![name]).collect();
    lists.extend(very);
    lists
}

/// Reads these names until one is a record.
async fn read_latest(aws: &Aws, schedules: &Schedules, names: &[ExpiryName]) -> Reading<Vec<(ExpiryName, Recorded)>> {
    let mut read = Vec::new();
    for name in names {
        let recorded = aws.expiry(schedules, name).await.map_err(row)?;
        let is_found = matches!(recorded, Recorded::Expiry(_));
        read.push((name.clone(), recorded));
        if is_found {
            break;
        }
    }
    Ok(read)
}

/// Looks again, after launch permissions were added, whether shares still have a record: the one they had, or any other.
pub async fn look_again(
    aws: &Aws,
    schedules: Option<&Schedules>,
    looks: Vec<SecondLook>,
) -> BTreeMap<SecondLook, Seen> {
    concurrently(looks, async |SecondLook { image_id, target, record }| {
        let Some(schedules) = schedules else { return Ok(false) };
        if let Recorded::Expiry(_) = aws.expiry(schedules, record).await.map_err(row)? {
            return Ok(true);
        }
        let prefix = ExpiryName::pair_prefix(image_id, target);
        let mut names = aws.expiry_names(schedules, Some(&prefix)).await.map_err(row)?;
        names.retain(|name| name != record);
        names.reverse();
        let read = read_latest(aws, schedules, &names).await?;
        Ok(read.iter().any(|(_, recorded)| matches!(recorded, Recorded::Expiry(_))))
    })
    .await
}

/// Reads the launch permissions of the images that may be read further, the snapshots behind them and what hangs on
/// those.
async fn read_further(
    aws: &Aws,
    question: &Question<'_>,
    judgements: &Judgements<'_>,
    facts: &mut Facts,
    mut backing: Backing,
) -> Reading<()> {
    let action = question.request.action;
    let permitted = decide::permitted(question, &facts.images);
    let state = |id: &ImageId| facts.images.get(id).map(|image| image.state.clone());
    let there: Vec<_> = permitted.iter().filter(|id| state(id) != Some(ImageState::Deregistered)).cloned().collect();
    // What can't be shared needs no keys.
    let needs_keys = |id: &ImageId| action != Action::Share || state(id) == Some(ImageState::Available);
    backing.retain(|id, _| permitted.contains(id) && needs_keys(id));
    let (permissions, behind) = future::join(
        concurrently(there, async |id| aws.launch_permissions(id).await.map_err(row)),
        read_behind(aws, question, facts, &backing),
    )
    .await;
    for (id, permissions) in permissions {
        if !action.takes_away() && !action.surveys() {
            permissions.clone()?;
        }
        if let Some(image) = facts.images.get_mut(&id) {
            image.launch_permissions = permissions.into();
        }
    }
    let Behind { snapshots, keys, grant_scans, neighbours } = behind?;
    for (id, snapshot_ids) in &backing {
        let Some(image) = facts.images.get_mut(id) else { continue };
        image.snapshots = match &snapshots {
            Ok(snapshots) => Fact::Known(snapshot_ids.iter().filter_map(|id| snapshots.get(id).cloned()).collect()),
            Err(error) => Fact::Failed(error.clone()),
        };
        // Of an image that is gone they may be too.
        if let (Ok(snapshots), true) = (&snapshots, image.state != ImageState::Deregistered) {
            let unknown = snapshot_ids.iter().filter(|id| !snapshots.contains_key(*id));
            image.unread_snapshots = unknown.map(unknown_snapshot).collect();
        }
        if let (Some(error), true) = (image.unread_snapshots.first(), may_be_shared(action, image)) {
            return Err(error.clone());
        }
    }
    (facts.keys, facts.grant_scans, facts.neighbours) = (keys, grant_scans, neighbours);
    if action.is_about_sharing() { read_grants(aws, question, judgements, facts).await } else { Ok(()) }
}

/// What is behind images.
struct Behind {
    snapshots: Reading<BTreeMap<SnapshotId, Snapshot>>,
    keys: BTreeMap<KeyArn, Key>,
    grant_scans: BTreeMap<KeyArn, GrantScan>,
    neighbours: BTreeMap<ImageId, Image>,
}

impl Behind {
    fn only(snapshots: Reading<BTreeMap<SnapshotId, Snapshot>>) -> Self {
        let (keys, grant_scans, neighbours) = Default::default();
        Self { snapshots, keys, grant_scans, neighbours }
    }
}

/// Reads the snapshots of the images, and what the action needs to know of them.
async fn read_behind(aws: &Aws, question: &Question<'_>, facts: &Facts, backing: &Backing) -> Reading<Behind> {
    let action = question.request.action;
    let wanted: Vec<_> = backing.values().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let remembered: BTreeSet<_> =
        facts.images.values().flat_map(|image| image.remembered_keys.iter().cloned()).collect();
    if wanted.is_empty() && remembered.is_empty() {
        return Ok(Behind::only(Ok(BTreeMap::new())));
    }
    let needs_others = action.takes_away() || action.surveys();
    let others = async { if needs_others { Some(aws.describe_own_images_on(&wanted).await) } else { None } };
    let (snapshots, others) = future::join(aws.describe_snapshots(&wanted), others).await;
    let mut snapshots = match snapshots.map_err(row) {
        Ok(snapshots) => snapshots,
        Err(error) if action.takes_away() => return Ok(Behind::only(Err(error))),
        Err(error) => return Err(error),
    };
    let keys: BTreeSet<KeyArn> =
        snapshots.values().filter_map(|snapshot| snapshot.key.clone()).chain(remembered).collect();
    let needs_copy = !action.is_about_sharing() || action == Action::Check || question.request.access == Access::Copy;
    let owned = snapshots.values().filter(|snapshot| needs_copy && snapshot.owner == question.account);
    let owned: Vec<_> = owned.map(|snapshot| snapshot.id.clone()).collect();
    let mut neighbours = BTreeMap::new();
    let (copy, keys, needed_by) = future::join3(
        concurrently(owned, async |id| aws.create_volume_permissions(id).await.map_err(row)),
        read_keys(aws, question, keys.into_iter().collect()),
        read_needs(aws, question, facts, backing, others, &mut neighbours),
    )
    .await;
    for (id, permissions) in copy {
        if action == Action::Share {
            permissions.clone()?;
        }
        if let Some(snapshot) = snapshots.get_mut(&id) {
            snapshot.is_public = permissions.as_ref().is_ok_and(|(_, is_public)| *is_public);
            snapshot.create_volume_permissions = permissions.map(|(accounts, _)| accounts).into();
        }
    }
    for snapshot in snapshots.values_mut() {
        let needs = |needs: &Needs| needs.get(&snapshot.id).cloned().unwrap_or_default();
        snapshot.needed_by = match &needed_by {
            None => Fact::NotRead,
            Some(read) => read.as_ref().map(needs).map_err(Clone::clone).into(),
        };
    }
    let (keys, grant_scans) = keys?;
    Ok(Behind { snapshots: Ok(snapshots), keys, grant_scans, neighbours })
}

/// Whether it is decided by the facts that the image can be shared.
fn may_be_shared(action: Action, image: &Image) -> bool {
    action.is_about_sharing() && image.state == ImageState::Available
}

fn unknown_snapshot(id: &SnapshotId) -> ErrorRow {
    let message = format!(
        "EC2 tells nothing of {id}, a snapshot of the image, so nothing is known of its key and who may copy it"
    );
    left_out("ec2:DescribeSnapshots", id, message)
}

/// A list of EC2 lacks what it named before.
fn left_out(call: &'static str, id: impl ToString, message: String) -> ErrorRow {
    let resource = Some(id.to_string());
    ErrorRow { code: ErrorCode::Unexpected, call: Some(call), resource, message, retryable: false }
}

/// For each snapshot the accounts with which images are shared that this request does not change.
type Needs = BTreeMap<SnapshotId, BTreeMap<AccountId, ImageId>>;

async fn read_needs(
    aws: &Aws,
    question: &Question<'_>,
    facts: &Facts,
    backing: &Backing,
    others: Option<Result<BTreeMap<ImageId, DescribedImage>, CallError>>,
    neighbours: &mut BTreeMap<ImageId, Image>,
) -> Option<Reading<Needs>> {
    let others = others?.map_err(row);
    let mut others = match others {
        Ok(others) => others,
        Err(error) => return Some(Err(error)),
    };
    // A list without the images asked about is not the whole list.
    let is_there = |id: &ImageId| facts.images.get(id).is_some_and(|image| image.state != ImageState::Deregistered);
    let mut asked = backing.iter().filter(|(id, snapshot_ids)| is_there(id) && !snapshot_ids.is_empty());
    if let Some((id, _)) = asked.find(|(id, _)| !others.contains_key(*id)) {
        let message = format!(
            "EC2's list of the images on the snapshots of {id} lacks {id} itself, so it may lack others that need them"
        );
        return Some(Err(left_out("ec2:DescribeImages", id, message)));
    }
    // An image that is asked about and refused keeps what it needs like any other.
    others.retain(|id, _| !backing.contains_key(id));
    let permissions = concurrently(others.keys().cloned().collect(), async |id| aws.launch_permissions(id).await).await;
    let mut needs = Needs::new();
    for (id, launch_permissions) in permissions {
        let Some(DescribedImage { image, snapshot_ids }) = others.remove(&id) else { continue };
        let launch_permissions = match launch_permissions {
            Ok(launch_permissions) => launch_permissions,
            Err(error) if decide::is_covered(question, &image) => return Some(Err(error.row)),
            Err(error) => return Some(Err(of_another_image(error.row))),
        };
        let image = Image { launch_permissions: Fact::Known(launch_permissions), ..image };
        for snapshot_id in snapshot_ids {
            let accounts = image.shared_accounts().into_iter().map(|account| (account, id.clone()));
            needs.entry(snapshot_id).or_default().extend(accounts);
        }
        neighbours.insert(id, image);
    }
    Some(Ok(needs))
}

/// The same error without the name of an image that the requester may not know.
fn of_another_image(error: ErrorRow) -> ErrorRow {
    let call = error.call.unwrap_or("the call");
    let message =
        format!("{call} failed for another image of this account on the same snapshots ({})", error.code.as_str());
    ErrorRow { resource: None, message, ..error }
}

/// The keys, and what a look through their grants came upon.
type KeyCheck = (BTreeMap<KeyArn, Key>, BTreeMap<KeyArn, GrantScan>);

/// Reads every key once: for sharing what it is and what its policy says, for taking away its grants.
async fn read_keys(aws: &Aws, question: &Question<'_>, arns: Vec<KeyArn>) -> Reading<KeyCheck> {
    let action = question.request.action;
    if action.is_about_sharing() || action.surveys() {
        let pages = SURVEYED_PAGES.checked_div(arns.len()).unwrap_or_default().max(FEWEST_PAGES);
        let read = concurrently(arns, async |arn| read_key(aws, question, arn, pages).await).await;
        let keys: Reading<_> = read.into_iter().map(|(arn, key)| key.map(|key| (arn, key))).collect();
        return Ok((keys?, BTreeMap::new()));
    }
    let (mut keys, mut scans) = KeyCheck::default();
    if !action.takes_away() {
        return Ok((keys, scans));
    }
    // Every grant and not those of one grantee: a deleted role's grants are listed under an id that nobody knows.
    let own = arns.into_iter().filter(|arn| arn.account() == question.account).collect();
    for (arn, scanned) in concurrently(own, async |arn| grants::scan(aws, question, arn).await).await {
        let grants = scanned.map(|(grants, scan)| {
            scans.insert(arn.clone(), scan);
            grants
        });
        keys.insert(arn, Key { metadata: Err(not_asked()), policy: Err(not_asked()), grants });
    }
    Ok((keys, scans))
}

fn not_asked() -> ErrorRow {
    let message = "not asked, because taking access away does not depend on it".to_owned();
    ErrorRow { code: ErrorCode::Unexpected, call: None, resource: None, message, retryable: false }
}

async fn read_key(aws: &Aws, question: &Question<'_>, arn: &KeyArn, pages: usize) -> Reading<Key> {
    let is_own = arn.account() == question.account;
    let policy = async {
        // "Cross-account use: No": https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
        if is_own { Some(aws.key_policy(arn).await) } else { None }
    };
    let grants = async {
        if is_own && question.request.action.surveys() { aws.grants(arn, None, pages).await } else { Ok(Vec::new()) }
    };
    let (metadata, policy, grants) = future::join3(aws.describe_key(arn), policy, grants).await;
    let policy = policy.map_or_else(|| Ok(Err(not_ours(arn))), tolerate)?;
    // Read once here, judged by for every target.
    let policy = policy.and_then(|text| Policy::parse(&text).map_err(|error| not_understood(arn, &error)));
    Ok(Key { metadata: tolerate(metadata)?, policy, grants: tolerate(grants)? })
}

fn not_ours(arn: &KeyArn) -> ErrorRow {
    let message = format!("{arn} belongs to account {}, which alone may read its policy", arn.account());
    ErrorRow { code: ErrorCode::Denied, call: None, resource: Some(arn.to_string()), message, retryable: false }
}

fn not_understood(arn: &KeyArn, error: &PolicyError) -> ErrorRow {
    let (call, resource) = (Some("kms:GetKeyPolicy"), Some(arn.to_string()));
    ErrorRow { code: ErrorCode::Unexpected, call, resource, message: error.to_string(), retryable: false }
}

/// Reads the grants that may let somebody in whom a key policy doesn't.
async fn read_grants(
    aws: &Aws,
    question: &Question<'_>,
    judgements: &Judgements<'_>,
    facts: &mut Facts,
) -> Reading<()> {
    let wanted = decide::grantees_to_look_up(question, facts, judgements)?;
    let read = concurrently(wanted, async |(arn, grantee)| aws.grants(arn, Some(grantee), GRANTEE_PAGES).await).await;
    for ((arn, _), found) in read {
        let Some(key) = facts.keys.get_mut(&arn) else { continue };
        match (tolerate(found)?, &mut key.grants) {
            (Ok(found), Ok(grants)) => grants.extend(found),
            (Err(error), grants) => *grants = Err(error),
            (Ok(_), Err(_)) => {}
        }
    }
    Ok(())
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

/// Runs one call per item, so many at a time. They are behind a pointer, so that what waits for them is there once for each
/// kind of answer and not for each kind of call.
async fn concurrently<K: Ord, T>(items: Vec<K>, call: impl AsyncFn(&K) -> T) -> BTreeMap<K, T> {
    let call = &call;
    stream::iter(items)
        .map(|item| -> LocalBoxFuture<'_, (K, T)> {
            Box::pin(async move {
                let answer = call(&item).await;
                (item, answer)
            })
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await
}
