//! Owns [`Turns`]: how many calls run at once. It follows what AWS grants: it shrinks when AWS throttles a call, and grows
//! back while AWS answers.

use std::sync::{Mutex, PoisonError};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// The most calls at once, for all callers together. EC2's request buckets are for the whole account, console and Terraform
/// included: those of the Describe calls hold 100 and refill 20 a second, and that of ModifyImageAttribute holds 100 and
/// refills 5 a second. So a third of a full bucket is asked for at a time.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
pub const CONCURRENCY: usize = 32;

/// The fewest calls at once, however often AWS throttles.
const FEWEST: usize = 2;

/// The turns of calls.
#[derive(Debug)]
pub(super) struct Turns {
    permits: Semaphore,
    limit: Mutex<Limit>,
}

/// How many calls may run at once.
#[derive(Debug)]
struct Limit {
    now: usize,
    /// The permits that are to be taken back when the calls that have them end.
    owed: usize,
    /// The calls that AWS answered since it was changed.
    answered: usize,
    /// When it shrank last.
    shrank: Option<Instant>,
}

/// The turn of one call.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    permit: Option<SemaphorePermit<'a>>,
}

impl Default for Turns {
    fn default() -> Self {
        let limit = Limit { now: CONCURRENCY, owed: 0, answered: 0, shrank: None };
        Self { permits: Semaphore::new(CONCURRENCY), limit: Mutex::new(limit) }
    }
}

impl Turns {
    /// Waits for a turn; `None` where there will be none.
    pub(super) async fn take(&self) -> Option<Turn<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        Some(Turn { turns: self, permit: Some(permit) })
    }

    /// How many calls may run at once now.
    pub(super) fn now(&self) -> usize {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    /// AWS throttled an attempt that began then: half as many calls run from now on. Calls that began before the limit
    /// shrank say nothing about the new limit.
    pub(super) fn shrink(&self, began: Instant, now: Instant) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if limit.shrank.is_some_and(|shrank| began <= shrank) {
            return;
        }
        let fewer = (limit.now / 2).max(FEWEST);
        let too_many = limit.now.saturating_sub(fewer);
        let taken_back = self.permits.forget_permits(too_many);
        limit.owed = limit.owed.saturating_add(too_many.saturating_sub(taken_back));
        (limit.now, limit.answered, limit.shrank) = (fewer, 0, Some(now));
    }

    /// AWS answered a call: one more call runs at once after as many answers as there are turns.
    pub(super) fn grow(&self) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if limit.now >= CONCURRENCY {
            return;
        }
        limit.answered = limit.answered.saturating_add(1);
        if limit.answered >= limit.now {
            (limit.now, limit.answered) = (limit.now.saturating_add(1), 0);
            if limit.owed > 0 {
                limit.owed = limit.owed.saturating_sub(1);
            } else {
                self.permits.add_permits(1);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut limit = self.turns.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permit) = self.permit.take().filter(|_| limit.owed > 0) {
            limit.owed = limit.owed.saturating_sub(1);
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many turns can be taken now.
    fn free(turns: &Turns) -> usize {
        turns.permits.available_permits()
    }

    #[tokio::test]
    async fn turns_are_halved_once_for_calls_that_are_throttled_together() {
        let (turns, began) = (Turns::default(), Instant::now());
        let mut running = Vec::new();
        for _ in 0..CONCURRENCY {
            running.push(turns.take().await.unwrap());
        }
        let later = |seconds| began + Duration::from_secs(seconds);
        for _ in 0..CONCURRENCY {
            turns.shrink(began, later(1));
        }
        assert_eq!((turns.now(), free(&turns)), (CONCURRENCY / 2, 0));
        running.clear();
        assert_eq!(free(&turns), CONCURRENCY / 2, "the turns of calls that have ended are taken back");

        for seconds in 2..20 {
            turns.shrink(later(seconds), later(seconds));
        }
        assert_eq!((turns.now(), free(&turns)), (FEWEST, FEWEST), "some calls always run");
    }

    #[tokio::test]
    async fn turns_grow_back_while_aws_answers() {
        let (turns, began) = (Turns::default(), Instant::now());
        turns.shrink(began, began);
        let half = CONCURRENCY / 2;
        (0..half).for_each(|_| turns.grow());
        assert_eq!((turns.now(), free(&turns)), (half + 1, half + 1), "one more after as many answers as turns");
        (0..CONCURRENCY * CONCURRENCY).for_each(|_| turns.grow());
        assert_eq!((turns.now(), free(&turns)), (CONCURRENCY, CONCURRENCY), "and never more than at first");

        // What is owed is given back before more is given.
        let mut running = Vec::new();
        for _ in 0..CONCURRENCY {
            running.push(turns.take().await.unwrap());
        }
        turns.shrink(began + Duration::from_secs(1), began + Duration::from_secs(1));
        (0..half).for_each(|_| turns.grow());
        running.clear();
        assert_eq!((turns.now(), free(&turns)), (half + 1, half + 1));
    }
}
