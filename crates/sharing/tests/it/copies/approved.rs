//! Shares that wait for a copy after an approval.

use super::*;

#[test]
fn what_waits_for_a_copy_is_shared_only_with_the_approval_that_the_rules_want_then() {
    let group = "jwt-group:https://i#owners";
    let in_group = || by(OLGA).with_groups(vec!["owners".to_owned()]);
    let not_allowed: &[&str] = &["ApprovalNotAllowed"];
    let plain = || recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let rows: [(&[&str], CopyRecord, &[&str]); 8] = [
        (&[], plain(), &[]),
        // The rule has approvers now, and nobody approved.
        (&[OLGA], plain(), not_allowed),
        (&[OLGA], approved(&[ONE], &by(OLGA)), &[]),
        // Who approved is no approver any more, or the rule wants none any more.
        (&["jwt:https://i#ada"], approved(&[ONE], &by(OLGA)), not_allowed),
        (&[], approved(&[ONE], &by(OLGA)), &[]),
        // The groups are those of the token that approved.
        (&[group], approved(&[ONE], &in_group()), &[]),
        (&[group], approved(&[ONE], &by(OLGA)), not_allowed),
        // Whatever a record says: nobody approves what they asked for.
        (&["arn:aws:iam::999988887777:role/portal"], approved(&[ONE], &by("lambda:invoke")), not_allowed),
    ];
    for (approvers, record, refusals) in rows {
        for state in [ImageState::Pending, ImageState::Available] {
            let world = asked(approvers).made(COPY, copy(KEY, state.clone())).with(|it| it.hint = Some(record.clone()));
            let followed = follow(&world, &share(&[ONE]));
            assert_eq!(followed.refusals, refusals, "{approvers:?} {record:?}");
            let end = format!("scheduler:DeleteSchedule {}", record.name);
            let expect = match (refusals, state) {
                ([], ImageState::Pending) => vec![],
                ([], _) => vec![format!("ec2:ModifyImageAttribute {COPY} +{ONE}")],
                // A refusal ends the waiting.
                _ => vec![end],
            };
            assert_eq!(followed.steps, expect, "{approvers:?} {record:?}");
        }
    }
}

#[test]
fn a_share_that_waits_since_no_rule_wanted_an_approval_says_that_one_does_now() {
    let waits = asked(&[OLGA]).with(|it| it.hint = Some(recorded(&[ONE], "lambda:invoke", 0, in_days(1))));
    let refusal = &refused(&waits, &share(&[ONE]), &["ApprovalNotAllowed"]).outcome.refusals[0];
    assert!(refusal.message.contains("nobody has approved this share"), "{refusal:?}");
    assert!(refusal.remedy.as_ref().unwrap().contains("send the request again"), "{refusal:?}");
}

#[test]
fn an_approved_share_waits_by_a_record_that_says_by_whom() {
    let world = asked(&[OLGA]).with(|world| world.approver = Some(by(OLGA)));
    let record = approved(&[ONE], &by(OLGA));
    let create = |record: &CopyRecord| format!("scheduler:CreateSchedule {} +{ONE}", record.name);
    accepted(&world, &share(&[ONE]), &[create(&record), make()]);
    // The record of the same share without the approval does not become it.
    let unapproved = recorded(&[ONE], "lambda:invoke", 0, in_days(1));
    let pending = |world: World| world.made(COPY, copy(KEY, ImageState::Pending));
    accepted(&pending(world.clone().waiting(unapproved.clone())), &share(&[ONE]), &[create(&record)]);
    accepted(&pending(world.waiting(record.clone())), &share(&[ONE]), &[]);
    // Who asks again finds what was approved, and else waits again, for an approval.
    let asks = |record: &CopyRecord, approvers: &[&str]| pending(asked(approvers).waiting(record.clone()));
    accepted(&asks(&record, &[OLGA]), &share(&[ONE]), &[]);
    accepted(&asks(&record, &[]), &share(&[ONE]), &[]);
    accepted(&asks(&record, &["jwt:https://i#ada"]), &share(&[ONE]), &[create(&unapproved)]);
    accepted(&asks(&unapproved, &[OLGA]), &share(&[ONE]), &[create(&unapproved)]);
    accepted(&asks(&unapproved, &[]), &share(&[ONE]), &[]);
}

#[test]
fn the_record_of_an_approved_share_is_looked_for_where_a_rule_has_approvers() {
    let reads = |approvers: &[&str], approver: Option<&str>| {
        let world = asked(approvers).with(|world| world.approver = approver.map(by));
        world.put(&share(&[ONE]), |case, facts| read_plan::waiting(case, facts).remove(&id(SOURCE)).unwrap())
    };
    let this = |record: CopyRecord| WaitingReads::This(record.name);
    assert_eq!(reads(&[], None), this(recorded(&[ONE], "lambda:invoke", 0, NOW)));
    assert_eq!(reads(&[OLGA], None), WaitingReads::All(format!("copy-{SOURCE}-")));
    assert_eq!(reads(&[OLGA], Some(OLGA)), this(approved(&[ONE], &by(OLGA))));
}
