//! Events made of parts, each trigger's envelope around a request: nobody becomes a requester whom the trigger's service does
//! not vouch for, every answer is as its schema says, and a request is read back as it was written.

#![no_main]

use ami_share_fuzz::{
    checks::{self, Vouched},
    events::Sent,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sent: Sent| {
    let text = sent.text();
    checks::arrive(text.as_bytes(), sent.vouched().map_or(Vouched::Unknown, Vouched::Beginning));
    if sent.is_document() {
        checks::document(&text);
    }
});
