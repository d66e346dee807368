//! Owns the call CopyImage.

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use sharing::{
    domain::{ImageId, KeyArn},
    facts::RegionalImage,
    outcome::ErrorCode,
};

use super::{Aws, CallError, ec2::parse, error::SdkError};

const CALL: &str = "ec2:CopyImage";

/// The parameters of CopyImage. A copy is always encrypted, and has the tags of its source.
#[derive(Debug, Clone, Copy)]
pub struct CopyOrder<'a> {
    /// The image to copy, and its Region.
    pub source: &'a RegionalImage,
    /// The name of the copy.
    pub name: &'a str,
    /// The key of the copy, which is in the Region of the call.
    pub key: &'a KeyArn,
    /// At most 64 ASCII characters. Without one, the SDK would send a random one, and each attempt would make a copy.
    pub client_token: &'a str,
}

/// The answer of CopyImage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyAnswer {
    /// This is the copy. An earlier call with the same client token may have begun it.
    Begun(ImageId),
    /// Another image of this account and Region has the name.
    NameTaken,
}

impl Aws {
    /// Begins a copy in the Region of the clients. A failure that is not retryable is final.
    ///
    /// EC2 checks the key later: the copy of a wrong key becomes `failed`.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>
    pub async fn copy_image(&self, order: &CopyOrder<'_>) -> Result<CopyAnswer, CallError> {
        let source = order.source;
        let call = self
            .ec2
            .copy_image()
            .source_region(source.region.to_string())
            .source_image_id(source.id.as_str())
            .name(order.name)
            .encrypted(true)
            .kms_key_id(order.key.as_str())
            .copy_image_tags(true)
            .client_token(order.client_token);
        let asked = self.patience.ask(CALL, source.id.as_str(), || {
            let call = call.clone();
            async move {
                match call.send().await {
                    Ok(copy) => Ok(Some(copy)),
                    Err(error) if is_name_taken(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        match asked.await {
            Ok(Some(copy)) => parse(CALL, "image id", copy.image_id()).map(CopyAnswer::Begun),
            Ok(None) => Ok(CopyAnswer::NameTaken),
            Err(error) => Err(passing_when_full(error)),
        }
    }
}

/// "The specified AMI name is already in use": <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
fn is_name_taken<E>(error: &SdkError<E>) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("InvalidAMIName.Duplicate")
}

/// "Destination Regions are limited to 300 concurrent AMI copies": the quota is free again when others are done, in
/// minutes or hours. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ami-copy-works.html>
fn passing_when_full(mut error: CallError) -> CallError {
    error.failure.retryable |= error.failure.code == ErrorCode::LimitExceeded;
    error
}
