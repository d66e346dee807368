//! Owns [`ServiceLinkedRole`].

use std::{fmt, str::FromStr};

use super::{AccountId, ParseError, Partition, iam_role_arn, quoted, serde_as_string};

/// A service-linked role of a target account that launches instances there, and therefore needs the key.
///
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceLinkedRole {
    /// `AWSServiceRoleForAutoScaling`, or with a custom suffix `AWSServiceRoleForAutoScaling_<suffix>`.
    AutoScaling {
        /// The custom suffix, without the underscore.
        suffix: Option<String>,
    },
    /// `AWSServiceRoleForEC2Spot`
    Spot,
    /// `AWSServiceRoleForEC2SpotFleet`
    SpotFleet,
    /// `AWSServiceRoleForEC2Fleet`
    Ec2Fleet,
}

impl ServiceLinkedRole {
    /// The role's ARN in `account`.
    pub fn arn(&self, partition: &Partition, account: AccountId) -> String {
        let name = match self {
            Self::AutoScaling { suffix: None } => {
                "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling".to_owned()
            }
            Self::AutoScaling { suffix: Some(suffix) } => {
                format!("aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_{suffix}")
            }
            Self::Spot => "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot".to_owned(),
            Self::SpotFleet => "aws-service-role/spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet".to_owned(),
            Self::Ec2Fleet => "aws-service-role/ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet".to_owned(),
        };
        iam_role_arn(partition, account, &name)
    }
}

impl FromStr for ServiceLinkedRole {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "autoscaling" => Ok(Self::AutoScaling { suffix: None }),
            "spot" => Ok(Self::Spot),
            "spotfleet" => Ok(Self::SpotFleet),
            "ec2fleet" => Ok(Self::Ec2Fleet),
            _ => text
                .strip_prefix("autoscaling:")
                .filter(|suffix| is_suffix(suffix))
                .map(|suffix| Self::AutoScaling { suffix: Some(suffix.to_owned()) })
                .ok_or_else(|| {
                    ParseError::new(format!(
                        "{} is not one of `autoscaling`, `autoscaling:<suffix>`, `spot`, `spotfleet`, `ec2fleet`",
                        quoted(text)
                    ))
                }),
        }
    }
}

/// Role names have at most 64 characters of `[\w+=,.@-]`; `AWSServiceRoleForAutoScaling_` takes 29.
fn is_suffix(suffix: &str) -> bool {
    (1..=35).contains(&suffix.len())
        && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

impl fmt::Display for ServiceLinkedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoScaling { suffix: None } => f.write_str("autoscaling"),
            Self::AutoScaling { suffix: Some(suffix) } => write!(f, "autoscaling:{suffix}"),
            Self::Spot => f.write_str("spot"),
            Self::SpotFleet => f.write_str("spotfleet"),
            Self::Ec2Fleet => f.write_str("ec2fleet"),
        }
    }
}

serde_as_string!(ServiceLinkedRole);

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html>
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html>
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ec2-fleet.html#ec2-fleet-service-linked-role>
    #[test]
    fn a_role_is_read_as_it_is_written_and_has_awss_name() {
        let (partition, account) = (Partition::parse("aws").unwrap(), "111122223333".parse().unwrap());
        for (written, name) in [
            ("autoscaling", "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
            ("autoscaling:A_+=,.@-z", "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_A_+=,.@-z"),
            ("spot", "spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
            ("spotfleet", "spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet"),
            ("ec2fleet", "ec2fleet.amazonaws.com/AWSServiceRoleForEC2Fleet"),
        ] {
            let role: ServiceLinkedRole = written.parse().unwrap();
            assert_eq!(role.to_string(), written);
            let arn = format!("arn:aws:iam::111122223333:role/aws-service-role/{name}");
            assert_eq!(role.arn(&partition, account), arn);
        }
        // A role's name has at most 64 characters.
        let suffix = |length: usize| format!("autoscaling:{}", "x".repeat(length)).parse::<ServiceLinkedRole>();
        assert_eq!([1, 35, 36, 0].map(|length| suffix(length).is_ok()), [true, true, false, false]);
        for wrong in ["", "rds", "Spot", "spot:a", "autoscaling:a/b", "autoscaling:a b", "autoscaling:*"] {
            let error = wrong.parse::<ServiceLinkedRole>().unwrap_err().to_string();
            assert!(error.contains("is not one of `autoscaling`"), "{error}");
        }
    }
}
