//! Owns what never changes in the model: two images of this account on one encrypted snapshot, an image in another Region
//! with its copies, the allowlist, the times.

use std::{collections::BTreeMap, sync::LazyLock};

use ami_share_testing::worlds::{self, World};
use key_policy::Grant;
use sharing::{
    allowlist::{Allowlist, Rule},
    decide::{Approval, Authority, Case, Setup},
    domain::{GrantName, ImageId, Requester, SnapshotId, Target},
    facts::{
        CreateVolumePermissions, Fact, Facts, Image, ImageState, Key, LaunchPermission, Lineage, Provenance,
        RegionalImage, Snapshot,
    },
    plan::Step,
    read_plan::Remembered,
    request::Request,
};
use time::{Duration, OffsetDateTime};

/// The bus that the schedules name.
pub const BUS: &str = "arn:aws:events:eu-west-1:999988887777:event-bus/requests";

/// The targets, in the order of their bits: the one that requests are about, and one that only a reset is about.
pub const TARGETS: [&str; 2] = [worlds::ONE, worlds::TWO];

static PARSED: LazyLock<[Target; 2]> = LazyLock::new(|| TARGETS.map(worlds::target));

/// The bit of the target that the requests are about.
pub const ONE: u8 = 1;

/// The bit of the other target. Another image on the snapshot is shared with it, too.
pub const TWO: u8 = 2;

/// The other image on the snapshot.
pub const OTHER: &str = "ami-0000000b";

/// The grant that somebody made by hand, for the other target.
pub const BY_HAND: &str = "by-hand";

/// The images that may be there, by their slots: in the first the image that most requests are about, in the others the
/// copies of an image in another Region, in the order in which they were begun.
pub const SLOTS: usize = 5;

static IDS: LazyLock<[ImageId; SLOTS]> = LazyLock::new(|| {
    [worlds::IMAGE, "ami-000000c1", "ami-000000c2", "ami-000000c3", "ami-000000c4"].map(|id| id.parse().unwrap())
});

/// The snapshots behind them.
static SNAPSHOT_IDS: LazyLock<[SnapshotId; SLOTS]> = LazyLock::new(|| {
    let first = World::encrypted("golden-1", &[]).snapshot().id.to_string();
    [&first, "snap-000000c1", "snap-000000c2", "snap-000000c3", "snap-000000c4"].map(|id| id.parse().unwrap())
});

/// The image that is copied, and its Region.
pub const SOURCE: &str = "ami-0000000e";
const FROM: &str = "eu-north-1";

/// Who asks, as a rule.
pub const PORTAL: &str = "lambda:invoke";

/// Who asks for a share that needs an approval.
pub const ADA: &str = "jwt:https://issuer.example#ada";

/// Who approves it.
pub const BEA: &str = "jwt:https://issuer.example#bea";

/// Who may approve it, too.
pub const CLEO: &str = "jwt:https://issuer.example#cleo";

/// Who asks for the same share of a copy.
pub const PIPELINE: &str = "arn:aws:iam::999988887777:role/pipeline";

/// The rules: what a share needs is as much as can be, a record, a grant and a create volume permission.
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: portal
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check, repair]
    images: {names: ["golden-*"]}
    targets: ["111122223333", "222233334444"]
    access: copy
    keys: grant
  - name: by-itself
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    access: copy
    keys: grant
    maxDuration: 1h
    onAvailable: true
  - name: copies-by-themselves
    requesters: ["events:999988887777:aws.ec2"]
    actions: [share]
    images: {names: ["copied-*"]}
    targets: ["111122223333"]
    access: copy
    keys: grant
    maxDuration: 1h
    onAvailable: true
  - name: guarded
    requesters: ["jwt:https://issuer.example#ada"]
    approvers: ["jwt:https://issuer.example#bea", "jwt:https://issuer.example#cleo"]
    actions: [share]
    images: {names: ["golden-*"]}
    targets: ["111122223333"]
    access: copy
    keys: grant
  - name: guarded-copies
    requesters: ["jwt:https://issuer.example#ada"]
    approvers: ["jwt:https://issuer.example#bea", "jwt:https://issuer.example#cleo"]
    actions: [share]
    images: {names: ["copied-*"]}
    targets: ["111122223333"]
    access: copy
    keys: grant
    copies: {from: [eu-north-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab", within: 30m}
  - name: copied
    requesters: ["lambda:invoke", "arn:aws:iam::999988887777:role/pipeline"]
    actions: [share, revoke, reset]
    images: {names: ["copied-*"]}
    targets: ["111122223333", "222233334444"]
    access: copy
    keys: grant
    copies: {from: [eu-north-1], key: "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab", within: 30m}
"#;

/// How long an invocation may last. Its calls arrive before that.
pub const LONGEST: Duration = Duration::minutes(1);

/// The time at this place of the clock. The first share expires between the places 2 and 3, the renewed one after the last.
/// An expiry may begin one minute before its time, so place 2 is the earliest time at which it may. A share that waits for
/// a copy since place 0 is overdue at place 1, and sends its last hint at place 4. A decision since place 0 sends its last
/// hint at place 5. An ask since place 0 may be given up from place 6 on, and may be approved until then; at place 7 it has
/// lapsed.
pub fn time_at(place: u8) -> OffsetDateTime {
    const DAY: i64 = 24 * 60;
    let minutes = [0, 56, 59, 70, 80, DAY - 10, 7 * DAY - 1, 7 * DAY + 1][usize::from(place)];
    worlds::NOW + Duration::minutes(minutes)
}

/// When the first share expires.
pub fn first_end() -> OffsetDateTime {
    worlds::NOW + Duration::minutes(60)
}

/// When a renewed share expires.
pub fn second_end() -> OffsetDateTime {
    worlds::NOW + Duration::minutes(120)
}

/// The allowlists.
#[derive(Debug)]
pub struct Allowlists {
    now: Allowlist,
    withdrawn: Allowlist,
}

impl Allowlists {
    /// As it is; or after nobody may have copies any more, or what needs an approval.
    pub fn get(&self, is_withdrawn: bool) -> &Allowlist {
        if is_withdrawn { &self.withdrawn } else { &self.now }
    }
}

/// The allowlist, as it is and as it becomes.
pub fn allowlists() -> Allowlists {
    let now = Allowlist::parse(ALLOWLIST).unwrap();
    let mut withdrawn = now.clone();
    let is_withdrawn =
        |rule: &&mut Rule| rule.copies.is_some() || rule.name == "copies-by-themselves" || !rule.approvers.is_empty();
    for rule in withdrawn.rules.iter_mut().filter(is_withdrawn) {
        rule.actions.retain(|action| *action != sharing::request::Action::Share);
    }
    Allowlists { now, withdrawn }
}

/// The image that most requests are about.
pub fn image_id() -> ImageId {
    id_of(0)
}

/// The ID of the image in this slot.
pub fn id_of(slot: usize) -> ImageId {
    IDS[slot].clone()
}

/// The slot of the image with this ID, if it is one of this Region.
pub fn slot_of(id: &ImageId) -> Option<usize> {
    IDS.iter().position(|known| known == id)
}

/// The slot of the image behind which this snapshot is.
pub fn slot_of_snapshot(id: &SnapshotId) -> usize {
    SNAPSHOT_IDS.iter().position(|known| known == id).unwrap()
}

/// The image that is copied.
pub fn source() -> RegionalImage {
    static IMAGE: LazyLock<RegionalImage> =
        LazyLock::new(|| RegionalImage { region: FROM.parse().unwrap(), id: SOURCE.parse().unwrap() });
    IMAGE.clone()
}

/// What EC2 says in the other Region about the image that is copied.
pub fn source_image() -> Image {
    static IMAGE: LazyLock<Image> = LazyLock::new(|| {
        let mut image = World::encrypted("copied-1", &[]).image;
        image.snapshots[0].id = "snap-0000000e".parse().unwrap();
        image.snapshots[0].snapshot = Fact::NotRead;
        (image.launch_permissions, image.expiries) = (Fact::NotRead, Fact::NotRead);
        image
    });
    IMAGE.clone()
}

/// What EC2 says about the copy in this slot, apart from what changes.
pub fn copy(slot: usize, name: &str, state: ImageState) -> Image {
    let lineage = Lineage::CopyOf { source: source(), said: Box::new(Fact::NotRead) };
    let created = time_at(0) + Duration::seconds(i64::try_from(slot).unwrap());
    let mut image = Image {
        name: Some(name.to_owned()),
        provenance: Provenance { lineage, created: Some(created), ..Provenance::default() },
        state,
        ..source_image()
    };
    image.snapshots[0].id = SNAPSHOT_IDS[slot].clone();
    image
}

/// What EC2 says about the image, apart from what changes.
pub fn image() -> Image {
    static IMAGE: LazyLock<Image> = LazyLock::new(|| {
        let mut image = World::encrypted("golden-1", &[]).image;
        (image.launch_permissions, image.expiries) = (Fact::NotRead, Fact::NotRead);
        image.snapshots[0].snapshot = Fact::NotRead;
        image
    });
    IMAGE.clone()
}

/// What a process remembers of the image, and that a grant of the target that requests are about was needed.
pub fn remembered() -> &'static Remembered {
    static REMEMBERED: LazyLock<Remembered> = LazyLock::new(|| {
        let described = BTreeMap::from([(image_id(), image())]);
        let mut facts = Facts { images: described.clone(), ..Facts::default() };
        for backing in facts.images.values_mut().flat_map(|image| &mut image.snapshots) {
            backing.snapshot = Fact::Known(snapshot(0));
        }
        facts.grantees.entry(worlds::key()).or_default().insert(worlds::root(worlds::ONE));
        let mut remembered = Remembered::default();
        remembered.learn(described, &facts);
        remembered
    });
    &REMEMBERED
}

/// What EC2 says about the snapshot of the image in this slot, apart from what changes.
pub fn snapshot(slot: usize) -> Snapshot {
    static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
        let snapshot = World::encrypted("golden-1", &[]).snapshot().clone();
        Snapshot { create_volume_permissions: Fact::NotRead, needed_by: Fact::NotRead, ..snapshot }
    });
    match slot {
        0 => SNAPSHOT.clone(),
        slot => Snapshot { id: SNAPSHOT_IDS[slot].clone(), ..SNAPSHOT.clone() },
    }
}

/// What KMS says about its key, apart from the grants.
pub fn key() -> Key {
    static KEY: LazyLock<Key> =
        LazyLock::new(|| Key { grants: Fact::NotRead, ..World::encrypted("golden-1", &[]).key().clone() });
    KEY.clone()
}

/// The accounts that another image on the snapshot of the image in this slot is shared with.
pub fn needed_by_others(slot: usize) -> BTreeMap<sharing::domain::AccountId, ImageId> {
    if slot > 0 {
        return BTreeMap::new();
    }
    BTreeMap::from([(worlds::account(worlds::TWO), OTHER.parse().unwrap())])
}

/// The targets of these bits.
pub fn targets(bits: u8) -> Vec<Target> {
    let these = PARSED.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
    these.map(|(_, target)| target.clone()).collect()
}

/// The bits of these targets.
pub fn bits<'t>(targets: impl IntoIterator<Item = &'t Target>) -> u8 {
    let place = |target: &Target| PARSED.iter().position(|known| known == target).unwrap();
    targets.into_iter().fold(0, |bits, target| bits | 1 << place(target))
}

/// The launch permissions of these bits.
pub fn launch_permissions(bits: u8) -> Vec<LaunchPermission> {
    targets(bits).into_iter().map(LaunchPermission::To).collect()
}

/// The create volume permissions of these bits.
pub fn create_volume_permissions(bits: u8) -> CreateVolumePermissions {
    let accounts = targets(bits).iter().filter_map(Target::account).collect();
    CreateVolumePermissions { accounts, ..CreateVolumePermissions::default() }
}

/// The grants of our shares, by the slots of their images: for each target the number of its grant, 0 for none.
pub type Grants = [[u8; 2]; SLOTS];

/// The grants on the key: those of our shares, one of the other image, and one made by hand.
pub fn grants(numbers: Grants) -> Vec<Grant> {
    static GRANT: LazyLock<Grant> = LazyLock::new(|| worlds::grant("", "", "999988887777"));
    let made = |id: String, name: String, target: &str| {
        let (name, grantee_principal) = (Some(name), Some(worlds::root(target)));
        Grant { grant_id: id, name, grantee_principal, ..GRANT.clone() }
    };
    let all = numbers.into_iter().enumerate().flat_map(|(slot, numbers)| {
        let of_image = TARGETS.iter().zip(numbers).enumerate();
        of_image.map(move |(place, (target, number))| (slot, place, *target, number))
    });
    let there = all.filter(|(.., number)| *number > 0);
    let mut grants: Vec<_> = there
        .map(|(slot, place, target, number)| {
            made(grant_id(slot, place, number), format!("ami-share/{}/{target}", id_of(slot)), target)
        })
        .collect();
    grants.push(made("other".to_owned(), format!("ami-share/{OTHER}/{}", worlds::ONE), worlds::ONE));
    grants.push(made(BY_HAND.to_owned(), "mine".to_owned(), worlds::TWO));
    // A share makes its own grant, whatever other grants there are.
    grants
}

/// The ID of a grant of a share.
pub fn grant_id(slot: usize, place: usize, number: u8) -> String {
    format!("{slot}-{place}-{number}")
}

/// The slot of the image for whose share this step makes a grant.
pub fn slot_of_grant(step: &Step) -> usize {
    let Step::CreateGrant { name, account, .. } = step else { panic!("this makes no grant: {step:?}") };
    (0..SLOTS).find(|slot| GrantName::is_for(name.as_str(), &IDS[*slot], *account)).expect("one of these images")
}

/// The place of the targets' bits for this account.
pub fn place_of(account: sharing::domain::AccountId) -> usize {
    usize::try_from(bits([&Target::Account(account)]).trailing_zeros()).unwrap()
}

/// Who sends these requests.
pub fn requester(name: &str) -> Requester {
    Requester::new(name.to_owned())
}

/// Everything except the facts that a decision depends on.
pub fn case<'a>(
    request: &'a Request,
    authority: Authority<'a>,
    allowlist: &'a Allowlist,
    request_id: &'a str,
    now: OffsetDateTime,
) -> Case<'a> {
    Case {
        request,
        named: &request.image_ids,
        authority,
        allowlist,
        account: worlds::owner(),
        region: "eu-west-1",
        request_id,
        entity_quota: 1000,
        unset_for_expiry: &[],
        unset_for_copies: &[],
        hint: None,
        approval: Approval::NotPossible,
        setup: Setup { key_grants: true, copy_access: true, copies: true, approvals: true },
        is_automatic: false,
        now,
        deadline: now + LONGEST,
    }
}

/// The record of the first expiry of the image in this slot.
pub fn first_record(slot: usize) -> sharing::facts::Expiry {
    let mut image = if slot > 0 { copy(slot, "copied-1", ImageState::Available) } else { image() };
    image.snapshots[0].snapshot = Fact::Known(snapshot(slot));
    let target = targets(ONE).remove(0);
    sharing::needs::needed_expiry(&id_of(slot), &image, &target, first_end()).unwrap()
}
