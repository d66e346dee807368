//! Requests carried out without a Lambda runtime and without a trigger: by the one function that the Lambda function calls too.

use std::{
    path::{Path, PathBuf},
    process,
    sync::LazyLock,
    time::Duration,
};

use ami_share::{
    allowlist_source::Source,
    aws::Aws,
    deployment::{Deployment, Run},
    execute::execute,
    observe::Memory,
    records::RecordStore,
};
use key_policy::json::Json;
use serde_json::{Value, json};
use sharing::{
    decide::Setup,
    domain::Requester,
    outcome::{Outcome, Status},
    request::Request,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::support::{
    ACCOUNT, REGION,
    local_aws::LocalAws,
    scenes::{self, Stage, launch_permissions},
};

/// What requests are carried out with, at an AWS of one's own.
pub fn deployment(endpoint: &'static str) -> Deployment {
    let variable = move |name: &str| {
        let value = match name {
            "AWS_REGION" => REGION,
            "AWS_ACCESS_KEY_ID" => ACCOUNT,
            "AWS_SECRET_ACCESS_KEY" => "test",
            "AWS_ENDPOINT_URL" => endpoint,
            _ => return None,
        };
        Some(value.to_owned())
    };
    // Written once: tests run at the same time, and nobody must read half of it.
    static ALLOWLIST: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("allowlist-of-execute-{}.yaml", process::id()));
        std::fs::write(&path, scenes::ALLOWLIST).unwrap();
        path
    });
    let location = format!("file:{}", ALLOWLIST.display()).parse().unwrap();
    Deployment {
        aws: Aws::connect(variable).unwrap(),
        account: ACCOUNT.parse().unwrap(),
        allowlist: Source::new(location, Duration::from_secs(60)),
        entity_quota: 1_000,
        records: Ok(RecordStore {
            group: "default".to_owned(),
            role_arn: "arn:aws:iam::999988887777:role/ami-share-hints".to_owned(),
            bus_arn: format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/ami-share"),
            dead_letter_arn: None,
            record_key: None,
        }),
        setup: Setup { key_grants: true, copy_access: true, copies: true, approvals: true },
        memory: Memory::default(),
    }
}

/// Carries out a request document in so much time.
pub fn carry_out(deployment: &Deployment, requester: &str, document: &Value, time: Duration) -> Outcome {
    let now = OffsetDateTime::now_utc();
    let request = Request::parse(&Json::parse(&document.to_string()).unwrap(), now).unwrap();
    let run = Run {
        request_id: "an-id",
        now,
        deadline: Instant::now().checked_add(time).unwrap(),
        ends_at: now + time,
        may_ask: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(execute(&request, &Requester::new(requester.to_owned()), deployment, &run))
}

#[test]
fn a_request_is_carried_out_without_a_lambda_runtime() {
    const TARGET: &str = "111122223333";
    let aws = LocalAws::turn();
    let stage = Stage::new(&aws, 0);
    let keys = stage.seed(&stage.place(&scenes::shared_with(&[])));
    let (image, deployment, minute) = (scenes::image(1), deployment(aws.endpoint), Duration::from_secs(60));
    let expires_at = scenes::rfc3339(*scenes::EXPIRES);
    let share = json!({"action": "share", "imageIds": [image], "accountIds": [TARGET], "expiresAt": expires_at});

    let stranger = carry_out(&deployment, "events:111122223333:elsewhere", &share, minute);
    assert_eq!((stranger.result, stranger.refusals[0].code.as_str()), (Status::Refused, "RequesterNotAllowed"));
    assert_eq!(aws.calls(), [""; 0]);

    let late = carry_out(&deployment, "lambda:invoke", &share, Duration::ZERO);
    assert_eq!((late.result, late.retryable), (Status::Failed, true), "{late:?}");
    assert_eq!(aws.calls(), [""; 0]);

    let shared = carry_out(&deployment, "lambda:invoke", &share, minute);
    assert_eq!(
        (shared.result, shared.request_id.as_str(), shared.requester.as_ref().map(Requester::as_str)),
        (Status::Completed, "an-id", Some("lambda:invoke")),
        "{shared:?}"
    );
    let state = stage.state(&keys);
    assert_eq!(launch_permissions(&state, &image), [TARGET]);
    assert_eq!(state["schedules"].as_object().unwrap().len(), 1);

    let revoke = json!({"action": "revoke", "imageIds": [image], "accountIds": [TARGET]});
    assert_eq!(carry_out(&deployment, "lambda:invoke", &revoke, minute).result, Status::Completed);
    let state = stage.state(&keys);
    assert_eq!((launch_permissions(&state, &image).len(), state["schedules"].as_object().unwrap().len()), (0, 0));
}
