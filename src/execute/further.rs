//! Owns carrying out further steps of a request after those of its plan. They are logged like these.

use sharing::{plan::Step, progress::ImageResult};
use tokio::time::Instant;

use super::plan_log::log_plan;
use crate::carry_out::{Writer, carry_on};

/// Logs the further steps of each image and carries them out.
pub(super) async fn take_further<'a>(
    writer: Writer<'_>,
    request_id: &str,
    further: Vec<(ImageResult<'a>, Vec<Step>)>,
    deadline: Instant,
) -> Vec<ImageResult<'a>> {
    for (_, steps) in &further {
        log_plan(request_id, steps, false);
    }
    carry_on(writer, further, deadline).await
}
