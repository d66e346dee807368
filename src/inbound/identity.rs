//! Owns who an IAM caller is: the identity ARN that API Gateway reports, as the requester that rules name.

use crate::domain::{AccountId, Partition, Requester};

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

#[cfg(test)]
mod tests {
    use super::*;

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
