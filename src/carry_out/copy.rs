//! Owns making a copy. It calls CopyImage again with another client token while EC2 returns a copy that no longer
//! exists.

use std::time::Duration;

use sharing::{domain::ImageId, facts::ImageState, needs::CopyOrder as Order};
use tokio::time::{Instant, sleep};

use crate::aws::{Aws, CallError, CopyAnswer, CopyOrder};

/// The number of client tokens that are tried. EC2 remembers a token and returns the copy that it made first. AWS does
/// not document what happens if this copy was deregistered.
const MOST_TOKENS: usize = 6;

/// The pauses after which EC2 is asked again for a copy that it doesn't list, before the copy counts as one that no longer
/// exists. EC2's reads lag its writes, and a copy that is given up too early is made twice.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Starts the copy, and returns its ID.
pub(super) async fn make(aws: &Aws, order: &Order, deadline: Instant) -> Result<ImageId, CallError> {
    for number in 0..MOST_TOKENS {
        match begin(aws, order, number).await? {
            // If this can't be read, the copy counts as existing. The next hint of the record finds out.
            Some(copy_id) if is_there(aws, &copy_id, deadline).await.unwrap_or(true) => return Ok(copy_id),
            Some(_) | None => {}
        }
    }
    let what = format!(
        "in {MOST_TOKENS} attempts, EC2 returned copies that don't exist, or every name for the copy was taken"
    );
    Err(CallError::unexpected("ec2:CopyImage", order.source.id.as_str(), &what))
}

/// Calls CopyImage, with the name of the source or with another one if that is taken. None if both are.
async fn begin(aws: &Aws, order: &Order, number: usize) -> Result<Option<ImageId>, CallError> {
    for is_taken in [false, true] {
        let name = order.name(number, is_taken);
        let client_token = order.client_token(&name, number);
        let copy = CopyOrder { source: &order.source, name: &name, key: &order.key, client_token: &client_token };
        match aws.copy_image(&copy).await? {
            CopyAnswer::Begun(copy_id) => return Ok(Some(copy_id)),
            CopyAnswer::NameTaken if order.name(number, true) == name => return Ok(None),
            CopyAnswer::NameTaken => {}
        }
    }
    Ok(None)
}

/// Whether the copy is pending or available. If there is no time to find out, it counts as existing.
async fn is_there(aws: &Aws, copy_id: &ImageId, deadline: Instant) -> Result<bool, CallError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let described = aws.describe_images(std::slice::from_ref(copy_id)).await?;
        if let Some(image) = described.get(copy_id) {
            return Ok(matches!(image.state, ImageState::Pending | ImageState::Available));
        }
        let Some(pause) = pauses.next() else { return Ok(false) };
        if deadline.saturating_duration_since(Instant::now()) <= pause {
            return Ok(true);
        }
        sleep(pause).await;
    }
}
