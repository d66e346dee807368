//! Owns how calls to AWS are made: the number of calls at once, time limits that follow from the remaining time of the
//! invocation, retries where [`CallError`] says that one may help, and the count of calls.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use sharing::outcome::ErrorCode;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{
    error::{CallError, SdkError},
    turns::Turns,
};

/// An attempt may take half of the remaining time, and no more than this, so that a lost connection leaves time for
/// other attempts.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

/// No attempt is started with less remaining time than this.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);

/// The number of attempts for a call that AWS throttles: about a minute of pauses. The bucket of ModifyImageAttribute
/// refills 5 a second for the whole account, so waiting helps.
const THROTTLED_ATTEMPTS: u32 = 20;

/// The number of attempts for a call that fails because of a fault in AWS, or gets no answer.
const OTHER_ATTEMPTS: u32 = 5;

/// The time between two rate-limited calls: five calls a second, while the bucket of EC2's Describe calls refills
/// twenty a second for the whole account. Calls to Scheduler are not rate-limited: hardly anything else in the account
/// calls it, and an image may have hundreds of records.
const DISTANCE: Duration = Duration::from_millis(200);

/// One running attempt. It stores its answer itself.
type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send + 'a>>;

/// The limits of calls, and their count. Clones share the turns, the pace and the count.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience {
    /// The time after which no call may run; `None` until [`Patience::until`] sets it.
    deadline: Option<Instant>,
    turns: Arc<Turns>,
    /// Whether calls are rate-limited.
    is_rate_limited: bool,
    pace: Arc<Pace>,
    tally: Arc<Tally>,
}

impl Patience {
    /// The same with a deadline.
    pub(super) fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The same with a third of the time that is left.
    pub(super) fn for_a_third(&self) -> Self {
        let third = self.time_left().checked_div(3).unwrap_or_default();
        let deadline = Instant::now().checked_add(third).unwrap_or_else(|| self.deadline());
        self.until(deadline)
    }

    /// The same, rate-limited.
    pub(super) fn rate_limited(&self) -> Self {
        Self { is_rate_limited: true, ..self.clone() }
    }

    /// Makes a call, and retries it until AWS answers it or refuses it for good, the attempts are used up, or no time
    /// remains.
    ///
    /// Every call goes through here. Retrying a write is safe: EC2's writes have the same effect when repeated (adding
    /// a permission that exists and removing one that does not both succeed), and the Name of a grant makes CreateGrant
    /// idempotent.
    pub(super) async fn ask<T, E, F>(
        &self,
        call: &'static str,
        resource: &str,
        send: impl Fn() -> F + Sync,
    ) -> Result<T, CallError>
    where
        T: Send,
        F: Future<Output = Result<T, SdkError<E>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = Mutex::new(None);
        let attempt = || -> Attempt<'_> {
            let sent = send();
            // On the heap: the SDK's futures nest too deep for the compiler.
            Box::pin(async {
                let answered = sent.await.map_err(|error| CallError::new(call, resource, &error))?;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
                Ok(())
            })
        };
        self.repeat(call, resource, &attempt).await?;
        let answer = answer.into_inner().unwrap_or_else(PoisonError::into_inner);
        answer.ok_or_else(|| CallError::unexpected(call, resource, "the answer is lost"))
    }

    /// Makes the attempts of [`Patience::ask`]. The attempt is a boxed future, so the binary has this code once and not
    /// for each kind of call.
    async fn repeat<'a>(
        &self,
        call: &'static str,
        resource: &str,
        attempt: &(dyn Fn() -> Attempt<'a> + Sync),
    ) -> Result<(), CallError> {
        let Ok(Some(_turn)) = timeout_at(self.deadline(), self.turns.take()).await else {
            return Err(CallError::not_begun(call, resource));
        };
        let mut attempts: u32 = 0;
        let mut is_uncertain = false;
        let mut last = None;
        let keeps_distance = self.is_rate_limited && !call.starts_with("scheduler:");
        loop {
            if keeps_distance {
                sleep_until(self.pace.turn(Instant::now()).min(self.deadline())).await;
            }
            let left = self.time_left();
            if left < SHORTEST_ATTEMPT {
                // The last error from AWS is more useful than an error that says there was no time to retry.
                let error = last.unwrap_or_else(|| CallError::not_begun(call, resource));
                return Err(CallError { is_uncertain, ..error });
            }
            attempts = attempts.saturating_add(1);
            self.tally.count(attempts > 1);
            let began = Instant::now();
            let error = match timeout(longest(left), attempt()).await {
                Ok(Ok(())) => {
                    self.turns.grow();
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(_) => CallError::not_answered(call, resource),
            };
            if error.failure.code == ErrorCode::Throttled {
                self.turns.shrink(began, Instant::now());
            }
            // An earlier attempt without an answer may have succeeded, whatever AWS answered to the last one.
            is_uncertain |= error.is_uncertain;
            let pause = pause(error.failure.code, attempts, fastrand::f64());
            match pause {
                Some(pause) if self.time_left() >= pause.saturating_add(SHORTEST_ATTEMPT) => sleep(pause).await,
                Some(_) | None => return Err(CallError { is_uncertain, ..error }),
            }
            last = Some(error);
        }
    }

    /// How many calls may run at once now.
    pub(super) fn calls_at_once(&self) -> usize {
        self.turns.now()
    }

    /// The number of calls since the clients were built.
    pub(super) fn attempts(&self) -> Attempts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Attempts { made: read(&self.tally.made), repeated: read(&self.tally.repeated) }
    }

    fn deadline(&self) -> Instant {
        // Without a deadline: the longest time that Lambda lets a function run.
        let longest = || Instant::now().checked_add(Duration::from_secs(900)).unwrap_or_else(Instant::now);
        self.deadline.unwrap_or_else(longest)
    }

    fn time_left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }
}

/// How long one attempt may take.
fn longest(left: Duration) -> Duration {
    left.mul_f64(0.5).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT)
}

/// The pause before the next attempt, or `None` if another attempt can't help.
///
/// Half of the pause is fixed and half is random, so that callers that were throttled together don't retry together.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
fn pause(code: ErrorCode, attempts: u32, jitter: f64) -> Option<Duration> {
    let (first, longest, attempts_at_most) = match code {
        ErrorCode::Throttled => (Duration::from_millis(400), Duration::from_secs(4), THROTTLED_ATTEMPTS),
        ErrorCode::Unavailable => (Duration::from_millis(100), Duration::from_secs(2), OTHER_ATTEMPTS),
        // The attempt itself took long enough.
        ErrorCode::OutOfTime => (Duration::ZERO, Duration::ZERO, OTHER_ATTEMPTS),
        ErrorCode::Denied
        | ErrorCode::NotFound
        | ErrorCode::LimitExceeded
        | ErrorCode::TargetNotKnown
        | ErrorCode::Unexpected
        | ErrorCode::AllowlistUnavailable
        | ErrorCode::ExpiryLost
        | ErrorCode::NotPublished
        | ErrorCode::CopyFailed
        | ErrorCode::CopyOverdue => return None,
    };
    if attempts >= attempts_at_most {
        return None;
    }
    let whole = first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(longest);
    Some(whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0))
}

/// The time of the next rate-limited call.
#[derive(Debug, Default)]
struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Reserves the next turn.
    fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = turn.checked_add(DISTANCE);
        turn
    }
}

/// The number of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// All attempts, retries included.
    pub made: u64,
    /// The retries alone.
    pub repeated: u64,
}

impl Attempts {
    /// The difference to an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { made: self.made.saturating_sub(earlier.made), repeated: self.repeated.saturating_sub(earlier.repeated) }
    }
}

/// The count, which all clones of the clients share.
#[derive(Debug, Default)]
struct Tally {
    made: AtomicU64,
    repeated: AtomicU64,
}

impl Tally {
    fn count(&self, is_repeated: bool) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.repeated.fetch_add(u64::from(is_repeated), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use sharing::facts::Failure;

    use super::*;
    use crate::aws::turns::CONCURRENCY;

    #[test]
    fn terminal_codes_are_never_tried_again() {
        for code in [
            ErrorCode::Denied,
            ErrorCode::NotFound,
            ErrorCode::LimitExceeded,
            ErrorCode::Unexpected,
            ErrorCode::AllowlistUnavailable,
        ] {
            assert_eq!(pause(code, 1, 0.5), None, "{code:?}");
        }
    }

    #[test]
    fn fewer_calls_run_at_once_after_a_throttled_answer_and_more_again_after_good_ones() {
        let throttled = || {
            let error = CallError::not_answered("ec2:DescribeImages", "ami-1");
            CallError { failure: Failure { code: ErrorCode::Throttled, ..error.failure }, is_uncertain: false }
        };
        let patience = Patience::default();
        let answers = Mutex::new(vec![Ok(()), Err(throttled())]);
        let attempt = || -> Attempt<'_> { Box::pin(async { answers.lock().unwrap().pop().unwrap_or(Ok(())) }) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let call = || {
            runtime.block_on(patience.repeat("ec2:DescribeImages", "ami-1", &attempt)).unwrap();
            patience.calls_at_once()
        };
        assert_eq!(call(), CONCURRENCY / 2, "one attempt was throttled, the next was not");
        let grown: Vec<_> = (0..CONCURRENCY).map(|_| call()).collect();
        assert!(grown.is_sorted() && grown.last() > Some(&(CONCURRENCY / 2)), "{grown:?}");
        assert_eq!(patience.attempts().repeated, 1);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end() {
        let pauses = |code, jitter| (1..).map_while(|attempts| pause(code, attempts, jitter)).collect::<Vec<_>>();
        let throttled = pauses(ErrorCode::Throttled, 1.0);
        assert_eq!(throttled.len(), 19);
        assert_eq!(throttled[..5], [400, 800, 1600, 3200, 4000].map(Duration::from_millis));
        assert!(throttled.iter().sum::<Duration>() > Duration::from_secs(60));
        assert_eq!(pauses(ErrorCode::Unavailable, 0.0), [50, 100, 200, 400].map(Duration::from_millis));
        assert_eq!(pauses(ErrorCode::OutOfTime, 1.0), [Duration::ZERO; 4]);
    }

    #[test]
    fn calls_at_leisure_keep_their_distance() {
        let (pace, now) = (Pace::default(), Instant::now());
        let turns: Vec<_> = (0..6).map(|_| pace.turn(now) - now).collect();
        assert_eq!(turns, [0, 200, 400, 600, 800, 1000].map(Duration::from_millis), "five a second");
        let later = now + Duration::from_secs(10);
        assert_eq!(pace.turn(later), later, "who comes late does not wait, and saves nothing up");
        assert_eq!(pace.turn(later), later + DISTANCE);
    }

    #[test]
    fn chance_differs_from_call_to_call_and_stays_in_range() {
        let drawn: Vec<_> = (0..100).map(|_| fastrand::f64()).collect();
        assert!(drawn.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]), "{drawn:?}");
        assert!(drawn.iter().any(|number| *number < 0.3) && drawn.iter().any(|number| *number > 0.7));
    }

    #[test]
    fn an_attempt_takes_half_of_what_is_left() {
        for (left, expect) in [(60_000, 10_000), (12_000, 6_000), (1_200, 600), (600, 500)] {
            assert_eq!(longest(Duration::from_millis(left)), Duration::from_millis(expect), "{left}");
        }
    }
}
