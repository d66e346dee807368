//! Owns the identity of an HTTP caller: the IAM identity, or the token with its groups that API Gateway has verified, as
//! rules name it, or why no rule can name it.

use key_policy::json::Json;
use sharing::domain::{AccountId, Arn, MAX_GROUPS, Partition, Requester, code_point, quoted, unnamable_group};

/// OpenID Connect Core 1.0 §2: a `sub` "MUST NOT exceed 255 ASCII characters in length".
const MAX_SUBJECT: usize = 255;
/// Longer than any issuer in use, and short enough for a log line.
const MAX_ISSUER: usize = 512;

/// Where neither an IAM identity nor a token was verified.
pub(super) const NO_IDENTITY: &str = "there is neither an IAM identity nor a token that an authorizer has verified";
/// An identity pool gives it to anyone: <https://docs.aws.amazon.com/cognito/latest/developerguide/identity-pools.html>
pub(super) const GUEST: &str = "an unauthenticated identity of a Cognito identity pool does not identify a caller";

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// As rules name it.
    pub(super) requester: Requester,
    /// The role session's name, where it is a role's session. With IAM Identity Center it names the person.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#ck_rolesessionname>
    pub(super) session: Option<String>,
}

/// The caller behind an IAM identity's ARN.
///
/// A session of a role counts as the role. Its ARN does not have the path of the role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
pub(super) fn caller(user_arn: Option<&Json>) -> Result<Caller, String> {
    let text = match user_arn {
        None | Some(Json::Null) => return Err("the IAM identity has no `userArn`".to_owned()),
        Some(value) => value.as_str().ok_or_else(|| format!("the IAM identity's `userArn` is {}", value.kind()))?,
    };
    let unknown = || format!("{} is not the ARN of an IAM user or of a role's session", quoted(text));
    let arn = Arn::split(text).ok_or_else(unknown)?;
    let Arn { partition, service, region: "", account, resource } = arn else { return Err(unknown()) };
    let is_plain = resource.bytes().all(|byte| byte.is_ascii_graphic());
    if Partition::parse(partition).is_none() || account.parse::<AccountId>().is_err() || !is_plain {
        return Err(unknown());
    }
    match (service, resource.split_once('/')) {
        ("iam", Some(("user", name))) if !name.is_empty() => {
            Ok(Caller { requester: Requester::new(text.to_owned()), session: None })
        }
        ("sts", Some(("assumed-role", name))) => match name.split_once('/') {
            Some((role, session)) if !role.is_empty() && !session.is_empty() => {
                let requester = Requester::new(format!("arn:{partition}:iam::{account}:role/{role}"));
                Ok(Caller { requester, session: Some(session.to_owned()) })
            }
            Some(_) | None => Err(unknown()),
        },
        ("iam", None) if resource == "root" => {
            Err(format!("the root user of the account {account} can't be named by a rule"))
        }
        ("sts", Some(("federated-user", name))) => {
            Err(format!("the federated user {} can't be named by a rule", quoted(name)))
        }
        _ => Err(unknown()),
    }
}

/// How API Gateway writes a claim that has several values, if the event does not have an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Several {
    /// An HTTP API writes `[a b]`, and one value without brackets.
    Bracketed,
    /// A Cognito authorizer of a REST API writes `a,b`.
    WithCommas,
}

/// The caller behind the claims of a verified token: `jwt:<iss>#<sub>`, with the groups that this claim names.
///
/// A rule splits it at the first `#`, so an issuer with a `#` could be mistaken for another issuer with another
/// subject.
pub(super) fn token_holder(claims: &Json, groups_claim: &str, several: Several) -> Result<Caller, String> {
    let issuer = claim(claims, "iss", "issuer", MAX_ISSUER)?;
    if issuer.contains('#') {
        return Err("the token's issuer (`iss`) holds `#`, which separates issuer and subject in a rule".to_owned());
    }
    let subject = claim(claims, "sub", "subject", MAX_SUBJECT)?;
    let groups = groups(claims, groups_claim, several)?;
    Ok(Caller { requester: Requester::new(format!("jwt:{issuer}#{subject}")).with_groups(groups), session: None })
}

/// The groups of a token that a rule can name. Each trigger has one separator, and no other one is looked for: a group
/// whose own name has the separator of another trigger stays one group.
fn groups(claims: &Json, claim: &str, several: Several) -> Result<Vec<String>, String> {
    let listed: Vec<&str> = match claims.get(claim) {
        None | Some(Json::Null) => Vec::new(),
        // A rule names groups by text.
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
        Some(Json::String(text)) => match several {
            Several::WithCommas => text.split(',').collect(),
            Several::Bracketed => match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
                Some(list) => list.split(' ').collect(),
                None => vec![text],
            },
        },
        Some(other) => return Err(format!("the token's groups ({}) are {}", quoted(claim), other.kind())),
    };
    let mut groups: Vec<String> = Vec::new();
    for group in listed.into_iter().filter(|group| unnamable_group(group).is_none()) {
        if groups.iter().any(|known| known == group) {
            continue;
        }
        if groups.len() == MAX_GROUPS {
            return Err(format!("the token has more than {MAX_GROUPS} groups ({})", quoted(claim)));
        }
        groups.push(group.to_owned());
    }
    Ok(groups)
}

/// A claim that can be part of a requester: printable ASCII, so that all of it can be seen in a rule.
fn claim<'a>(claims: &'a Json, name: &str, what: &str, longest: usize) -> Result<&'a str, String> {
    let text = match claims.get(name) {
        None | Some(Json::Null) => return Err(format!("the token has no {what} (`{name}`)")),
        Some(value) => value.as_str().ok_or_else(|| format!("the token's {what} (`{name}`) is {}", value.kind()))?,
    };
    if text.is_empty() {
        return Err(format!("the token's {what} (`{name}`) is empty"));
    }
    if text.chars().nth(longest).is_some() {
        return Err(format!("the token's {what} (`{name}`) is longer than {longest} characters"));
    }
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        Some(' ') => Err(format!("the token's {what} (`{name}`) holds a space")),
        Some(other) => Err(format!("the token's {what} (`{name}`) holds {}", code_point(other))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holder(claims: &str, expect: Result<&str, &str>) {
        let holder = token_holder(&Json::parse(claims).unwrap(), "groups", Several::Bracketed);
        let requester = holder.as_ref().map(|caller| caller.requester.as_str());
        assert_eq!(requester.map_err(String::as_str), expect, "{claims}");
    }

    #[test]
    fn a_token_is_its_issuer_and_subject() {
        holder(
            r#"{"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", "sub": "b-c#d", "email": "x"}"#,
            Ok("jwt:https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a#b-c#d"),
        );
        let longest = "x".repeat(255);
        holder(&format!(r#"{{"iss": "i", "sub": "{longest}"}}"#), Ok(&format!("jwt:i#{longest}")));
    }

    #[test]
    fn what_a_token_lacks_and_what_cannot_be_used_are_told_apart() {
        for nobody in ["null", "[]", "{}", r#"{"sub": "s"}"#, r#"{"iss": null, "sub": "s"}"#] {
            holder(nobody, Err("the token has no issuer (`iss`)"));
        }
        holder(r#"{"iss": "i"}"#, Err("the token has no subject (`sub`)"));
        holder(r#"{"iss": "", "sub": "s"}"#, Err("the token's issuer (`iss`) is empty"));
        holder(r#"{"iss": "i", "sub": ""}"#, Err("the token's subject (`sub`) is empty"));
        holder(r#"{"iss": "i", "sub": 7}"#, Err("the token's subject (`sub`) is a number"));
        holder(r#"{"iss": ["i"], "sub": "s"}"#, Err("the token's issuer (`iss`) is an array"));
        holder(
            r#"{"iss": "i#s", "sub": "s"}"#,
            Err("the token's issuer (`iss`) holds `#`, which separates issuer and subject in a rule"),
        );
        holder(r#"{"iss": "i", "sub": "a b"}"#, Err("the token's subject (`sub`) holds a space"));
        holder(r#"{"iss": "i\n", "sub": "s"}"#, Err("the token's issuer (`iss`) holds U+000A"));
        holder(r#"{"iss": "i", "sub": "\u202e"}"#, Err("the token's subject (`sub`) holds U+202E"));
        let long = "x".repeat(256);
        holder(
            &format!(r#"{{"iss": "i", "sub": "{long}"}}"#),
            Err("the token's subject (`sub`) is longer than 255 characters"),
        );
    }

    /// The groups of a token with this claim, at an HTTP API and at a Cognito authorizer.
    #[track_caller]
    fn groups_are(claim: &str, at_http_api: &[&str], at_cognito: &[&str]) {
        let claims = format!(r#"{{"iss": "i", "sub": "s", "memberOf": {claim}, "groups": "other"}}"#);
        let claims = Json::parse(&claims).unwrap();
        for (several, expect) in [(Several::Bracketed, at_http_api), (Several::WithCommas, at_cognito)] {
            let holder = token_holder(&claims, "memberOf", several).unwrap();
            assert_eq!(holder.requester.groups(), expect, "{several:?} {claims:?}");
            assert_eq!(holder.requester.as_str(), "jwt:i#s");
        }
    }

    #[test]
    fn an_array_is_read_as_an_array_and_text_by_the_triggers_own_separator_alone() {
        let of_array = |claim: &str, groups: &[&str]| groups_are(claim, groups, groups);
        of_array(r#"["web", "ops"]"#, &["web", "ops"]);
        of_array("[]", &[]);
        of_array("null", &[]);
        of_array(r#"["web", "web"]"#, &["web"]);
        groups_are(r#""web""#, &["web"], &["web"]);
        groups_are(r#""[web]""#, &["web"], &[]);
        groups_are(r#""[web ops]""#, &["web", "ops"], &[]);
        groups_are(r#""web,ops""#, &[], &["web", "ops"]);
        groups_are(r#""[web,ops]""#, &[], &[]);
        groups_are(r#""web ops""#, &[], &[]);
        groups_are(r#""[]""#, &[], &[]);
        groups_are("\"\"", &[], &[]);
    }

    #[test]
    fn a_group_that_no_rule_can_name_is_not_split_into_others() {
        let of_array = |claim: &str, groups: &[&str]| groups_are(claim, groups, groups);
        of_array(r#"["web ops", "web,ops", "[web]", "", 7, null, ["web"], "db"]"#, &["db"]);
        groups_are(r#""[[web ops] db]""#, &["db"], &[]);
        groups_are(r#""[web  ops]""#, &["web", "ops"], &[]);
        groups_are(r#""web, ops,db""#, &[], &["web", "db"]);
        groups_are(r#""[web,ops db]""#, &["db"], &[]);
    }

    #[test]
    fn groups_that_cannot_be_used_are_named_and_their_number_is_bounded() {
        holder(r#"{"iss": "i", "sub": "s", "groups": {"a": 1}}"#, Err("the token's groups (`groups`) are an object"));
        holder(r#"{"iss": "i", "sub": "s", "groups": 7}"#, Err("the token's groups (`groups`) are a number"));
        let of = |number: usize| (0..number).map(|number| format!("g{number}")).collect::<Vec<_>>().join(" ");
        holder(&format!(r#"{{"iss": "i", "sub": "s", "groups": "[{}]"}}"#, of(200)), Ok("jwt:i#s"));
        holder(
            &format!(r#"{{"iss": "i", "sub": "s", "groups": "[{}]"}}"#, of(201)),
            Err("the token has more than 200 groups (`groups`)"),
        );
    }

    #[track_caller]
    fn check(user_arn: &str, requester: &str, session: Option<&str>) {
        let caller = caller(Some(&Json::String(user_arn.to_owned()))).unwrap();
        assert_eq!((caller.requester.as_str(), caller.session.as_deref()), (requester, session), "{user_arn}");
    }

    #[test]
    fn a_session_is_its_role_and_a_user_is_itself() {
        let role = "arn:aws:iam::999988887777:role/portal";
        check("arn:aws:sts::999988887777:assumed-role/portal/session-1", role, Some("session-1"));
        check(
            "arn:aws-us-gov:sts::999988887777:assumed-role/portal/ada@example.com",
            "arn:aws-us-gov:iam::999988887777:role/portal",
            Some("ada@example.com"),
        );
        for user in ["arn:aws:iam::999988887777:user/ada", "arn:aws:iam::999988887777:user/team/ada"] {
            check(user, user, None);
        }
    }

    #[track_caller]
    fn refused(user_arn: &str, words: &str) {
        let why = caller(Some(&Json::String(user_arn.to_owned()))).unwrap_err();
        assert!(why.contains(words), "{why} should say {words:?}");
    }

    #[test]
    fn whom_no_rule_can_name_is_refused_with_the_true_reason() {
        refused("arn:aws:iam::999988887777:root", "the root user of the account 999988887777");
        refused("arn:aws:sts::999988887777:federated-user/ada", "the federated user `ada`");
        for arn in [
            "",
            "arn:aws:sts::999988887777:assumed-role/portal",
            "arn:aws:sts::999988887777:assumed-role//session",
            "arn:aws:sts::999988887777:assumed-role/portal/",
            "arn:aws:iam::999988887777:role/portal",
            "arn:aws:iam::9999:user/ada",
            "arn:aws:iam::9999:root",
            "arn:aws:iam::999988887777:user/",
            "arn:aws:iam::999988887777:user/ada\n",
            "arn:aws:iam:eu-west-1:999988887777:user/ada",
            "arn:evil:iam::999988887777:user/ada",
        ] {
            refused(arn, "is not the ARN of an IAM user or of a role's session");
        }
        assert!(caller(None).unwrap_err().contains("no `userArn`"));
        assert!(caller(Some(&Json::Bool(true))).unwrap_err().contains("is a boolean"));
    }
}
