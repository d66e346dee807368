//! Owns [`Location`]: where the allowlist document is, as `AMI_SHARE_ALLOWLIST` writes it.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::domain::quoted;

/// Where the document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, relative to the function's own folder.
    File(PathBuf),
    /// A parameter of AWS Systems Manager Parameter Store, `/path/name`. It holds 4 KB, or 8 in the advanced tier:
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>
    Parameter(String),
    /// A configuration profile of AWS AppConfig.
    AppConfig(Profile),
}

/// A configuration profile of AWS AppConfig in one environment; each part is a name or an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The application.
    pub application: String,
    /// The environment it is deployed to.
    pub environment: String,
    /// The configuration profile.
    pub profile: String,
}

const FORMS: &str = "`file:<path>`, `ssm:/<parameter name>` or `appconfig:<application>/<environment>/<profile>`";

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once(':').and_then(|(kind, place)| match kind {
            "file" if !place.is_empty() => Some(Self::File(place.into())),
            "ssm" if is_parameter(place) => Some(Self::Parameter(place.to_owned())),
            "appconfig" => profile(place).map(Self::AppConfig),
            _ => None,
        });
        found.ok_or_else(|| format!("{} is not {FORMS}", quoted(text)))
    }
}

/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
fn is_parameter(name: &str) -> bool {
    name.len() <= 1011
        && name.strip_prefix('/').is_some_and(|path| path.split('/').all(|part| !part.is_empty()))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
}

fn profile(place: &str) -> Option<Profile> {
    let parts: Vec<&str> = place.split('/').collect();
    let &[application, environment, profile] = parts.as_slice() else { return None };
    let is_name = |part: &&str| (1..=128).contains(&part.len()) && !part.chars().any(char::is_control);
    parts.iter().all(is_name).then(|| Profile {
        application: application.to_owned(),
        environment: environment.to_owned(),
        profile: profile.to_owned(),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::AppConfig(Profile { application, environment, profile }) => {
                write!(f, "appconfig:{application}/{environment}/{profile}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_its_kind_and_shows_itself_as_it_was_written() {
        for right in [
            "file:allowlist.yaml",
            "file:/opt/allowlist.yaml",
            "ssm:/ami-share",
            "ssm:/ami-share/allow_list.v1",
            "appconfig:ami-share/prod/allowlist",
            "appconfig:abc1234/def5678/My allowlist",
        ] {
            assert_eq!(right.parse::<Location>().map(|location| location.to_string()), Ok(right.to_owned()));
        }
        for wrong in [
            "",
            "allowlist.yaml",
            "file:",
            "http://x",
            "ssm:",
            "ssm:/",
            "ssm:name",
            "ssm://name",
            "ssm:/name/",
            "ssm:/name:3",
            "ssm:/na me",
            "appconfig:",
            "appconfig:a/b",
            "appconfig:a/b/",
            "appconfig:a//c",
            "appconfig:a/b/c/d",
            "appconfig:a/b/c\n",
        ] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
