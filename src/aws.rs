//! Owns the AWS clients. Only this module names SDK types. Each call returns our own types or a [`CallError`].

mod appconfig;
mod ask;
mod connector;
mod copy_image;
mod ec2;
mod environment;
mod error;
mod eventbridge;
mod kms;
mod provenance;
mod scheduler;
mod ssm;
mod turns;
mod usage_reports;
mod whole;

use std::sync::Arc;

pub use appconfig::Polled;
pub use ask::Attempts;
pub use copy_image::{CopyAnswer, CopyOrder};
pub(crate) use ec2::Page;
pub use error::CallError;
pub use eventbridge::BusEvent;
pub use kms::ALL_GRANT_PAGES;
use sharing::domain::Region;
use tokio::time::Instant;
pub use turns::CONCURRENCY;

use self::ask::Patience;

/// The clients, their Region and their time limits.
#[derive(Debug, Clone)]
pub struct Aws {
    ec2: aws_sdk_ec2::Client,
    kms: aws_sdk_kms::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    scheduler: aws_sdk_scheduler::Client,
    ssm: aws_sdk_ssm::Client,
    appconfig: aws_sdk_appconfigdata::Client,
    region: String,
    patience: Patience,
}

impl Aws {
    /// Builds the clients from the SDK's own environment variables (credentials, Region, endpoints).
    ///
    /// It makes no call. The error names the variable that is missing or invalid.
    pub fn connect(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Result<Self, String> {
        let variable: Arc<environment::Variable> = Arc::new(variable);
        let config = environment::settings(&variable)?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).interceptor(whole::WholeDocuments).build();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            kms: aws_sdk_kms::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            scheduler: aws_sdk_scheduler::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            appconfig: aws_sdk_appconfigdata::Client::new(&config),
            region,
            patience: Patience::default(),
        })
    }

    /// The same clients with a deadline: no call runs after it.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { patience: self.patience.until(deadline), ..self.clone() }
    }

    /// The same clients with a third of the time that is left, for what the rest must not wait for.
    #[must_use]
    pub fn for_a_third(&self) -> Self {
        Self { patience: self.patience.for_a_third(), ..self.clone() }
    }

    /// The same clients, rate-limited: at most five calls to EC2 and KMS a second. So an audit of a thousand images
    /// does not use up the account's request rates.
    #[must_use]
    pub fn rate_limited(&self) -> Self {
        Self { patience: self.patience.rate_limited(), ..self.clone() }
    }

    /// How many calls may run at once now. It follows what AWS grants.
    pub fn calls_at_once(&self) -> usize {
        self.patience.calls_at_once()
    }

    /// The number of calls since the clients were built.
    pub fn attempts(&self) -> Attempts {
        self.patience.attempts()
    }

    /// The same clients, but those of EC2 and KMS call another Region. Limits and counts are shared.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        let there = aws_sdk_ec2::config::Region::new(region.to_string());
        let here = self.clone();
        let ec2 = here.ec2.config().to_builder().region(there.clone()).build();
        let kms = here.kms.config().to_builder().region(there).build();
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            kms: aws_sdk_kms::Client::from_conf(kms),
            region: region.to_string(),
            ..here
        }
    }

    /// The Region the clients work in.
    pub fn region(&self) -> &str {
        &self.region
    }
}
