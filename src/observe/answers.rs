//! Owns how many calls are made at once, and what is wrong with an answer that lacks what was named before.

use std::collections::BTreeMap;

use futures_util::{StreamExt, future::LocalBoxFuture, stream};
use sharing::{facts::Failure, outcome::ErrorCode};

use crate::aws::CONCURRENCY;

/// Runs one call per item, so many at a time. They are behind a pointer, so that what waits for them is there once for each
/// kind of answer and not for each kind of call.
pub(super) async fn concurrently<K: Ord, T>(items: Vec<K>, call: impl AsyncFn(&K) -> T) -> BTreeMap<K, T> {
    let call = &call;
    stream::iter(items)
        .map(|item| -> LocalBoxFuture<'_, (K, T)> {
            Box::pin(async move {
                let answer = call(&item).await;
                (item, answer)
            })
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await
}

/// A list of AWS lacks what it named before.
pub(super) fn left_out(call: &'static str, id: impl ToString, message: String) -> Failure {
    let resource = Some(id.to_string());
    Failure { code: ErrorCode::Unexpected, call: Some(call), resource, message, retryable: false }
}
