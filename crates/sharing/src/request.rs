//! Owns [`Request`]: what can be asked for, whichever trigger it comes through.

mod action;
mod asked;
mod fault;
mod fields;
mod next_token;
mod page_token;
mod parameters;
mod read;
mod shape;
mod written;

pub use action::{Access, Action};
pub use asked::Asked;
pub use fault::{Fault, FaultKind, Faults, MAX_FAULTS, Values, field_pointer};
pub use next_token::NextToken;
pub use page_token::PageToken;
pub use parameters::Parameters;
pub use read::SHORTEST_EXPIRY;
use time::OffsetDateTime;

use crate::domain::{AccountId, GroupId, ImageId, Region, ServiceLinkedRole, Target};

/// The maximum number of images in one request.
pub const MAX_IMAGES: usize = 50;
/// The maximum number of targets in one request.
pub const MAX_TARGETS: usize = 200;
/// The maximum number of pairs of an image and a target in one request.
pub const MAX_PAIRS: usize = 1_000;
/// The maximum number of service-linked roles in one request.
pub const MAX_ROLES: usize = 50;
/// The maximum number of characters in the name of an image:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>
pub const MAX_NAME: usize = 128;
/// The maximum number of characters in a reason.
pub const MAX_REASON: usize = 500;

/// A valid request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// The images, each once; empty only for actions that take none, and for a `list` by account.
    pub image_ids: Vec<ImageId>,
    /// The targets, each once; empty unless the action takes targets.
    pub targets: Vec<AskedTarget>,
    /// The account of a `list` by account, which has no images.
    pub shared_with: Option<AccountId>,
    /// The target of a request whose URL names an organization or unit by its bare ID.
    pub group: Option<GroupId>,
    /// The access of the targets.
    pub access: Access,
    /// The service-linked roles in the target accounts that need the keys, too.
    pub service_linked_roles: Vec<ServiceLinkedRole>,
    /// When the share expires.
    pub expires_at: Option<OffsetDateTime>,
    /// The Region of the images, if the request concerns their copies in this Region.
    pub copy_from: Option<Region>,
    /// The share that waits for approval, for `approve` and `reject`: its ID, which may be none.
    pub approval_id: Option<String>,
    /// What the name of an image must match, for `images`; with IAM's wildcards.
    pub name: Option<String>,
    /// Whether an audit also says who can launch each image.
    pub rows: bool,
    /// Where an audit or repair continues.
    pub next_token: Option<NextToken>,
    /// The page of `images` or of a `list` by account; `None` for the first page.
    pub page: Option<PageToken>,
    /// Whether to decide and plan, but change nothing.
    pub dry_run: bool,
    /// The reason, in the caller's words.
    pub reason: Option<String>,
    /// The fields that the URL determined.
    pub parameters: Parameters,
}

/// A target and its place in the request document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTarget {
    /// The target.
    pub target: Target,
    /// Its JSON Pointer, such as `/accountIds/0`.
    pub pointer: String,
}

/// A malformed request: its faults, and what could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The action, if it could be read.
    pub action: Option<Action>,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// The reason, if there is one that the log can show.
    pub reason: Option<String>,
    /// What else could be read, for the log.
    pub asked: Box<Asked>,
    /// The faults; never empty.
    pub faults: Faults,
}

impl Malformed {
    /// A request with one fault, of the document as a whole.
    pub fn document(kind: FaultKind, message: impl Into<String>) -> Self {
        let faults = Faults::one(Fault::new(kind, "", message));
        Self { action: None, dry_run: false, reason: None, asked: Box::default(), faults }
    }
}

impl Request {
    /// A request with this action and image and nothing else.
    pub fn bare(action: Action, image_id: ImageId) -> Self {
        Self {
            action,
            image_ids: vec![image_id],
            targets: Vec::new(),
            shared_with: None,
            group: None,
            access: Access::Launch,
            service_linked_roles: Vec::new(),
            expires_at: None,
            copy_from: None,
            approval_id: None,
            name: None,
            rows: false,
            next_token: None,
            page: None,
            dry_run: false,
            reason: None,
            parameters: Parameters::default(),
        }
    }
}
