//! Owns how files are read: as UTF-8 text, up to a bound.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use crate::answer::Failure;

/// The most bytes of a file that are read: 32 times the longest key policy, 128 times the largest parameter.
const MAX_BYTES: u64 = 1024 * 1024;

/// A file, or standard input for `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input(PathBuf);

impl Input {
    pub(crate) fn is_standard_input(&self) -> bool {
        self.0.as_os_str() == OsStr::new("-")
    }

    pub(crate) fn read(&self) -> Result<String, Failure> {
        let unreadable = |error: io::Error| {
            Failure::unusable(format_args!("can't read {self}"), error, "Give a file that exists and can be read.")
        };
        let bytes =
            if self.is_standard_input() { bounded(io::stdin().lock()) } else { File::open(&self.0).and_then(bounded) };
        let Some(bytes) = bytes.map_err(unreadable)? else {
            return Err(Failure::Unusable(format!("{self} is larger than 1 MB. Give a smaller file.")));
        };
        String::from_utf8(bytes).map_err(|error| {
            Failure::unusable(format_args!("{self} is not UTF-8 text"), error.utf8_error(), "Save it as UTF-8.")
        })
    }
}

/// All bytes, or `None` if there are too many.
fn bounded(reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES.saturating_add(1);
    let read = reader.take(limit).read_to_end(&mut bytes)?;
    Ok(u64::try_from(read).is_ok_and(|read| read < limit).then_some(bytes))
}

impl From<&OsStr> for Input {
    fn from(path: &OsStr) -> Self {
        Self(path.into())
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_standard_input() { f.write_str("standard input") } else { write!(f, "{}", self.0.display()) }
    }
}
