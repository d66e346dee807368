//! Owns [`GrantName`]: the Name of a grant, which says to which share it belongs.

use std::fmt;

use super::{AccountId, ImageId, ServiceLinkedRole, digest};

/// The Name of a grant made for one image and target: `ami-share/<imageId>/<account>[/<role>]`.
///
/// It makes CreateGrant idempotent, and only grants with such a Name are revoked. KMS accepts 1 to 256 of
/// `[a-zA-Z0-9:/_-]`:
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html#KMS-CreateGrant-request-Name>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantName(String);

impl GrantName {
    /// The name of the grant for an account, or for a service-linked role in it.
    pub fn new(image_id: &ImageId, account: AccountId, role: Option<&ServiceLinkedRole>) -> Self {
        let mut name = Self::of_account(image_id, account);
        if let Some(role) = role {
            name.push('/');
            name.push_str(&fitting(&role.to_string()));
        }
        Self(name)
    }

    /// Whether a grant with this Name was created for this image and account, or for a role in the account.
    pub fn is_for(name: &str, image_id: &ImageId, account: AccountId) -> bool {
        name.strip_prefix(&Self::of_account(image_id, account))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The account for which a grant with this Name was created, if it was created for this image.
    pub fn account_of(name: &str, image_id: &ImageId) -> Option<AccountId> {
        let rest = name.strip_prefix("ami-share/")?.strip_prefix(image_id.as_str())?.strip_prefix('/')?;
        rest.split('/').next()?.parse().ok()
    }

    /// The image for which a grant with this Name was created, if our grants have such Names.
    pub fn image_of(name: &str) -> Option<ImageId> {
        let image_id = name.strip_prefix("ami-share/")?.split('/').next()?.parse().ok()?;
        Self::account_of(name, &image_id).map(|_| image_id)
    }

    /// Whether a grant with this Name was created for this image, whatever the target.
    pub fn is_for_image(name: &str, image_id: &ImageId) -> bool {
        name.strip_prefix("ami-share/")
            .and_then(|rest| rest.strip_prefix(image_id.as_str()))
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The Name for KMS.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_account(image_id: &ImageId, account: AccountId) -> String {
        format!("ami-share/{image_id}/{account}")
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text; or, if KMS does not accept its characters, the first 32 hexadecimal digits of its SHA-256.
fn fitting(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte)) {
        return text.to_owned();
    }
    digest(text, 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_image_account_and_role_and_fits_kms() {
        let image: ImageId = "ami-0123456789abcdef0".parse().unwrap();
        let account: AccountId = "000011112222".parse().unwrap();
        let name = |role: Option<&str>| {
            GrantName::new(&image, account, role.map(|role| role.parse().unwrap()).as_ref()).to_string()
        };
        assert_eq!(name(None), "ami-share/ami-0123456789abcdef0/000011112222");
        assert_eq!(name(Some("autoscaling:blue")), "ami-share/ami-0123456789abcdef0/000011112222/autoscaling:blue");
        let hashed = name(Some("autoscaling:a@b.c"));
        assert_eq!(hashed.len(), "ami-share/ami-0123456789abcdef0/000011112222/".len() + 32);
        for own in [name(None), name(Some("spot")), hashed] {
            assert!(own.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte)), "{own}");
            assert!(GrantName::is_for(&own, &image, account) && GrantName::is_for_image(&own, &image));
            assert_eq!(GrantName::account_of(&own, &image), Some(account));
            assert_eq!(GrantName::image_of(&own), Some(image.clone()));
        }
    }

    #[test]
    fn another_images_or_accounts_grant_is_not_ours_to_take() {
        let image: ImageId = "ami-01234567".parse().unwrap();
        let account: AccountId = "000011112222".parse().unwrap();
        for other in [
            "",
            "by-hand",
            "ami-share/ami-01234567/000011112223",
            "ami-share/ami-012345670/000011112222",
            "ami-share/ami-01234567/0000111122225",
            "xami-share/ami-01234567/000011112222",
            "ami-share/ami-0123456789abcdef0/000011112222",
        ] {
            assert!(!GrantName::is_for(other, &image, account), "{other}");
            assert_ne!(GrantName::account_of(other, &image), Some(account), "{other}");
        }
        for other in ["", "by-hand", "ami-share/ami-01234567", "ami-share/ami-01234567/x", "ami-share/x/000011112222"] {
            assert_eq!(GrantName::image_of(other), None, "{other}");
        }
        assert!(!GrantName::is_for_image("ami-share/ami-012345670/000011112222", &image));
    }
}
