//! Owns running calls at the same time, and the failure for an answer that lacks something that must exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use futures_util::{
    StreamExt,
    future::{Either, LocalBoxFuture, select},
    stream::{self, LocalBoxStream},
};
use sharing::{facts::Failure, outcome::ErrorCode};

use crate::aws::CONCURRENCY;

/// Runs one call for each item, as many at once as the clients allow. The calls are boxed futures, so the binary has this code once for
/// each kind of answer and not for each kind of call.
pub(super) async fn concurrently<K: Ord, T>(items: Vec<K>, call: impl AsyncFn(&K) -> T) -> BTreeMap<K, T> {
    answers(items, &call).collect().await
}

fn answers<'a, K: 'a, T: 'a>(items: Vec<K>, call: impl AsyncFn(&K) -> T + Copy + 'a) -> LocalBoxStream<'a, (K, T)> {
    let asked = items.into_iter().map(move |item| -> LocalBoxFuture<'a, (K, T)> {
        Box::pin(async move {
            let answer = call(&item).await;
            (item, answer)
        })
    });
    stream::iter(asked).buffer_unordered(CONCURRENCY).boxed_local()
}

/// Questions that are asked before it is known which of them matter. Nobody waits for the answer to one that doesn't.
pub(super) struct Ahead<'a, K, T> {
    asked: BTreeSet<K>,
    running: LocalBoxStream<'a, (K, T)>,
    answered: BTreeMap<K, T>,
}

impl<'a, K: Ord + Clone + 'a, T: 'a> Ahead<'a, K, T> {
    /// Asks these questions, as soon as something is waited for.
    pub(super) fn ask(asked: BTreeSet<K>, call: impl AsyncFn(&K) -> T + Copy + 'a) -> Self {
        Self { running: answers(asked.iter().cloned().collect(), call), asked, answered: BTreeMap::new() }
    }

    /// Whether this question was asked.
    pub(super) fn includes(&self, item: &K) -> bool {
        self.asked.contains(item)
    }

    /// Waits for something else. Answers arrive at the same time.
    pub(super) async fn beside<O>(&mut self, other: impl Future<Output = O>) -> O {
        let mut other = pin!(other);
        loop {
            match select(other.as_mut(), self.running.next()).await {
                Either::Left((output, _)) => return output,
                Either::Right((Some((item, answer)), _)) => drop(self.answered.insert(item, answer)),
                Either::Right((None, _)) => return other.await,
            }
        }
    }

    /// The answers to these of the questions. The others are given up.
    pub(super) async fn answers_to(mut self, wanted: &BTreeSet<K>) -> BTreeMap<K, T> {
        while !wanted.iter().all(|item| self.answered.contains_key(item)) {
            let Some((item, answer)) = self.running.next().await else { break };
            self.answered.insert(item, answer);
        }
        self.answered.retain(|item, _| wanted.contains(item));
        self.answered
    }
}

/// The failure if a list of AWS lacks something that AWS named before.
pub(super) fn left_out(call: &'static str, id: impl ToString, message: String) -> Failure {
    let resource = Some(id.to_string());
    Failure { code: ErrorCode::Unexpected, call: Some(call), resource, message, retryable: false }
}
