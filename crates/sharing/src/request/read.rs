//! Owns how a [`Request`] is read from a request document: every field, and every fault with its place.

use std::{fmt::Display, str::FromStr};

use key_policy::json::Json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Access, Action, Asked, AskedTarget, MAX_IMAGES, MAX_NAME, MAX_REASON, MAX_ROLES, MAX_TARGETS, Malformed, NextToken,
    PageToken, Parameters, Request,
    fault::{Fault, FaultKind},
    fields::{Ids, RequestFields, Wrong},
    shape::check_shape,
};
use crate::domain::{
    AccountId, GroupId, ImageId, OrganizationArn, OrganizationalUnitArn, Region, ServiceLinkedRole, Target, code_point,
    invisible, quoted, rfc3339,
};

/// Where a request document comes from.
pub(super) enum Origin {
    /// A trigger received it. Its only target is this group, if there is one.
    Sent { group: Option<GroupId>, now: OffsetDateTime },
    /// It was written into a record after it had been read.
    Record,
}

impl Origin {
    /// The expiry time. Only a request that was just sent is compared with the current time.
    fn expiry(&self, text: &str) -> Result<OffsetDateTime, Wrong> {
        match self {
            Self::Sent { now, .. } => expiry(text, *now),
            Self::Record => time_of(text),
        }
    }

    /// The target that is a bare ID, if there is one. Only a record has a field for it.
    fn group(self, fields: &mut RequestFields<'_>) -> Option<GroupId> {
        match self {
            Self::Sent { group, .. } => group,
            Self::Record => fields.choice("group", group_id),
        }
    }
}

impl Request {
    /// Reads a request document and names every fault. `now` is the current time, with which `expiresAt` is compared.
    pub fn parse(document: &Json, now: OffsetDateTime) -> Result<Self, Malformed> {
        Self::parse_for(None, document, now)
    }

    /// The same for a request whose only target is `group`, if there is one.
    pub fn parse_for(group: Option<GroupId>, document: &Json, now: OffsetDateTime) -> Result<Self, Malformed> {
        Self::read(Origin::Sent { group, now }, document)
    }

    pub(super) fn read(origin: Origin, document: &Json) -> Result<Self, Malformed> {
        let Some(fields) = document.as_object() else {
            let message = format!("a request must be a JSON object, but this is {}", document.kind());
            return Err(Malformed::document(FaultKind::WrongType, message));
        };
        let mut fields = RequestFields::new(fields);

        fields.choice("version", version);
        let action = action(&mut fields);
        let images = fields.ids::<ImageId>("imageIds", "images", MAX_IMAGES);
        let (mut targets, target_counts) = targets(&mut fields);
        let access = fields.choice("access", access).unwrap_or_default();
        let roles = fields.ids::<ServiceLinkedRole>("serviceLinkedRoles", "roles", MAX_ROLES);
        let expires_at = fields.choice("expiresAt", |text| origin.expiry(text));
        let copy_from = fields.choice("copyFrom", parse::<Region>);
        let approval_id = fields.choice("approvalId", approval_id);
        let name = fields.choice("name", name);
        let rows = fields.boolean("rows").unwrap_or(false);
        let (next_token, page) = tokens(&mut fields, action);
        let dry_run = fields.boolean("dryRun").unwrap_or(false);
        let reason = fields.choice("reason", reason);
        let group = origin.group(&mut fields);
        fields.refuse_the_rest();

        if let Some(action) = action {
            check_shape(&mut fields, action, images.different, target_counts, group.is_some());
        }
        let (image_ids, service_linked_roles) = (images.into_ids().collect(), roles.into_ids().collect());
        let Some(action) = action.filter(|_| fields.faults.is_empty()) else {
            let targets = names(&targets, group.as_ref());
            let asked = Asked { image_ids, targets, access: None, service_linked_roles, copy_from, expires_at, name };
            return Err(Malformed { action, dry_run, reason, asked: Box::new(asked), faults: fields.faults });
        };
        let account = targets.pop_if(|_| action == Action::List);
        Ok(Self {
            action,
            image_ids,
            targets,
            shared_with: account.and_then(|asked| asked.target.account()),
            group,
            access,
            service_linked_roles,
            expires_at,
            copy_from,
            approval_id,
            name,
            rows,
            next_token,
            page,
            dry_run,
            reason,
            parameters: Parameters::default(),
        })
    }
}

/// The targets in the order of the fields, and the number of different targets of each field.
fn targets(fields: &mut RequestFields<'_>) -> (Vec<AskedTarget>, [usize; 3]) {
    let accounts = fields.ids::<AccountId>("accountIds", "targets", MAX_TARGETS);
    let organizations = fields.ids::<OrganizationArn>("organizationArns", "targets", MAX_TARGETS);
    let units = fields.ids::<OrganizationalUnitArn>("organizationalUnitArns", "targets", MAX_TARGETS);
    let counts = [accounts.different, organizations.different, units.different];
    let targets = asked("accountIds", accounts, Target::Account)
        .chain(asked("organizationArns", organizations, Target::Organization))
        .chain(asked("organizationalUnitArns", units, Target::OrganizationalUnit));
    (targets.collect(), counts)
}

fn asked<T>(field: &str, ids: Ids<T>, target: fn(T) -> Target) -> impl Iterator<Item = AskedTarget> {
    ids.ids.into_iter().map(move |(index, id)| AskedTarget { target: target(id), pointer: format!("/{field}/{index}") })
}

/// The names of the targets, for the log.
fn names(targets: &[AskedTarget], group: Option<&GroupId>) -> Vec<String> {
    targets.iter().map(|asked| asked.target.to_string()).chain(group.map(ToString::to_string)).collect()
}

fn version(text: &str) -> Result<(), Wrong> {
    if text == "1" { Ok(()) } else { Err(Wrong::from("this function reads version `1`".to_owned()).allowed(["1"])) }
}

fn action(fields: &mut RequestFields<'_>) -> Option<Action> {
    if !fields.has("action") {
        fields.fault(Fault::new(FaultKind::Missing, "/action", "missing"));
    }
    let words = || Action::ALL.map(Action::as_str);
    fields.choice("action", |text| {
        text.parse().map_err(|message: String| Wrong::from(message).given(text).allowed(words()))
    })
}

/// The `nextToken`: that of a `list`, of `images` or of `approvals` names a page, that of an audit the image after which the audit continues.
fn tokens(fields: &mut RequestFields<'_>, action: Option<Action>) -> (Option<NextToken>, Option<PageToken>) {
    match action {
        Some(Action::List | Action::Images | Action::Approvals) => {
            (None, fields.choice("nextToken", parse::<PageToken>))
        }
        Some(_) | None => (fields.choice("nextToken", parse::<NextToken>), None),
    }
}

fn access(text: &str) -> Result<Access, Wrong> {
    text.parse().map_err(|message: String| Wrong::from(message).given(text).allowed(["launch", "copy"]))
}

/// Callers can't know the form of an ID, so an ID of another form is not found.
fn approval_id(text: &str) -> Result<String, Wrong> {
    if (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(format!("{} is not the ID of an approval", quoted(text)).into())
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// An expiry time must be at least this far ahead.
pub const SHORTEST_EXPIRY: Duration = Duration::minutes(5);

/// An expiry time may be at most this far ahead.
const LONGEST_EXPIRY: Duration = Duration::days(3653);

/// EventBridge and Lambda retry a request for at most 24 hours. An expiry time that is no longer past than this was ahead
/// when the request was first sent.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
const LONGEST_RETRY: Duration = Duration::hours(24);

/// Reads an expiry time. It may be less than 5 minutes ahead, or a little past: `decide` refuses that unless the share has
/// its record already, because then the request is a retry that finishes what it began.
fn expiry(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, Wrong> {
    let at = time_of(text)?;
    let ahead = at - now;
    if ahead < -LONGEST_RETRY || ahead > LONGEST_EXPIRY {
        let message = format!("{} is not between 5 minutes and 10 years ahead", quoted(text));
        let ahead = |duration| now.checked_add(duration).map(rfc3339).unwrap_or_default();
        let wrong = Wrong::new(FaultKind::OutOfRange, message).given(text);
        return Err(wrong.between(&ahead(SHORTEST_EXPIRY), &ahead(LONGEST_EXPIRY)));
    }
    Ok(at)
}

fn time_of(text: &str) -> Result<OffsetDateTime, Wrong> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        Wrong::from(format!("{} is not an RFC 3339 time, such as `2027-01-31T12:00:00Z`", quoted(text))).given(text)
    })
}

fn group_id(text: &str) -> Result<GroupId, String> {
    GroupId::parse(text).ok_or_else(|| format!("{} is not the ID of an organization or unit", quoted(text)))
}

fn name(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        return Err(Wrong::from("an empty name matches no image: leave it out".to_owned()));
    }
    visible(text, MAX_NAME)
}

fn reason(text: &str) -> Result<String, Wrong> {
    visible(text, MAX_REASON)
}

/// A text of visible characters, with this maximum length.
fn visible(text: &str, most: usize) -> Result<String, Wrong> {
    let count = text.chars().count();
    if count > most {
        let message = format!("longer than {most} characters");
        return Err(Wrong::new(FaultKind::TooMany, message).count(count, most));
    }
    match invisible(text) {
        Some((place, character)) => {
            let point = code_point(character);
            Err(Wrong::from(format!("character {place} is {point}, which can't be seen: leave it out")).given(&point))
        }
        None => Ok(text.to_owned()),
    }
}
