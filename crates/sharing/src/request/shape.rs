//! Owns which fields each action needs, which have no meaning for it, and how much one request may ask for.

use super::{
    Action, MAX_IMAGES, MAX_PAIRS, MAX_TARGETS,
    fault::{Fault, FaultKind, field_pointer},
    fields::{RequestFields, too_many},
};

/// Checks that a request has the fields that its action needs, none that have no meaning for it, and not too many
/// images and targets. `targets` has the number of targets of each field.
pub(super) fn check_shape(
    fields: &mut RequestFields<'_>,
    action: Action,
    images: usize,
    targets: [usize; 3],
    has_group: bool,
) {
    const TARGET_FIELDS: [&str; 3] = ["accountIds", "organizationArns", "organizationalUnitArns"];
    let is_by_account = action == Action::List && fields.has("accountIds");
    let of_action =
        |kind, pointer: &str, message: String| Fault::new(kind, pointer, message).value("action", action.as_str());
    let missing = |pointer: &str, message: String| of_action(FaultKind::Missing, pointer, message);
    let no_meaning = |name: &str, message: String| of_action(FaultKind::NoMeaning, &field_pointer(name), message);
    if is_by_account {
        check_list_by_account(fields, targets);
    } else if action.takes_images() {
        if !fields.has("imageIds") {
            let or_account = if action == Action::List { ", or `accountIds` with one account" } else { "" };
            fields.fault(missing("/imageIds", format!("missing: `{action}` is about at least one image{or_account}")));
        }
    } else if fields.has("imageIds") {
        fields.fault(no_meaning("imageIds", format!("`{action}` takes no images")));
    }
    if action.takes_targets() {
        if !has_group && !TARGET_FIELDS.iter().any(|name| fields.has(name)) {
            let message =
                format!("missing: `{action}` needs `accountIds`, `organizationArns` or `organizationalUnitArns`");
            fields.fault(missing("/accountIds", message));
        }
        // If one field alone has too many, that was already reported.
        let all = targets.iter().fold(0, |all: usize, targets| all.saturating_add(*targets));
        let pairs = images.saturating_mul(all);
        if images <= MAX_IMAGES && targets.iter().all(|targets| *targets <= MAX_TARGETS) {
            if all > MAX_TARGETS {
                fields.fault(too_many("", all, "targets", MAX_TARGETS));
            } else if pairs > MAX_PAIRS {
                fields.fault(too_many("", pairs, "image × target pairs", MAX_PAIRS));
            }
        }
    } else {
        let other_targets =
            TARGET_FIELDS.iter().filter(|name| fields.has(name) && !(is_by_account && **name == "accountIds"));
        for name in other_targets.copied().collect::<Vec<_>>() {
            fields.fault(no_meaning(name, format!("`{action}` takes no targets")));
        }
    }
    if matches!(action, Action::Approve | Action::Reject) && !fields.has("approvalId") {
        fields.fault(missing("/approvalId", format!("missing: `{action}` is about what waits for approval")));
    }
    // A field that the action can't honor is refused. For example, a revoke does not wait for `expiresAt`.
    for name in meaningless(action, is_by_account).iter().filter(|name| fields.has(name)).copied().collect::<Vec<_>>() {
        fields.fault(no_meaning(name, format!("has no meaning for `{action}`")));
    }
}

/// The fields that have no meaning for an action.
pub(super) fn meaningless(action: Action, is_by_account: bool) -> &'static [&'static str] {
    match action {
        Action::Share | Action::Check => &["approvalId", "name", "nextToken", "rows"],
        Action::Revoke => &["approvalId", "expiresAt", "name", "nextToken", "rows"],
        Action::List if is_by_account => {
            &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "rows"]
        }
        Action::List => &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "name", "nextToken", "rows"],
        Action::Reset | Action::Usage => {
            &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "nextToken", "rows"]
        }
        Action::Audit => &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "name"],
        Action::Repair => &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "rows"],
        Action::Images => &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "rows"],
        Action::Approvals => &["access", "approvalId", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "rows"],
        Action::Approve | Action::Reject => {
            &["access", "serviceLinkedRoles", "expiresAt", "copyFrom", "name", "nextToken", "rows"]
        }
    }
}

/// Checks that a `list` by account has one account and no images.
fn check_list_by_account(fields: &mut RequestFields<'_>, [accounts, ..]: [usize; 3]) {
    if fields.has("imageIds") {
        let message = "`list` takes either `imageIds` or one account";
        fields.fault(Fault::new(FaultKind::NoMeaning, "/accountIds", message).value("action", "list"));
    } else if accounts > 1 && accounts <= MAX_TARGETS {
        let message = format!("{accounts} accounts; `list` takes one at a time");
        fields.fault(
            Fault::new(FaultKind::TooMany, "/accountIds", message)
                .value("action", "list")
                .value("count", accounts)
                .value("most", 1),
        );
    }
}
