//! Owns the principals that a statement or a grant names, and whether they match the caller.

use std::collections::BTreeMap;

use super::{
    caller::{INFRASTRUCTURE_ROLE, Identity, Whom},
    remark::clip,
    truth::Truth,
};
use crate::{
    domain::{AccountId, Arn},
    json::Json,
};

/// The `Principal` or `NotPrincipal` of a statement: several kinds and names are alternatives.
#[derive(Debug, Clone, Default)]
pub(super) struct Principals {
    /// In the order of the policy.
    named: Vec<Named>,
    /// The places of those that name an account.
    of_account: BTreeMap<AccountId, Vec<usize>>,
    /// The places of those that name none.
    of_none: Vec<usize>,
}

/// One principal as a policy or a grant names it.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Everyone,
    /// The account and the identities it delegates to. Without a partition where the policy gives only twelve digits.
    Account {
        partition: Option<String>,
        account: AccountId,
    },
    /// A user or a federated user. The whole ARN is compared, case-sensitive.
    User {
        account: AccountId,
        arn: String,
    },
    /// A role and its sessions. The ARN of a session does not have the role's path.
    Role {
        account: AccountId,
        arn: String,
    },
    /// One session of a role.
    Session {
        account: AccountId,
        arn: String,
    },
    Service(String),
    /// Matches no caller: a group, the ID of a deleted principal, or a name with a wildcard.
    Nobody,
    /// A name whose form AWS does not document, so it is not known to match anybody.
    Unrecognised,
}

impl Principals {
    /// Reads the element. Remarks say which names match nobody; `Err` says what cannot be read.
    pub(super) fn parse(element: &Json, remarks: &mut Vec<String>) -> Result<Self, String> {
        if element.as_str() == Some("*") {
            return Ok(Self::new(vec![Named::Everyone]));
        }
        let Json::Object(kinds) = element else {
            return Err("the principal is neither \"*\" nor an object".to_owned());
        };
        let mut named = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for (kind, names) in kinds {
            if seen.contains(&kind.as_str()) {
                return Err(format!("`{kind}` appears twice in the principal"));
            }
            // Only known kinds are kept, so the list stays short for any document.
            let read: fn(&str, &mut Vec<String>) -> Named = match kind.as_str() {
                "AWS" => Named::from_policy,
                "Service" => |name, _| Named::Service(name.to_owned()),
                "Federated" | "CanonicalUser" => |_, _| Named::Nobody,
                _ => return Err(format!("`{}` is not a type of principal", clip(kind))),
            };
            seen.push(kind);
            for name in names.items() {
                let name = name.as_str().ok_or_else(|| format!("a principal under `{kind}` is not a string"))?;
                named.push(read(name, remarks));
            }
        }
        Ok(Self::new(named))
    }

    fn new(named: Vec<Named>) -> Self {
        let mut principals = Self::default();
        for (place, named) in named.iter().enumerate() {
            match named.account() {
                Some(account) => principals.of_account.entry(account).or_default().push(place),
                None => principals.of_none.push(place),
            }
        }
        Self { named, ..principals }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether one of the names has no documented form.
    pub(super) fn has_unrecognised(&self) -> bool {
        self.named.contains(&Named::Unrecognised)
    }

    /// Whether any of them matches the caller.
    pub(super) fn cover(&self, caller: Whom<'_>) -> Cover {
        let mut so_far = Cover::No;
        for named in self.that_may_cover(caller) {
            match named.covers(caller) {
                Cover::Yes => return Cover::Yes,
                Cover::DependsOn(key) if so_far == Cover::No => so_far = Cover::DependsOn(key),
                Cover::No | Cover::DependsOn(_) => {}
            }
        }
        so_far
    }

    /// Those that may match the caller. A policy may name hundreds of accounts, and is asked about hundreds: of an account as
    /// a whole and of EC2's role in it, only those that name it or no account are looked at.
    fn that_may_cover(&self, caller: Whom<'_>) -> impl Iterator<Item = &Named> {
        let only =
            caller.account.filter(|_| matches!(caller.identity, Identity::Whole | Identity::Infrastructure { .. }));
        let all: &[Named] = if only.is_some() { &[] } else { &self.named };
        let places =
            only.into_iter().flat_map(|account| self.of_account.get(&account).into_iter().chain([&self.of_none]));
        all.iter().chain(places.flatten().filter_map(|place| self.named.get(*place)))
    }

    /// Whether a `Deny` with these as `NotPrincipal` certainly exempts a caller that they match.
    ///
    /// The account's own ARN exempts only its root user: AWS's example lists Bob and his account, and denies everybody but
    /// Bob. An identity that is listed without its account may be denied, and a session also needs its role in the list.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>
    pub(super) fn surely_exempt(&self, caller: Whom<'_>) -> bool {
        let lists = |is_kind: fn(&Named) -> bool| {
            self.named.iter().any(|named| is_kind(named) && named.covers(caller) == Cover::Yes)
        };
        let lists_account = || lists(|named| matches!(named, Named::Account { .. }));
        let lists_role = || lists(|named| matches!(named, Named::Role { .. }));
        let lists_itself = match caller.identity {
            Identity::Service(_) => return true,
            // The sessions of EC2's role are named after instances, which nobody can list beforehand.
            Identity::Whole | Identity::Member { .. } | Identity::Infrastructure { .. } => false,
            Identity::Root => true,
            Identity::User(_) => lists(|named| matches!(named, Named::User { .. })),
            Identity::Role(_) => lists_role(),
            Identity::Session { .. } => lists_role() && lists(|named| matches!(named, Named::Session { .. })),
        };
        self.named.contains(&Named::Everyone) || (lists_itself && lists_account())
    }
}

/// Whether principals cover the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cover {
    Yes,
    No,
    /// It depends on this condition key.
    DependsOn(&'static str),
}

impl Cover {
    pub(super) fn truth(self) -> Truth {
        match self {
            Self::Yes => Truth::True,
            Self::No => Truth::False,
            Self::DependsOn(_) => Truth::Unknown,
        }
    }
}

impl Named {
    /// The account that it names.
    fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account { account, .. }
            | Self::User { account, .. }
            | Self::Role { account, .. }
            | Self::Session { account, .. } => Some(*account),
            Self::Everyone | Self::Service(_) | Self::Nobody | Self::Unrecognised => None,
        }
    }

    /// Reads a name under `AWS` in a key policy.
    pub(super) fn from_policy(text: &str, remarks: &mut Vec<String>) -> Self {
        if text == "*" {
            return Self::Everyone;
        }
        if let Some(account) = AccountId::parse(text) {
            return Self::Account { partition: None, account };
        }
        let named = Self::from_arn(text);
        let (named, why) = match named {
            Self::Nobody | Self::Unrecognised if is_unique_id(text) => {
                (Self::Nobody, "is the ID of a deleted principal")
            }
            Self::Nobody | Self::Unrecognised if text.contains(['*', '?']) => {
                (Self::Nobody, "has a wildcard, which cannot match part of a principal")
            }
            Self::Nobody => (Self::Nobody, "is not a principal"),
            Self::Unrecognised => (Self::Unrecognised, "does not have the form of a principal"),
            known @ (Self::Everyone
            | Self::Account { .. }
            | Self::User { .. }
            | Self::Role { .. }
            | Self::Session { .. }
            | Self::Service(_)) => return known,
        };
        remarks.push(format!("`{}` {why}, so it matches nobody", clip(text)));
        named
    }

    /// Reads the grantee of a grant: an ARN, or what `ListGrants` shows instead of one.
    ///
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html>
    pub(super) fn from_grant(text: &str) -> Self {
        let is_service = !text.contains(':') && text.contains(".amazonaws.com");
        if is_service { Self::Service(text.to_owned()) } else { Self::from_arn(text) }
    }

    fn from_arn(text: &str) -> Self {
        let Some(arn) = Arn::split(text) else { return Self::Unrecognised };
        let Some(account) = AccountId::parse(arn.account) else { return Self::Unrecognised };
        if text.contains(['*', '?']) || !arn.region.is_empty() {
            return Self::Nobody;
        }
        let text = text.to_owned();
        let is = |prefix: &str| arn.resource.strip_prefix(prefix).is_some_and(|name| !name.is_empty());
        match arn.service {
            "iam" if arn.resource == "root" => Self::Account { partition: Some(arn.partition.to_owned()), account },
            "iam" if is("user/") => Self::User { account, arn: text },
            "iam" if is("role/") => Self::Role { account, arn: text },
            "sts" if is("federated-user/") => Self::User { account, arn: text },
            "sts" if is("assumed-role/") => Self::Session { account, arn: text },
            "iam" if is("group/") => Self::Nobody,
            _ => Self::Unrecognised,
        }
    }

    /// Whether the name covers the caller.
    pub(super) fn covers(&self, caller: Whom<'_>) -> Cover {
        match self {
            Self::Everyone => Cover::Yes,
            Self::Nobody | Self::Unrecognised => Cover::No,
            Self::Service(name) => yes_or_no(matches!(caller.identity, Identity::Service(asks) if asks == name)),
            Self::Account { partition, account } => {
                let covers = same_account(*account, caller);
                let is_elsewhere =
                    || partition.as_deref().zip(caller.partition).is_some_and(|(named, own)| named != own);
                if covers != Cover::No && is_elsewhere() { Cover::No } else { covers }
            }
            Self::User { account, arn } => match caller.identity {
                Identity::Whole | Identity::Member { .. } => member(*account, caller),
                Identity::User(own) => yes_or_no(own == arn),
                Identity::Role(_)
                | Identity::Session { .. }
                | Identity::Root
                | Identity::Infrastructure { .. }
                | Identity::Service(_) => Cover::No,
            },
            Self::Session { account, arn } => match caller.identity {
                Identity::Whole | Identity::Member { .. } => member(*account, caller),
                Identity::Session { arn: own, .. } => yes_or_no(own == arn),
                // Its sessions are named after the instances.
                Identity::Infrastructure { .. } => match infrastructure_role(arn, "assumed-role/") {
                    Some(_) => member(*account, caller),
                    None => Cover::No,
                },
                Identity::Role(_) | Identity::User(_) | Identity::Root | Identity::Service(_) => Cover::No,
            },
            Self::Role { account, arn } => match caller.identity {
                Identity::Whole | Identity::Member { .. } => member(*account, caller),
                Identity::Role(own) | Identity::Session { role_arn: Some(own), .. } => yes_or_no(own == arn),
                Identity::Session { role_arn: None, role, .. } => {
                    let partition = Arn::split(arn).map(|arn| arn.partition.to_owned());
                    let same_place = caller.account == Some(*account) && caller.partition == partition.as_deref();
                    yes_or_no(same_place && arn.rsplit('/').next() == Some(role.as_str()))
                }
                Identity::Infrastructure { .. } => match infrastructure_role(arn, "role/") {
                    Some("") if caller.account == Some(*account) => Cover::Yes,
                    Some(_) => member(*account, caller),
                    None => Cover::No,
                },
                Identity::User(_) | Identity::Root | Identity::Service(_) => Cover::No,
            },
        }
    }
}

/// The rest of an ARN after the name of EC2's infrastructure role; `None` where the ARN names something else.
fn infrastructure_role<'a>(arn: &'a str, kind: &str) -> Option<&'a str> {
    let rest = Arn::split(arn)?.resource.strip_prefix(kind)?.strip_prefix(INFRASTRUCTURE_ROLE)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Whether an account principal matches a caller whose account may not be known.
fn same_account(account: AccountId, caller: Whom<'_>) -> Cover {
    match caller.identity {
        Identity::Member { other_than } | Identity::Infrastructure { other_than } if *other_than == Some(account) => {
            Cover::No
        }
        Identity::Service(_) => Cover::No,
        Identity::Member { .. }
        | Identity::Infrastructure { .. }
        | Identity::Whole
        | Identity::Root
        | Identity::User(_)
        | Identity::Role(_)
        | Identity::Session { .. } => {
            caller.account.map_or(Cover::DependsOn("aws:PrincipalAccount"), |own| yes_or_no(own == account))
        }
    }
}

/// Whether an identity of an account matches the account as a whole, or any member of an organization.
fn member(account: AccountId, caller: Whom<'_>) -> Cover {
    match (caller.account, caller.identity) {
        (Some(own), _) if own != account => Cover::No,
        (_, Identity::Member { other_than } | Identity::Infrastructure { other_than })
            if *other_than == Some(account) =>
        {
            Cover::No
        }
        (Some(_) | None, _) => Cover::DependsOn("aws:PrincipalArn"),
    }
}

fn yes_or_no(yes: bool) -> Cover {
    if yes { Cover::Yes } else { Cover::No }
}

/// The IDs that IAM puts in place of a principal that was deleted.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
fn is_unique_id(text: &str) -> bool {
    const PREFIXES: [&str; 4] = ["AIDA", "AROA", "AGPA", "APKA"];
    text.len() >= 16
        && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
