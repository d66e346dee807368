//! Owns the AWS clients: the only place that names an SDK type. Each call returns our own facts or a [`CallError`].

mod appconfig;
mod ec2;
mod error;
mod kms;
mod ssm;

use std::time::Duration;

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};

pub use appconfig::Polled;
pub use ec2::DescribedImage;
pub use error::CallError;

/// The clients, and where they point.
#[derive(Debug, Clone)]
pub struct Aws {
    ec2: aws_sdk_ec2::Client,
    kms: aws_sdk_kms::Client,
    ssm: aws_sdk_ssm::Client,
    appconfig: aws_sdk_appconfigdata::Client,
    region: String,
}

impl Aws {
    /// Builds the clients from the SDK's own environment (credentials, Region, `AWS_ENDPOINT_URL`).
    ///
    /// No call is made. Fails where no Region is set.
    pub async fn connect() -> Result<Self, &'static str> {
        // The SDK has no overall timeout by default; one hanging connection would eat the invocation.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(6))
            .operation_timeout(Duration::from_secs(18))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .load()
            .await;
        let region = config.region().ok_or("no Region: set AWS_REGION (Lambda does)")?.to_string();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::new(&config),
            kms: aws_sdk_kms::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            appconfig: aws_sdk_appconfigdata::Client::new(&config),
            region,
        })
    }

    /// The Region the clients work in.
    pub fn region(&self) -> &str {
        &self.region
    }
}
