//! Owns the settings that the clients read from the environment of a Lambda function: Region, credentials, other
//! endpoints.
//!
//! The SDK's own loader also reads profiles, web identities, single sign-on and the metadata services of containers and
//! instances. A function has none of those, and without them its zip is 0.3 MB smaller. The variables have the meaning
//! that the SDKs document: <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>

use std::{fmt, sync::Arc};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::connector;

/// Reads one variable.
pub(super) type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The settings of all clients, or an error that says what is wrong.
pub(super) fn settings(variable: &Arc<Variable>) -> Result<SdkConfig, String> {
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let region = region.ok_or("no Region: set AWS_REGION (Lambda does)")?;
    let switch = |name: &str| match set(name) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(format!("{name}: `{text}` is not true or false")),
    };
    let mut settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .use_fips(switch("AWS_USE_FIPS_ENDPOINT")?)
        .use_dual_stack(switch("AWS_USE_DUALSTACK_ENDPOINT")?)
        .service_config(OfServices(Arc::clone(variable)))
        .http_client(connector::one_for_all())
        // Whether a retry helps depends on the invocation, so `ask` does the retries and sets the time limits.
        .retry_config(RetryConfig::disabled());
    settings.set_endpoint_url(set("AWS_ENDPOINT_URL"));
    // Lambda sets the credentials once, before the process starts; without them, each call fails.
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        let credentials = Credentials::new(id, secret, set("AWS_SESSION_TOKEN"), None, "environment");
        settings.set_credentials_provider(Some(SharedCredentialsProvider::new(credentials)));
    }
    Ok(settings.build())
}

/// Variables of single services, such as `AWS_ENDPOINT_URL_KMS`.
struct OfServices(Arc<Variable>);

impl fmt::Debug for OfServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfServices")
    }
}

impl LoadServiceConfig for OfServices {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        (self.0)(&format!("{}_{service}", key.env())).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::config::Config;

    use super::*;

    fn settings_of(variable: fn(&str) -> Option<String>) -> Result<SdkConfig, String> {
        let variable: Arc<Variable> = Arc::new(variable);
        settings(&variable)
    }

    fn lambda(name: &str) -> Option<String> {
        let value = match name {
            "AWS_REGION" => "eu-west-1",
            "AWS_ENDPOINT_URL" => "http://all.example",
            "AWS_ENDPOINT_URL_APPCONFIGDATA" => "http://configurations.example",
            "AWS_USE_FIPS_ENDPOINT" => "TRUE",
            "AWS_USE_DUALSTACK_ENDPOINT" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_variables_mean_what_the_sdks_say() {
        let settings = settings_of(lambda).unwrap();
        assert_eq!(settings.region().map(ToString::to_string), Some("eu-west-1".to_owned()));
        assert_eq!((settings.use_fips(), settings.use_dual_stack()), (Some(true), Some(false)));
        let endpoint = |config: Config| format!("{config:?}").contains("http://all.example");
        assert!(endpoint(Config::new(&settings)));
        let appconfig = format!("{:?}", aws_sdk_appconfigdata::config::Config::new(&settings));
        assert!(appconfig.contains("http://configurations.example") && !appconfig.contains("http://all.example"));
    }

    #[test]
    fn what_is_missing_or_not_in_order_is_said() {
        assert!(settings_of(|_| None).unwrap_err().contains("AWS_REGION"));
        let elsewhere = settings_of(|name| (name == "AWS_DEFAULT_REGION").then(|| "cn-north-1".to_owned())).unwrap();
        assert_eq!(elsewhere.region().map(ToString::to_string), Some("cn-north-1".to_owned()));
        assert!(settings_of(|_| Some("maybe".to_owned())).unwrap_err().contains("`maybe` is not true or false"));
    }
}
