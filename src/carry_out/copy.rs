//! Owns making a copy: CopyImage, again with another client token as long as EC2 answers with a copy that is not there any
//! more.

use std::time::Duration;

use sharing::{domain::ImageId, facts::ImageState, needs::CopyOrder as Order};

use crate::aws::{Aws, CallError, CopyAnswer, CopyOrder};

/// With so many client tokens a copy is tried. EC2 remembers a token, and answers with the copy that it first made: what
/// follows where that was deregistered is not documented.
const MOST_TOKENS: usize = 6;

/// So often EC2 is asked for a new copy, with this pause, before it counts as one that is not there any more: EC2's reads lag
/// its writes. <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Has EC2 make the copy, and returns its ID.
pub(super) async fn make(aws: &Aws, order: &Order) -> Result<ImageId, CallError> {
    for number in 0..MOST_TOKENS {
        match begin(aws, order, number).await? {
            // What can't be asked is taken for there: the record of the share finds out.
            Some(copy_id) if is_there(aws, &copy_id).await.unwrap_or(true) => return Ok(copy_id),
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

/// Whether the copy is pending or available.
async fn is_there(aws: &Aws, copy_id: &ImageId) -> Result<bool, CallError> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let described = aws.describe_images(std::slice::from_ref(copy_id)).await?;
        if let Some(image) = described.get(copy_id) {
            return Ok(matches!(image.state, ImageState::Pending | ImageState::Available));
        }
    }
    Ok(false)
}
