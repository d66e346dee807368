//! Owns who an HTTP caller is: the IAM identity or the token that API Gateway has verified, as the requester that
//! rules name.

use crate::{
    domain::{AccountId, Partition, Requester},
    json::Json,
};

/// OpenID Connect Core 1.0 §2: a `sub` "MUST NOT exceed 255 ASCII characters in length".
const MAX_SUBJECT: usize = 255;
/// Longer than any issuer in use, and short enough for a log line.
const MAX_ISSUER: usize = 512;

/// The requester behind an IAM identity ARN, or `None` for identities that no rule can name.
///
/// A session of a role counts as the role, whose path its ARN has lost. Root, federated users and
/// unauthenticated Cognito identities are nobody in particular.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
pub(super) fn requester(user_arn: &str) -> Option<Requester> {
    let parts: Vec<&str> = user_arn.splitn(6, ':').collect();
    let &["arn", partition, service, "", account, resource] = parts.as_slice() else { return None };
    Partition::parse(partition)?;
    account.parse::<AccountId>().ok()?;
    if !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (kind, name) = resource.split_once('/')?;
    match (service, kind) {
        ("iam", "user") if !name.is_empty() => Some(Requester::new(user_arn.to_owned())),
        ("sts", "assumed-role") => {
            let (role, session) = name.split_once('/')?;
            (!role.is_empty() && !session.is_empty())
                .then(|| Requester::new(format!("arn:{partition}:iam::{account}:role/{role}")))
        }
        _ => None,
    }
}

/// The requester behind the claims of a verified token, `jwt:<iss>#<sub>`, or `None` where they name nobody.
///
/// A rule splits that at the first `#`, so an issuer with one could pass for another issuer's subject.
pub(super) fn token_holder(claims: &Json) -> Option<Requester> {
    let claim = |name: &str, longest: usize| {
        let text = claims.get(name)?.as_str()?;
        let is_plain = (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then_some(text)
    };
    let issuer = claim("iss", MAX_ISSUER).filter(|issuer| !issuer.contains('#'))?;
    let subject = claim("sub", MAX_SUBJECT)?;
    Some(Requester::new(format!("jwt:{issuer}#{subject}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_issuer_and_subject_and_both_must_be_plain() {
        let holder =
            |claims: &str| token_holder(&Json::parse(claims).unwrap()).map(|holder| holder.as_str().to_owned());
        assert_eq!(
            holder(
                r#"{"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", "sub": "b-c#d", "email": "x"}"#
            ),
            Some("jwt:https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a#b-c#d".to_owned())
        );
        let longest = "x".repeat(255);
        assert!(holder(&format!(r#"{{"iss": "i", "sub": "{longest}"}}"#)).is_some());
        for nobody in [
            "null",
            "[]",
            "{}",
            r#"{"iss": "i"}"#,
            r#"{"sub": "s"}"#,
            r#"{"iss": "", "sub": "s"}"#,
            r#"{"iss": "i", "sub": ""}"#,
            r#"{"iss": "i", "sub": 7}"#,
            r#"{"iss": ["i"], "sub": "s"}"#,
            r#"{"iss": "i#s", "sub": "s"}"#,
            r#"{"iss": "i", "sub": "a b"}"#,
            r#"{"iss": "i\n", "sub": "s"}"#,
            r#"{"iss": "i", "sub": "\u202e"}"#,
            &format!(r#"{{"iss": "i", "sub": "{longest}x"}}"#),
        ] {
            assert_eq!(holder(nobody), None, "{nobody}");
        }
    }

    #[track_caller]
    fn check(user_arn: &str, expect: Option<&str>) {
        assert_eq!(requester(user_arn).as_ref().map(Requester::as_str), expect, "{user_arn}");
    }

    #[test]
    fn a_session_is_its_role_and_a_user_is_itself() {
        check("arn:aws:sts::999988887777:assumed-role/portal/session-1", Some("arn:aws:iam::999988887777:role/portal"));
        check(
            "arn:aws-us-gov:sts::999988887777:assumed-role/portal/ada@example.com",
            Some("arn:aws-us-gov:iam::999988887777:role/portal"),
        );
        check("arn:aws:iam::999988887777:user/ada", Some("arn:aws:iam::999988887777:user/ada"));
        check("arn:aws:iam::999988887777:user/team/ada", Some("arn:aws:iam::999988887777:user/team/ada"));
    }

    #[test]
    fn whom_no_rule_can_name_is_nobody() {
        for arn in [
            "",
            "arn:aws:iam::999988887777:root",
            "arn:aws:sts::999988887777:federated-user/ada",
            "arn:aws:sts::999988887777:assumed-role/portal",
            "arn:aws:sts::999988887777:assumed-role//session",
            "arn:aws:sts::999988887777:assumed-role/portal/",
            "arn:aws:iam::999988887777:role/portal",
            "arn:aws:iam::9999:user/ada",
            "arn:aws:iam::999988887777:user/",
            "arn:aws:iam::999988887777:user/ada\n",
            "arn:aws:iam:eu-west-1:999988887777:user/ada",
            "arn:evil:iam::999988887777:user/ada",
        ] {
            check(arn, None);
        }
    }
}
