//! Starts the function: settings, log, clients, and then one event after the other.

use std::time::{Duration, SystemTime};

use ami_share::{
    allowlist_source::Source,
    aws::Aws,
    config::{self, Config},
    service::{Context, Meter, Service},
    telemetry,
};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use sharing::domain::{FunctionArn, ParseError};
use triggers::{Event, InvocationError};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::expect_used, reason = "a function that can't start must say so and stop")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let config = Config::read(variable).expect("the environment is in order");
    config::check_certificates(variable("SSL_CERT_FILE"), |path| std::fs::read(path))
        .expect("the certificates of AWS can be checked");
    telemetry::install(config.log_level, config.logs_json);
    let aws = Aws::connect(variable).expect("the AWS clients can be built");
    let allowlist = Source::new(config.allowlist, config.allowlist_ttl);
    let service = Service {
        aws,
        allowlist,
        entity_quota: config.entity_quota,
        max_event_age: config.max_event_age,
        records: config.records,
        setup: config.setup,
        outcome_bus: config.outcome_bus,
        request_bus: config.request_bus,
        meter: Meter::new(config.function_name),
    };
    let service = &service;

    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let now = SystemTime::now();
        // Without its account ownership can't be told.
        let function: FunctionArn = event.context.invoked_function_arn.parse().map_err(unknown)?;
        let context = Context {
            request_id: &event.context.request_id,
            function: &function,
            time_left: event.context.deadline().duration_since(now).unwrap_or(Duration::ZERO),
            deadline: event.context.deadline().into(),
            now: now.into(),
        };
        service.handle(&event.payload, &context).await.map_err(diagnostic)
    }))
    .await
}

fn diagnostic(error: InvocationError) -> Diagnostic {
    Diagnostic { error_type: error.error_type, error_message: error.error_message }
}

fn unknown(error: ParseError) -> Diagnostic {
    Diagnostic { error_type: "Unexpected".to_owned(), error_message: error.to_string() }
}
