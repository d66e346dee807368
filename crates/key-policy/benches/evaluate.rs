//! Measures the evaluator: evaluations a second on one core, and the cost of each statement, up to the 32 KB that KMS
//! accepts for a key policy.

use std::{
    hint::black_box,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use key_policy::{
    Caller, ContextFact, EvaluationRequest, KeyQuestion, KeyUse, OrganizationFacts, Policy, RequestContext,
    domain::{KeyArn, Target},
    evaluate, judge,
};
use serde_json::json;

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const LONGEST: usize = 32 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let caller = Caller::account_as_a_whole("444455556666".parse()?).in_partition("aws");
    let context = RequestContext::open()
        .with("kms:ViaService", ContextFact::is("ec2.us-east-1.amazonaws.com"))
        .with("kms:GrantIsForAWSResource", ContextFact::is("true"));
    let request = EvaluationRequest { caller: &caller, action: "kms:CreateGrant", resource: KEY, context: &context };

    let two = Policy::parse(&shared(1))?;
    let per_second = rate(|| {
        black_box(evaluate(black_box(&two), &[], black_box(&request)).verdict);
    });
    writeln!(out, "two statements: {per_second:.0} evaluations/s")?;

    let (key, target): (KeyArn, Target) = (KEY.parse()?, "444455556666".parse()?);
    let question = KeyQuestion {
        key: &key,
        policy: &two,
        grants: &[],
        target: &target,
        organization: &OrganizationFacts::UNKNOWN,
        key_use: &KeyUse::Launch,
    };
    let per_second = rate(|| {
        black_box(judge(black_box(&question)).verdict);
    });
    writeln!(out, "two statements: {per_second:.0} judgements/s (six actions each)")?;

    // Linear: the time for each statement does not grow with their number.
    let mut pairs = 1;
    while shared(pairs).len() <= LONGEST {
        let text = shared(pairs);
        let policy = Policy::parse(&text)?;
        let statements = f64::from(pairs) * 2.0;
        let evaluating = 1e9
            / rate(|| {
                black_box(evaluate(black_box(&policy), &[], black_box(&request)).verdict);
            });
        let parsing = 1e9
            / rate(|| {
                let _ = black_box(Policy::parse(black_box(&text)));
            });
        writeln!(
            out,
            "{statements:>4} statements, {:>5} bytes: {:>5.0} ns a statement to evaluate, {:>6.0} ns to parse",
            text.len(),
            evaluating / statements,
            parsing / statements
        )?;
        pairs = pairs.saturating_mul(2);
    }
    Ok(())
}

/// The statements that AWS documents for sharing an encrypted snapshot, for `pairs` accounts. The account that asks
/// comes last.
fn shared(pairs: u32) -> String {
    let statements: Vec<_> = (0..pairs)
        .rev()
        .flat_map(|number| {
            let account = 444_455_556_666_u64.saturating_sub(u64::from(number));
            let principal = json!({"AWS": format!("arn:aws:iam::{account}:root")});
            [
                json!({
                    "Effect": "Allow", "Principal": principal, "Resource": "*",
                    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                }),
                json!({
                    "Effect": "Allow", "Principal": principal, "Resource": "*", "Action": "kms:CreateGrant",
                    "Condition": {"Bool": {"kms:GrantIsForAWSResource": true}},
                }),
            ]
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Calls a second, over half a second after a warm-up.
fn rate(mut call: impl FnMut()) -> f64 {
    let mut run = |time: Duration| {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < time {
            for _ in 0..64 {
                call();
            }
            calls = calls.saturating_add(64);
        }
        f64::from(calls) / start.elapsed().as_secs_f64()
    };
    run(Duration::from_millis(100));
    run(Duration::from_millis(500))
}
