//! Owns where the allowlist comes from and how long a copy of it may be used.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, sync::Mutex, time::Duration};

use time::OffsetDateTime;

use super::Allowlist;
use crate::{
    domain::quoted,
    outcome::{ErrorCode, ErrorRow},
};

/// Where the document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, relative to the function's own folder.
    File(PathBuf),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("ssm" | "appconfig", _)) => {
                Err(format!("{}: this source is not built yet; use `file:<path>`", quoted(text)))
            }
            Some(_) | None => Err(format!("{} is not `file:<path>`", quoted(text))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// The document with a memory: it is read again when the copy is older than the TTL.
#[derive(Debug)]
pub struct Source {
    location: Location,
    ttl: Duration,
    copy: Mutex<Option<(OffsetDateTime, Arc<Allowlist>)>>,
}

impl Source {
    /// Nothing is read yet.
    pub fn new(location: Location, ttl: Duration) -> Self {
        Self { location, ttl, copy: Mutex::new(None) }
    }

    /// The allowlist, never older than the TTL. Why it can't be had goes to the log; the caller learns only that.
    pub fn current(&self, now: OffsetDateTime) -> Result<Arc<Allowlist>, ErrorRow> {
        let mut copy = self.copy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((read_at, allowlist)) = copy.as_ref()
            && (OffsetDateTime::UNIX_EPOCH..=now).contains(read_at)
            && now - *read_at < self.ttl
        {
            return Ok(Arc::clone(allowlist));
        }
        *copy = None;
        match self.read() {
            Ok(allowlist) => {
                let allowlist = Arc::new(allowlist);
                *copy = Some((now, Arc::clone(&allowlist)));
                Ok(allowlist)
            }
            Err(problem) => {
                tracing::error!(allowlist.location = %self.location, error = problem, "the allowlist can't be used: {problem}");
                Err(ErrorRow {
                    code: ErrorCode::AllowlistUnavailable,
                    call: None,
                    resource: None,
                    message: "the allowlist can't be read or is not in order, so nothing is allowed; the function's log says why"
                        .to_owned(),
                    retryable: true,
                })
            }
        }
    }

    fn read(&self) -> Result<Allowlist, String> {
        let Location::File(path) = &self.location;
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Allowlist::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_the_copy_is_too_old() {
        let folder = std::env::temp_dir().join(format!("ami-share-source-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("allowlist.yaml");
        std::fs::write(&path, include_str!("../../examples/allowlist.yaml")).unwrap();
        let source = Source::new(Location::File(path.clone()), Duration::from_secs(60));
        let now = time::macros::datetime!(2026-11-22 12:00 UTC);
        let at = |seconds| now + time::Duration::seconds(seconds);

        assert_eq!(source.current(at(0)).unwrap().rules.len(), 3);
        std::fs::write(&path, "version: 2").unwrap();
        assert!(source.current(at(59)).is_ok(), "the copy is young enough");
        let error = source.current(at(60)).unwrap_err();
        assert_eq!(error.code, ErrorCode::AllowlistUnavailable);
        assert!(error.retryable && !error.message.contains("version"), "{}", error.message);
        assert!(source.current(at(61)).is_err(), "an older copy is never used again");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_location_names_its_kind() {
        assert_eq!("file:allowlist.yaml".parse(), Ok(Location::File("allowlist.yaml".into())));
        for wrong in ["", "allowlist.yaml", "file:", "ssm:/a", "http://x"] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
