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

#[test]
fn a_share_writes_only_what_is_missing() {
    let share = ask("share", accounts(&[ONE]));
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let world = World::open("golden-1");
    steps(&world, &share, &[ADD_LAUNCH]);
    steps(&world, &copy, &[ADD_COPY, ADD_LAUNCH]);
    steps(&world.clone().shared_with(&[ONE]), &share, &[]);
    steps(&world.clone().shared_with(&[TWO]), &share, &[ADD_LAUNCH]);
    steps(&world.clone().shared_with(&[ONE]), &copy, &[ADD_COPY]);
    let copied = world.with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
    steps(&copied, &copy, &[ADD_LAUNCH]);
    steps(&copied.shared_with(&[ONE]), &copy, &[]);
}

#[test]
fn looking_writes_nothing() {
    let world = World::encrypted("golden-1", &[ONE]).shared_with(&[TWO]);
    steps(&world, &ask("list", json!({})), &[]);
    steps(&world, &ask("check", accounts(&[ONE])), &[]);
}

#[test]
fn a_share_is_refused_for_what_the_image_is() {
    let share = ask("share", accounts(&[ONE]));
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let world = World::open("golden-1");
    for (state, remedy) in [
        (ImageState::Pending, "`available`"),
        (ImageState::Disabled, "enable"),
        (ImageState::Other("failed".to_owned()), "state reason"),
    ] {
        let world = world.clone().with(|world| world.image.state = state);
        let decided = refused(&world, &share, &["ImageNotAvailable"]);
        assert!(decided.remedies[0].contains(remedy), "{decided:#?}");
    }
    let foreign = world.clone().with(|world| world.image.owner = account(TWO));
    refused(&foreign, &share, &["ImageNotOwned"]);
    refused(&world, &ask("share", accounts(&["999988887777"])), &["TargetIsOwner 999988887777"]);
    // A rule of the requester is about every image, and only for repairs.
    let decided = refused(&World::open("silver-1"), &share, &["ActionNotAllowed"]);
    assert!(decided.remedies[0].contains("add `share` to the actions of rule `mender`"), "{decided:#?}");
    let stray = ask("share", accounts(&["777788889999"]));
    refused(&world, &stray, &["TargetNotAllowed 777788889999"]);
    // Of an image that is refused already no records are read, and nothing is said of them.
    let unread = world.clone().with(|world| world.image.expiries = Fact::NotRead);
    warned(&refused(&unread, &stray, &["TargetNotAllowed 777788889999"]), &[]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    refused(&elsewhere, &copy, &["CopyNotPossible"]);
    steps(&elsewhere, &share, &[ADD_LAUNCH]);
    let group = json!({"organizationArns": [ORGANIZATION], "access": "copy"});
    refused(&World::open("golden-1"), &ask("share", group), &[&format!("CopyNotPossible {ORGANIZATION}")]);
}

#[test]
fn a_refusal_says_of_what_it_is_and_whether_it_may_pass() {
    let first = |world: &World, target: &str| {
        world.put(&ask("share", accounts(&[target])), |case, facts| decide(case, facts).remove(0).refusals()[0].clone())
    };
    let world = World::open("golden-1");
    let stranger = first(&world, "777788889999");
    assert_eq!(stranger.image_id, Some(IMAGE.parse().unwrap()));
    assert_eq!(stranger.pointer.as_deref(), Some("/accountIds/0"));
    assert!(stranger.remedy.as_ref().unwrap().contains("ask the allowlist's owners to add `777788889999`"));
    assert!(!stranger.may_pass());
    let with = |state| first(&world.clone().with(|world| world.image.state = state), ONE);
    assert!(with(ImageState::Pending).may_pass());
    assert!(!with(ImageState::Disabled).may_pass());
}

#[test]
fn what_bounds_a_share_does_not_bound_its_revoke() {
    let world = World::open("temporary-1").shared_with(&[ONE]);
    refused(&world, &ask("share", accounts(&[ONE])), &["ExpiryRequired 111122223333"]);
    let until = |days: i64| ask("share", json!({"accountIds": [ONE], "expiresAt": text(in_days(days))}));
    refused(&world, &until(31), &["ExpiryNotAllowed 111122223333"]);
    assert_eq!(world.decide(&until(30)).refusals, [""; 0]);
    refused(&world, &ask("share", json!({"accountIds": [ONE], "access": "copy"})), &["AccessNotAllowed 111122223333"]);
    let roles = json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]});
    refused(&world, &ask("share", roles), &["RoleNotAllowed 111122223333"]);
    steps(&world, &ask("revoke", accounts(&[ONE])), &[REMOVE_LAUNCH, REMOVE_COPY]);
}

#[test]
fn what_no_rule_names_any_more_can_always_be_taken_away() {
    let revoke = |target: &str| ask("revoke", accounts(&[target]));
    let world = World::open("golden-1");
    let expect = [
        "ec2:ModifyImageAttribute ami-1a2b3c4d -777788889999",
        "ec2:ModifySnapshotAttribute snap-1a2b3c4d -777788889999",
    ];
    steps(&world, &revoke("777788889999"), &expect);
    // Whom another's rule names is that one's to revoke.
    refused(&world, &revoke("333344445555"), &["TargetNotAllowed 333344445555"]);
    refused(&world, &ask("check", accounts(&["777788889999"])), &["TargetNotAllowed 777788889999"]);
}

#[test]
fn the_quota_counts_the_entries_there_and_the_new_ones() {
    let share = ask("share", accounts(&[ONE, TWO]));
    let full =
        |targets: &[&str], quota| World::open("golden-1").shared_with(targets).with(|world| world.entity_quota = quota);
    refused(&full(&[], 1), &share, &["QuotaExceeded"]);
    steps(&full(&[], 2), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333 +222233334444"]);
    refused(&full(&["777788889999", ONE], 2), &share, &["QuotaExceeded"]);
    steps(&full(&["777788889999", ONE], 3), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444"]);
    // The public entry is none of an entity, and who is there already takes no room.
    steps(&full(&["all", ONE], 2), &share, &["ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444"]);
    steps(&full(&["777788889999", ONE, TWO], 1), &share, &[]);
}

#[test]
fn a_key_lets_in_by_its_policy_or_by_any_grant() {
    let share = ask("share", accounts(&[ONE]));
    steps(&World::encrypted("golden-1", &[ONE]), &share, &[ADD_LAUNCH]);
    let closed = World::encrypted("golden-1", &[]);
    refused(&closed, &share, &["KeyAccessMissing 111122223333"]);
    assert_eq!(closed.looked_up(&share), [root(ONE)]);
    let granted =
        closed.with(|world| world.key().grants = Fact::Known(vec![grant("by-hand", &root(ONE), "999988887777")]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    refused(&granted, &ask("share", accounts(&[ONE, TWO])), &["KeyAccessMissing 222233334444"]);
    // What the policy settles needs no grants.
    assert_eq!(World::encrypted("golden-1", &[ONE]).looked_up(&share), [""; 0]);
}

#[test]
fn a_refusal_because_of_a_key_tells_the_part_that_decides() {
    let with = |statement: Value| {
        World::encrypted("golden-1", &[]).with(|world| {
            world.key().policy = Fact::Known(parsed(&key_policies::with(open_to(&[ONE]), statement)));
        })
    };
    let infrastructure = json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-infrastructure"}});
    let hits = with(deny("*", "kms:Decrypt").sid("No").when(infrastructure));
    let decided = refused(&hits, &ask("share", accounts(&[ONE])), &["KeyAccessDenied 111122223333"]);
    assert!(
        decided.messages[0].contains("statement `No` (index 2) denies kms:Decrypt to `role/aws:ec2-infrastructure`"),
        "{decided:#?}"
    );
    assert!(decided.remedies[0].contains("change the Deny"), "{decided:#?}");
    // Of a unit nobody listed an account of: with its path known the policy says enough.
    let below = json!({"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"});
    let member = with(allow("*", "kms:*").when(json!({"ForAnyValue:StringLike": below})));
    let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
    let share = ask("share", json!({"organizationalUnitArns": [unit]}));
    let decided = refused(&member, &share, &[&format!("KeyAccessConditional {unit}")]);
    assert!(decided.remedies[0].starts_with("list one account of ou-ab12-11111111"), "{decided:#?}");
}

#[test]
fn what_cannot_be_read_of_a_key_is_unknown_and_refuses() {
    let share = ask("share", accounts(&[ONE]));
    let unread = |allowed: &[&str], name: &str, change: fn(&mut Key)| {
        World::encrypted(name, allowed).with(|world| change(world.key()))
    };
    let no_grants: fn(&mut Key) = |key| key.grants = Fact::Failed(denied("kms:ListGrants"));
    let no_policy: fn(&mut Key) = |key| key.policy = Fact::Failed(denied("kms:GetKeyPolicy"));
    let no_metadata: fn(&mut Key) = |key| key.metadata = Fact::Failed(denied("kms:DescribeKey"));
    for (change, call) in
        [(no_grants, "kms:ListGrants"), (no_policy, "kms:GetKeyPolicy"), (no_metadata, "kms:DescribeKey")]
    {
        let decided = refused(&unread(&[], "golden-1", change), &share, &["KeyAccessUnknown 111122223333"]);
        assert!(decided.remedies[0].contains(&format!("let the function's role call {call} on {KEY}")), "{decided:#?}");
        assert_eq!(decided.verdicts, ["Unknown"]);
        // Nor does it depend on the grants of others whether the image's own is made, but on the rest.
        let granted = unread(&[], "granted-1", change);
        if call == "kms:ListGrants" {
            steps(&granted, &share, &[&create_grant(), ADD_LAUNCH]);
        } else {
            refused(&granted, &share, &["KeyAccessUnknown 111122223333"]);
        }
        let loose = steps(&unread(&[], "loose-1", change), &share, &[ADD_LAUNCH]);
        warned(&loose, &["without the key check"]);
    }
    // The policy alone lets the account in, or keeps it out, whatever the grants are.
    steps(&unread(&[ONE], "golden-1", no_grants), &share, &[ADD_LAUNCH]);
    let denying = World::encrypted("golden-1", &[ONE]).with(|world| {
        let no = deny(ONE, "kms:Decrypt").sid("No");
        world.key().policy = Fact::Known(parsed(&key_policies::with(open_to(&[ONE]), no)));
        world.key().grants = Fact::Failed(denied("kms:ListGrants"));
    });
    refused(&denying, &share, &["KeyAccessDenied 111122223333"]);
    // No grant can name an organization, so there is nothing that could have been read.
    let organization = ask("share", json!({"organizationArns": [ORGANIZATION]}));
    let decided =
        refused(&unread(&[], "golden-1", no_grants), &organization, &[&format!("KeyAccessMissing {ORGANIZATION}")]);
    assert!(decided.remedies[0].contains("add to the key policy"), "{decided:#?}");
    // The owner of another account's key alone may read it.
    let foreign = World::encrypted("golden-1", &[]).with(|world| {
        let key = world.keys.remove(&key()).unwrap();
        let key = Key {
            metadata: Fact::Failed(denied("kms:DescribeKey")),
            policy: Fact::Failed(denied("kms:GetKeyPolicy")),
            ..key
        };
        world.snapshot().key = Some(FOREIGN_KEY.parse().unwrap());
        world.keys.insert(FOREIGN_KEY.parse().unwrap(), key);
    });
    let decided = refused(&foreign, &share, &["KeyAccessUnknown 111122223333"]);
    assert!(decided.remedies[0].contains("ask the key's owner to check"), "{decided:#?}");
    assert_eq!(foreign.looked_up(&share), [""; 0]);
    // A key that was not read at all is as unknown.
    let missing = World::encrypted("golden-1", &[ONE]).with(|world| world.keys.clear());
    refused(&missing, &share, &["KeyAccessUnknown 111122223333"]);
    // What AWS answered unreadably is nothing that a permission mends.
    let odd = World::encrypted("golden-1", &[]).with(|world| {
        world.key().grants = Fact::Failed(Failure { code: ErrorCode::Unexpected, ..denied("kms:ListGrants") })
    });
    let decided = refused(&odd, &share, &["KeyAccessUnknown 111122223333"]);
    assert!(!decided.remedies[0].contains("let the function's role"), "{decided:#?}");
}

#[test]
fn a_key_that_nobody_can_use_refuses_once_for_all_targets() {
    let share = ask("share", accounts(&[ONE, TWO]));
    let with = |change: fn(&mut KeyMetadata)| {
        World::encrypted("golden-1", &[ONE, TWO]).with(|world| change(known(&mut world.key().metadata)))
    };
    let managed = with(|metadata| metadata.is_aws_managed = true);
    refused(&managed, &share, &["DefaultKey"]);
    let closed = managed.with(|world| world.key().policy = Fact::Known(policy(&[])));
    assert_eq!(closed.looked_up(&share), [""; 0], "no grant helps there");
    // Each state has its own way out.
    for (state, remedy) in [
        ("Disabled", &["aws kms enable-key"][..]),
        ("PendingDeletion", &["aws kms cancel-key-deletion", "aws kms enable-key"]),
        ("PendingReplicaDeletion", &["replicas", "aws kms cancel-key-deletion", "aws kms enable-key"]),
        ("PendingImport", &["aws kms import-key-material"]),
        ("Unavailable", &["aws kms connect-custom-key-store"]),
        ("Creating", &["wait until"]),
        ("unknown", &["aws kms describe-key"]),
    ] {
        let world = World::encrypted("golden-1", &[ONE, TWO])
            .with(|world| known(&mut world.key().metadata).unusable_state = Some(state.to_owned()));
        let decided = refused(&world, &share, &["KeyNotUsable"]);
        assert_eq!(decided.remedies.len(), 1);
        assert!(remedy.iter().all(|words| decided.remedies[0].contains(words)), "{state}: {decided:#?}");
        assert_eq!(decided.remedies[0].contains("enable-key"), remedy.contains(&"aws kms enable-key"), "{state}");
    }
    refused(&with(|metadata| metadata.is_symmetric = false), &share, &["KeyNotUsable"]);
    let ending = with(|metadata| metadata.ends_at = Some("2027-01-01T00:00:00Z".to_owned()));
    let added = "ec2:ModifyImageAttribute ami-1a2b3c4d +111122223333 +222233334444";
    warned(&steps(&ending, &share, &[added]), &["can't be used after 2027-01-01T00:00:00Z"]);
}

#[test]
fn a_rule_with_grants_makes_the_images_own_whatever_others_there_are() {
    let share = ask("share", accounts(&[ONE]));
    let closed = World::encrypted("granted-1", &[]);
    let decided = steps(&closed, &share, &[&create_grant(), ADD_LAUNCH]);
    warned(&decided, &["up to 5 minutes"]);
    let key = closed.put(&share, |case, facts| decide(case, facts).remove(0).keys()[0].clone());
    let (name, with_grant) = key.with_grant.unwrap();
    assert_eq!((name.to_string(), with_grant.because.len()), (format!("ami-share/{IMAGE}/{ONE}"), 0));
    warned(&closed.decide(&ask("check", accounts(&[ONE]))), &[]);
    let with = |name: &str, issuer: &str| {
        let grants = vec![grant(name, &root(ONE), issuer)];
        closed.clone().with(|world| world.key().grants = Fact::Known(grants))
    };
    let own = format!("ami-share/{IMAGE}/{ONE}");
    steps(&with("by-hand", "999988887777"), &share, &[&create_grant(), ADD_LAUNCH]);
    steps(&with(&own, "999988887777"), &share, &[ADD_LAUNCH]);
    // One of that name that another account made, that is for another or that holds less is another grant.
    steps(&with(&own, TWO), &share, &[&create_grant(), ADD_LAUNCH]);
    for change in [
        (|grant: &mut Grant| grant.grantee_principal = Some(root(TWO))) as fn(&mut Grant),
        |grant| grant.operations.retain(|operation| operation != "ReEncryptTo"),
        |grant| grant.constraints = Some(serde_json::from_value(json!({"SourceArn": "arn:aws:s3:::x"})).unwrap()),
    ] {
        let other = with(&own, "999988887777").with(|world| change(&mut known(&mut world.key().grants)[0]));
        steps(&other, &share, &[&create_grant(), ADD_LAUNCH]);
    }
    // The policy lets the account in: there is nothing to make.
    warned(&steps(&World::encrypted("granted-1", &[ONE]), &share, &[ADD_LAUNCH]), &[]);
    // No grant can name an organization.
    let organization = ask("share", json!({"organizationArns": [ORGANIZATION]}));
    refused(&closed, &organization, &[&format!("KeyAccessMissing {ORGANIZATION}")]);
}

#[test]
fn what_the_deployment_has_switched_off_is_refused_and_still_taken_away() {
    let off = |name: &str, allowed: &[&str]| {
        let setup = Setup { key_grants: false, copy_access: false, copies: false, approvals: false };
        World::encrypted(name, allowed).with(|world| world.setup = setup)
    };
    let place = |world: &World, request: &Value| {
        world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer)
    };
    // A grant: for an account that the policy doesn't let in, and for a role.
    let share = ask("share", accounts(&[ONE]));
    let one = format!("NotSetUp {ONE}");
    refused(&off("granted-1", &[]), &share, &[&one]);
    assert_eq!(place(&off("granted-1", &[]), &share).as_deref(), Some("/accountIds/0"));
    let remedies = off("granted-1", &[]).decide(&share).remedies;
    assert!(remedies[0].contains("EnableKeyGrants"), "{remedies:?}");
    let check = off("granted-1", &[]).decide(&ask("check", accounts(&[ONE])));
    assert_eq!(
        (check.refusals, check.verdicts),
        (vec![one.clone()], vec!["Missing".into(), "autoscaling: Missing".into()])
    );
    let roles = ask("share", json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]}));
    refused(&off("granted-1", &[ONE]), &roles, &[&one]);
    // Nothing is made: the policy lets the account in, or the grant is there.
    steps(&off("granted-1", &[ONE]), &share, &[ADD_LAUNCH]);
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let granted = off("granted-1", &[]).with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    // What no grant would mend is refused as ever.
    refused(&off("golden-1", &[]), &share, &[&format!("KeyAccessMissing {ONE}")]);

    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let open = off("golden-1", &[ONE]);
    refused(&open, &copy, &[&one]);
    assert_eq!(place(&open, &copy).as_deref(), Some("/access"));
    assert!(open.decide(&copy).remedies[0].contains("EnableCopyAccess"));
    let may_copy = open.clone().with(|world| world.snapshot().create_volume_permissions = copied_by(&[ONE]));
    steps(&may_copy, &copy, &[ADD_LAUNCH]);
    // Whoever may copy already is not refused beside whoever may not, and what is not known refuses nobody.
    let both = json!({"accountIds": [ONE, TWO], "access": "copy"});
    refused(&may_copy, &ask("check", both), &[&format!("NotSetUp {TWO}"), &format!("KeyAccessMissing {TWO}")]);
    let unknown = open.clone().with(|world| {
        world.snapshot().create_volume_permissions = Fact::Failed(denied("ec2:DescribeSnapshotAttribute"));
    });
    refused(&unknown, &ask("check", json!({"accountIds": [ONE], "access": "copy"})), &[]);

    // Taking away is tried all the same.
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = granted.shared_with(&[ONE]).with(|world| {
        world.snapshot().create_volume_permissions = copied_by(&[ONE]);
    });
    steps(&world, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant()]);
}

#[test]
fn a_service_linked_role_gets_a_grant_where_the_rule_allows_it() {
    let roles = json!({"accountIds": [ONE], "serviceLinkedRoles": ["autoscaling"]});
    let world = World::encrypted("granted-1", &[ONE]);
    let share = ask("share", roles.clone());
    assert_eq!(world.looked_up(&share), [auto_scaling(ONE)]);
    let decided = steps(&world, &share, &[&create_grant(), ADD_LAUNCH]);
    assert_eq!(decided.verdicts, ["Allowed", "autoscaling: Allowed"]);
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}/autoscaling"), &auto_scaling(ONE), "999988887777");
    let granted = world.clone().with(|world| world.key().grants = Fact::Known(vec![own]));
    steps(&granted, &share, &[ADD_LAUNCH]);
    let unread = world.clone().with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    steps(&unread, &share, &[&create_grant(), ADD_LAUNCH]);
    // What the account needs comes before what is best effort.
    let closed = World::encrypted("granted-1", &[]);
    let needed = closed.put(&share, |case, facts| decide(case, facts).remove(0).prerequisites().unwrap().grants.len());
    assert_eq!(needed, 2);
    let decided = closed.put(&share, |case, facts| {
        let decision = decide(case, facts).remove(0);
        let steps = plan(case, &decision, &facts.images[decision.image_id], facts);
        steps
            .iter()
            .map(|step| (step.grant_name().unwrap_or_default().to_owned(), step.is_best_effort()))
            .collect::<Vec<_>>()
    });
    let name = format!("ami-share/{IMAGE}/{ONE}");
    assert_eq!(decided, [(name.clone(), false), (format!("{name}/autoscaling"), true), (String::new(), false)]);
    // A check asks for Auto Scaling's by itself, and makes nothing.
    let check = ask("check", accounts(&[ONE]));
    let missing = world.decide(&check);
    assert_eq!(missing.verdicts, ["Allowed", "autoscaling: Missing"]);
    let command =
        format!("aws kms create-grant --region eu-west-1 --key-id {KEY} --grantee-principal {}", auto_scaling(ONE));
    assert!(missing.remedies[0].starts_with(&command), "{:?}", missing.remedies);
    let has_one = granted.decide(&check);
    assert_eq!((has_one.verdicts, has_one.remedies.len()), (vec!["Allowed".into(), "autoscaling: Allowed".into()], 0));
    assert_eq!(unread.decide(&check).verdicts, ["Allowed", "autoscaling: Unknown"]);
    assert_eq!(world.decide(&ask("share", accounts(&[ONE]))).verdicts, ["Allowed"]);
    // A Deny goes before any grant, and an organization has no role of its own.
    let no = deny(auto_scaling(ONE), "kms:Decrypt").sid("No");
    let denying =
        world.clone().with(|world| world.key().policy = Fact::Known(parsed(&key_policies::with(open_to(&[ONE]), no))));
    let decided = denying.decide(&share);
    assert!(decided.warnings.iter().any(|warning| warning.contains("was not given a grant on")), "{decided:#?}");
    assert!(!decided.steps.contains(&create_grant()), "{decided:#?}");
    let organization = ask("check", json!({"organizationArns": [ORGANIZATION], "serviceLinkedRoles": ["autoscaling"]}));
    let decided = world.decide(&organization);
    assert!(decided.warnings[0].contains("send a request for each account"), "{decided:#?}");
}

/// A share with one account until then.
fn until(at: OffsetDateTime) -> Value {
    ask("share", json!({"accountIds": [ONE], "expiresAt": text(at)}))
}

#[test]
fn an_expiry_is_recorded_first_and_only_moved_later() {
    let world = World::encrypted("kept-1", &[ONE]);
    steps(&world, &until(in_days(10)), &[&create(ONE, in_days(10)), ADD_LAUNCH]);
    let new = world.put(&until(in_days(10)), |case, facts| {
        decide(case, facts).remove(0).prerequisites().unwrap().expiries[0].clone()
    });
    assert_eq!((new.at, new.target), (in_days(10), target(ONE)));
    assert_eq!((new.snapshot_ids.len(), new.key_arns), (1, vec![key()]));
    // Scheduler knows seconds and no parts of them.
    steps(&world, &until(in_days(10) + Duration::milliseconds(999)), &[&create(ONE, in_days(10)), ADD_LAUNCH]);

    let kept = |days| World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]).with_expiry(ONE, in_days(days));
    // The record that is there stays, and another is made.
    steps(&kept(10), &until(in_days(11)), &[&create(ONE, in_days(11))]);
    steps(&kept(10), &until(in_days(10)), &[]);
    steps(&kept(10), &until(in_days(10) + Duration::milliseconds(1)), &[]);
    steps(&kept(9).with_expiry(ONE, in_days(12)), &until(in_days(13)), &[&create(ONE, in_days(13))]);
    // Of several records the latest gives the expiry time.
    for world in [kept(10), kept(10).with_expiry(ONE, in_days(8)), kept(8).with_expiry(ONE, in_days(10))] {
        let decided = refused(&world, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
        assert!(decided.remedies[0].contains("`revoke`, then share again"), "{decided:#?}");
        // Nor does the right to revoke move it earlier.
        let golden = world.with(|world| world.image.name = Some("golden-1".to_owned()));
        refused(&golden, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
    }
    // To give an expiry to a share that has none is to take access away.
    let endless = World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]);
    let decided = refused(&endless, &until(in_days(10)), &["ExpiryNotAllowed 111122223333"]);
    assert!(decided.remedies[0].contains("`revoke` and `share`"), "{decided:#?}");
    let golden = endless.with(|world| world.image.name = Some("golden-1".to_owned()));
    steps(&golden, &until(in_days(10)), &[&create(ONE, in_days(10))]);
    // A record whose share is gone gives the expiry time of the next one too.
    let stale = World::encrypted("kept-1", &[ONE]).with_expiry(ONE, in_days(10));
    refused(&stale, &until(in_days(9)), &["ExpiryNotAllowed 111122223333"]);
    steps(&stale, &until(in_days(10)), &[ADD_LAUNCH]);
    steps(&stale, &until(in_days(11)), &[&create(ONE, in_days(11)), ADD_LAUNCH]);
}

#[test]
fn a_share_without_an_expiry_time_leaves_the_recorded_one_and_says_so() {
    let plain = ask("share", accounts(&[ONE]));
    let kept = World::encrypted("kept-1", &[ONE]).shared_with(&[ONE]).with_expiry(ONE, in_days(10));
    warned(&steps(&kept, &plain, &[]), &["which this request does not change"]);
    warned(&steps(&World::encrypted("kept-1", &[ONE]), &plain, &[ADD_LAUNCH]), &[]);
    let unread = kept.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    warned(&steps(&unread, &plain, &[]), &["could not be read"]);
    let decided = steps(&unread, &until(in_days(10)), &[]);
    assert_eq!(decided.gaps, 1, "nothing is given without knowing");
    let golden = unread.with(|world| world.image.name = Some("golden-1".to_owned()));
    warned(&golden.decide(&ask("check", accounts(&[ONE]))), &["not everything about ami-1a2b3c4d could be read"]);
}

#[test]
fn records_that_cannot_be_read_are_not_taken_for_no_records() {
    let unread =
        |world: World| world.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    for action in ["share", "check"] {
        let plain = ask(action, accounts(&[ONE]));
        // Whether the share that is there ends in time for its rule is not known.
        let bounded = steps(&unread(World::open("trial-1").shared_with(&[ONE])), &plain, &[]);
        assert_eq!(bounded.gaps, 1, "{bounded:#?}");
        // A rule without a longest duration asks for no record.
        let endless = steps(&unread(World::open("golden-1").shared_with(&[ONE])), &plain, &[]);
        assert_eq!(endless.gaps, 0, "{endless:#?}");
        // If they were not even asked for, nothing is given that expires.
        let unasked = World::open("golden-1").with(|world| world.image.expiries = Fact::NotRead);
        let decided = unasked.decide(&until(in_days(10)));
        assert_eq!((decided.steps.len(), decided.gaps), (0, 1), "{decided:#?}");
        // A share that is not there has no expiry, whatever the records are.
        refused(&unread(World::open("trial-1")), &plain, &["ExpiryRequired 111122223333"]);
    }
}

#[test]
fn what_a_deployment_lacks_for_an_expiry_is_named() {
    let with = |unset: &[&'static str]| {
        World::encrypted("kept-1", &[ONE]).with(|world| world.unset_for_expiry = unset.to_vec())
    };
    for unset in [
        &["AMI_SHARE_REQUEST_BUS"][..],
        &["AMI_SHARE_SCHEDULE_GROUP", "AMI_SHARE_SCHEDULE_ROLE_ARN", "AMI_SHARE_REQUEST_BUS"],
    ] {
        let decided = refused(&with(unset), &until(in_days(10)), &["ExpiryNotPossible"]);
        assert!(unset.iter().all(|name| decided.remedies[0].contains(name)), "{decided:#?}");
        steps(&with(unset), &ask("share", accounts(&[ONE])), &[ADD_LAUNCH]);
    }
    let pointer = with(&["AMI_SHARE_REQUEST_BUS"])
        .put(&until(in_days(10)), |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer);
    assert_eq!(pointer.as_deref(), Some("/expiresAt"));
}

#[test]
fn an_expiry_time_is_five_minutes_ahead_unless_its_very_record_is_there() {
    let world = World::encrypted("kept-1", &[ONE]);
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    steps(&world, &until(minutes(5)), &[&create(ONE, minutes(5)), ADD_LAUNCH]);
    for at in [minutes(5) - Duration::milliseconds(1), minutes(0), minutes(-5), minutes(-24 * 60)] {
        refused(&world, &until(at), &["MalformedRequest"]);
        // So is that of a share which has another record.
        refused(&world.clone().with_expiry(ONE, in_days(3)), &until(at), &["MalformedRequest"]);
    }
    let pointer =
        world.put(&until(minutes(4)), |case, facts| decide(case, facts).remove(0).refusals()[0].clone().pointer);
    assert_eq!(pointer.as_deref(), Some("/expiresAt"));
    // One for the image, however many targets.
    let two = ask("share", json!({"accountIds": [ONE, TWO], "expiresAt": text(minutes(4))}));
    refused(&World::open("golden-1"), &two, &["MalformedRequest"]);
    refused(&World::open("golden-1").with_expiry(ONE, minutes(4)), &two, &["MalformedRequest"]);
    // A share that is sent again finishes what it began.
    steps(&world.clone().with_expiry(ONE, minutes(4)), &until(minutes(4)), &[ADD_LAUNCH]);
    let shared = world.with_expiry(ONE, minutes(4)).shared_with(&[ONE]);
    steps(&shared, &until(minutes(4)), &[]);
    // A check says what a share would meet, and nothing but that the time is no good.
    World::open("golden-1").put(
        &ask("check", json!({"accountIds": [ONE], "expiresAt": text(minutes(4))})),
        |case, facts| {
            let decision = decide(case, facts).remove(0);
            assert!(decision.refuses_whole(case.request.action), "{decision:#?}");
        },
    );
}

#[test]
fn the_records_alone_refuse_a_time_that_is_too_near() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let is_refused = |world: &World, at| {
        world.put(&until(at), |case, facts| {
            let (image_id, image) = facts.images.iter().next().unwrap();
            is_refused_by_time(case, image_id, image.expiries.known())
        })
    };
    let world = World::open("kept-1");
    assert!(is_refused(&world, minutes(4)));
    assert!(!is_refused(&world, minutes(5)));
    assert!(!is_refused(&world.clone().with_expiry(ONE, minutes(4)), minutes(4)));
    assert!(is_refused(&world.clone().with_expiry(TWO, minutes(4)), minutes(4)));
    let unread = world.with(|world| world.image.expiries = Fact::Failed(denied("scheduler:ListSchedules")));
    assert!(!is_refused(&unread, minutes(4)), "what is not known refuses nothing");
}

#[test]
fn a_share_that_is_about_to_expire_is_left_alone() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let plain = ask("share", accounts(&[ONE]));
    let world = World::encrypted("kept-1", &[ONE]);
    for at in [minutes(2), minutes(1), minutes(0), in_days(-2)] {
        for world in [world.clone().with_expiry(ONE, at), world.clone().with_expiry(ONE, at).shared_with(&[ONE])] {
            for request in [&plain, &until(in_days(3))] {
                refused(&world, request, &["ShareEnding 111122223333"]);
                let may_pass = world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].may_pass());
                assert!(may_pass);
            }
        }
    }
    refused(&world.clone().with_expiry(ONE, in_days(-1)), &until(in_days(-1)), &["ShareEnding 111122223333"]);
    // An earlier record of a renewed share says nothing.
    steps(&world.clone().with_expiry(ONE, minutes(1)).with_expiry(ONE, in_days(1)), &plain, &[ADD_LAUNCH]);
    steps(&world.with_expiry(TWO, minutes(1)), &plain, &[ADD_LAUNCH]);
}

#[test]
fn a_launch_permission_is_added_only_where_the_invocation_ends_two_minutes_before_the_expiry() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let plain = ask("share", accounts(&[ONE]));
    let lasts = |minutes_left| World::encrypted("kept-1", &[ONE]).with(|world| world.deadline = minutes(minutes_left));
    steps(&lasts(14), &until(minutes(17)), &[&create(ONE, minutes(17)), ADD_LAUNCH]);
    refused(&lasts(15), &until(minutes(17)), &["ShareEnding 111122223333"]);
    let passes = |world: &World, request: &Value| {
        world.put(request, |case, facts| decide(case, facts).remove(0).refusals()[0].may_pass())
    };
    assert!(!passes(&lasts(15), &until(minutes(17))), "another try has less time still");
    // The recorded expiry counts as much, and passes.
    let recorded = lasts(15).with_expiry(ONE, minutes(17));
    refused(&recorded, &plain, &["ShareEnding 111122223333"]);
    assert!(passes(&recorded, &plain));
    refused(&recorded, &until(minutes(17)), &["ShareEnding 111122223333"]);
    steps(&recorded, &until(minutes(18)), &[&create(ONE, minutes(18)), ADD_LAUNCH]);
    // So it is with an organization.
    let group = |world: World| {
        let at = text(minutes(17));
        let request = ask("share", json!({"organizationArns": [ORGANIZATION], "expiresAt": at}));
        let world = world.with(|world| world.deadline = minutes(15));
        world.decide(&request).refusals
    };
    assert_eq!(group(World::open("golden-1")), [format!("ShareEnding {ORGANIZATION}")]);
    let shared = World::open("golden-1").shared_with(&[ORGANIZATION]).with_expiry(ORGANIZATION, minutes(17));
    assert_eq!(group(shared), [""; 0]);
    // What is shared already needs no launch permission.
    steps(&recorded.clone().shared_with(&[ONE]), &plain, &[]);
    steps(&recorded.shared_with(&[ONE]), &until(minutes(17)), &[]);
}

#[test]
fn nor_is_anything_else_given_that_late() {
    let minutes = |minutes: i64| NOW + Duration::minutes(minutes);
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    let lasts = |name: &str, allowed: &[&str], left| {
        let world = World::encrypted(name, allowed).shared_with(&[ONE]).with_expiry(ONE, minutes(17));
        world.with(|world| world.deadline = minutes(left))
    };
    // A create volume permission, and a grant.
    steps(&lasts("golden-1", &[ONE], 14), &copy, &[ADD_COPY]);
    refused(&lasts("golden-1", &[ONE], 15), &copy, &["ShareEnding 111122223333"]);
    let share = ask("share", accounts(&[ONE]));
    steps(&lasts("granted-1", &[], 14), &share, &[&create_grant()]);
    refused(&lasts("granted-1", &[], 15), &share, &["ShareEnding 111122223333"]);
    // What is there already is not given.
    let whole = lasts("golden-1", &[ONE], 15);
    let whole = whole.with(|world| {
        world.snapshot().create_volume_permissions =
            Fact::Known(CreateVolumePermissions { accounts: vec![account(ONE)], ..CreateVolumePermissions::default() })
    });
    steps(&whole, &copy, &[]);
}

#[test]
fn who_shares_anew_learns_how_an_overdue_expiry_is_finished() {
    let share = ask("share", accounts(&[ONE]));
    let remedy = |at| {
        let world = World::encrypted("kept-1", &[ONE]).with_expiry(ONE, at);
        refused(&world, &share, &["ShareEnding 111122223333"]).remedies.remove(0)
    };
    for at in [NOW + Duration::minutes(1), NOW - Duration::minutes(5)] {
        assert!(remedy(at).contains("again in a few minutes"));
    }
    for at in [NOW - Duration::seconds(301), in_days(-30)] {
        assert!(remedy(at).contains("`errors` name the cause"));
    }
    // And who revokes it what that is.
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(-30));
    let blocked = world.with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    let decided = steps(&blocked, &revoke, &[REMOVE_LAUNCH, REMOVE_COPY]);
    let name = expiry(ONE, in_days(-30)).name;
    warned(&decided, &[&format!("{name} of a share is kept until this is resolved")]);
    assert!(decided.warnings[0].contains("may not call kms:ListGrants"), "{decided:#?}");
}

#[test]
fn a_share_that_a_rule_makes_leaves_existing_ones_as_they_are() {
    let both = |at: OffsetDateTime| ask("share", json!({"accountIds": [ONE, TWO], "expiresAt": text(at)}));
    let add_two = "ec2:ModifyImageAttribute ami-1a2b3c4d +222233334444";
    let world = World::open("golden-1").shared_with(&[ONE]).with(|world| world.is_automatic = true);
    let later = world.clone().with_expiry(ONE, in_days(9));
    for (world, words) in [(&world, "without an expiry"), (&later, "until 2026-12-01")] {
        let decided = steps(world, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]);
        warned(&decided, &[words]);
        let left = world.put(&both(in_days(3)), |case, facts| decide(case, facts).remove(0).left_as_they_are().len());
        assert_eq!(left, 1);
    }
    // Its key may not let the existing target in; that does not hold up the others.
    let closed = World::encrypted("golden-1", &[TWO]).shared_with(&[ONE]).with(|world| world.is_automatic = true);
    steps(&closed, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]);
    steps(&closed, &ask("share", accounts(&[ONE, TWO])), &[add_two]);
    // One that expires earlier is renewed, and the event again changes nothing.
    let earlier = world.clone().with_expiry(ONE, in_days(2));
    steps(&earlier, &both(in_days(3)), &[&create(ONE, in_days(3)), &create(TWO, in_days(3)), add_two]);
    let done = world.clone().shared_with(&[ONE, TWO]).with_expiry(ONE, in_days(3)).with_expiry(TWO, in_days(3));
    steps(&done, &both(in_days(3)), &[]);
    // One until that very time is none that lasts longer.
    let same = world.clone().with_expiry(ONE, in_days(3));
    warned(&steps(&same, &both(in_days(3)), &[&create(TWO, in_days(3)), add_two]), &[]);
    // Who asks is not a rule.
    let asked = later.with(|world| world.is_automatic = false);
    refused(&asked, &both(in_days(3)), &["ExpiryNotAllowed 111122223333"]);
}

#[test]
fn an_expiry_is_due_a_minute_before_its_time() {
    let at = |at| due(&expiry(ONE, at), NOW, true);
    assert_eq!(
        at(NOW + Duration::seconds(61)).unwrap_err(),
        "the share expires at 2026-11-22T12:01:01Z; nothing is due yet"
    );
    for time in [NOW + Duration::minutes(1), in_days(-9)] {
        let request = at(time).unwrap();
        let (images, targets) = (&request.image_ids[..], request.targets.iter().map(|asked| asked.target.clone()));
        assert_eq!((images, targets.collect()), (&[IMAGE.parse().unwrap()][..], vec![target(ONE)]));
        assert_eq!((request.action, request.dry_run), (Action::Revoke, true));
    }
}

#[test]
fn an_expiry_deletes_its_own_record_last_and_no_other() {
    let (own, earlier, later) = (expiry(ONE, NOW), in_days(-1), in_days(1));
    let request = World::open("golden-1").put(&ask("revoke", accounts(&[ONE])), |case, _| case.request.clone());
    let planned = |world: &World| {
        let authority = Authority::Expiry(&own);
        world.put_as(authority, &request, |case, facts| summary(case, facts, &decide(case, facts).remove(0)))
    };
    let grants = vec![grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777")];
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE, TWO]).with_expiry(ONE, NOW).with_expiry(TWO, NOW);
    let world = world.with(|world| world.key().grants = Fact::Known(grants)).with_expiry(ONE, earlier);
    let whole = [REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete(ONE, NOW)];
    assert_eq!(planned(&world).steps, whole);
    // A later record of the share takes its place; that of another target does not.
    assert_eq!(planned(&world.clone().with_expiry(TWO, later)).steps, whole);
    let renewed = planned(&world.clone().with_expiry(ONE, later));
    assert_eq!(renewed.steps, [delete(ONE, NOW)]);
    warned(&renewed, &["was renewed and expires at"]);
    // Whatever else could not be read.
    let unread =
        world.clone().with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:DescribeImageAttribute")));
    let decided = planned(&unread);
    assert_eq!(decided.steps, whole[..3], "a record is all that tells of a share which may be there still");
    assert_eq!(decided.gaps, 1);
    let unread = world.with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    assert_eq!(planned(&unread.clone().with_expiry(ONE, later)).steps, [delete(ONE, NOW)]);
    assert_eq!(planned(&unread).steps, [REMOVE_LAUNCH, REMOVE_COPY]);
}

#[test]
fn a_share_that_expires_is_looked_at_again_and_taken_back_without_a_record() {
    let looks = |world: &World, request: &Value| {
        world.put(request, |case, facts| {
            let decision = decide(case, facts).remove(0);
            second_looks(&decision, &facts.images[decision.image_id], &[target(ONE)], case.hint)
        })
    };
    let world = World::open("golden-1");
    let plain = ask("share", accounts(&[ONE]));
    assert_eq!(looks(&world, &plain), [], "a share without an expiry costs no look");
    let [look] = looks(&world, &until(in_days(3))).try_into().unwrap();
    let record = |at| RecordName::Expiry(expiry(ONE, at).name);
    assert_eq!((&look.record, &look.target), (&record(in_days(3)), &target(ONE)));
    let recorded = world.with_expiry(ONE, in_days(2));
    assert_eq!(looks(&recorded, &plain)[0].record, record(in_days(2)));
    assert_eq!(looks(&recorded, &until(in_days(3)))[0].record, record(in_days(3)));

    assert_eq!(lost(&look, &Ok(true)), None);
    let gone = lost(&look, &Ok(false)).unwrap();
    assert_eq!((gone.code, gone.retryable), (ErrorCode::ExpiryLost, true));
    let unread = denied("scheduler:GetSchedule");
    assert_eq!(lost(&look, &Err(unread.clone())), Some(unread));
}

#[test]
fn everything_that_a_share_gave_is_taken_back_in_the_order_of_a_revoke() {
    let share = ask("share", json!({"accountIds": [ONE, TWO], "access": "copy", "expiresAt": text(in_days(3))}));
    let given = World::encrypted("granted-1", &[TWO]).put(&share, |question, facts| {
        let decision = decide(question, facts).remove(0);
        let steps = plan(question, &decision, &facts.images[decision.image_id], facts);
        assert_eq!(steps.iter().filter(|step| step.gives()).count(), 3, "{steps:#?}");
        // Of the grant the ID is known once it is made.
        let id = |step: &Step| matches!(step, Step::CreateGrant { .. }).then(|| "abc".to_owned());
        steps.into_iter().map(|step| (step.clone(), id(&step))).collect::<Vec<_>>()
    });
    let back = |is_needed: fn(&str) -> bool| -> Vec<String> {
        let steps = take_back(&given, |_, account| is_needed(&account.to_string()));
        steps.iter().map(in_words).collect()
    };
    let both = |remove: &str| format!("{remove} -{TWO}");
    assert_eq!(back(|_| false), [both(REMOVE_LAUNCH), both(REMOVE_COPY), revoke_grant()]);
    // Another image on the snapshot needs what the share gave.
    assert_eq!(back(|account| account == TWO), [both(REMOVE_LAUNCH), REMOVE_COPY.to_owned(), revoke_grant()]);
    assert_eq!(back(|_| true), [both(REMOVE_LAUNCH), revoke_grant()]);
    assert_eq!(take_back(&[], |_, _| false), []);
}

#[test]
fn a_revoke_takes_away_what_a_share_gave_in_its_order() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let world = World::encrypted("golden-1", &[])
        .shared_with(&[ONE, TWO])
        .with_expiry(ONE, in_days(5))
        .with_expiry(TWO, in_days(5));
    let world = world.with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    let delete = delete(ONE, in_days(5));
    // Once more in the end: a share that found the record may have come between.
    let again = [REMOVE_LAUNCH, REMOVE_COPY];
    let whole = [REMOVE_LAUNCH, REMOVE_COPY, &revoke_grant(), &delete, REMOVE_LAUNCH, REMOVE_COPY];
    warned(&steps(&world, &revoke, &whole), &[]);
    // Whatever was read: EC2's reads lag its writes.
    steps(&world.clone().shared_with(&[]), &revoke, &whole);
    for state in [ImageState::Disabled, ImageState::Deregistered] {
        let world = world.clone().with(|world| world.image.state = state);
        steps(&world, &revoke, &[REMOVE_COPY, &revoke_grant(), &delete, REMOVE_COPY]);
    }
    let with = |grant: Grant| world.clone().with(|world| world.key().grants = Fact::Known(vec![grant]));
    // Not ours: made by hand, for another image or account, made by another account.
    for name in ["by-hand", "ami-share/ami-99999999/111122223333", &format!("ami-share/{IMAGE}/{TWO}")] {
        let other = grant(name, &root(ONE), "999988887777");
        warned(&steps(&with(other), &revoke, &[&again[..], &[&delete], &again].concat()), &[]);
    }
    let passed_on = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(TWO), ONE);
    let decided = steps(&with(passed_on), &revoke, &[&again[..], &[&delete], &again].concat());
    warned(&decided, &["passed its access on by grant abc, which stays"]);
    // Another image on the snapshot is shared with the account, or another account's snapshot is behind the image.
    let needed = |other: &str| [(account(other), "ami-99999999".parse().unwrap())].into();
    let shared = world.clone().with(|world| world.snapshot().needed_by = Fact::Known(needed(ONE)));
    let decided = steps(&shared, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete, REMOVE_LAUNCH]);
    warned(&decided, &["keeps its create volume permission"]);
    let shared = world.clone().with(|world| world.snapshot().needed_by = Fact::Known(needed(TWO)));
    warned(&steps(&shared, &revoke, &whole), &[]);
    let elsewhere = world.with(|world| world.snapshot().owner = account(TWO));
    steps(&elsewhere, &revoke, &[REMOVE_LAUNCH, &revoke_grant(), &delete, REMOVE_LAUNCH]);
}

#[test]
fn an_image_that_was_pending_is_revoked_where_something_shows_that_it_became_available() {
    let pending = |world: World| world.with(|world| world.image.state = ImageState::Pending);
    let open = World::open("golden-1");
    steps(&pending(open.clone()), &ask("revoke", accounts(&[ONE])), &[REMOVE_COPY]);
    let recorded = pending(open.clone().with_expiry(ONE, in_days(5)));
    let again = [REMOVE_COPY, &delete(ONE, in_days(5)), REMOVE_LAUNCH, REMOVE_COPY];
    steps(&recorded, &ask("revoke", accounts(&[ONE])), &again);
    steps(&recorded, &ask("reset", json!({})), &again);
    // Nobody can have shared it before it was available.
    let shared = pending(open.shared_with(&[ONE]));
    steps(&shared, &ask("revoke", accounts(&[ONE])), &[REMOVE_LAUNCH, REMOVE_COPY]);
    steps(&shared, &ask("reset", json!({})), &["ec2:ResetImageAttribute ami-1a2b3c4d", REMOVE_COPY]);
}

#[test]
fn a_record_stays_while_something_of_its_share_may_be_left() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let reset = ask("reset", json!({}));
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE]).with_expiry(ONE, in_days(5));
    let delete = delete(ONE, in_days(5));
    let again = [REMOVE_LAUNCH, REMOVE_COPY];
    steps(&world, &revoke, &[&again[..], &[&delete], &again].concat());
    steps(&world, &reset, &[&["ec2:ResetImageAttribute ami-1a2b3c4d", REMOVE_COPY, &delete], &again[..]].concat());
    let no_grants = world.clone().with(|world| world.key().grants = Fact::Failed(denied("kms:ListGrants")));
    let no_needs = world.clone().with(|world| world.snapshot().needed_by = Fact::Failed(denied("ec2:DescribeImages")));
    let no_snapshots =
        world.with(|world| world.image.snapshots[0].snapshot = Fact::Failed(denied("ec2:DescribeSnapshots")));
    for (world, left) in [(no_grants, &[REMOVE_COPY][..]), (no_needs, &[]), (no_snapshots, &[])] {
        let decided = steps(&world, &revoke, &[&[REMOVE_LAUNCH], left].concat());
        assert_eq!(decided.gaps, 1);
        warned(&decided, &["of a share is kept until this is resolved"]);
        assert_eq!(steps(&world, &reset, &[&["ec2:ResetImageAttribute ami-1a2b3c4d"], left].concat()).gaps, 1);
    }
}

#[test]
fn a_reset_clears_what_belongs_to_the_targets_it_removes() {
    let reset = ask("reset", json!({}));
    let launch = "ec2:ResetImageAttribute ami-1a2b3c4d";
    let world = World::encrypted("golden-1", &[]).shared_with(&[ONE, "all"]);
    warned(&steps(&world, &reset, &[launch, REMOVE_COPY]), &["PUBLIC"]);
    // Of an image that is shared with nobody, what is left of an earlier reset is cleared; otherwise it is reported.
    let left = |world: World| world.with(|world| world.snapshot().create_volume_permissions = copied_by(&[TWO]));
    let world = World::encrypted("golden-1", &[]);
    steps(&left(world.clone()), &reset, &[launch, "ec2:ModifySnapshotAttribute snap-1a2b3c4d -222233334444"]);
    let decided = steps(&left(world.clone().shared_with(&[ONE])), &reset, &[launch, REMOVE_COPY]);
    warned(&decided, &["can still be copied by 222233334444"]);
    // Grants and records of ours name their account.
    let own = grant(&format!("ami-share/{IMAGE}/{ONE}"), &root(ONE), "999988887777");
    let granted = world.clone().with(|world| world.key().grants = Fact::Known(vec![own.clone()]));
    steps(&granted, &reset, &[launch, REMOVE_COPY, &revoke_grant()]);
    // One that names no account can't be attributed, and is reported.
    let nobodys = grant(&format!("ami-share/{IMAGE}/nobody"), &root(ONE), "999988887777");
    let left = world.clone().with(|world| world.key().grants = Fact::Known(vec![nobodys]));
    warned(&steps(&left, &reset, &[launch]), &["orphaned grants"]);
    let recorded = world.clone().with_expiry(ONE, in_days(1)).with_expiry(ONE, in_days(2));
    let (one, other) = (delete(ONE, in_days(1)), delete(ONE, in_days(2)));
    steps(&recorded, &reset, &[launch, REMOVE_COPY, &one, &other, REMOVE_LAUNCH, REMOVE_COPY]);
    let unread =
        world.with(|world| world.image.launch_permissions = Fact::Failed(denied("ec2:DescribeImageAttribute")));
    assert_eq!(steps(&unread, &reset, &[launch]).gaps, 1);
    let disabled = granted.with(|world| world.image.state = ImageState::Disabled);
    steps(&disabled, &reset, &[REMOVE_COPY, &revoke_grant()]);
}

/// What is taken back from two targets of which one has other entries, and what the warnings say.
#[test]
fn what_still_gives_access_is_named_once_for_each_story() {
    let revoke = ask("revoke", accounts(&[ONE, TWO]));
    let remove = "ec2:ModifyImageAttribute ami-1a2b3c4d -111122223333 -222233334444";
    let remove_copy = "ec2:ModifySnapshotAttribute snap-1a2b3c4d -111122223333 -222233334444";
    let world = World::open("golden-1");
    let warned_of = |world: &World, words: &[&str]| warned(&steps(world, &revoke, &[remove, remove_copy]), words);
    warned_of(&world.clone().shared_with(&[ONE, TWO]), &[]);
    let both = "revoked from 111122223333, 222233334444";
    let of_organization = format!("{both}: {ORGANIZATION} may still give it access");
    warned_of(&world.clone().shared_with(&[ONE, ORGANIZATION]), &[&of_organization]);
    warned_of(
        &world.clone().shared_with(&["all"]),
        &["is PUBLIC", "the public launch permission still gives it access"],
    );
    let unknown = world.clone().with(|world| {
        world.image.launch_permissions = Fact::Known(vec![LaunchPermission::unknown("part\nners")]);
    });
    warned_of(
        &unknown,
        &["a kind that this version does not know: `partners`", "an unknown kind (`partners`) may still"],
    );
    // What can't be read at all is reported; what may be read later is a gap, too.
    let unread = |error: Failure| world.clone().with(|world| world.image.launch_permissions = Fact::Failed(error));
    warned_of(&unread(denied("ec2:DescribeImageAttribute")), &["is not known: the function's role may not call"]);
    assert_eq!(unread(denied("x")).decide(&revoke).gaps, 0);
    let later = Failure { retryable: true, ..denied("ec2:DescribeImageAttribute") };
    assert_eq!(unread(later).decide(&revoke).gaps, 1);
}

#[test]
fn the_other_images_on_a_snapshot_are_named_to_those_who_may_ask_about_them() {
    let revoke = ask("revoke", accounts(&[ONE]));
    let other = "ami-99999999";
    let world = World::open("golden-1")
        .with(|world| world.snapshot().needed_by = Fact::Known([(account(ONE), other.parse().unwrap())].into()));
    for (name, words) in [("golden-2", other), ("silver-2", "another image of this account")] {
        let warnings = world.put(&revoke, |case, facts| {
            let neighbour = Image { name: Some(name.to_owned()), ..world.image.clone() };
            let neighbours = [(other.parse().unwrap(), neighbour)].into();
            let facts = Facts { neighbours, ..facts.clone() };
            let decision = decide(case, &facts).remove(0);
            decision.warnings.concat()
        });
        assert!(warnings.contains(words) && (words == other || !warnings.contains(other)), "{name}: {warnings}");
    }
}

#[test]
fn of_images_that_are_refused_by_their_description_nothing_more_is_read() {
    let permitted = |name: &str, request: &Value| {
        World::open(name).put(request, |case, facts| sharing::decide::permitted(case, &facts.images).len())
    };
    let stranger = "333344445555"; // of a rule of somebody else
    for (action, of_both) in [("share", 1), ("check", 1), ("revoke", 0)] {
        assert_eq!(permitted("golden-1", &ask(action, accounts(&[ONE]))), 1, "{action}");
        assert_eq!(permitted("silver-1", &ask(action, accounts(&[ONE]))), 0, "{action}");
        assert_eq!(permitted("golden-1", &ask(action, accounts(&[ONE, stranger]))), of_both, "{action}");
    }
    assert_eq!(permitted("golden-1", &ask("share", accounts(&[stranger]))), 0);
    // The share may exist and have an expiry time.
    assert_eq!(permitted("temporary-1", &ask("share", accounts(&[ONE]))), 1);
    assert_eq!(
        (permitted("golden-1", &ask("list", json!({}))), permitted("silver-1", &ask("list", json!({})))),
        (1, 0)
    );
}

#[test]
fn what_a_caller_should_know_is_told() {
    let share = ask("share", accounts(&[ONE]));
    let revoke = ask("revoke", accounts(&[ONE]));
    let world = World::open("golden-1");
    let public = world.clone().shared_with(&["all"]);
    warned(&steps(&public, &share, &[ADD_LAUNCH]), &["is PUBLIC"]);
    let open_snapshot =
        world.clone().with(|world| known(&mut world.snapshot().create_volume_permissions).is_public = true);
    warned(&steps(&open_snapshot, &share, &[ADD_LAUNCH]), &["modify-snapshot-attribute --snapshot-id snap-1a2b3c4d"]);
    let decided = |change: fn(&mut World)| world.clone().with(change).decide(&share);
    warned(&decided(|world| world.blocks_public_images = Fact::Known(false)), &["block public access for AMIs is off"]);
    warned(&decided(|world| world.blocks_public_images = Fact::Known(true)), &[]);
    warned(
        &decided(|world| world.image.deprecation_time = Some("2027-01-01".to_owned())),
        &["deprecated (2027-01-01)"],
    );
    warned(&decided(|world| world.image.has_product_codes = true), &["Marketplace"]);
    // Not to whom no rule lets share with the target; a check is about the image anyway.
    let old = world.clone().with(|world| world.image.deprecation_time = Some("2027-01-01".to_owned()));
    warned(&old.decide(&ask("share", accounts(&["777788889999"]))), &[]);
    warned(&old.decide(&ask("check", accounts(&["777788889999"]))), &["deprecated (2027-01-01)"]);
    let again = World::open("golden-new-1").decide(&revoke);
    warned(&again, &["rule `by-itself` shares"]);
    warned(&World::open("golden-new-1").decide(&share), &[]);
    let sold = world.with(|world| world.image.has_product_codes = true);
    warned(&sold.decide(&revoke), &[]);
    let copy = ask("share", json!({"accountIds": [ONE], "access": "copy"}));
    warned(&sold.decide(&copy), &["Marketplace", "AWS lets no other account copy"]);
}

#[test]
fn a_refusal_of_one_image_refuses_a_share_as_a_whole_and_never_a_revoke() {
    let refuses = |world: &World, request: &Value| {
        world.put(request, |case, facts| {
            let decision = decide(case, facts).remove(0);
            (decision.blocks_reading(), decision.refuses_whole(case.request.action))
        })
    };
    let (golden, silver) = (World::open("golden-1"), World::open("silver-1"));
    let pending = golden.clone().with(|world| world.image.state = ImageState::Pending);
    for (action, by_state, by_rule) in [("share", true, true), ("check", false, false), ("revoke", false, false)] {
        let request = ask(action, accounts(&[ONE]));
        assert_eq!(refuses(&golden, &request), (false, false), "{action}");
        assert_eq!(refuses(&pending, &request), (false, by_state), "{action}");
        assert_eq!(refuses(&silver, &request), (true, by_rule), "{action}");
    }
    for (action, by_rule) in [("list", false), ("reset", false)] {
        assert_eq!(refuses(&golden, &ask(action, json!({}))), (false, false), "{action}");
        assert_eq!(refuses(&silver, &ask(action, json!({}))), (true, by_rule), "{action}");
    }
}

#[test]
fn an_organization_is_the_same_whatever_management_account_its_arn_names() {
    const ELSEWHERE: &str = "arn:aws-cn:organizations::111122223333:organization/o-a1b2c3d4e5";
    let asked = |action| ask(action, json!({"organizationArns": [ELSEWHERE]}));
    // The rule names it under one account; EC2 shows it so too, or takes it as it was asked for.
    let open = World::open("golden-1");
    steps(&open, &asked("share"), &[&format!("ec2:ModifyImageAttribute {IMAGE} +{ELSEWHERE}")]);
    let shared = open.shared_with(&[ORGANIZATION]);
    steps(&shared, &asked("share"), &[]);
    steps(&shared, &asked("revoke"), &[&format!("ec2:ModifyImageAttribute {IMAGE} -{ORGANIZATION}")]);
    steps(&World::open("golden-1"), &asked("revoke"), &[&format!("ec2:ModifyImageAttribute {IMAGE} -{ELSEWHERE}")]);
}
