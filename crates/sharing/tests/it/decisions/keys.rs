//! What the keys behind an image refuse, and which grants a share makes.

use super::*;

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
