//! Owns the reads of an invocation: it executes the real read plan with the model's calls. What never changes costs no call.

use std::collections::BTreeMap;

use sharing::{
    decide::{Case, Judgements, SecondLook, Seen},
    domain::{ExpiryName, ImageId, SnapshotId},
    facts::{Expiry, Fact, Facts, GrantScan, Image},
    read_plan::{self, GrantReads, ImageReads, ReadPlan, RecordReads},
    records::{Record, RecordName},
};

use crate::{
    pool::Word,
    script::{Answer, Asked, Call, Script, both},
    world,
};

/// Reads what the decision needs. Like `src/observe`, it asks at the same time for the records and for everything about the
/// images, and for each image at the same time for its launch permissions and for what is behind it.
pub fn observe(script: &Script<'_>, case: &Case<'_>, judgements: &Judgements<'_>) -> Asked<Facts> {
    let first = read_plan::first(case);
    let images = first.images.named().iter().map(|id| (id.clone(), world::image()));
    let mut facts = Facts { images: images.collect(), ..Facts::default() };
    learn_records(script, &mut facts, &first.records)?;
    let mut plan = read_plan::further(case, &facts);
    if plan.is_records_first {
        learn_records(script, &mut facts, &plan.records)?;
        plan = read_plan::further(case, &facts);
    }
    let records = learn_records(script, &mut facts, &plan.records);
    let images = read_images(script, case, judgements, &plan, &mut facts);
    both(images, records)?;
    Ok(facts)
}

fn read_images(
    script: &Script<'_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    plan: &ReadPlan,
    facts: &mut Facts,
) -> Asked<()> {
    for (id, reads) in &plan.images {
        let mut image = facts.images.remove(id).unwrap();
        read_image(script, plan, *reads, &mut image, facts)?;
        facts.images.insert(id.clone(), image);
    }
    read_grants_of_grantees(script, case, judgements, plan, facts)
}

fn read_image(
    script: &Script<'_>,
    plan: &ReadPlan,
    reads: ImageReads,
    image: &mut Image,
    facts: &mut Facts,
) -> Asked<()> {
    let launch = if reads.launch_permissions.is_read() {
        read_targets(script, Call::Launch).map(|seen| Fact::Known(world::launch_permissions(seen)))
    } else {
        Ok(Fact::NotRead)
    };
    let (launch_permissions, ()) = both(launch, read_behind(script, plan, reads, image, facts))?;
    image.launch_permissions = launch_permissions;
    Ok(())
}

/// The snapshot, and at the same time who may copy it and the grants on its key.
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
    let mut snapshot = world::snapshot();
    let copy = if reads.create_volume_permissions.is_read() {
        read_targets(script, Call::Copy).map(|seen| Fact::Known(world::create_volume_permissions(seen)))
    } else {
        Ok(Fact::NotRead)
    };
    let grants = match &plan.keys.grants {
        GrantReads::No | GrantReads::OfGrantees(_) => Ok(None),
        GrantReads::Every { .. } | GrantReads::Own(_) => read_grants(script).map(Some),
    };
    let (create_volume_permissions, grants) = both(copy, grants)?;
    snapshot.create_volume_permissions = create_volume_permissions;
    if plan.needed_by.is_read() {
        snapshot.needed_by = Fact::Known(world::needed_by_others());
        facts.neighbours.insert(world::OTHER.parse().unwrap(), world::image());
    }
    let arn = snapshot.key.clone().unwrap();
    image.snapshots[0].snapshot = Fact::Known(snapshot);
    let mut key = world::key();
    if let Some(mut grants) = grants.map(world::grants) {
        if let GrantReads::Own(wanted) = &plan.keys.grants {
            grants.retain(|grant| wanted.include(grant));
            facts.grant_scans.insert(arn.clone(), GrantScan::default());
        }
        key.grants = Fact::Known(grants);
    }
    if !plan.keys.metadata.is_read() {
        (key.metadata, key.policy) = (Fact::NotRead, Fact::NotRead);
    }
    facts.keys.insert(arn, key);
    Ok(())
}

fn read_grants_of_grantees(
    script: &Script<'_>,
    case: &Case<'_>,
    judgements: &Judgements<'_>,
    plan: &ReadPlan,
    facts: &mut Facts,
) -> Asked<()> {
    let GrantReads::OfGrantees(_) = plan.keys.grants else { return Ok(()) };
    let wanted = read_plan::grantees(case, facts, judgements).expect("there is time");
    for (arn, grantee) in wanted {
        let grants = world::grants(read_grants(script)?);
        let of_grantee = grants.into_iter().filter(|grant| grant.grantee_principal.as_deref() == Some(&grantee));
        let Some(key) = facts.keys.get_mut(&arn) else { continue };
        let known = key.grants.iter().flatten().cloned();
        key.grants = Fact::Known(known.chain(of_grantee).collect());
    }
    Ok(())
}

fn read_targets(script: &Script<'_>, call: Call) -> Asked<u8> {
    match script.ask(call)? {
        Answer::Targets(seen) => Ok(seen),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

/// The numbers of the grants on the key.
pub fn read_grants(script: &Script<'_>) -> Asked<[u8; 2]> {
    match script.ask(Call::Grants)? {
        Answer::Grants(seen) => Ok(seen),
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

fn learn_records(script: &Script<'_>, facts: &mut Facts, wanted: &BTreeMap<ImageId, RecordReads>) -> Asked<()> {
    for (id, reads) in wanted {
        let mut expiries = BTreeMap::new();
        for names in reads.lists(expiry_names(script, &reads.prefix)?) {
            expiries.extend(read_latest(script, &names)?.map(|expiry| (expiry.name.clone(), expiry)));
        }
        facts.images.get_mut(id).unwrap().expiries = Fact::Known(expiries);
    }
    Ok(())
}

fn expiry_names(script: &Script<'_>, prefix: &str) -> Asked<Vec<ExpiryName>> {
    let names = match script.ask(Call::Names)? {
        Answer::Names(names) => names,
        answer => panic!("not an answer to that: {answer:?}"),
    };
    let names = names.into_iter().map(|name| script.pools.names.get(name)).filter(|name| name.starts_with(prefix));
    let mut names: Vec<ExpiryName> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort_unstable();
    Ok(names)
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
    let word: Word = script.pools.names.put(&name.to_string());
    match script.ask(Call::Schedule(word))? {
        Answer::Schedule(None) => Ok(None),
        Answer::Schedule(Some(schedule)) => {
            let schedule = script.pools.schedules.get(schedule);
            Ok(Some(Record::read(name, &schedule, world::BUS).expect("the model has no foreign schedule")))
        }
        answer => panic!("not an answer to that: {answer:?}"),
    }
}

/// The second look of a share: whether each still has a record, the one it had or any other.
pub fn look_again(script: &Script<'_>, looks: Vec<SecondLook>) -> Asked<BTreeMap<SecondLook, Seen>> {
    let mut seen = BTreeMap::new();
    for look in looks {
        let mut is_there = read_record(script, &look.record)?.is_some();
        if !is_there {
            let prefix = ExpiryName::pair_prefix(&look.image_id, &look.target);
            let mut names = expiry_names(script, &prefix)?;
            names.retain(|name| name.as_str() != look.record.as_str());
            names.reverse();
            is_there = read_latest(script, &names)?.is_some();
        }
        seen.insert(look, Ok(is_there));
    }
    Ok(seen)
}

/// The create volume permissions that other shares need: of these snapshots, those of the other image.
pub fn needed_elsewhere(snapshots: impl IntoIterator<Item = SnapshotId>) -> sharing::taking_back::Needed {
    let accounts = world::needed_by_others();
    snapshots
        .into_iter()
        .flat_map(|id| accounts.keys().map(move |account| (id.clone(), *account)).collect::<Vec<_>>())
        .collect()
}
