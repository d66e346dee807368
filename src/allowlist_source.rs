//! Owns fetching the allowlist from its location, one fetch at a time, and keeping it for its TTL.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sharing::{
    allowlist::{Allowlist, Loaded, Location, Memory, Profile},
    facts::Failure,
    outcome::ErrorCode,
    request::Action,
};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use crate::{aws::Aws, log_lines};

/// The longest time of a fetch. After that a revoke uses the old copy, and still has most of its time.
const FETCH_TIME: Duration = Duration::from_secs(8);

/// The location of the allowlist, and the memory of the last copy.
#[derive(Debug)]
pub struct Source {
    location: Location,
    memory: Mutex<Memory>,
    /// Only the holder of this lock fetches. It holds AppConfig's token for the next poll. With the token, AppConfig
    /// doesn't send (and bill) an unchanged document again, and during a gradual deployment this function doesn't
    /// switch back and forth between two versions.
    poll: tokio::sync::Mutex<Option<String>>,
}

impl Source {
    /// A source that has not fetched anything yet.
    pub fn new(location: Location, ttl: Duration) -> Self {
        Self { location, memory: Mutex::new(Memory::new(ttl)), poll: tokio::sync::Mutex::new(None) }
    }

    /// The allowlist for a decision about `action`. If there is none, the reason is logged, and the caller learns only
    /// that there is none.
    pub async fn load_for(
        &self,
        action: Action,
        aws: &Aws,
        now: OffsetDateTime,
        deadline: Instant,
    ) -> Result<Loaded, Failure> {
        let until = Instant::now().checked_add(FETCH_TIME).map_or(deadline, |until| until.min(deadline));
        let current = timeout_at(until, self.current(&aws.until(until), now)).await;
        let problem = match current {
            Ok(Ok(usable)) => return Ok(usable),
            Ok(Err(problem)) => problem,
            Err(_) => "no answer in time".to_owned(),
        };
        let location = &self.location;
        // A document may have any number of faults, and each is logged.
        let parts = log_lines::pieces(&problem);
        for (index, part) in parts.iter().enumerate() {
            tracing::error!(
                allowlist.location = %location,
                error = part,
                part = index.saturating_add(1),
                parts = parts.len(),
                "the allowlist {location} can't be used: {part}"
            );
        }
        self.memory().stale(action).ok_or_else(|| Failure {
            code: ErrorCode::AllowlistUnavailable,
            call: None,
            resource: None,
            message: "the allowlist can't be read or is not valid, so nothing is allowed; the function's log says why"
                .to_owned(),
            retryable: true,
        })
    }

    async fn current(&self, aws: &Aws, now: OffsetDateTime) -> Result<Loaded, String> {
        if let Some(usable) = self.memory().fresh(now) {
            return Ok(usable);
        }
        let mut poll = self.poll.lock().await;
        // A fetch that held the lock before may have stored a copy that is fresh enough.
        if let Some(usable) = self.memory().fresh(now) {
            return Ok(usable);
        }
        let unchanged = "AppConfig sent no document";
        match self.fetch(aws, &mut poll).await? {
            None => self.memory().touch(now).ok_or_else(|| unchanged.to_owned()),
            Some(text) => {
                let allowlist = Allowlist::parse(&text).map_err(|error| {
                    // Without the token AppConfig sends the document again, so the next fetch finds the fault again.
                    *poll = None;
                    error.to_string()
                })?;
                Ok(self.memory().insert(allowlist, now))
            }
        }
    }

    /// The document, or `None` if it has not changed since the last poll.
    async fn fetch(&self, aws: &Aws, poll: &mut Option<String>) -> Result<Option<String>, String> {
        match &self.location {
            Location::File(path) => std::fs::read_to_string(path).map(Some).map_err(|error| error.to_string()),
            Location::Parameter(name) => aws.parameter(name).await.map(Some).map_err(|error| error.failure.message),
            Location::AppConfig(profile) => fetch_configuration(aws, profile, poll).await,
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch_configuration(
    aws: &Aws,
    profile: &Profile,
    poll: &mut Option<String>,
) -> Result<Option<String>, String> {
    // A token expires after a day. Whatever is wrong with a token, a new session shows whether the document can be
    // read.
    if let Some(token) = poll.take()
        && let Ok(polled) = aws.latest_configuration(&token).await
    {
        *poll = polled.next_token;
        return Ok(polled.document);
    }
    let polled = async {
        let token = aws.start_configuration_session(profile).await?;
        aws.latest_configuration(&token).await
    };
    let polled = polled.await.map_err(|error| error.failure.message)?;
    let document = polled.document.ok_or("the configuration that is deployed there is empty")?;
    *poll = polled.next_token;
    Ok(Some(document))
}
