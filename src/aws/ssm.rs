//! Owns the Parameter Store call: reading one parameter.

use super::{Aws, CallError};

impl Aws {
    /// Reads a parameter, decrypted where it is a `SecureString`.
    pub async fn parameter(&self, name: &str) -> Result<String, CallError> {
        const CALL: &str = "ssm:GetParameter";
        let call = self.ssm.get_parameter().name(name).with_decryption(true);
        let answer = self.patience.ask(CALL, name, || call.clone().send()).await?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| CallError::unexpected(CALL, name, "the parameter has no value"))
    }
}
