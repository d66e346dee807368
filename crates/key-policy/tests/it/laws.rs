//! Laws that hold for every policy, checked on random policies.

use ami_share_testing::key_policies::{allow, policy_of};
use key_policy::{
    ActionVerdict, Caller, ContextFact, ContextValue, EvaluationRequest, Grant, JudgeOfKey, KeyQuestion, KeyUse, Known,
    NEEDED, OrganizationFacts, Policy, RequestContext, Verdict,
    domain::{AccountId, KeyArn, Target},
    evaluate, explain, judge,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OWNER: &str = "111122223333";
const ACCOUNT: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/App";
const USER: &str = "arn:aws:iam::444455556666:user/Bob";
const ROOT: &str = "arn:aws:iam::444455556666:root";
const SESSION: &str = "arn:aws:sts::444455556666:assumed-role/App/one";
const EC2S_ROLE: &str = "arn:aws:iam::444455556666:role/aws:ec2-infrastructure";
const EC2S_SESSION: &str = "arn:aws:sts::444455556666:assumed-role/aws:ec2-infrastructure/i-0abc";
const ACTIONS: [&str; 5] =
    ["kms:Decrypt", "kms:CreateGrant", "kms:DescribeKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"];

/// Condition keys that don't depend on the caller, and values for both policies and requests.
const KEYS: [&str; 6] = [
    "kms:ViaService",
    "aws:SourceIp",
    "aws:PrincipalTag/team",
    "kms:GrantIsForAWSResource",
    "kms:RequestAlias",
    "aws:MultiFactorAuthAge",
];
const VALUES: [&str; 8] =
    ["ec2.us-east-1.amazonaws.com", "ec2.*", "true", "false", "60", "10.0.0.0/8", "${aws:PrincipalTag/team, 'x'}", "*"];
const OPERATORS: [&str; 18] = [
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringNotEqualsIfExists",
    "Bool",
    "BoolIfExists",
    "Null",
    "NumericLessThan",
    "NumericNotEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnLike",
    "ForAllValues:StringLike",
    "ForAnyValue:StringEquals",
    "ForAnyValue:StringNotLikeIfExists",
    "NoOperator",
];

fn principal() -> impl Strategy<Value = (&'static str, Value)> {
    let aws = vec(
        select(vec!["*", ACCOUNT, "777788889999", ROLE, "arn:aws:iam::444455556666:root", "AROAJQABLZS4A3QDU576Q"]),
        1..3,
    );
    prop_oneof![
        6 => aws.clone().prop_map(|names| ("Principal", json!({"AWS": names}))),
        2 => Just(("Principal", json!("*"))),
        1 => Just(("Principal", json!({"Service": "ec2.amazonaws.com"}))),
        1 => aws.prop_map(|names| ("NotPrincipal", json!({"AWS": names}))),
        1 => Just(("Principal", json!(7))),
    ]
}

fn action() -> impl Strategy<Value = (&'static str, Value)> {
    let names =
        vec(select(vec!["kms:*", "kms:Decrypt", "KMS:createGRANT", "kms:D*", "kms:ReEncrypt*", "*", "ec2:*"]), 1..3);
    prop_oneof![8 => names.clone().prop_map(|names| ("Action", json!(names))), 1 => names.prop_map(|names| ("NotAction", json!(names)))]
}

fn conditions() -> impl Strategy<Value = Value> {
    let one = (select(OPERATORS.to_vec()), select(KEYS.to_vec()), vec(select(VALUES.to_vec()), 1..3));
    vec(one, 0..3).prop_map(|conditions| {
        let mut all = Map::new();
        for (operator, key, values) in conditions {
            let keys = all.entry(operator).or_insert_with(|| json!({}));
            keys[key] = json!(values);
        }
        Value::Object(all)
    })
}

fn statement(effects: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let resource = select(vec!["*", "*", "*", KEY, "arn:aws:kms:us-east-1:111122223333:key/other"]);
    (select(effects), principal(), action(), resource, conditions()).prop_map(|(effect, principal, action, resource, conditions)| {
        json!({"Effect": effect, principal.0: principal.1, action.0: action.1, "Resource": resource, "Condition": conditions})
    })
}

/// A statement about who calls and how.
fn launch_statement() -> impl Strategy<Value = Value> {
    let condition = select(vec![
        json!({}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws:ec2-infrastructure"}}),
        json!({"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/App", "arn:aws:iam::*:role/aws:ec2-infrastructure"]}}),
        json!({"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/*"}}),
        json!({"Bool": {"aws:ViaAWSService": "false"}}),
        json!({"BoolIfExists": {"aws:ViaAWSService": "true"}}),
        json!({"StringNotEqualsIfExists": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}),
        json!({"Null": {"kms:ViaService": "true"}, "Bool": {"aws:PrincipalIsAWSService": "false"}}),
        json!({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}),
    ]);
    let sure = Just(allow(ACCOUNT, "kms:*"));
    let conditioned = (statement(vec!["Allow", "Deny"]), condition).prop_map(|(mut statement, condition)| {
        statement["Condition"] = condition;
        statement
    });
    prop_oneof![2 => sure, 3 => conditioned, 1 => statement(vec!["Allow", "Deny"])]
}

fn statements() -> impl Strategy<Value = Vec<Value>> {
    vec(statement(vec!["Allow", "Allow", "Allow", "Deny"]), 0..5)
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let grantee =
        select(vec![ROLE, "arn:aws:iam::444455556666:root", "ec2.amazonaws.com", "arn:aws:iam::777788889999:root"]);
    let one = (grantee, vec(select(vec!["Decrypt", "CreateGrant", "DescribeKey", "ReEncryptFrom", "Encrypt"]), 1..5));
    vec(
        one.prop_map(|(grantee, operations)| Grant {
            grantee_principal: Some(grantee.to_owned()),
            operations: operations.into_iter().map(str::to_owned).collect(),
            ..Grant::default()
        }),
        0..3,
    )
}

fn fact() -> impl Strategy<Value = ContextFact> {
    // All except the variable: a request has none.
    let text = select(VALUES.iter().copied().filter(|value| !value.contains('$')).collect::<Vec<_>>());
    prop_oneof![
        4 => text.prop_map(ContextFact::is),
        1 => Just(ContextFact::Absent),
        1 => Just(ContextFact::Present(vec![ContextValue::Exactly("60".to_owned()), ContextValue::Exactly("true".to_owned())])),
    ]
}

/// The known condition keys of a call. All others are unknown.
fn known() -> impl Strategy<Value = Vec<(&'static str, ContextFact)>> {
    vec((select(KEYS.to_vec()), fact()), 0..4)
}

fn caller() -> impl Strategy<Value = Caller> {
    let whole = || Caller::account_as_a_whole(ACCOUNT.parse::<AccountId>().unwrap()).in_partition("aws");
    prop_oneof![Just(whole()), Just(whole().with_arn_forms()), Just(Caller::identity_in_account(ROLE, None).unwrap())]
}

/// Whether a call of this action can carry one of [`KEYS`].
fn is_carried(key: &str, action: &str) -> bool {
    match key {
        "kms:GrantIsForAWSResource" => action == "kms:CreateGrant",
        "kms:RequestAlias" => action != "kms:CreateGrant",
        _ => true,
    }
}

fn context(known: &[(&str, ContextFact)]) -> RequestContext {
    known.iter().fold(RequestContext::open(), |context, (key, fact)| context.with(key, fact.clone()))
}

fn verdict(
    statements: &[Value],
    grants: &[Grant],
    caller: &Caller,
    action: &str,
    known: &[(&str, ContextFact)],
) -> ActionVerdict {
    let context = context(known);
    evaluate(&policy_of(statements), grants, &EvaluationRequest { caller, action, resource: KEY, context: &context })
        .verdict
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_added_deny_never_allows_more(
        statements in statements(), added in statement(vec!["Deny"]), grants in grants(), caller in caller(),
        action in select(ACTIONS.to_vec()), known in known(),
    ) {
        let before = verdict(&statements, &grants, &caller, action, &known);
        let more = [statements, vec![added]].concat();
        let after = verdict(&more, &grants, &caller, action, &known);
        prop_assert!(after >= before, "{before:?} became {after:?}");
    }

    #[test]
    fn an_added_allow_or_grant_never_allows_less(
        statements in statements(), added in statement(vec!["Allow"]), grants in grants(), more in grants(), caller in caller(),
        action in select(ACTIONS.to_vec()), known in known(),
    ) {
        let before = verdict(&statements, &grants, &caller, action, &known);
        let with_grants = verdict(&statements, &[grants.clone(), more].concat(), &caller, action, &known);
        let with_statement = verdict(&[statements, vec![added]].concat(), &grants, &caller, action, &known);
        prop_assert!(with_grants <= before, "{before:?} became {with_grants:?}");
        prop_assert!(with_statement <= before, "{before:?} became {with_statement:?}");
    }

    #[test]
    fn what_was_certain_stays_so_whatever_is_learned(
        statements in statements(), grants in grants(), action in select(ACTIONS.to_vec()), known in known(),
        learned in known(), session in any::<bool>(),
    ) {
        let whole = Caller::account_as_a_whole(ACCOUNT.parse().unwrap()).in_partition("aws");
        let session_arn = "arn:aws:sts::444455556666:assumed-role/App/one";
        let somebody = Caller::identity_in_account(if session { session_arn } else { ROLE }, Some(ROLE)).unwrap();
        // Only an unknown condition key can become known, and only one that the action can carry.
        let mut more = known.clone();
        more.extend(learned.into_iter().filter(|(key, _)| is_carried(key, action) && !known.iter().any(|(own, _)| own == key)));
        for caller in [&whole, &whole.clone().with_arn_forms()] {
            let before = verdict(&statements, &grants, caller, action, &known);
            for caller in [caller, &somebody] {
                let after = verdict(&statements, &grants, caller, action, &more);
                let same = match before {
                    ActionVerdict::Conditional => true,
                    // Without any `Allow`, it doesn't matter whether a `Deny` applies.
                    ActionVerdict::ImplicitDeny => after >= ActionVerdict::ImplicitDeny,
                    ActionVerdict::Allowed | ActionVerdict::Denied => after == before,
                };
                prop_assert!(same, "{before:?} became {after:?}");
            }
        }
    }

    #[test]
    fn order_and_case_do_not_matter(
        statements in statements(), grants in grants(), caller in caller(), action in select(ACTIONS.to_vec()), known in known(),
    ) {
        let before = verdict(&statements, &grants, &caller, action, &known);
        let reversed: Vec<_> = statements.iter().rev().cloned().collect();
        prop_assert_eq!(verdict(&reversed, &grants, &caller, action, &known), before);
        prop_assert_eq!(verdict(&statements, &grants, &caller, &action.to_uppercase(), &known), before);
        let shouted: Vec<_> = statements.iter().map(shout).collect();
        prop_assert_eq!(verdict(&shouted, &grants, &caller, action, &known), before);
        let loud: Vec<_> = known.iter().map(|(key, fact)| (key.to_uppercase(), fact.clone())).collect();
        let loud: Vec<_> = loud.iter().map(|(key, fact)| (key.as_str(), fact.clone())).collect();
        prop_assert_eq!(verdict(&statements, &grants, &caller, action, &loud), before);
    }

    #[test]
    fn the_remedy_works(statements in statements(), grants in grants(), target in target(), organization in organization()) {
        let key: KeyArn = KEY.parse().unwrap();
        let target: Target = target.parse().unwrap();
        let key_use = KeyUse::Launch;
        let before = policy_of(&statements);
        let question = KeyQuestion { key: &key, policy: &before, grants: &grants, target: &target, organization: &organization, key_use: &key_use };
        let access = judge(&question);
        prop_assert_eq!(access.verdict == Verdict::Missing, !access.missing.is_empty() && access.verdict != Verdict::Denied);
        match access.remedy {
            Some(remedy) => {
                let mended = policy_of(&[statements, remedy.as_array().unwrap().clone()].concat());
                prop_assert_eq!(judge(&KeyQuestion { policy: &mended, ..question }).verdict, Verdict::Allowed);
            }
            // Nothing is missing, or a note names the obstacle.
            None => prop_assert!(access.verdict == Verdict::Allowed
                || access.notes.iter().any(|note| note.starts_with("change ") || note.starts_with("fix ")), "{:?}", access),
        }
    }

    /// For every caller, and for every form of the call by EC2's own role.
    #[test]
    fn what_is_certain_of_a_launch_holds_for_each_of_its_callers(
        statements in vec(launch_statement(), 0..4), grants in grants(), asking in select(vec![ROLE, USER, ROOT, SESSION]),
        known in known(), more_known in known(), via in option::of(any::<bool>()),
    ) {
        let (key, target): (KeyArn, Target) = (KEY.parse().unwrap(), ACCOUNT.parse().unwrap());
        let (policy, organization, key_use) = (policy_of(&statements), OrganizationFacts::UNKNOWN, KeyUse::Launch);
        let question = KeyQuestion { key: &key, policy: &policy, grants: &grants, target: &target, organization: &organization, key_use: &key_use };
        let verdict = judge(&question).verdict;
        let somebody = Caller::identity_in_account(asking, None).unwrap();
        let ec2 = Caller::identity_in_account(EC2S_SESSION, Some(EC2S_ROLE)).unwrap();
        let own = [Grant { grantee_principal: Some(EC2S_SESSION.to_owned()), operations: vec!["Decrypt".to_owned()], ..Grant::default() }];
        let always = |known: &[(&str, ContextFact)]| {
            context(known).with("aws:RequestedRegion", ContextFact::is("us-east-1")).with("aws:PrincipalIsAWSService", ContextFact::is("false"))
        };
        let through_ec2 = |action: &str| {
            let carried: Vec<_> = known.iter().filter(|(key, _)| is_carried(key, action)).cloned().collect();
            let context = always(&carried).with("kms:ViaService", ContextFact::is("ec2.us-east-1.amazonaws.com"))
                .with("aws:ViaAWSService", ContextFact::is("true"));
            let is_grant = action == "kms:CreateGrant";
            let granting = if is_grant { ContextFact::is("true") } else { ContextFact::Absent };
            let context = context.with("kms:GrantIsForAWSResource", granting);
            evaluate(&policy, &grants, &EvaluationRequest { caller: &somebody, action, resource: KEY, context: &context }).verdict
        };
        let at_attachment = {
            // The call is a forward access session, or it is not.
            let fact = |yes: &str| via.map_or(ContextFact::Unknown, |via| if via { ContextFact::is(yes) } else { ContextFact::Absent });
            let context = always(&more_known).with("kms:ViaService", fact("ec2.us-east-1.amazonaws.com"))
                .with("aws:ViaAWSService", via.map_or(ContextFact::Unknown, |via| ContextFact::is(via.to_string())))
                .with("kms:GrantIsForAWSResource", ContextFact::Absent);
            evaluate(&policy, &own, &EvaluationRequest { caller: &ec2, action: "kms:Decrypt", resource: KEY, context: &context }).verdict
        };
        let each: Vec<_> = NEEDED.iter().map(|action| through_ec2(action)).chain([at_attachment]).collect();
        match verdict {
            Verdict::Allowed => prop_assert!(each.iter().all(|one| *one == ActionVerdict::Allowed), "{each:?}"),
            Verdict::Denied => prop_assert!(each.contains(&ActionVerdict::Denied), "{each:?}"),
            Verdict::Missing => prop_assert!(each.iter().any(|one| *one >= ActionVerdict::ImplicitDeny), "{each:?}"),
            Verdict::Conditional | Verdict::Unknown => {}
        }
    }

    /// Whether it is the first target of the key, or one like it was judged before.
    #[test]
    fn a_key_is_judged_for_many_targets_as_for_each_alone(
        statements in vec(prop_oneof![2 => launch_statement(), 2 => statement_about_some(), 1 => statement(vec!["Allow", "Deny"])], 0..5),
        grants in grants(), targets in vec((of_several(), organization()), 1..8), copies in any::<bool>(),
    ) {
        let (key, policy): (KeyArn, _) = (KEY.parse().unwrap(), policy_of(&statements));
        let key_use = if copies { KeyUse::Copy } else { KeyUse::Launch };
        let together = JudgeOfKey::new(&key, &policy);
        for (target, organization) in targets {
            let target: Target = target.parse().unwrap();
            for grants in [&[], grants.as_slice()] {
                let question = KeyQuestion { key: &key, policy: &policy, grants, target: &target, organization: &organization, key_use: &key_use };
                let access = together.access(&target, &organization, &key_use, grants);
                prop_assert_eq!(access.as_ref(), &judge(&question), "{:?}", target);
            }
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,200}", statements in statements(), cut in 0_usize..400) {
        let _ = Policy::parse(&text);
        let _ = explain(&text);
        let whole = json!({"policy": {"Statement": statements}, "principal": {"account": text}, "action": text, "resource": text}).to_string();
        let _ = explain(&whole);
        let _ = explain(whole.get(..cut).unwrap_or_default());
    }
}

/// A statement that names some of [`of_several`], or tells them apart by a condition.
fn statement_about_some() -> impl Strategy<Value = Value> {
    let names =
        vec(select(vec!["*", ACCOUNT, "777788889999", "arn:aws:iam::777788889999:root", OWNER, ROLE, EC2S_ROLE]), 1..4);
    let condition = select(vec![
        json!({}),
        json!({}),
        json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}}),
        json!({"StringNotEquals": {"aws:PrincipalAccount": [ACCOUNT, OWNER]}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}),
        json!({"ArnLike": {"aws:PrincipalArn": format!("arn:aws:iam::{ACCOUNT}:*")}}),
    ]);
    let element = select(vec!["Principal", "Principal", "Principal", "NotPrincipal"]);
    let resource = select(vec!["*", "*", "arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*"]);
    (select(vec!["Allow", "Allow", "Deny"]), element, names, condition, resource).prop_map(
        |(effect, element, names, condition, resource)| {
            json!({"Effect": effect, element: {"AWS": names}, "Action": "kms:*", "Resource": resource, "Condition": condition})
        },
    )
}

fn of_several() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => select(vec![ACCOUNT, "777788889999", "888899990000", OWNER]), 1 => target()]
}

fn target() -> impl Strategy<Value = &'static str> {
    select(vec![
        ACCOUNT,
        "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
        "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111",
    ])
}

fn organization() -> impl Strategy<Value = OrganizationFacts> {
    let id = option::of(select(vec![None, Some("o-a1b2c3d4e5".to_owned())]));
    let paths = option::of(select(vec![vec![], vec!["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/".to_owned()]]));
    (id, paths).prop_map(|(id, paths)| OrganizationFacts {
        organization_id: id.map_or(Known::Unknown, Known::Is),
        paths: paths.map_or(Known::Unknown, Known::Is),
    })
}

/// The same statement with actions and condition keys in capitals.
fn shout(statement: &Value) -> Value {
    let mut shouted = statement.clone();
    for name in ["Action", "NotAction"] {
        if let Some(actions) = shouted.get_mut(name) {
            *actions = actions
                .as_array()
                .unwrap()
                .iter()
                .map(|action| json!(action.as_str().unwrap().to_uppercase()))
                .collect();
        }
    }
    for keys in shouted["Condition"].as_object_mut().unwrap().values_mut() {
        *keys = keys.as_object().unwrap().iter().map(|(key, values)| (key.to_uppercase(), values.clone())).collect();
    }
    shouted
}
