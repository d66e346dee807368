//! Starts the function: settings, log, clients. Then handles one event after the other.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use ami_share::{
    aws::Aws,
    config::{self, Config},
    service::{InvocationContext, Service},
    telemetry,
};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use sharing::domain::{FunctionArn, ParseError};
use triggers::{Event, InvocationError};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::expect_used, reason = "a function that can't start must say so and stop")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let config = &Config::read(variable).expect("the environment is in order");
    config::check_certificates(variable("SSL_CERT_FILE"), |path| std::fs::read(path))
        .expect("the certificates of AWS can be checked");
    telemetry::install(config.log_level, config.logs_json);
    let aws = &Aws::connect(variable).expect("the AWS clients can be built");
    // The function learns only from its first invocation which account it is in.
    let service = &OnceLock::new();

    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        let now = SystemTime::now();
        // Without its account, the function can't know which images it owns.
        let function: FunctionArn = event.context.invoked_function_arn.parse().map_err(unknown)?;
        let service = service.get_or_init(|| Service::new(config.clone(), aws.clone(), &function, telemetry::emit));
        let invocation = InvocationContext {
            request_id: &event.context.request_id,
            time_left: event.context.deadline().duration_since(now).unwrap_or(Duration::ZERO),
            ends_at: event.context.deadline().into(),
            now: now.into(),
        };
        service.handle(&event.payload, &invocation).await.map_err(diagnostic)
    }))
    .await
}

fn diagnostic(error: InvocationError) -> Diagnostic {
    Diagnostic { error_type: error.error_type, error_message: error.error_message }
}

fn unknown(error: ParseError) -> Diagnostic {
    Diagnostic { error_type: "Unexpected".to_owned(), error_message: error.to_string() }
}
