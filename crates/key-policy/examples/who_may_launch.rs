//! Asks whether a key lets another account launch from what is encrypted with it.

use key_policy::{
    KeyQuestion, KeyUse, OrganizationFacts, Policy, Verdict,
    domain::{KeyArn, Target},
    judge,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What `aws kms get-key-policy` prints under `Policy`.
    let policy = Policy::parse(
        r#"{"Version": "2012-10-17", "Statement": [{
            "Sid": "Share", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": ["kms:DescribeKey", "kms:Decrypt", "kms:ReEncrypt*"], "Resource": "*"
        }]}"#,
    )?;
    let key: KeyArn = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
    let target: Target = "111122223333".parse()?;
    let access = judge(&KeyQuestion {
        key: &key,
        policy: &policy,
        grants: &[],
        target: &target,
        organization: &OrganizationFacts::UNKNOWN,
        key_use: &KeyUse::Launch,
    });
    assert_eq!(access.verdict, Verdict::Missing);
    assert_eq!(access.missing, ["kms:CreateGrant"]);
    // Statements to add to the key policy; with them the verdict is `Allowed`.
    assert!(access.remedy.is_some());
    Ok(())
}
