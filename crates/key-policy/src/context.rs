//! Owns what is known about a request: [`RequestContext`], and which condition keys a request can carry.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    pattern::{Token, compare_form, tokens},
    truth::Truth,
};

/// What is known of one condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextFact {
    /// The request certainly does not carry the key.
    Absent,
    /// The request certainly carries the key, with these values (none: an empty set).
    Present(Vec<ContextValue>),
    /// Nothing is known, not even whether the key is there.
    Unknown,
}

/// One value of a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextValue {
    /// Known exactly.
    Exactly(String),
    /// Not known, but it has one of these forms.
    OneOf(Vec<Form>),
    /// Any number of further values that each have one of these forms.
    Perhaps(Vec<Form>),
    /// It has the usual form, but a page of AWS also gives the other. Whether a pattern for only the other form matches
    /// is not known.
    TwoForms {
        /// How AWS's logs and policies write it.
        usual: Form,
        /// How the other page writes it.
        other: Form,
    },
}

impl ContextValue {
    /// Whether the request certainly carries such a value.
    pub(super) fn is_sure_to_be(&self) -> bool {
        !matches!(self, Self::Perhaps(_))
    }
}

/// A form that a value is known to have, such as `vol-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form(pub(super) Vec<Token>);

impl Form {
    /// Reads `*` and `?` as in a policy.
    pub fn new(text: &str) -> Self {
        Self(tokens(text))
    }

    /// Whether a value of this form is equal to the text.
    pub(super) fn may_be(&self, text: &str) -> Truth {
        let literal: Vec<_> = text.chars().map(Token::Char).collect();
        compare_form(&literal, &self.0)
    }
}

impl ContextFact {
    /// One value that is known exactly.
    pub fn is(value: impl Into<String>) -> Self {
        Self::Present(vec![ContextValue::Exactly(value.into())])
    }

    /// One value of which only the possible forms are known.
    pub fn like<'a>(forms: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Present(vec![ContextValue::OneOf(forms.into_iter().map(Form::new).collect())])
    }
}

/// What is known of a request, besides who makes it.
///
/// The keys that follow from the caller (`aws:PrincipalAccount`, `aws:PrincipalArn`,
/// `aws:PrincipalOrgID`, `aws:PrincipalOrgPaths`, `kms:CallerAccount`) belong to
/// [`Caller`](super::Caller) and are ignored here.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    facts: BTreeMap<String, ContextFact>,
    others_unknown: bool,
    encryption_context_complete: bool,
}

impl RequestContext {
    /// Every key that is not stated is absent.
    pub fn closed() -> Self {
        Self { encryption_context_complete: true, ..Self::default() }
    }

    /// Every key that is not stated is unknown, unless a request of the action never carries it.
    pub fn open() -> Self {
        Self { others_unknown: true, ..Self::default() }
    }

    /// States what is known of a key. Names are case-insensitive.
    #[must_use]
    pub fn with(mut self, key: &str, fact: ContextFact) -> Self {
        self.facts.insert(key.to_ascii_lowercase(), fact);
        self
    }

    /// States that the request's encryption context has no other pairs than those stated.
    #[must_use]
    pub fn with_encryption_context_complete(mut self) -> Self {
        self.encryption_context_complete = true;
        self
    }

    /// Removes the keys that a request of this action never carries: one context may describe the several calls of a
    /// use, and `kms:GrantIsForAWSResource` belongs to only one of them.
    #[must_use]
    pub fn for_action(&self, action: &str) -> Self {
        let action = action.to_ascii_lowercase();
        let mut own = self.clone();
        own.facts.retain(|key, _| !never_carried(key, &action));
        own
    }

    /// What is known of a key for a request of this action; both in lower case.
    pub(super) fn fact(&self, key: &str, action: &str) -> &ContextFact {
        if let Some(fact) = self.facts.get(key) {
            return fact;
        }
        let complete = self.encryption_context_complete && key.starts_with(ENCRYPTION_CONTEXT);
        if self.others_unknown && !complete && !never_carried(key, action) {
            &ContextFact::Unknown
        } else {
            &ContextFact::Absent
        }
    }

    /// Whether the encryption context has a pair other than those wanted (in lower case); `None` = not known.
    pub(super) fn has_other_encryption_pairs(&self, wanted: impl Fn(&str) -> bool) -> Option<bool> {
        let pairs = self.facts.iter().filter_map(|(key, fact)| Some((key.strip_prefix(ENCRYPTION_CONTEXT)?, fact)));
        let mut maybe = !self.encryption_context_complete;
        for (_, fact) in pairs.filter(|(pair, _)| !wanted(pair)) {
            match fact {
                ContextFact::Present(_) => return Some(true),
                ContextFact::Unknown => maybe = true,
                ContextFact::Absent => {}
            }
        }
        (!maybe).then_some(false)
    }
}

/// The condition keys that an answer depends on, collected during evaluation.
pub(super) type UnknownKeys<'a> = Vec<Cow<'a, str>>;

/// The prefix of the keys that carry one pair of the encryption context each.
const ENCRYPTION_CONTEXT: &str = "kms:encryptioncontext:";

/// A condition key as a policy names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConditionKey {
    /// In AWS's spelling if the key is known here, otherwise as the policy writes it.
    pub name: String,
    /// In lower case: names are compared without case.
    pub folded: String,
    pub source: KeySource,
}

/// Where a key's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySource {
    CallerAccount,
    CallerArn,
    CallerOrganization,
    CallerPaths,
    Request,
}

impl ConditionKey {
    pub(super) fn new(name: &str) -> Self {
        let folded = name.to_ascii_lowercase();
        let spelling = KNOWN_KEYS.iter().find(|known| known.eq_ignore_ascii_case(name)).copied().unwrap_or(name);
        let source = match folded.as_str() {
            "aws:principalaccount" | "kms:calleraccount" => KeySource::CallerAccount,
            "aws:principalarn" => KeySource::CallerArn,
            "aws:principalorgid" => KeySource::CallerOrganization,
            "aws:principalorgpaths" => KeySource::CallerPaths,
            _ => KeySource::Request,
        };
        Self { name: spelling.to_owned(), folded, source }
    }

    /// Whether the key has a set of values, for which IAM requires `ForAllValues` or `ForAnyValue`.
    ///
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    pub(super) fn is_multivalued(&self) -> bool {
        matches!(
            self.folded.as_str(),
            "kms:grantoperations"
                | "kms:encryptioncontextkeys"
                | "kms:resourcealiases"
                | "aws:principalorgpaths"
                | "aws:sourceorgpaths"
                | "aws:resourceorgpaths"
                | "aws:vpceorgpaths"
                | "aws:calledvia"
                | "aws:tagkeys"
                | "aws:principalservicenameslist"
        )
    }
}

/// Whether a request of this action certainly lacks the key; both in lower case. Any request may have a key that
/// is not listed here.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html>,
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>
pub(super) fn never_carried(key: &str, action: &str) -> bool {
    let carriers: &[&str] = match key {
        "kms:grantoperations"
        | "kms:granteeprincipal"
        | "kms:granteeserviceprincipal"
        | "kms:retiringprincipal"
        | "kms:retiringserviceprincipal"
        | "kms:grantconstraintsourcearn" => &["kms:creategrant"],
        "kms:grantconstrainttype" => &["kms:creategrant", "kms:retiregrant"],
        "kms:grantisforawsresource" => &["kms:creategrant", "kms:listgrants", "kms:revokegrant"],
        "kms:encryptioncontextkeys" => return !carries_encryption_context(action),
        "kms:encryptionalgorithm" => return !SYMMETRIC_OPERATIONS.contains(&action),
        "kms:requestalias" => {
            return !SYMMETRIC_OPERATIONS.contains(&action) && !REQUEST_ALIAS_CARRIERS.contains(&action);
        }
        "aws:tagkeys" => &["kms:createkey", "kms:replicatekey", "kms:tagresource", "kms:untagresource"],
        "kms:reencryptonsamekey" => &["kms:reencryptfrom", "kms:reencryptto"],
        "kms:signingalgorithm" | "kms:messagetype" => &["kms:sign", "kms:verify"],
        "kms:macalgorithm" => &["kms:generatemac", "kms:verifymac"],
        "kms:keyagreementalgorithm" => &["kms:derivesharedsecret"],
        "kms:datakeypairspec" => &["kms:generatedatakeypair", "kms:generatedatakeypairwithoutplaintext"],
        "kms:schedulekeydeletionpendingwindowindays" => &["kms:schedulekeydeletion"],
        "kms:rotationperiodindays" => &["kms:enablekeyrotation"],
        "kms:primaryregion" => &["kms:updateprimaryregion"],
        "kms:bypasspolicylockoutsafetycheck" => &["kms:createkey", "kms:putkeypolicy"],
        "kms:trailingdayswithoutkeyusage" => &["kms:disablekey", "kms:schedulekeydeletion"],
        "kms:replicaregion" => &["kms:replicatekey"],
        "kms:wrappingalgorithm" | "kms:wrappingkeyspec" => &["kms:getparametersforimport"],
        "kms:expirationmodel" | "kms:validto" => &["kms:importkeymaterial"],
        _ if key.starts_with(ENCRYPTION_CONTEXT) => return !carries_encryption_context(action),
        _ if key.starts_with("kms:recipientattestation:") => &[
            "kms:decrypt",
            "kms:derivesharedsecret",
            "kms:generatedatakey",
            "kms:generatedatakeypair",
            "kms:generaterandom",
        ],
        _ if key.starts_with("aws:requesttag/") => &["kms:createkey", "kms:replicatekey", "kms:tagresource"],
        _ => return false,
    };
    !carriers.contains(&action)
}

/// In CreateGrant, the encryption context is a constraint.
fn carries_encryption_context(action: &str) -> bool {
    SYMMETRIC_OPERATIONS.contains(&action) || matches!(action, "kms:creategrant" | "kms:retiregrant")
}

/// The operations, other than [`SYMMETRIC_OPERATIONS`], that can name a key by an alias.
const REQUEST_ALIAS_CARRIERS: &[&str] = &[
    "kms:decapsulate",
    "kms:derivesharedsecret",
    "kms:describekey",
    "kms:encapsulate",
    "kms:generatemac",
    "kms:getpublickey",
    "kms:sign",
    "kms:verify",
    "kms:verifymac",
];

const SYMMETRIC_OPERATIONS: &[&str] = &[
    "kms:decrypt",
    "kms:encrypt",
    "kms:generatedatakey",
    "kms:generatedatakeypair",
    "kms:generatedatakeypairwithoutplaintext",
    "kms:generatedatakeywithoutplaintext",
    "kms:reencryptfrom",
    "kms:reencryptto",
];

/// Spellings for messages: a policy may write `KMS:viaservice`.
const KNOWN_KEYS: &[&str] = &[
    "aws:CalledVia",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:userid",
    "aws:username",
    "kms:CallerAccount",
    "kms:EncryptionAlgorithm",
    "kms:EncryptionContext:aws:ebs:id",
    "kms:EncryptionContextKeys",
    "kms:GrantConstraintSourceArn",
    "kms:GrantConstraintType",
    "kms:GrantIsForAWSResource",
    "kms:GrantOperations",
    "kms:GranteePrincipal",
    "kms:GranteeServicePrincipal",
    "kms:KeyOrigin",
    "kms:KeySpec",
    "kms:KeyUsage",
    "kms:MultiRegion",
    "kms:MultiRegionKeyType",
    "kms:ReEncryptOnSameKey",
    "kms:RequestAlias",
    "kms:ResourceAliases",
    "kms:RetiringPrincipal",
    "kms:RetiringServicePrincipal",
    "kms:ViaService",
];
