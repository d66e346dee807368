//! Schedules with the names of records, as the function writes them and as somebody else may change them: what is read as a
//! record is written back as the same.

#![no_main]

use ami_share_fuzz::{checks, records::Kept};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|kept: Kept| {
    if let Some((written, name, schedule)) = kept.found() {
        let is_read = checks::recorded(written.as_ref(), &name, &schedule);
        assert!(is_read || kept.is_changed() || written.is_none(), "a record that can't be read: {schedule:?}");
    }
});
