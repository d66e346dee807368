//! Owns key policies and the questions about them, made of parts.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    fields::{Damage, Few, Field, Needed, Odd, Optional, Several, put},
    texts,
};

texts! {
    Version: ["2012-10-17", "2008-10-17"];
    Effect: ["Allow", "Deny"];
    ElementOfPrincipal: ["Principal", "NotPrincipal"];
    Kind: ["AWS", "Service", "Federated", "CanonicalUser"];
    Principal: [
        "*",
        "444455556666",
        "arn:aws:iam::444455556666:root",
        "arn:aws:iam::444455556666:role/App",
        "arn:aws:iam::444455556666:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        "arn:aws:iam::444455556666:user/Bob",
        "arn:aws:sts::444455556666:assumed-role/App/deploy",
        "arn:aws:iam::444455556666:role/aws:ec2-infrastructure",
        "111122223333",
        "arn:aws:iam::777788889999:root",
        "AROAEXAMPLEEXAMPLE123",
        "ec2.amazonaws.com",
        "arn:aws:iam::444455556666:*",
    ];
    ElementOfAction: ["Action", "NotAction"];
    Action: [
        "kms:*", "kms:Decrypt", "kms:CreateGrant", "kms:DescribeKey", "kms:ReEncrypt*", "kms:GenerateDataKey*", "*", "kms:re?ncryptfrom", "kms:ScheduleKeyDeletion",
    ];
    ElementOfResource: ["Resource", "NotResource"];
    Resource: [
        "*",
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*",
        "arn:aws:kms:*:111122223333:key/*",
    ];
    Operator: [
        "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "Bool", "Null", "ArnLike", "ArnNotEquals",
        "NumericLessThan", "NumericEquals", "DateGreaterThan", "DateEquals", "IpAddress", "NotIpAddress", "BinaryEquals",
        "StringEqualsIfExists", "BoolIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringLike", "ForAnyValue:StringNotLikeIfExists",
    ];
    ConditionKey: [
        "kms:ViaService", "kms:GrantIsForAWSResource", "kms:CallerAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalArn",
        "aws:PrincipalAccount", "kms:EncryptionContext:aws:ebs:id", "kms:GrantOperations", "kms:EncryptionContextKeys", "aws:SourceArn",
        "aws:PrincipalTag/team", "aws:MultiFactorAuthAge", "aws:CurrentTime", "aws:SourceIp", "aws:SecureTransport", "aws:ResourceAccount",
        "aws:PrincipalIsAWSService", "aws:ViaAWSService", "aws:RequestedRegion", "kms:GranteePrincipal", "custom:blob",
    ];
    ConditionValue: [
        "ec2.us-east-1.amazonaws.com", "ec2.*.amazonaws.com", "444455556666", "true", "false", "o-a1b2c3d4e5", "o-a1b2c3d4e5/r-ab12/*",
        "arn:aws:iam::444455556666:*", "${aws:PrincipalAccount}", "${aws:PrincipalTag/team, 'blue'}", "60", "59.5", "2026-01-01T00:00:00Z", "1767225600",
        "203.0.113.0/24", "2001:db8::/32", "vol-1", "Decrypt", "aws:ebs:id", "us-east-1", "YmxvYg==", "*", "${*}",
    ];
    Sid: ["one", "two"];
    GrantOperation: ["Decrypt", "CreateGrant", "DescribeKey", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKeyWithoutPlaintext", "Encrypt"];
    KeyId: ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ab"];
    AskedAction: ["kms:Decrypt", "kms:CreateGrant", "kms:DescribeKey", "kms:ReEncryptFrom", "kms:GenerateDataKeyWithoutPlaintext"];
    Asking: [
        "arn:aws:iam::444455556666:role/App",
        "arn:aws:iam::444455556666:user/Bob",
        "arn:aws:iam::444455556666:root",
        "arn:aws:sts::444455556666:assumed-role/App/deploy",
        "arn:aws:sts::444455556666:assumed-role/aws:ec2-infrastructure/i-0abc",
    ];
    Account: ["444455556666", "111122223333", "unknown"];
    OrganizationId: ["o-a1b2c3d4e5", "unknown"];
    OrganizationPath: ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", "o-a1b2c3d4e5/r-ab12/"];
}

/// A key policy.
#[derive(Debug, Clone, Arbitrary)]
pub struct Policy {
    version: Needed<Version>,
    statements: Needed<Few<Statement>>,
    is_text: bool,
}

#[derive(Debug, Clone, Arbitrary)]
struct Statement {
    sid: Optional<Sid>,
    effect: Needed<Effect>,
    principal: (ElementOfPrincipal, Needed<Principals>),
    action: (ElementOfAction, Needed<OneOrMore<Action>>),
    resource: (ElementOfResource, Needed<OneOrMore<Resource>>),
    conditions: Optional<Several<Condition>>,
    more: Optional<Odd>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Principals {
    Kinds(Several<(Kind, OneOrMore<Principal>)>),
    One(Principal),
}

#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(untagged)]
enum OneOrMore<T: Clone> {
    One(T),
    More(Several<T>),
}

#[derive(Debug, Clone, Arbitrary)]
struct Condition {
    operator: Operator,
    key: ConditionKey,
    values: Needed<OneOrMore<ConditionValue>>,
}

/// A grant, as ListGrants writes it.
#[derive(Debug, Clone, Arbitrary, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Grant {
    #[serde(skip_serializing_if = "Field::is_absent")]
    key_id: Optional<KeyId>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    grantee_principal: Needed<Principal>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    issuing_account: Optional<Principal>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    operations: Needed<Several<GrantOperation>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    constraints: Optional<Constraints>,
}

#[derive(Debug, Clone, Arbitrary)]
struct Constraints {
    is_exact: bool,
    pairs: Few<(ConditionValue, ConditionValue)>,
    source: Option<ConditionValue>,
}

impl Serialize for Constraints {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs: Map<_, _> = self.pairs.0.iter().map(|(name, value)| (name.0.clone(), json!(value))).collect();
        let name = if self.is_exact { "EncryptionContextEquals" } else { "EncryptionContextSubset" };
        json!({name: pairs, "SourceArn": self.source}).serialize(serializer)
    }
}

/// A question about a policy, and whether its text arrives whole.
#[derive(Debug, Clone, Arbitrary)]
pub struct Question {
    pub policy: Policy,
    pub grants: Few<Grant>,
    account: Needed<Account>,
    asking: Optional<Asking>,
    organization: Optional<OrganizationId>,
    paths: Optional<Several<OrganizationPath>>,
    action: Needed<AskedAction>,
    key: Needed<KeyId>,
    context: Few<(ConditionKey, Needed<OneOrMore<ConditionValue>>)>,
    damage: Damage,
    pub target: Whose,
    pub key_use: Use,
}

/// Whose use of the key is judged.
#[derive(Debug, Clone, Arbitrary)]
pub enum Whose {
    Account,
    Organization,
    Unit,
}

/// Which use of the key is judged.
#[derive(Debug, Clone, Arbitrary)]
pub enum Use {
    Launch,
    Copy,
    Role,
}

impl Policy {
    /// Its document.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        put(&mut document, "Version", &self.version);
        match &self.statements {
            Field::Absent => {}
            Field::Is(statements) => {
                drop(document.insert("Statement".to_owned(), statements.0.iter().map(Statement::value).collect()));
            }
            Field::Odd(odd) => drop(document.insert("Statement".to_owned(), json!(odd))),
        }
        document.into()
    }
}

impl Statement {
    fn value(&self) -> Value {
        let mut statement = Map::new();
        put(&mut statement, "Sid", &self.sid);
        put(&mut statement, "Effect", &self.effect);
        let (name, principal) = &self.principal;
        match principal {
            Field::Absent => {}
            Field::Is(Principals::One(one)) => drop(statement.insert(name.0.clone(), json!(one))),
            Field::Is(Principals::Kinds(kinds)) => {
                let kinds: Map<_, _> = kinds.0.iter().map(|(kind, names)| (kind.0.clone(), json!(names))).collect();
                statement.insert(name.0.clone(), kinds.into());
            }
            Field::Odd(odd) => drop(statement.insert(name.0.clone(), json!(odd))),
        }
        put(&mut statement, &self.action.0.0, &self.action.1);
        put(&mut statement, &self.resource.0.0, &self.resource.1);
        match &self.conditions {
            Field::Absent => {}
            Field::Is(conditions) => {
                let mut operators: Map<String, Value> = Map::new();
                for condition in &conditions.0 {
                    let keys = operators.entry(condition.operator.0.clone()).or_insert_with(|| json!({}));
                    keys[condition.key.0.as_str()] = json!(condition.values);
                }
                statement.insert("Condition".to_owned(), operators.into());
            }
            Field::Odd(odd) => drop(statement.insert("Condition".to_owned(), json!(odd))),
        }
        put(&mut statement, "Extra", &self.more);
        statement.into()
    }
}

impl Question {
    /// The question as JSON, about this policy, with this mode of context.
    pub fn value(&self, policy: &Value, mode: &str) -> Value {
        let context: Map<_, _> = self.context.0.iter().map(|(key, values)| (key.0.clone(), json!(values))).collect();
        let policy = if self.policy.is_text { json!(policy.to_string()) } else { policy.clone() };
        json!({
            "policy": policy,
            "principal": {"account": self.account, "arn": self.asking, "org_id": self.organization, "org_paths": self.paths},
            "action": self.action,
            "resource": self.key,
            "context": context,
            "context_mode": mode,
            "grants": self.grants,
        })
    }

    /// Its text, as it arrives.
    pub fn text(&self) -> String {
        self.damage.done_to(self.value(&self.policy.document(), "open").to_string())
    }
}
