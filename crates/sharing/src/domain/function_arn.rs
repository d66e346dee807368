//! Owns [`FunctionArn`]: the function's own ARN, with its account and Region.

use std::{fmt, str::FromStr};

use super::{AccountId, Arn, ParseError, quoted};

/// The ARN of a Lambda function, without the version or alias that was invoked. A schedule may invoke the function a
/// year later, when that version may not exist.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html#versioning-versions-using>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArn {
    text: String,
    partition: String,
    region: String,
    account: AccountId,
}

impl FunctionArn {
    /// The account the function runs in.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The ARN of an event bus, given its name or ARN. A bus that is given by name is in the function's own account and
    /// Region.
    ///
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html>
    pub fn bus_arn(&self, name_or_arn: &str) -> String {
        if name_or_arn.starts_with("arn:") {
            return name_or_arn.to_owned();
        }
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:events:{region}:{account}:event-bus/{name_or_arn}")
    }

    /// The Region the function runs in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The ARN as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for FunctionArn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let read = || {
            let Arn { partition, region, account, resource, .. } =
                Arn::split(text).filter(|arn| arn.service == "lambda")?;
            let resource = resource.strip_prefix("function:")?;
            let (name, qualifier) = resource.split_once(':').unwrap_or((resource, ""));
            let account = account.parse().ok().filter(|_| !name.is_empty() && !qualifier.contains(':'))?;
            Some(Self {
                text: format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
                partition: partition.to_owned(),
                region: region.to_owned(),
                account,
            })
        };
        read().ok_or_else(|| ParseError::new(format!("{} is not the ARN of a Lambda function", quoted(text))))
    }
}

impl fmt::Display for FunctionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualifier_is_no_part_of_which_function_it_is() {
        let bare = "arn:aws-cn:lambda:cn-north-1:012345678901:function:ami-share";
        for qualifier in ["", ":$LATEST", ":7", ":live"] {
            let arn: FunctionArn = format!("{bare}{qualifier}").parse().unwrap();
            assert_eq!((arn.as_str(), arn.account().to_string().as_str()), (bare, "012345678901"));
        }
    }

    #[test]
    fn a_bus_that_is_named_is_the_functions_neighbour() {
        let function: FunctionArn = "arn:aws-cn:lambda:cn-north-1:012345678901:function:ami-share".parse().unwrap();
        let bus = "arn:aws-cn:events:cn-north-1:012345678901:event-bus/ami-share";
        assert_eq!(function.bus_arn("ami-share"), bus);
        assert_eq!(function.bus_arn(bus), bus);
        assert_eq!(function.region(), "cn-north-1");
    }

    #[test]
    fn what_names_no_account_is_no_function() {
        for wrong in [
            "",
            "ami-share",
            "arn:aws:lambda:eu-west-1::function:ami-share",
            "arn:aws:lambda:eu-west-1:12345:function:ami-share",
            "arn:aws:lambda:eu-west-1:012345678901:function:",
            "arn:aws:lambda:eu-west-1:012345678901:layer:ami-share",
            "arn:aws:lambda:eu-west-1:012345678901:function:ami-share:live:more",
            "arn:aws:ecs:eu-west-1:012345678901:function:ami-share",
        ] {
            assert!(wrong.parse::<FunctionArn>().is_err(), "{wrong}");
        }
    }
}
