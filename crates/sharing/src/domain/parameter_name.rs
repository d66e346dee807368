//! Owns [`ParameterName`]: a parameter of Parameter Store that names an image.

use std::{fmt, str::FromStr};

use super::quoted;

/// The maximum number of levels: <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
const MAX_LEVELS: usize = 15;
/// The maximum number of characters. AWS accepts 1,011, but counts the ARN before the name, too:
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>
const MAX_LENGTH: usize = 900;
/// No name may begin with these, in upper or lower case: AWS publishes its own parameters there.
const RESERVED: [&str; 2] = ["/aws", "/ssm"];

/// The name of a parameter: a path of one to fifteen levels, such as `/golden/web/latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName(String);

impl ParameterName {
    /// The name as Parameter Store expects it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a level, or a part of one, has only characters that Parameter Store accepts.
pub fn is_parameter_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl FromStr for ParameterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |why: &str| Err(format!("{} {why}", quoted(text)));
        let Some(path) = text.strip_prefix('/') else { return refused("does not begin with `/`") };
        if RESERVED
            .iter()
            .any(|reserved| text.get(..reserved.len()).is_some_and(|it| it.eq_ignore_ascii_case(reserved)))
        {
            return refused("begins with `/aws` or `/ssm`, which AWS keeps for itself");
        }
        if text.contains("..") {
            return refused("has `..` in it");
        }
        let levels: Vec<_> = path.split('/').collect();
        if !levels.iter().all(|level| is_parameter_text(level)) {
            return refused("is not a path of levels of letters, digits, `_`, `.` and `-`");
        }
        if levels.len() > MAX_LEVELS {
            return refused("has more than 15 levels");
        }
        if text.len() > MAX_LENGTH {
            return refused("has more than 900 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, why: Option<&str>) {
        match (text.parse::<ParameterName>(), why) {
            (Ok(name), None) => assert_eq!(name.to_string(), text),
            (Err(error), Some(why)) => assert!(error.contains(why), "{error}"),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }

    #[test]
    fn a_name_is_a_path_outside_of_what_aws_keeps() {
        for name in ["/golden", "/golden/web/x86_64/latest", "/a.b/c-d_e", "/goldenaws/ssm", "/a/aws", "/g/1.2"] {
            check(name, None);
        }
        check(&format!("/{}", ["a"; 15].join("/")), None);
        check(&format!("/{}", ["a"; 16].join("/")), Some("15 levels"));
        check(&format!("/{}", "a".repeat(899)), None);
        check(&format!("/{}", "a".repeat(900)), Some("900 characters"));
        for name in ["", "golden/latest", "golden", "ami-1a2b3c4d"] {
            check(name, Some("does not begin with `/`"));
        }
        for name in ["/aws", "/aws/golden", "/AWS/golden", "/awsome", "/ssm/golden", "/Ssm-1/golden", "/aWs/../golden"]
        {
            check(name, Some("AWS keeps for itself"));
        }
        for name in ["/golden/../x", "/golden/1..2", "/..", "/golden/.."] {
            check(name, Some("`..`"));
        }
        for name in
            ["/", "//golden", "/golden/", "/golden//x", "/golden/a b", "/golden/ü", "/golden/x:1", "/golden/*", "/a\n"]
        {
            check(name, Some("is not a path"));
        }
    }
}
