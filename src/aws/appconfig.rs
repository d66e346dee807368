//! Owns the AppConfig calls: polling one configuration profile.
//!
//! <https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-code-samples-using-API-read-configuration.html>

use sharing::allowlist::Profile;

use super::{Aws, CallError};

/// The shortest interval that AppConfig accepts. The allowlist's TTL decides how often we poll; this limit must only
/// not prevent it.
const SHORTEST_INTERVAL_SECONDS: i32 = 15;

/// The answer to one poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The document; `None` if it has not changed since the last poll of the session.
    pub document: Option<String>,
    /// The token for the next poll. A token is valid for one poll.
    pub next_token: Option<String>,
}

impl Aws {
    /// Starts a session and returns the token for the first poll.
    pub async fn start_configuration_session(&self, profile: &Profile) -> Result<String, CallError> {
        const CALL: &str = "appconfig:StartConfigurationSession";
        let call = self
            .appconfig
            .start_configuration_session()
            .application_identifier(&profile.application)
            .environment_identifier(&profile.environment)
            .configuration_profile_identifier(&profile.profile)
            .required_minimum_poll_interval_in_seconds(SHORTEST_INTERVAL_SECONDS);
        let answer = self.patience.ask(CALL, &profile.profile, || call.clone().send()).await?;
        let token = answer.initial_configuration_token;
        token.ok_or_else(|| CallError::unexpected(CALL, &profile.profile, "there is no token in the answer"))
    }

    /// Polls once.
    pub async fn latest_configuration(&self, token: &str) -> Result<Polled, CallError> {
        const CALL: &str = "appconfig:GetLatestConfiguration";
        // The token is a kind of credential, so messages must not show it.
        const RESOURCE: &str = "the allowlist's configuration profile";
        let call = self.appconfig.get_latest_configuration().configuration_token(token);
        let answer = self.patience.ask(CALL, RESOURCE, || call.clone().send()).await?;
        let bytes = answer.configuration.map(aws_sdk_appconfigdata::primitives::Blob::into_inner).unwrap_or_default();
        let text =
            String::from_utf8(bytes).map_err(|_| CallError::unexpected(CALL, RESOURCE, "the document is not UTF-8"))?;
        let document = (!text.is_empty()).then_some(text);
        Ok(Polled { document, next_token: answer.next_poll_configuration_token })
    }
}
