//! Allowlists made of rules and criteria, valid ones and nearly valid ones: what is accepted names nobody and nothing by
//! accident, and the schema accepts it.

#![no_main]

use ami_share_fuzz::{allowlists::Document, checks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: Document| checks::allowlist(&document.text()));
