//! Owns the identity of an HTTP caller: the IAM identity or the token that API Gateway has verified, as rules name it,
//! or why no rule can name it.

use key_policy::json::Json;
use sharing::domain::{AccountId, Arn, Partition, Requester, code_point, quoted};

/// OpenID Connect Core 1.0 §2: a `sub` "MUST NOT exceed 255 ASCII characters in length".
const MAX_SUBJECT: usize = 255;
/// Longer than any issuer in use, and short enough for a log line.
const MAX_ISSUER: usize = 512;

/// Where neither an IAM identity nor a token was verified.
pub(super) const NO_IDENTITY: &str = "there is neither an IAM identity nor a token that an authorizer has verified";
/// An identity pool gives it to whoever asks:
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/identity-pools.html>
pub(super) const GUEST: &str = "an unauthenticated identity of a Cognito identity pool does not identify a caller";

/// The requester behind an IAM identity's ARN.
///
/// A session of a role counts as the role. Its ARN does not have the path of the role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
pub(super) fn requester(user_arn: Option<&Json>) -> Result<Requester, String> {
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
        ("iam", Some(("user", name))) if !name.is_empty() => Ok(Requester::new(text.to_owned())),
        ("sts", Some(("assumed-role", name))) => match name.split_once('/') {
            Some((role, session)) if !role.is_empty() && !session.is_empty() => {
                Ok(Requester::new(format!("arn:{partition}:iam::{account}:role/{role}")))
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

/// The requester behind the claims of a verified token, `jwt:<iss>#<sub>`.
///
/// A rule splits it at the first `#`, so an issuer with a `#` could be mistaken for another issuer with another
/// subject.
pub(super) fn token_holder(claims: &Json) -> Result<Requester, String> {
    let issuer = claim(claims, "iss", "issuer", MAX_ISSUER)?;
    if issuer.contains('#') {
        return Err("the token's issuer (`iss`) holds `#`, which separates issuer and subject in a rule".to_owned());
    }
    let subject = claim(claims, "sub", "subject", MAX_SUBJECT)?;
    Ok(Requester::new(format!("jwt:{issuer}#{subject}")))
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
        let holder = token_holder(&Json::parse(claims).unwrap());
        assert_eq!(holder.as_ref().map(Requester::as_str).map_err(String::as_str), expect, "{claims}");
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

    #[track_caller]
    fn check(user_arn: &str, expect: &str) {
        let requester = requester(Some(&Json::String(user_arn.to_owned())));
        assert_eq!(requester.as_ref().map(Requester::as_str), Ok(expect), "{user_arn}");
    }

    #[test]
    fn a_session_is_its_role_and_a_user_is_itself() {
        check("arn:aws:sts::999988887777:assumed-role/portal/session-1", "arn:aws:iam::999988887777:role/portal");
        check(
            "arn:aws-us-gov:sts::999988887777:assumed-role/portal/ada@example.com",
            "arn:aws-us-gov:iam::999988887777:role/portal",
        );
        check("arn:aws:iam::999988887777:user/ada", "arn:aws:iam::999988887777:user/ada");
        check("arn:aws:iam::999988887777:user/team/ada", "arn:aws:iam::999988887777:user/team/ada");
    }

    #[track_caller]
    fn refused(user_arn: &str, words: &str) {
        let why = requester(Some(&Json::String(user_arn.to_owned()))).unwrap_err();
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
        assert!(requester(None).unwrap_err().contains("no `userArn`"));
        assert!(requester(Some(&Json::Bool(true))).unwrap_err().contains("is a boolean"));
    }
}
