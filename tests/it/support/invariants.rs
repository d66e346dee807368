//! Owns what must be so in every state that a request can leave behind, told from the state before, the state after
//! and what was asked. It knows nothing of steps or calls, and judges keys by a reading of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A request, and what is there before and after it.
pub struct Change<'a> {
    /// The request document.
    pub request: &'a Value,
    /// Whether the rule that decides lets a share pass without the key check.
    pub is_unchecked: bool,
    /// The state before, as [`super::local_aws::LocalAws::state`] tells it.
    pub before: &'a Value,
    /// The state after.
    pub after: &'a Value,
}

type Invariant = fn(&Change<'_>, &mut Vec<String>);

const INVARIANTS: [Invariant; 11] = [
    nothing_becomes_public,
    nothing_is_granted_that_was_not_asked_for,
    nothing_is_removed_that_was_not_asked_for,
    nobody_can_launch_without_the_keys,
    the_launch_permission_is_added_last,
    the_launch_permission_is_removed_first,
    a_record_is_deleted_last,
    a_share_that_expires_has_a_record,
    a_parameter_is_put_last,
    a_usage_report_is_started_once_where_it_was_asked_for,
    nothing_else_changes,
];

/// Every violation.
pub fn violations(change: &Change<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for invariant in INVARIANTS {
        invariant(change, &mut found);
    }
    found
}

/// One permission: of an image (`launchPermissions`) or a snapshot (`createVolumePermissions`) to a target.
type Permission = (&'static str, String, String);

const LAUNCH: &str = "images";
const COPY: &str = "snapshots";

fn permissions(state: &Value) -> BTreeSet<Permission> {
    let mut found = BTreeSet::new();
    for (kind, attribute) in [(LAUNCH, "launchPermissions"), (COPY, "createVolumePermissions")] {
        for (id, resource) in state[kind].as_object().unwrap() {
            found.extend(strings(&resource[attribute]).into_iter().map(|target| (kind, id.clone(), target)));
        }
    }
    found
}

/// What the records hold, by their names.
fn records(state: &Value) -> BTreeMap<String, Value> {
    let schedules = state["schedules"].as_object().unwrap().iter();
    let read = |record: &Value| serde_json::from_str(record["input"].as_str().unwrap()).unwrap();
    schedules.map(|(name, record)| (name.clone(), read(record))).collect()
}

/// The images and targets that have a record.
fn recorded(state: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records(state).into_values().map(|record| (text(&record["imageId"]), text(&record["target"]))).collect()
}

/// What shares that must expire gave and nothing ends. They are those that had a record before, and those that one of the
/// requests wants to expire. This holds however requests cross. What was there before and had no record is none of that.
pub fn shares_that_never_expire(before: &Value, requests: &[&Value], after: &Value) -> Vec<String> {
    let mut must_expire = recorded(before);
    for request in requests.iter().filter(|request| request["expiresAt"].is_string()) {
        for image in strings(&request["imageIds"]) {
            must_expire.extend(targets(request).into_iter().map(|target| (image.clone(), target)));
        }
    }
    let (had_record, has_record) = (recorded(before), recorded(after));
    let mut found = Vec::new();
    for (image, target) in must_expire.iter().filter(|pair| !has_record.contains(*pair)) {
        let (was, now) = (given(before, image, target), given(after, image, target));
        let is_for_good =
            |given: &&String| had_record.contains(&(image.clone(), target.clone())) || !was.contains(*given);
        found.extend(now.iter().filter(is_for_good).map(|given| format!("{target} {given} and nothing ends that")));
    }
    found
}

/// What a share of the image gave the target: in words.
fn given(state: &Value, image: &str, target: &str) -> BTreeSet<String> {
    let snapshots = strings(&state["images"][image]["snapshots"]);
    let permissions = permissions(state).into_iter().filter(|(_, _, to)| to == target);
    let mut given: BTreeSet<_> = permissions
        .filter_map(|(kind, id, _)| match kind {
            LAUNCH => (id == image).then(|| format!("may launch {image}")),
            _ => snapshots.contains(&id).then(|| format!("may copy {id} of {image}")),
        })
        .collect();
    let names = state["grants"].as_array().unwrap().iter().map(|grant| grant["name"].as_str().unwrap_or_default());
    let ours = names.filter(|name| name.starts_with(&format!("ami-share/{image}/{target}")));
    given.extend(ours.map(|name| format!("has the grant {name}")));
    given
}

/// The targets of a request.
fn targets(request: &Value) -> Vec<String> {
    let fields = ["accountIds", "organizationArns", "organizationalUnitArns"];
    fields.iter().flat_map(|field| strings(&request[field])).collect()
}

fn strings(array: &Value) -> Vec<String> {
    array.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

impl Change<'_> {
    fn action(&self) -> &str {
        self.request["action"].as_str().unwrap()
    }

    fn images(&self) -> Vec<String> {
        strings(&self.request["imageIds"])
    }

    fn targets(&self) -> Vec<String> {
        targets(self.request)
    }

    /// The snapshots behind the images; a record remembers those of an image that is gone.
    fn snapshots(&self) -> Vec<String> {
        let images = self.images();
        let there = images.iter().flat_map(|image| strings(&self.before["images"][image]["snapshots"]));
        let records = records(self.before).into_values();
        let of_images = records.filter(|record| images.iter().any(|image| record["imageId"] == **image));
        there.chain(of_images.flat_map(|record| strings(&record["snapshotIds"]))).collect()
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.snapshots().into_iter().map(|id| self.before["snapshots"][&id]["key"].clone());
        keys.filter_map(|key| key.as_str().map(str::to_owned)).collect()
    }

    fn added(&self) -> BTreeSet<Permission> {
        permissions(self.after).difference(&permissions(self.before)).cloned().collect()
    }

    fn removed(&self) -> BTreeSet<Permission> {
        permissions(self.before).difference(&permissions(self.after)).cloned().collect()
    }

    /// Whether the request is about this permission.
    fn is_about(&self, (kind, id, target): &Permission) -> bool {
        let is_resource = if *kind == LAUNCH { self.images().contains(id) } else { self.snapshots().contains(id) };
        is_resource && (self.action() == "reset" || self.targets().contains(target))
    }

    /// Whether the request is about this grant: one of ours, for one of the images and one of the targets.
    fn is_about_grant(&self, grant: &Value) -> bool {
        let (name, grantee) = (grant["name"].as_str().unwrap(), grant["grantee"].as_str().unwrap());
        let is_ours = name.starts_with("ami-share/") && grant["issuingAccount"].to_string().contains(super::ACCOUNT);
        let is_target = self.action() == "reset"
            || self.targets().iter().any(|target| grantee.starts_with(&format!("arn:aws:iam::{target}:")));
        let is_image = name.len() == 256 || self.images().iter().any(|image| name.contains(image.as_str()));
        is_ours && is_target && is_image && self.keys().iter().any(|key| grant["key"] == **key)
    }
}

/// What the first list has and the second has not, counting.
fn without(one: &Value, other: &Value) -> Vec<Value> {
    let mut other = other.as_array().unwrap().clone();
    let mut left = Vec::new();
    for item in one.as_array().unwrap() {
        match other.iter().position(|candidate| candidate == item) {
            Some(place) => drop(other.swap_remove(place)),
            None => left.push(item.clone()),
        }
    }
    left
}

fn nothing_becomes_public(change: &Change<'_>, found: &mut Vec<String>) {
    found.extend(change.added().iter().filter(|(_, _, target)| target == "all").map(|it| format!("public: {it:?}")));
}

fn nothing_is_granted_that_was_not_asked_for(change: &Change<'_>, found: &mut Vec<String>) {
    let may = change.action() == "share";
    let added = change.added();
    found.extend(added.iter().filter(|it| !may || !change.is_about(it)).map(|it| format!("granted: {it:?}")));
    let grants = without(&change.after["grants"], &change.before["grants"]);
    found.extend(grants.iter().filter(|it| !may || !change.is_about_grant(it)).map(|it| format!("granted: {it}")));
}

fn nothing_is_removed_that_was_not_asked_for(change: &Change<'_>, found: &mut Vec<String>) {
    let may = ["revoke", "reset"].contains(&change.action());
    let removed = change.removed();
    found.extend(removed.iter().filter(|it| !may || !change.is_about(it)).map(|it| format!("removed: {it:?}")));
    // An account's entry on a snapshot stays while another owned image on that snapshot is shared with it.
    for (_, snapshot, target) in removed.iter().filter(|(kind, _, _)| *kind == COPY) {
        for (id, image) in change.after["images"].as_object().unwrap() {
            let is_other = image["owner"] == super::ACCOUNT && !change.images().contains(id);
            if is_other
                && strings(&image["snapshots"]).contains(snapshot)
                && strings(&image["launchPermissions"]).contains(target)
            {
                found.push(format!("removed from {snapshot}: {target}, with which {id} is still shared"));
            }
        }
    }
    let grants = without(&change.before["grants"], &change.after["grants"]);
    found.extend(grants.iter().filter(|it| !may || !change.is_about_grant(it)).map(|it| format!("removed: {it}")));
}

fn nobody_can_launch_without_the_keys(change: &Change<'_>, found: &mut Vec<String>) {
    if change.is_unchecked {
        return;
    }
    for (_, image, target) in change.added().iter().filter(|(kind, _, _)| *kind == LAUNCH) {
        for snapshot in strings(&change.after["images"][image]["snapshots"]) {
            if let Some(key) = change.after["snapshots"][&snapshot]["key"].as_str()
                && !lets_in(change.after, key, target)
            {
                found.push(format!("{target} may launch {image} and not use {key}"));
            }
        }
    }
}

/// A statement besides the owner's names the target, or a grant does. The seeds use no finer policies than that.
fn lets_in(state: &Value, key: &str, target: &str) -> bool {
    let name = target.rsplit('/').next().unwrap();
    let policy: Value = serde_json::from_str(state["keys"][key]["policy"].as_str().unwrap()).unwrap();
    let is_named = |statement: &Value| {
        statement["Effect"] == "Allow" && statement["Sid"] != "Owner" && statement.to_string().contains(name)
    };
    let is_granted = |grant: &Value| grant["key"] == key && grant["grantee"] == format!("arn:aws:iam::{target}:root");
    policy["Statement"].as_array().unwrap().iter().any(is_named)
        || state["grants"].as_array().unwrap().iter().any(is_granted)
}

fn the_launch_permission_is_added_last(change: &Change<'_>, found: &mut Vec<String>) {
    let now = permissions(change.after);
    for (_, image, target) in change.added().iter().filter(|(kind, _, _)| *kind == LAUNCH) {
        if change.request["access"] == "copy" {
            let snapshots = strings(&change.after["images"][image]["snapshots"]).into_iter();
            let missing = snapshots.filter(|snapshot| !now.contains(&(COPY, snapshot.clone(), target.clone())));
            found.extend(missing.map(|snapshot| format!("{target} may launch {image} and not yet copy {snapshot}")));
        }
    }
}

fn the_launch_permission_is_removed_first(change: &Change<'_>, found: &mut Vec<String>) {
    let now = permissions(change.after);
    let mut check = |what: &str, snapshot: Option<&str>, target: &str| {
        for image in change.images() {
            let is_behind = snapshot.is_none_or(|snapshot| {
                strings(&change.before["images"][&image]["snapshots"]).iter().any(|other| other == snapshot)
            });
            if is_behind && now.contains(&(LAUNCH, image.clone(), target.to_owned())) {
                found.push(format!("{what} is gone and {target} may still launch {image}"));
            }
        }
    };
    for (_, snapshot, target) in change.removed().iter().filter(|(kind, _, _)| *kind == COPY) {
        check(snapshot, Some(snapshot), target);
    }
    for grant in without(&change.before["grants"], &change.after["grants"]) {
        let target = grant["grantee"].as_str().unwrap().split(':').nth(4).unwrap().to_owned();
        let is_of = |image: &String| grant["name"].to_string().contains(image.as_str());
        if change.images().iter().any(is_of) {
            check("a grant", None, &target);
        }
    }
}

fn a_share_that_expires_has_a_record(change: &Change<'_>, found: &mut Vec<String>) {
    found.extend(shares_that_never_expire(change.before, &[change.request], change.after));
}

/// Every target of the rules that publish is asked for in the scenes.
fn a_parameter_is_put_last(change: &Change<'_>, found: &mut Vec<String>) {
    let now = permissions(change.after);
    for (name, parameter) in change.after["parameters"].as_object().into_iter().flatten() {
        if change.before["parameters"][name]["value"] == parameter["value"] {
            continue;
        }
        let image = parameter["value"].as_str().unwrap().to_owned();
        let is_asked = change.action() == "share" && change.images().contains(&image);
        let missing =
            change.targets().into_iter().filter(|target| !now.contains(&(LAUNCH, image.clone(), target.clone())));
        let missing: Vec<_> = missing.collect();
        if !is_asked || !missing.is_empty() {
            found.push(format!("{name} names {image}, which {missing:?} may not launch or nobody asked about"));
        }
    }
}

fn a_usage_report_is_started_once_where_it_was_asked_for(change: &Change<'_>, found: &mut Vec<String>) {
    let reports = |state: &Value| state["usageReports"].as_object().cloned().unwrap_or_default();
    let (before, after) = (reports(change.before), reports(change.after));
    found.extend(
        before.iter().filter(|(id, was)| after.get(*id) != Some(was)).map(|(id, _)| format!("{id} is another")),
    );
    let mut started = BTreeSet::new();
    for (id, report) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
        let image = report["imageId"].as_str().unwrap();
        let is_asked = change.action() == "usage" && change.images().iter().any(|asked| asked == image);
        if !is_asked || !started.insert(image) {
            found.push(format!("the report {id} on {image} was not asked for"));
        }
    }
}

fn a_record_is_deleted_last(change: &Change<'_>, found: &mut Vec<String>) {
    let (before, after) = (records(change.before), records(change.after));
    let now = permissions(change.after);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (name, record) in &before {
        let (image, target) = (text(&record["imageId"]), text(&record["target"]));
        let is_asked =
            change.images().contains(&image) && (change.action() == "reset" || change.targets().contains(&target));
        let has_changed = change.before["schedules"][name] != change.after["schedules"][name];
        if has_changed && (!is_asked || after.contains_key(name)) {
            found.push(format!("the record {name} is not asked about or is another"));
        }
        if after.contains_key(name) {
            continue;
        }
        // That of a renewed share goes when its time has come, and the later one stays.
        let is_renewed = change.action() == "expire"
            && after.values().any(|other| {
                other["imageId"] == record["imageId"]
                    && other["target"] == record["target"]
                    && text(&other["expiresAt"]) > text(&record["expiresAt"])
            });
        let is_left = now.contains(&(LAUNCH, image.clone(), target.clone()))
            || strings(&record["snapshotIds"]).iter().any(|id| now.contains(&(COPY, id.clone(), target.clone())))
            || change.after["grants"]
                .as_array()
                .unwrap()
                .iter()
                .any(|grant| grant["name"].as_str().unwrap().starts_with(&format!("ami-share/{image}/{target}")));
        if is_left && !is_renewed || change.action() == "share" {
            found.push(format!("the record {name} is gone, and what it would take away is not"));
        }
    }
}

fn nothing_else_changes(change: &Change<'_>, found: &mut Vec<String>) {
    let rest = |state: &Value| {
        let mut state = state.clone();
        for (kind, attribute) in [(LAUNCH, "launchPermissions"), (COPY, "createVolumePermissions")] {
            for resource in state[kind].as_object_mut().unwrap().values_mut() {
                resource.as_object_mut().unwrap().remove(attribute);
            }
        }
        for member in ["grants", "schedules", "parameters", "usageReports"] {
            state.as_object_mut().unwrap().remove(member);
        }
        state
    };
    if rest(change.before) != rest(change.after) {
        found.push("an image, a snapshot or a key is another than before".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(launch: &[&str], copy: &[&str], grants: &Value) -> Value {
        let policy = ami_share_testing::key_policies::open_to(&["111122223333"]);
        json!({
            "images": {"ami-1": {"owner": "999988887777", "snapshots": ["snap-1"], "launchPermissions": launch}},
            "snapshots": {"snap-1": {"key": "key-1", "createVolumePermissions": copy}},
            "keys": {"key-1": {"policy": policy.to_string()}},
            "grants": grants,
            "schedules": {},
        })
    }

    fn check(request: &Value, before: &Value, after: &Value, expect: &[&str]) {
        let change = Change { request, is_unchecked: false, before, after };
        let found = violations(&change);
        assert_eq!(found.len(), expect.len(), "{found:#?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found}");
        }
    }

    #[test]
    fn every_invariant_notices_its_violation() {
        let ours = |image: &str| {
            json!([{"key": "key-1", "name": format!("ami-share/{image}/222233334444"), "issuingAccount": "arn:aws:iam::999988887777:root",
                    "grantee": "arn:aws:iam::222233334444:root", "operations": ["Decrypt"]}])
        };
        let none = json!([]);
        let share = json!({"action": "share", "imageIds": ["ami-1"], "accountIds": ["111122223333", "222233334444"]});
        let revoke = json!({"action": "revoke", "imageIds": ["ami-1"], "accountIds": ["222233334444"]});
        let copy = json!({"action": "share", "imageIds": ["ami-1"], "accountIds": ["111122223333"], "access": "copy"});
        let bare = state(&[], &[], &none);

        check(&share, &bare, &state(&["111122223333"], &[], &none), &[]);
        check(&share, &bare, &state(&["222233334444"], &[], &ours("ami-1")), &[]);
        check(&share, &bare, &state(&["222233334444"], &[], &none), &["not use key-1"]);
        check(&share, &bare, &state(&["333344445555"], &[], &none), &["granted", "not use key-1"]);
        check(&share, &bare, &state(&[], &[], &ours("ami-2")), &["granted"]);
        check(&share, &bare, &state(&[], &["all"], &none), &["public", "granted"]);
        check(&share, &state(&["444455556666"], &[], &none), &bare, &["removed"]);
        check(&copy, &bare, &state(&["111122223333"], &[], &none), &["not yet copy snap-1"]);
        check(&copy, &bare, &state(&["111122223333"], &["111122223333"], &none), &[]);
        let both = state(&["222233334444", "111122223333"], &["222233334444"], &ours("ami-1"));
        check(&revoke, &both, &state(&["111122223333"], &[], &none), &[]);
        check(&revoke, &both, &state(&[], &[], &none), &["removed"]);
        check(&revoke, &both, &state(&["222233334444", "111122223333"], &[], &ours("ami-1")), &["snap-1 is gone"]);
        check(
            &revoke,
            &both,
            &state(&["222233334444", "111122223333"], &["222233334444"], &none),
            &["a grant is gone"],
        );
        check(&revoke, &state(&[], &[], &ours("ami-2")), &bare, &["removed"]);
        // A record goes when nothing of its share is left, and none that was not asked about.
        let expiring = |state: &Value, target: &str| {
            let input = json!({"imageId": "ami-1", "target": target, "snapshotIds": ["snap-1"], "expiresAt": "2030-01-01T00:00:00Z"});
            let mut state = state.clone();
            let record = json!({"expression": "at()", "input": input.to_string()});
            state["schedules"] = json!({format!("default/ami-1-{target}"): record});
            state
        };
        let (own, other) = (expiring(&both, "222233334444"), expiring(&both, "111122223333"));
        let revoked = state(&["111122223333"], &[], &none);
        check(&revoke, &own, &revoked, &[]);
        check(&revoke, &own, &expiring(&revoked, "222233334444"), &[]);
        let left = "what it would take away is not";
        let [grant, copy, launch] = ["has the grant ami-share/ami-1", "may copy snap-1 of ami-1", "may launch ami-1"];
        check(&revoke, &own, &both, &[left, grant, copy, launch]);
        check(&revoke, &own, &state(&["111122223333"], &["222233334444"], &none), &[left, copy]);
        check(&revoke, &own, &state(&["111122223333"], &[], &ours("ami-1")), &[left, grant]);
        let gone = ["is not asked about", left, launch];
        check(&revoke, &other, &revoked, &gone);
        check(&share, &own, &both, &["is gone", grant, copy, launch]);
        let mut for_a_time = share.clone();
        for_a_time["expiresAt"] = json!("2030-01-01T00:00:00Z");
        let shared = state(&["111122223333"], &[], &none);
        check(&for_a_time, &bare, &expiring(&shared, "111122223333"), &[]);
        check(&for_a_time, &bare, &expiring(&shared, "222233334444"), &[launch]);
        // What was there without a record is no share that was to expire, as long as nothing was done.
        check(&for_a_time, &shared, &shared, &[]);
        // The record of a renewed share is deleted by its expiry alone, and the later one stays.
        let mut renewed = own.clone();
        let later = json!({"imageId": "ami-1", "target": "222233334444", "snapshotIds": [], "expiresAt": "2031-01-01T00:00:00Z"});
        renewed["schedules"]["default/later"] = json!({"expression": "at()", "input": later.to_string()});
        let mut expired = renewed.clone();
        expired["schedules"].as_object_mut().unwrap().remove("default/ami-1-222233334444");
        let mut expire = revoke.clone();
        expire["action"] = json!("expire");
        check(&expire, &renewed, &expired, &[]);
        check(&expire, &renewed, &both, &["is gone", "is gone", grant, copy, launch]);
        // A record that is there never becomes another.
        let mut moved = own.clone();
        moved["schedules"]["default/ami-1-222233334444"]["expression"] = json!("at(2040-01-01T00:00:00)");
        check(&share, &own, &moved, &["is not asked about or is another"]);
        // A parameter names the image when all have it, and no other image.
        let naming = |state: &Value, image: &str| {
            let mut state = state.clone();
            state["parameters"] = json!({"/golden/latest": {"value": image}});
            state
        };
        let all = state(&["111122223333", "222233334444"], &[], &ours("ami-1"));
        check(&share, &bare, &naming(&all, "ami-1"), &[]);
        check(&share, &bare, &naming(&all, "ami-2"), &["/golden/latest names ami-2"]);
        check(&share, &bare, &naming(&shared, "ami-1"), &["222233334444"]);
        check(&revoke, &shared, &naming(&shared, "ami-1"), &["names ami-1"]);
        check(&share, &naming(&bare, "ami-2"), &naming(&bare, "ami-2"), &[]);
        let mut other_key = bare.clone();
        other_key["keys"]["key-1"]["policy"] = json!("{}");
        check(&share, &bare, &other_key, &["another than before"]);
    }
}
