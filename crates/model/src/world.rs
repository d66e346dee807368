//! Owns what never changes in the model: two images of this account on one encrypted snapshot, the allowlist, the times.

use std::{collections::BTreeMap, sync::LazyLock};

use ami_share_testing::worlds::{self, World};
use key_policy::Grant;
use sharing::{
    allowlist::Allowlist,
    decide::{Approval, Authority, Case, Setup},
    domain::{ImageId, Target},
    facts::{CreateVolumePermissions, Fact, Image, Key, LaunchPermission, Snapshot},
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
"#;

/// How long an invocation may last. Its calls arrive before that.
pub const LONGEST: Duration = Duration::minutes(1);

/// The time at this place of the clock. The first share expires between the places 2 and 3, the renewed one after 4.
/// An expiry may begin one minute before its time, so place 2 is the earliest time at which it may.
pub fn time_at(place: u8) -> OffsetDateTime {
    let minutes = [0, 56, 59, 70, 119][usize::from(place)];
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

/// The allowlist.
pub fn allowlist() -> Allowlist {
    Allowlist::parse(ALLOWLIST).unwrap()
}

/// The image that the requests are about.
pub fn image_id() -> ImageId {
    worlds::IMAGE.parse().unwrap()
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

/// What EC2 says about its snapshot, apart from what changes.
pub fn snapshot() -> Snapshot {
    static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
        let snapshot = World::encrypted("golden-1", &[]).snapshot().clone();
        Snapshot { create_volume_permissions: Fact::NotRead, needed_by: Fact::NotRead, ..snapshot }
    });
    SNAPSHOT.clone()
}

/// What KMS says about its key, apart from the grants.
pub fn key() -> Key {
    static KEY: LazyLock<Key> =
        LazyLock::new(|| Key { grants: Fact::NotRead, ..World::encrypted("golden-1", &[]).key().clone() });
    KEY.clone()
}

/// The accounts that another image on the snapshot is shared with.
pub fn needed_by_others() -> BTreeMap<sharing::domain::AccountId, ImageId> {
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

/// The grants on the key: those of the image by their numbers, one of the other image, and one made by hand.
pub fn grants(numbers: [u8; 2]) -> Vec<Grant> {
    static GRANT: LazyLock<Grant> = LazyLock::new(|| worlds::grant("", "", "999988887777"));
    let made = |id: String, name: String, target: &str| {
        let (name, grantee_principal) = (Some(name), Some(worlds::root(target)));
        Grant { grant_id: id, name, grantee_principal, ..GRANT.clone() }
    };
    let of_image = TARGETS.iter().zip(numbers).enumerate().filter(|(_, (_, number))| *number > 0);
    let mut grants: Vec<_> = of_image
        .map(|(place, (target, number))| {
            made(grant_id(place, number), format!("ami-share/{}/{target}", worlds::IMAGE), target)
        })
        .collect();
    grants.push(made("other".to_owned(), format!("ami-share/{OTHER}/{}", worlds::ONE), worlds::ONE));
    grants.push(made("by-hand".to_owned(), "mine".to_owned(), worlds::TWO));
    // A share makes its own grant, whatever other grants there are.
    grants
}

/// The ID of a grant of the image.
pub fn grant_id(place: usize, number: u8) -> String {
    format!("{place}-{number}")
}

/// Everything except the facts that a decision depends on.
pub fn case<'a>(
    request: &'a Request,
    authority: Authority<'a>,
    allowlist: &'a Allowlist,
    now: OffsetDateTime,
) -> Case<'a> {
    Case {
        request,
        named: &request.image_ids,
        authority,
        allowlist,
        account: worlds::owner(),
        region: "eu-west-1",
        request_id: "request",
        entity_quota: 1000,
        unset_for_expiry: &[],
        unset_for_copies: &["AMI_SHARE_RECORD_KEY"],
        hint: None,
        approval: Approval::NotPossible,
        setup: Setup { key_grants: true, copy_access: true, copies: false, approvals: false },
        is_automatic: false,
        now,
        deadline: now + LONGEST,
    }
}
