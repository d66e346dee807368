//! Owns the reads of an invocation: it executes the real read plan with the model's calls, and the plan says what a failed
//! read means. What never changes costs no call.

use std::collections::{BTreeMap, BTreeSet};

use key_policy::Grant;
use sharing::{
    decide::{self, Case, Judgements, SecondLook, Seen},
    domain::{ExpiryName, ImageId, KeyArn, SnapshotId},
    facts::{Copies, CopyRecord, Expiry, Fact, Facts, Failure, GrantScan, Image, ImageState, Key, Lineage},
    outcome::ErrorCode,
    read_plan::{
        self, CopyReads, Expectation, FirstReads, GrantReads, IfNotFound, ImageReads, Need, ReadPlan, RecordReads,
        WaitingReads,
    },
    records::{Record, RecordName},
};

use crate::{
    invocation::Invocation,
    planted::Planted,
    pool::Word,
    script::{Answer, Asked, Call, Halt, Script, Stands, both, read},
    world::{self, Grants, id_of, slot_of, slot_of_snapshot},
};

/// Reads what the decision needs. Like `src/observe`, it asks at the same time for the records and for everything about the
/// images, and for each image at the same time for its launch permissions and for what is behind it.
///
/// Every process remembers the image, so it asks at the same time also for the grants that were needed the last time. One that
/// does not asks for them later, and that is among the orders in which the answers arrive.
pub fn observe(invocation: &Invocation<'_, '_>, case: &Case<'_>, judgements: &Judgements<'_>) -> Asked<Facts> {
    let described = match world::remembered().expect(case) {
        Some(expected) => match read_at_once(invocation, case, judgements, expected)? {
            AtOnce::All(facts) => return Ok(*facts),
            AtOnce::Described(facts) => *facts,
        },
        None => match read_plan::copies(case) {
            Some(reads) => read_copies(invocation.script, case, reads)?,
            None => read_named(invocation, case)?,
        },
    };
    read_beyond(invocation, case, judgements, described, &BTreeMap::new())
}

/// What was read at once about an image that is remembered.
enum AtOnce {
    /// Everything: EC2 describes it as before.
    All(Box<Facts>),
    /// The description. It differs, so nothing else counts that was read.
    Described(Box<Facts>),
}

/// Describes the image, and asks at the same time for everything else. If the description fails or differs, nothing else is
/// waited for.
fn read_at_once(
    invocation: &Invocation<'_, '_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    Expectation { images, keys }: Expectation,
) -> Asked<AtOnce> {
    let as_before = Facts { images: images.clone(), ..Facts::default() };
    let described = read_named(invocation, case);
    let beyond = read_beyond(invocation, case, judgements, as_before, &keys);
    let described = beside(described, &beyond)?;
    if described.images == images {
        return Ok(AtOnce::All(Box::new(beyond?)));
    }
    judgements.forget();
    Ok(AtOnce::Described(Box::new(described)))
}

/// Something, while the calls of something else are under way that is not waited for.
fn beside<T, O>(asked: Asked<T>, other: &Asked<O>) -> Asked<T> {
    match (asked, other) {
        (Err(Halt::Calls(calls)), Err(Halt::Calls(more))) => Err(Halt::Calls([calls, more.clone()].concat())),
        (asked, _) => asked,
    }
}

/// Keys, each with the grantees whose grants are probably needed.
type Likely = BTreeMap<KeyArn, BTreeSet<String>>;

fn read_beyond(
    invocation: &Invocation<'_, '_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    mut facts: Facts,
    likely: &Likely,
) -> Asked<Facts> {
    let script = invocation.script;
    let request = decide::resolve_copies(case, &facts);
    let case = &Case { request: &request, ..*case };
    let mut plan = read_plan::further(case, &facts);
    if plan.is_records_first {
        learn_records(script, &mut facts, &plan.records)?;
        plan = read_plan::further(case, &facts);
    }
    let is_blind = invocation.planted == Planted::BlindFacts;
    if is_blind {
        plan.images.values_mut().for_each(|reads| reads.launch_permissions = Need::Optional);
    }
    let records = learn_records(script, &mut facts, &plan.records);
    let images = read_images(script, case, judgements, (&plan, likely), &mut facts);
    both(images, records)?;
    if is_blind {
        facts.images.values_mut().for_each(|image| image.launch_permissions = Fact::Known(Vec::new()));
    }
    Ok(facts)
}

fn read_images(
    script: &Script<'_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    (plan, likely): (&ReadPlan, &Likely),
    facts: &mut Facts,
) -> Asked<()> {
    let ahead = GrantsAhead::ask(script, plan, likely);
    for (id, reads) in &plan.images {
        let mut image = facts.images.remove(id).unwrap();
        beside(read_image(script, plan, (id, *reads), &mut image, facts), &ahead.answer)?;
        facts.images.insert(id.clone(), image);
    }
    read_grants_of_grantees(script, case, judgements, (plan, ahead), facts)
}

/// The grants that are read before it is known whether they are needed.
struct GrantsAhead<'l> {
    likely: Option<&'l Likely>,
    answer: Asked<Option<Grants>>,
}

impl<'l> GrantsAhead<'l> {
    /// Asks for them, if the plan may ask for them.
    fn ask(script: &Script<'_>, plan: &ReadPlan, likely: &'l Likely) -> Self {
        let are_keys_read = plan.images.values().any(|reads| reads.snapshots.is_read());
        let may_be_needed = are_keys_read && matches!(plan.keys.grants, GrantReads::OfGrantees(_));
        if !may_be_needed || likely.values().all(BTreeSet::is_empty) {
            return Self { likely: None, answer: Ok(None) };
        }
        Self { likely: Some(likely), answer: read_grants(script).map(Some) }
    }

    /// The grants of this grantee on this key. If they were not asked for, it asks for them now.
    fn answer_to(&self, script: &Script<'_>, (arn, grantee): (&KeyArn, &String)) -> Asked<Grants> {
        let is_asked =
            self.likely.and_then(|likely| likely.get(arn)).is_some_and(|grantees| grantees.contains(grantee));
        match &self.answer {
            Ok(Some(grants)) if is_asked => Ok(*grants),
            Err(halt) if is_asked => Err(halt.clone()),
            _ => read_grants(script),
        }
    }
}

/// The images that the request names, and the records of shares that wait for copies of the same images.
fn read_named(invocation: &Invocation<'_, '_>, case: &Case<'_>) -> Asked<Facts> {
    let script = invocation.script;
    let first = read_plan::first(case);
    let named = first.images.named();
    // Of an image that is found only by its records, these are read before it is known whether it is there.
    let mut recorded = BTreeMap::new();
    for (id, reads) in &first.records {
        recorded.insert(id.clone(), settled(reads.need, read_expiries(script, reads))?);
    }
    let is_there = !invocation.may_go || read_is(script, Call::Image)?;
    let copies = if named.iter().all(|id| *id == world::image_id()) { BTreeMap::new() } else { describe(script)? };
    let there = |id: &ImageId| match slot_of(id) {
        Some(0) => is_there.then(world::image),
        _ => copies.get(id).cloned(),
    };
    let mut images: BTreeMap<_, _> = named.iter().filter_map(|id| Some((id.clone(), there(id)?))).collect();
    if !is_there {
        images.extend(read_deregistered(invocation, case, &first, &recorded)?);
    }
    for (id, expiries) in recorded {
        images.entry(id).and_modify(|image| image.expiries = expiries);
    }
    let mut facts = Facts { images, ..Facts::default() };
    let sources = read_plan::sources_of_copies(case, &facts.images);
    if !sources.by_region.is_empty() {
        let source = settled(sources.need, read_source(script))?;
        for image in facts.images.values_mut() {
            let Lineage::CopyOf { said, .. } = &mut image.provenance.lineage else { continue };
            **said = match &source {
                Fact::Known(source) => Fact::Known(source.as_ref().map(|source| source.provenance.clone())),
                Fact::Failed(failure) => Fact::Failed(failure.clone()),
                Fact::NotRead => Fact::NotRead,
            };
            image.source_naming = source.known().and_then(Option::as_ref).map(Image::naming);
        }
    }
    for (id, reads) in read_plan::waiting_beside(case, &facts.images) {
        let region = facts.images[&id].provenance.source().map(|source| source.region.clone());
        let mut waiting = settled(Need::Optional, read_waiting(script, &reads))?;
        if let Fact::Known(records) = &mut waiting {
            records.retain(|record| region.as_ref().is_some_and(|region| record.is_from(region)));
        }
        facts.images.get_mut(&id).unwrap().waiting = waiting;
    }
    Ok(facts)
}

/// The image, if EC2 says for its ID that it does not exist, as its records name it: the order of
/// `observe::deregistered`.
fn read_deregistered(
    invocation: &Invocation<'_, '_>,
    case: &Case<'_>,
    first: &FirstReads<'_>,
    recorded: &BTreeMap<ImageId, Fact<BTreeMap<ExpiryName, Expiry>>>,
) -> Asked<Option<(ImageId, Image)>> {
    let id = world::image_id();
    if first.if_not_found == IfNotFound::Leave {
        return Ok(None);
    }
    let is_there = invocation.planted != Planted::SearchedOnly && read_is(invocation.script, Call::IsThere(0))?;
    match first.if_not_found {
        IfNotFound::OfExpiry(_) if is_there => Err(Halt::Failed(Box::new(Failure {
            code: ErrorCode::Unavailable,
            call: None,
            resource: None,
            message: "EC2 describes it by its ID, but a search does not find it".to_owned(),
            retryable: true,
        }))),
        IfNotFound::OfExpiry(expiry) => Ok(Some((id, Image::of_expiry(case.account, expiry)))),
        IfNotFound::OfRecords if !is_there => {
            let expiries = recorded.get(&id).and_then(Fact::known).into_iter().flat_map(BTreeMap::values);
            let keys: BTreeSet<_> = expiries.flat_map(|expiry| expiry.key_arns.iter().cloned()).collect();
            Ok(Some((id, Image::deregistered(case.account, keys.into_iter().collect()))))
        }
        IfNotFound::Leave | IfNotFound::OfRecords => Ok(None),
    }
}

/// The image that the request names by `copyFrom`, and the images of this Region that are made from it.
fn read_copies(script: &Script<'_>, case: &Case<'_>, reads: CopyReads<'_>) -> Asked<Facts> {
    let [source_id] = reads.source_ids else { panic!("a scene copies one image") };
    let source = if reads.source.is_read() { settled(reads.source, read_source(script)) } else { Ok(Fact::NotRead) };
    let (source, images) = both(source, describe(script))?;
    let mut copies = Copies { source, images, ..Copies::default() };
    copies.learn_source(case.account);
    let mut facts = Facts { copies: [(source_id.clone(), copies)].into(), ..Facts::default() };
    let snapshots = read_plan::snapshots_of_copies(case, &facts);
    let images = facts.copies.get_mut(source_id).unwrap().images.values_mut();
    for backing in images.flat_map(|image| &mut image.snapshots).filter(|backing| snapshots.contains(&backing.id)) {
        backing.snapshot = Fact::Known(world::snapshot(slot_of_snapshot(&backing.id)));
    }
    for (id, which) in read_plan::waiting(case, &facts) {
        let records = settled(reads.waiting, read_waiting(script, &which))?;
        facts.copies.get_mut(&id).unwrap().waiting = records;
    }
    let to_be_copied: Vec<_> = read_plan::to_be_copied(case, &facts).into_iter().map(|(id, _)| id.clone()).collect();
    for id in to_be_copied {
        let metadata = world::key().metadata;
        facts.copies.get_mut(&id).unwrap().source_keys = [(ami_share_testing::worlds::key(), metadata)].into();
    }
    facts.images = decide::as_facts(decide::images_meant(case, &facts));
    Ok(facts)
}

/// The copies that EC2 describes. One that was deregistered it does not describe.
pub fn describe(script: &Script<'_>) -> Asked<BTreeMap<ImageId, Image>> {
    let seen = match script.read(Call::Copies)? {
        Answer::Copies(seen) => seen,
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let image = |(slot, (stands, name)): (usize, (Stands, Word))| {
        let state = match stands {
            Stands::Nowhere | Stands::Gone => return None,
            Stands::Pending => ImageState::Pending,
            Stands::Available => ImageState::Available,
            Stands::Failed => ImageState::Other("failed".to_owned()),
        };
        Some((id_of(slot), world::copy(slot, &script.pools.words.get(name), state)))
    };
    Ok(seen.into_iter().enumerate().skip(1).filter_map(image).collect())
}

fn read_source(script: &Script<'_>) -> Asked<Option<Image>> {
    Ok(read_is(script, Call::Source)?.then(world::source_image))
}

fn read_is(script: &Script<'_>, call: Call) -> Asked<bool> {
    match script.read(call)? {
        Answer::Is(is_there) => Ok(is_there),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

fn read_waiting(script: &Script<'_>, reads: &WaitingReads) -> Asked<Vec<CopyRecord>> {
    let names = match reads {
        WaitingReads::This(name) => vec![RecordName::Copy(name.clone())],
        WaitingReads::All(prefix) => names(script, prefix)?,
    };
    let mut records = Vec::new();
    for name in names {
        if let Some(Record::Copy(record)) = read_record(script, &name)? {
            records.push(*record);
        }
    }
    Ok(records)
}

fn read_image(
    script: &Script<'_>,
    plan: &ReadPlan,
    (id, reads): (&ImageId, ImageReads),
    image: &mut Image,
    facts: &mut Facts,
) -> Asked<()> {
    let slot = slot_of(id).map(|slot| u8::try_from(slot).unwrap());
    let launch = match slot.filter(|_| reads.launch_permissions.is_read()) {
        Some(slot) => {
            let read = read_targets(script, Call::Launch(slot)).map(world::launch_permissions);
            settled(reads.launch_permissions, read)
        }
        None => Ok(image.launch_permissions.clone()),
    };
    let (launch_permissions, ()) = both(launch, read_behind(script, plan, reads, image, facts))?;
    image.launch_permissions = launch_permissions;
    Ok(())
}

/// The snapshots, and at the same time who may copy them and the grants on their keys.
fn read_behind(
    script: &Script<'_>,
    plan: &ReadPlan,
    reads: ImageReads,
    image: &mut Image,
    facts: &mut Facts,
) -> Asked<()> {
    if !reads.snapshots.is_read() {
        return Ok(());
    }
    let slots: Vec<_> = image.snapshots.iter().map(|backing| slot_of_snapshot(&backing.id)).collect();
    let copy = match slots.first().filter(|_| reads.create_volume_permissions.is_read()) {
        Some(slot) => {
            let read = read_targets(script, Call::Copy(u8::try_from(*slot).unwrap()));
            settled(reads.create_volume_permissions, read.map(world::create_volume_permissions))
        }
        None => Ok(Fact::NotRead),
    };
    let grants = match &plan.keys.grants {
        GrantReads::Every { need, .. } if facts.keys.is_empty() => settled(*need, read_grants(script)),
        // "A failure is a fact."
        GrantReads::Own(_) if facts.keys.is_empty() => settled(Need::Optional, read_grants(script)),
        _ => Ok(Fact::NotRead),
    };
    let (create_volume_permissions, grants) = both(copy, grants)?;
    for backing in &mut image.snapshots {
        let slot = slot_of_snapshot(&backing.id);
        let mut snapshot = world::snapshot(slot);
        snapshot.create_volume_permissions.clone_from(&create_volume_permissions);
        if plan.needed_by.is_read() {
            snapshot.needed_by = Fact::Known(world::needed_by_others(slot));
            if slot == 0 {
                facts.neighbours.insert(world::OTHER.parse().unwrap(), world::image());
            }
        }
        backing.snapshot = Fact::Known(snapshot);
    }
    let keys: Vec<_> = image.keys().into_iter().filter(|arn| !facts.keys.contains_key(arn)).cloned().collect();
    for arn in keys {
        let key = key(plan, facts, &arn, &grants);
        facts.keys.insert(arn, key);
    }
    Ok(())
}

fn key(plan: &ReadPlan, facts: &mut Facts, arn: &KeyArn, grants: &Fact<Grants>) -> Key {
    let mut key = world::key();
    key.grants = match grants {
        Fact::Known(grants) => {
            let mut grants = world::grants(*grants);
            if let GrantReads::Own(wanted) = &plan.keys.grants {
                grants.retain(|grant| wanted.include(grant));
                facts.grant_scans.insert(arn.clone(), GrantScan::default());
            }
            Fact::Known(grants)
        }
        Fact::Failed(failure) => Fact::Failed(failure.clone()),
        Fact::NotRead => Fact::NotRead,
    };
    if !plan.keys.metadata.is_read() {
        (key.metadata, key.policy) = (Fact::NotRead, Fact::NotRead);
    }
    key
}

fn read_grants_of_grantees(
    script: &Script<'_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    (plan, ahead): (&ReadPlan, GrantsAhead<'_>),
    facts: &mut Facts,
) -> Asked<()> {
    let GrantReads::OfGrantees(need) = plan.keys.grants else { return Ok(()) };
    let wanted = read_plan::grantees(case, facts, judgements).expect("there is time");
    for (arn, grantee) in wanted {
        let grants = settled(need, ahead.answer_to(script, (&arn, &grantee)).map(world::grants))?;
        let Some(key) = facts.keys.get_mut(&arn) else { continue };
        key.grants = match (&key.grants, &grants) {
            (Fact::Failed(failure), _) | (_, Fact::Failed(failure)) => Fact::Failed(failure.clone()),
            (known, found) => {
                let is_of_grantee = |grant: &&Grant| grant.grantee_principal.as_deref() == Some(&grantee);
                let of_grantee = found.iter().flatten().filter(is_of_grantee);
                Fact::Known(known.iter().flatten().chain(of_grantee).cloned().collect())
            }
        };
    }
    Ok(())
}

fn read_targets(script: &Script<'_>, call: Call) -> Asked<u8> {
    match script.read(call)? {
        Answer::Targets(seen) => Ok(seen),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

/// The grants of our shares.
pub fn read_grants(script: &Script<'_>) -> Asked<Grants> {
    match script.read(Call::Grants)? {
        Answer::Grants(seen) => Ok(seen),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

fn learn_records(script: &Script<'_>, facts: &mut Facts, wanted: &BTreeMap<ImageId, RecordReads>) -> Asked<()> {
    for (id, reads) in wanted {
        let expiries = settled(reads.need, read_expiries(script, reads))?;
        // Records are read before it is known whether the image is there.
        if let Some(image) = facts.images.get_mut(id) {
            image.expiries = expiries;
        }
    }
    Ok(())
}

fn read_expiries(script: &Script<'_>, reads: &RecordReads) -> Asked<BTreeMap<ExpiryName, Expiry>> {
    let mut expiries = BTreeMap::new();
    for names in reads.lists(expiry_names(script, &reads.prefix)?) {
        expiries.extend(read_latest(script, &names)?.map(|expiry| (expiry.name.clone(), expiry)));
    }
    Ok(expiries)
}

/// What was read, or why it could not be, as far as the plan lets the request go on without it.
fn settled<T>(need: Need, asked: Asked<T>) -> Asked<Fact<T>> {
    need.settle(read(asked)?).map_err(|failure| Halt::Failed(Box::new(failure)))
}

/// The names of the records that begin so.
pub fn names(script: &Script<'_>, prefix: &str) -> Asked<Vec<RecordName>> {
    let names = match script.read(Call::Names(script.pools.words.put(&prefix.to_owned())))? {
        Answer::Names(names) => names,
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let names = names.into_iter().map(|name| script.pools.names.get(name));
    let mut names: Vec<RecordName> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

fn expiry_names(script: &Script<'_>, prefix: &str) -> Asked<Vec<ExpiryName>> {
    let expiry = |name| if let RecordName::Expiry(name) = name { Some(name) } else { None };
    Ok(names(script, prefix)?.into_iter().filter_map(expiry).collect())
}

/// Reads these records, the latest first, until one is there.
fn read_latest(script: &Script<'_>, names: &[ExpiryName]) -> Asked<Option<Expiry>> {
    for name in names {
        if let Some(Record::Expiry(expiry)) = read_record(script, &RecordName::Expiry(name.clone()))? {
            return Ok(Some(expiry));
        }
    }
    Ok(None)
}

/// Reads a record.
pub fn read_record(script: &Script<'_>, name: &RecordName) -> Asked<Option<Record>> {
    read_schedule(script, name, Call::Schedule)
}

fn read_schedule(script: &Script<'_>, name: &RecordName, call: fn(Word) -> Call) -> Asked<Option<Record>> {
    let word: Word = script.pools.names.put(&name.to_string());
    match script.read(call(word))? {
        Answer::Schedule(None) => Ok(None),
        Answer::Schedule(Some(schedule)) => Ok(Some((*script.pools.record(word, schedule)).clone())),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

/// The second look of a share: whether each still has a record; of an expiry the one it had or any other, of a share that
/// waited for a copy that one, which several targets may have in common.
pub fn look_again(script: &Script<'_>, looks: Vec<SecondLook>) -> Asked<BTreeMap<SecondLook, Seen>> {
    let mut seen = BTreeMap::new();
    let mut waited: BTreeMap<RecordName, Seen> = BTreeMap::new();
    for look in looks {
        let is_there = match (&look.record, waited.get(&look.record)) {
            (RecordName::Copy(_), Some(is_there)) => is_there.clone(),
            (RecordName::Copy(_), None) => {
                let record = read_schedule(script, &look.record, Call::LookAgain);
                let is_there = read(record.map(|record| record.is_some()))?;
                waited.insert(look.record.clone(), is_there.clone());
                is_there
            }
            _ => read(look_at_expiry(script, &look))?,
        };
        seen.insert(look, is_there);
    }
    Ok(seen)
}

fn look_at_expiry(script: &Script<'_>, look: &SecondLook) -> Asked<bool> {
    if read_record(script, &look.record)?.is_some() {
        return Ok(true);
    }
    let prefix = ExpiryName::pair_prefix(&look.image_id, &look.target);
    let mut names = expiry_names(script, &prefix)?;
    names.retain(|name| name.as_str() != look.record.as_str());
    names.reverse();
    Ok(read_latest(script, &names)?.is_some())
}

/// The create volume permissions that other shares need: of these snapshots, those of the other image.
pub fn needed_elsewhere(snapshots: impl IntoIterator<Item = SnapshotId>) -> sharing::taking_back::Needed {
    let of_snapshot = |id: SnapshotId| {
        let accounts = world::needed_by_others(slot_of_snapshot(&id)).into_keys();
        accounts.map(|account| (id.clone(), account)).collect::<Vec<_>>()
    };
    snapshots.into_iter().flat_map(of_snapshot).collect()
}
