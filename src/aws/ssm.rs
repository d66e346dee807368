//! Owns the Parameter Store calls: reading a parameter, and naming an image by one.

use aws_sdk_ssm::types::{self, ParameterType};
use sharing::{
    domain::{ImageId, ParameterName},
    facts::{Fact, Failure, Parameter},
    outcome::ErrorCode,
    publishing::other_type,
};

use super::{Aws, CallError};

/// The data type of parameters that hold an image ID.
///
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>
const IMAGE: &str = "aws:ec2:image";

const GET: &str = "ssm:GetParameter";

impl Aws {
    /// Reads a parameter, decrypted where it is a `SecureString`.
    pub async fn parameter(&self, name: &str) -> Result<String, CallError> {
        let call = self.ssm.get_parameter().name(name).with_decryption(true);
        let answer = self.patience.ask(GET, name, || call.clone().send()).await?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| CallError::unexpected(GET, name, "the parameter has no value"))
    }

    /// Reads a version of a parameter, or the current one; nothing if there is no such one.
    pub async fn image_parameter(
        &self,
        name: &ParameterName,
        version: Option<u64>,
    ) -> Result<Option<Parameter>, CallError> {
        let selected = version.map_or_else(|| name.to_string(), |version| format!("{name}:{version}"));
        let call = self.ssm.get_parameter().name(&selected);
        let parameter = match self.patience.ask(GET, &selected, || call.clone().send()).await {
            Ok(answer) => answer.parameter.as_ref().and_then(image_parameter),
            Err(error) if error.failure.code == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let parameter =
            parameter.ok_or_else(|| CallError::unexpected(GET, selected, "the parameter has no version"))?;
        Ok(Some(parameter))
    }

    /// Lets a parameter name an image, and returns its new version. Parameter Store validates the image after its answer.
    pub async fn put_image_parameter(&self, name: &ParameterName, image_id: &ImageId) -> Result<u64, CallError> {
        const CALL: &str = "ssm:PutParameter";
        let call = self.ssm.put_parameter().name(name.as_str()).value(image_id.as_str());
        let call = call.r#type(ParameterType::String).data_type(IMAGE).overwrite(true);
        let answer = self.patience.ask(CALL, name.as_str(), || call.clone().send()).await;
        let answer = answer.map_err(|error| explained(name, error))?;
        let version = u64::try_from(answer.version()).ok().filter(|version| *version > 0);
        version.ok_or_else(|| CallError {
            is_uncertain: true,
            ..CallError::unexpected(CALL, name.as_str(), "it has no version")
        })
    }
}

/// AWS documents no code for a change of a parameter's data type, so any code of an invalid call can mean it.
fn explained(name: &ParameterName, error: CallError) -> CallError {
    if error.failure.code != ErrorCode::Unexpected {
        return error;
    }
    let message = format!("{}; if so: {}", error.failure.message, other_type(name).message);
    CallError { failure: Failure { message, ..error.failure }, ..error }
}

fn image_parameter(parameter: &types::Parameter) -> Option<Parameter> {
    Some(Parameter {
        version: u64::try_from(parameter.version()).ok().filter(|version| *version > 0)?,
        is_for_images: parameter.r#type() == Some(&ParameterType::String) && parameter.data_type() == Some(IMAGE),
        image_id: parameter.value().and_then(|value| value.parse().ok()),
        named: Fact::NotRead,
    })
}
