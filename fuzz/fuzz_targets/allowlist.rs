//! Any text as an allowlist: reading it never panics, and what is accepted names nobody and nothing by accident.

#![no_main]

use ami_share_fuzz::checks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        checks::allowlist(text);
    }
});
