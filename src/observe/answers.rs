//! Owns running calls at the same time, and the failure for an answer that lacks something that must exist.

use std::collections::BTreeMap;

use futures_util::{StreamExt, future::LocalBoxFuture, stream};
use sharing::{facts::Failure, outcome::ErrorCode};

use crate::aws::CONCURRENCY;

/// Runs one call for each item, as many at once as the clients allow. The calls are boxed futures, so the binary has this code once for
/// each kind of answer and not for each kind of call.
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

/// The failure if a list of AWS lacks something that AWS named before.
pub(super) fn left_out(call: &'static str, id: impl ToString, message: String) -> Failure {
    let resource = Some(id.to_string());
    Failure { code: ErrorCode::Unexpected, call: Some(call), resource, message, retryable: false }
}
