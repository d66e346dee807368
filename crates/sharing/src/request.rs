//! Owns [`Request`]: what may be asked, whichever trigger it comes through, and how the document is read.

mod asked;
mod fault;
mod fields;
mod next_token;
mod page_token;
mod parameters;
mod written;

use std::{fmt, str::FromStr};

pub use asked::Asked;
pub use fault::{Fault, FaultKind, Faults, MAX_FAULTS, Values, field_pointer};
use fields::{Ids, RequestFields, Wrong, too_many};
use key_policy::json::Json;
pub use next_token::NextToken;
pub use page_token::PageToken;
pub use parameters::Parameters;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::domain::{
    AccountId, GroupId, ImageId, OrganizationArn, OrganizationalUnitArn, Region, ServiceLinkedRole, Target, code_point,
    invisible, quoted, rfc3339,
};

/// At most so many images in one request.
pub const MAX_IMAGES: usize = 50;
/// At most so many targets in one request.
pub const MAX_TARGETS: usize = 200;
/// At most so many image × target pairs in one request.
pub const MAX_PAIRS: usize = 1_000;
/// At most so many service-linked roles in one request.
pub const MAX_ROLES: usize = 50;
/// At most so many characters in a reason.
pub const MAX_REASON: usize = 500;

/// A request document that is in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// The images, each once; empty only for `audit` and `repair`, and for a `list` by account.
    pub image_ids: Vec<ImageId>,
    /// The targets, each once; empty unless the action takes targets.
    pub targets: Vec<AskedTarget>,
    /// The account whose images a `list` is about, where it names an account in place of images.
    pub shared_with: Option<AccountId>,
    /// One more target, of which only the id is known yet; only a URL can ask so.
    pub group: Option<GroupId>,
    /// What the targets shall be able to do.
    pub access: Access,
    /// The service-linked roles in the target accounts that need the keys too.
    pub service_linked_roles: Vec<ServiceLinkedRole>,
    /// When the share expires.
    pub expires_at: Option<OffsetDateTime>,
    /// The Region that the images are in, where not these but their copies in this Region are meant.
    pub copy_from: Option<Region>,
    /// Where an audit or repair goes on.
    pub next_token: Option<NextToken>,
    /// The page of a `list` by account; none for the first one.
    pub page: Option<PageToken>,
    /// Decide and plan, change nothing.
    pub dry_run: bool,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// What of it a URL said.
    pub parameters: Parameters,
}

/// A target and the place in the request document that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTarget {
    /// The target.
    pub target: Target,
    /// Its JSON Pointer, such as `/accountIds/0`.
    pub pointer: String,
}

/// The verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Add launch permissions.
    Share,
    /// Remove what a share gave.
    Revoke,
    /// Remove every launch permission.
    Reset,
    /// Say who has access.
    List,
    /// Say whether a target has access, and whether a share would be accepted.
    Check,
    /// Look for drift over every owned image.
    Audit,
    /// Clean up what an audit attributes to this function: grants that are left, shares that are overdue.
    Repair,
}

impl Action {
    const ALL: [Self; 7] = [Self::Share, Self::Revoke, Self::Reset, Self::List, Self::Check, Self::Audit, Self::Repair];

    /// The verb as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Revoke => "revoke",
            Self::Reset => "reset",
            Self::List => "list",
            Self::Check => "check",
            Self::Audit => "audit",
            Self::Repair => "repair",
        }
    }

    /// Whether the action is about given images.
    pub fn takes_images(self) -> bool {
        match self {
            Self::Share | Self::Revoke | Self::Reset | Self::List | Self::Check => true,
            Self::Audit | Self::Repair => false,
        }
    }

    /// Whether the action is about given targets.
    pub fn takes_targets(self) -> bool {
        match self {
            Self::Share | Self::Revoke | Self::Check => true,
            Self::Reset | Self::List | Self::Audit | Self::Repair => false,
        }
    }

    /// Whether the action may change anything.
    pub fn writes(self) -> bool {
        match self {
            Self::Share | Self::Revoke | Self::Reset | Self::Repair => true,
            Self::List | Self::Check | Self::Audit => false,
        }
    }

    /// Whether the action can only take access away, which is never held up.
    pub fn takes_away(self) -> bool {
        match self {
            Self::Revoke | Self::Reset => true,
            Self::Share | Self::List | Self::Check | Self::Audit | Self::Repair => false,
        }
    }

    /// Whether the action looks over every owned image.
    pub fn surveys(self) -> bool {
        match self {
            Self::Audit | Self::Repair => true,
            Self::Share | Self::Revoke | Self::Reset | Self::List | Self::Check => false,
        }
    }

    /// Whether the action asks for a share, or what one would meet.
    pub fn is_about_sharing(self) -> bool {
        match self {
            Self::Share | Self::Check => true,
            Self::Revoke | Self::Reset | Self::List | Self::Audit | Self::Repair => false,
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(|action| format!("`{action}`")).join(", ");
            format!("{} is not an action: {known}", quoted(text))
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a target shall be able to do with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Launch instances: the launch permission alone.
    #[default]
    Launch,
    /// Also copy the image: create volume permission on every backing snapshot.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
    Copy,
}

impl FromStr for Access {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "launch" => Ok(Self::Launch),
            "copy" => Ok(Self::Copy),
            _ => Err(format!("{} is not `launch` or `copy`", quoted(text))),
        }
    }
}

/// A request document that is not in order: its faults, and what could be understood all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The action, where it was readable.
    pub action: Option<Action>,
    /// Whether a dry run was asked for.
    pub dry_run: bool,
    /// The reason, where there is one that the log can hold.
    pub reason: Option<String>,
    /// What else could be read, for the log.
    pub asked: Box<Asked>,
    /// The faults; never empty.
    pub faults: Faults,
}

impl Malformed {
    /// One fault of the document as a whole.
    pub fn document(kind: FaultKind, message: impl Into<String>) -> Self {
        let faults = Faults::one(Fault::new(kind, "", message));
        Self { action: None, dry_run: false, reason: None, asked: Box::default(), faults }
    }
}

/// Where a request document comes from.
enum Origin {
    /// Somebody sent it, and its only target is this group, where there is one.
    Sent { group: Option<GroupId>, now: OffsetDateTime },
    /// It was written down when it had been read.
    Record,
}

impl Request {
    /// The request that nothing but these is asked for.
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
            next_token: None,
            page: None,
            dry_run: false,
            reason: None,
            parameters: Parameters::default(),
        }
    }

    /// Reads a request document and names every fault in it. `now` bounds `expiresAt`, as far as records don't.
    pub fn parse(document: &Json, now: OffsetDateTime) -> Result<Self, Malformed> {
        Self::parse_for(None, document, now)
    }

    /// Reads a request document whose only target is `group`, where there is one.
    pub fn parse_for(group: Option<GroupId>, document: &Json, now: OffsetDateTime) -> Result<Self, Malformed> {
        Self::read(Origin::Sent { group, now }, document)
    }

    fn read(origin: Origin, document: &Json) -> Result<Self, Malformed> {
        let Some(fields) = document.as_object() else {
            let message = format!("a request is a JSON object, this is {}", document.kind());
            return Err(Malformed::document(FaultKind::WrongType, message));
        };
        let mut fields = RequestFields::new(fields);

        fields.choice("version", |text| {
            if text == "1" {
                Ok(())
            } else {
                Err(Wrong::from("this function speaks version `1`".to_owned()).allowed(["1"]))
            }
        });
        let action = fields.choice("action", |text| {
            let words = || Action::ALL.map(Action::as_str);
            text.parse::<Action>().map_err(|message| Wrong::from(message).given(text).allowed(words()))
        });
        if action.is_none() && !fields.has("action") {
            fields.fault(Fault::new(FaultKind::Missing, "/action", "missing"));
        }
        let images = fields.ids::<ImageId>("imageIds", "images", MAX_IMAGES);
        let accounts = fields.ids::<AccountId>("accountIds", "targets", MAX_TARGETS);
        let organizations = fields.ids::<OrganizationArn>("organizationArns", "targets", MAX_TARGETS);
        let units = fields.ids::<OrganizationalUnitArn>("organizationalUnitArns", "targets", MAX_TARGETS);
        let access = fields
            .choice("access", |text| {
                text.parse::<Access>().map_err(|message| Wrong::from(message).given(text).allowed(["launch", "copy"]))
            })
            .unwrap_or_default();
        let roles = fields.ids::<ServiceLinkedRole>("serviceLinkedRoles", "roles", MAX_ROLES);
        let expires_at = fields.choice("expiresAt", |text| match &origin {
            Origin::Sent { now, .. } => expiry(text, *now),
            Origin::Record => time_of(text),
        });
        let copy_from = fields.choice("copyFrom", |text| text.parse::<Region>().map_err(|error| error.to_string()));
        let (next_token, page) = match action {
            Some(Action::List) => (None, fields.choice("nextToken", |text| text.parse::<PageToken>())),
            _ => {
                let token =
                    fields.choice("nextToken", |text| text.parse::<NextToken>().map_err(|error| error.to_string()));
                (token, None)
            }
        };
        let dry_run = fields.boolean("dryRun").unwrap_or(false);
        let reason = fields.choice("reason", reason);
        let group = match origin {
            Origin::Sent { group, .. } => group,
            Origin::Record => fields.choice("group", group_id),
        };
        fields.refuse_the_rest();

        if let Some(action) = action {
            let targets = [accounts.different, organizations.different, units.different];
            check_shape(&mut fields, action, images.different, targets, group.is_some());
        }
        let mut targets: Vec<_> = asked("accountIds", accounts, Target::Account)
            .chain(asked("organizationArns", organizations, Target::Organization))
            .chain(asked("organizationalUnitArns", units, Target::OrganizationalUnit))
            .collect();
        let image_ids = images.into_ids().collect();
        let service_linked_roles = roles.into_ids().collect();

        match action {
            Some(action) if fields.faults.is_empty() => {
                let is_list = action == Action::List;
                let shared_with = targets.pop_if(|_| is_list).and_then(|asked| asked.target.account());
                Ok(Self {
                    action,
                    image_ids,
                    targets,
                    shared_with,
                    group,
                    access,
                    service_linked_roles,
                    expires_at,
                    copy_from,
                    next_token,
                    page,
                    dry_run,
                    reason,
                    parameters: Parameters::default(),
                })
            }
            Some(_) | None => {
                let targets = targets.into_iter().map(|asked| asked.target.to_string());
                let targets = targets.chain(group.as_ref().map(ToString::to_string)).collect();
                let asked = Asked { image_ids, targets, access: None, service_linked_roles, expires_at };
                Err(Malformed { action, dry_run, reason, asked: Box::new(asked), faults: fields.faults })
            }
        }
    }
}

/// What an action must have, may not have, and how much of it. `targets` counts those of each field.
fn check_shape(fields: &mut RequestFields<'_>, action: Action, images: usize, targets: [usize; 3], has_group: bool) {
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
        // Where one field alone has too many, that is what is said.
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
    // A field that the action cannot honour is refused: a revoke does not wait for `expiresAt`.
    for name in meaningless(action, is_by_account).iter().filter(|name| fields.has(name)).copied().collect::<Vec<_>>() {
        fields.fault(no_meaning(name, format!("has no meaning for `{action}`")));
    }
}

/// The fields that have no meaning for an action.
fn meaningless(action: Action, is_by_account: bool) -> &'static [&'static str] {
    match action {
        Action::Share | Action::Check => &["nextToken"],
        Action::Revoke => &["expiresAt", "nextToken"],
        Action::List if is_by_account => &["access", "serviceLinkedRoles", "expiresAt", "copyFrom"],
        Action::List => &["access", "serviceLinkedRoles", "expiresAt", "nextToken"],
        Action::Reset => &["access", "serviceLinkedRoles", "expiresAt", "copyFrom", "nextToken"],
        Action::Audit | Action::Repair => &["access", "serviceLinkedRoles", "expiresAt", "copyFrom"],
    }
}

/// A `list` by account names one account and nothing else that it could be about.
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

fn asked<T>(field: &str, ids: Ids<T>, target: fn(T) -> Target) -> impl Iterator<Item = AskedTarget> {
    ids.ids.into_iter().map(move |(index, id)| AskedTarget { target: target(id), pointer: format!("/{field}/{index}") })
}

/// How long EventBridge and Lambda send a request again; so long ago an expiry time can have been ahead when it was sent
/// first. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
const LONGEST_RETRY: Duration = Duration::hours(24);

/// An expiry time that is less than 5 minutes ahead is refused by `decide`, which knows the records: a share that is sent
/// again to finish what it began has one.
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

/// So far ahead an expiry time is at least,
pub const SHORTEST_EXPIRY: Duration = Duration::minutes(5);
/// and at most.
const LONGEST_EXPIRY: Duration = Duration::days(3653);

fn time_of(text: &str) -> Result<OffsetDateTime, Wrong> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        Wrong::from(format!("{} is not an RFC 3339 time, such as `2027-01-31T12:00:00Z`", quoted(text))).given(text)
    })
}

fn group_id(text: &str) -> Result<GroupId, String> {
    GroupId::parse(text).ok_or_else(|| format!("{} is not the ID of an organization or unit", quoted(text)))
}

fn reason(text: &str) -> Result<String, Wrong> {
    let count = text.chars().count();
    if count > MAX_REASON {
        let message = format!("longer than {MAX_REASON} characters");
        return Err(Wrong::new(FaultKind::TooMany, message).count(count, MAX_REASON));
    }
    match invisible(text) {
        Some((place, character)) => {
            let point = code_point(character);
            Err(Wrong::from(format!("character {place} is {point}, which can't be seen: leave it out")).given(&point))
        }
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-11-22 12:00 UTC);

    fn parse(text: &str) -> Result<Request, Malformed> {
        Request::parse(&Json::parse(text).unwrap(), NOW)
    }

    /// Checks which places are faulty, and that each message holds the words beside it.
    #[track_caller]
    fn faults(text: &str, expect: &[(&str, &str)]) {
        let faults = parse(text).unwrap_err().faults.named;
        let places: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places, expect.iter().map(|(place, _)| *place).collect::<Vec<_>>(), "{faults:#?}");
        for (fault, (_, words)) in faults.iter().zip(expect) {
            assert!(fault.message.contains(words), "{fault:?} should say {words:?}");
        }
    }

    #[test]
    fn the_smallest_share_has_launch_access_and_is_no_dry_run() {
        let request = parse(r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["000011112222"]}"#).unwrap();
        assert_eq!(request.action, Action::Share);
        assert_eq!(request.access, Access::Launch);
        assert!(!request.dry_run);
        assert_eq!(request.targets.len(), 1);
        assert_eq!(request.targets[0].pointer, "/accountIds/0");
        assert_eq!(request.targets[0].target.to_string(), "000011112222");
    }

    #[test]
    fn every_field_is_read() {
        let request = parse(
            r#"{"version":"1","action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],
                "organizationArns":["arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"],
                "organizationalUnitArns":["arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-11111111"],
                "access":"copy","serviceLinkedRoles":["autoscaling","autoscaling:blue","spot"],
                "expiresAt":"2026-11-22T14:00:00+01:00","copyFrom":"us-east-1","dryRun":true,"reason":"for the launch ☂"}"#,
        )
        .unwrap();
        assert_eq!(request.targets.len(), 3);
        assert_eq!(request.access, Access::Copy);
        assert_eq!(request.service_linked_roles.len(), 3);
        assert_eq!(request.copy_from.unwrap().to_string(), "us-east-1");
        assert_eq!(request.expires_at, Some(time::macros::datetime!(2026-11-22 13:00 UTC)));
        assert!(request.dry_run);
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        faults(
            r#"{"version":1,"action":"publish","imageIds":["ami-1A2B3C4D",7],"accountIds":[111122223333,"all"],"dryrun":true,"dryRun":"yes","reason":3}"#,
            &[
                ("/version", "a number where a string"),
                ("/action", "is not an action"),
                ("/imageIds/0", "lower-case"),
                ("/imageIds/1", "quotes"),
                ("/accountIds/0", "leading zeros"),
                ("/accountIds/1", "twelve digits"),
                ("/dryRun", "`true` or `false`"),
                ("/reason", "a string belongs"),
                ("/dryrun", "did you mean `dryRun`"),
            ],
        );
    }

    /// The only fault of a document: its place, its kind and what its message says as data.
    #[track_caller]
    fn says(text: &str, pointer: &str, kind: &str, values: serde_json::Value) {
        let faults = parse(text).unwrap_err().faults.named;
        let [fault] = &faults[..] else { panic!("{faults:#?}") };
        let told = (fault.pointer.as_str(), serde_json::json!(fault.kind), serde_json::json!(fault.values));
        assert_eq!(told, (pointer, serde_json::json!(kind), values), "{fault:?}");
    }

    #[test]
    fn every_fault_is_told_in_one_word_and_with_what_its_message_says() {
        use serde_json::json;
        let actions = json!(["share", "revoke", "reset", "list", "check", "audit", "repair"]);
        let list = |more: &str| format!(r#"{{"action":"list","imageIds":["ami-1a2b3c4d"]{more}}}"#);
        let share = |more: &str| {
            format!(r#"{{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"]{more}}}"#)
        };
        says(&list(r#","dryrun":true"#), "/dryrun", "unknown-field", json!({"suggestion": "dryRun"}));
        says(&list(r#","regions":[]"#), "/regions", "unknown-field", json!({}));
        says("{}", "/action", "missing", json!({}));
        says(r#"{"action":"list"}"#, "/imageIds", "missing", json!({"action": "list"}));
        let targets = r#"{"action":"share","imageIds":["ami-1a2b3c4d"]}"#;
        says(targets, "/accountIds", "missing", json!({"action": "share"}));
        says(r#"{"action":"list","imageIds":[]}"#, "/imageIds", "missing", json!({}));
        says("[]", "", "wrong-type", json!({}));
        says(&list(r#","reason":3"#), "/reason", "wrong-type", json!({"expected": "string"}));
        says(&list(r#","dryRun":"yes""#), "/dryRun", "wrong-type", json!({"expected": "boolean"}));
        says(r#"{"action":"list","imageIds":"all"}"#, "/imageIds", "wrong-type", json!({"expected": "array"}));
        let number = r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":[111122223333]}"#;
        let values = json!({"expected": "string", "given": "111122223333"});
        says(number, "/accountIds/0", "wrong-type", values);
        let wrong = r#"{"action":"list","imageIds":["ami-1"]}"#;
        says(wrong, "/imageIds/0", "bad-format", json!({"given": "ami-1"}));
        let values = json!({"given": "publish", "allowed": actions});
        says(r#"{"action":"publish"}"#, "/action", "bad-format", values);
        let values = json!({"given": "write", "allowed": ["launch", "copy"]});
        says(&share(r#","access":"write""#), "/access", "bad-format", values);
        says(&list(r#","version":"2""#), "/version", "bad-format", json!({"allowed": ["1"]}));
        says(&share(r#","expiresAt":"soon""#), "/expiresAt", "bad-format", json!({"given": "soon"}));
        let hidden = list(",\"reason\":\"a\u{202e}b\"");
        says(&hidden, "/reason", "bad-format", json!({"given": "U+202E"}));
        let values = json!({"count": 501, "most": 500});
        says(&list(&format!(r#","reason":"{}""#, "x".repeat(501))), "/reason", "too-many", values);
        says(&many(51, 1), "/imageIds", "too-many", json!({"count": 51, "most": 50}));
        says(&many(50, 21), "", "too-many", json!({"count": 1050, "most": 1000}));
        let twice = r#"{"action":"list","imageIds":["ami-1a2b3c4d","ami-1a2b3c4d"]}"#;
        says(twice, "/imageIds/1", "duplicate", json!({}));
        says(&list(r#","dryRun":true,"dryRun":true"#), "/dryRun", "duplicate", json!({}));
        let values = json!({
            "given": "2037-01-01T00:00:00Z", "earliest": "2026-11-22T12:05:00Z", "latest": "2036-11-22T12:00:00Z",
        });
        says(&share(r#","expiresAt":"2037-01-01T00:00:00Z""#), "/expiresAt", "out-of-range", values);
        says(&list(r#","accountIds":["111122223333"]"#), "/accountIds", "no-meaning", json!({"action": "list"}));
        says(&list(r#","access":"copy""#), "/access", "no-meaning", json!({"action": "list"}));
        let audit = r#"{"action":"audit","imageIds":["ami-1a2b3c4d"]}"#;
        says(audit, "/imageIds", "no-meaning", json!({"action": "audit"}));
    }

    #[test]
    fn a_request_is_an_object() {
        for text in ["null", "[]", "\"share\"", "1"] {
            faults(text, &[("", "a JSON object")]);
        }
        faults("{}", &[("/action", "missing")]);
    }

    #[test]
    fn repeated_fields_and_items_are_faults() {
        faults(
            r#"{"action":"list","imageIds":["ami-1a2b3c4d","ami-1a2b3c4d"],"dryRun":true,"dryRun":false}"#,
            &[("/imageIds/1", "duplicate"), ("/dryRun", "repeated")],
        );
    }

    #[test]
    fn what_an_action_needs_and_does_not_take() {
        faults(r#"{"action":"share","imageIds":["ami-1a2b3c4d"]}"#, &[("/accountIds", "needs")]);
        faults(r#"{"action":"share","accountIds":["111122223333"]}"#, &[("/imageIds", "missing")]);
        faults(
            r#"{"action":"reset","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"]}"#,
            &[("/accountIds", "takes no targets")],
        );
        faults(r#"{"action":"audit","imageIds":["ami-1a2b3c4d"]}"#, &[("/imageIds", "takes no images")]);
        faults(
            r#"{"action":"reset","imageIds":["ami-1a2b3c4d"],"copyFrom":"eu-west-1"}"#,
            &[("/copyFrom", "no meaning")],
        );
        faults(
            r#"{"action":"audit","copyFrom":"eu"}"#,
            &[("/copyFrom", "not the name of a Region"), ("/copyFrom", "no meaning")],
        );
        faults(
            r#"{"action":"revoke","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"expiresAt":"2027-01-01T00:00:00Z"}"#,
            &[("/expiresAt", "no meaning")],
        );
        faults(
            r#"{"action":"share","imageIds":[],"accountIds":[]}"#,
            &[("/imageIds", "empty"), ("/accountIds", "empty")],
        );
        faults(
            r#"{"action":"list","imageIds":["ami-1a2b3c4d"],"nextToken":"ami-1a2b3c4d"}"#,
            &[("/nextToken", "no meaning")],
        );
        faults(r#"{"action":"audit","nextToken":"eyJ"}"#, &[("/nextToken", "not the `nextToken`")]);
        assert!(parse(r#"{"action":"audit"}"#).is_ok());
        assert!(parse(r#"{"action":"repair","nextToken":"ami-1a2b3c4d.0123456789ab","dryRun":true}"#).is_ok());
    }

    #[test]
    fn bare_organization_ids_are_refused_with_advice() {
        faults(
            r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"organizationArns":["o-a1b2c3d4e5"],"organizationalUnitArns":["ou-ab12-11111111"]}"#,
            &[("/organizationArns/0", "whole ARN"), ("/organizationalUnitArns/0", "whole ARN")],
        );
    }

    fn many(images: usize, accounts: usize) -> String {
        let images: Vec<_> = (0..images).map(|n| format!("ami-{n:08x}")).collect();
        let accounts: Vec<_> = (0..accounts).map(|n| format!("{n:012}")).collect();
        serde_json::json!({"action": "share", "imageIds": images, "accountIds": accounts}).to_string()
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(parse(&many(50, 20)).is_ok());
        assert!(parse(&many(5, 200)).is_ok());
        faults(&many(51, 1), &[("/imageIds", "51 images")]);
        faults(&many(1, 201), &[("/accountIds", "201 targets")]);
        faults(&many(50, 21), &[("", "1050 image × target pairs")]);
        faults(&many(51, 201), &[("/imageIds", "51 images"), ("/accountIds", "201 targets")]);
        let units: Vec<_> =
            (0..101).map(|n| format!("arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-{n:08}")).collect();
        let mut document: serde_json::Value = serde_json::from_str(&many(1, 100)).unwrap();
        document["organizationalUnitArns"] = units.into();
        faults(&document.to_string(), &[("", "201 targets")]);
    }

    #[test]
    fn limits_count_what_differs() {
        let repeated = |items: &[String]| [items, items].concat();
        let images: Vec<_> = (0..50).map(|n| format!("ami-{n:08x}")).collect();
        let document = serde_json::json!({"action": "list", "imageIds": repeated(&images)}).to_string();
        let named = parse(&document).unwrap_err().faults.named;
        assert_eq!(named.len(), 50);
        assert!(named.iter().all(|fault| fault.message == "duplicate value"), "{named:#?}");
        let accounts: Vec<_> = (0..20).map(|n| format!("{n:012}")).collect();
        let document = serde_json::json!({"action": "share", "imageIds": images, "accountIds": repeated(&accounts)});
        let named = parse(&document.to_string()).unwrap_err().faults.named;
        assert_eq!(named.len(), 20);
        assert!(named.iter().all(|fault| fault.message == "duplicate value"), "{named:#?}");
    }

    #[test]
    fn two_arns_of_one_organization_are_one_target() {
        faults(
            r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"organizationArns":[
                "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
                "arn:aws:organizations::444455556666:organization/o-a1b2c3d4e5"]}"#,
            &[("/organizationArns/1", "duplicate value")],
        );
    }

    #[test]
    fn faults_beyond_the_fiftieth_are_only_counted() {
        let unknown: String = (0..100_000).map(|n| format!(r#""{n}":0,"#)).collect();
        let faults = parse(&format!(r#"{{{unknown}"action":"audit"}}"#)).unwrap_err().faults;
        assert_eq!((faults.named.len(), faults.left_out), (50, 99_950));
        let same = r#""ami-1a2b3c4d","#.repeat(100_000);
        let faults = parse(&format!(r#"{{"action":"list","imageIds":[{same}"ami-1a2b3c4d"]}}"#)).unwrap_err().faults;
        assert_eq!((faults.named.len(), faults.left_out), (50, 99_950));
    }

    #[test]
    fn too_many_items_are_not_looked_at() {
        let zeros = "0,".repeat(1_000_000);
        faults(
            &format!(r#"{{"action":"list","imageIds":[{zeros}0]}}"#),
            &[("/imageIds", "1000001 images; at most 50")],
        );
        let roles: String = (0..51).map(|n| format!(r#""autoscaling:{n}","#)).collect();
        faults(
            &format!(
                r#"{{"action":"check","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"serviceLinkedRoles":[{roles}7]}}"#
            ),
            &[("/serviceLinkedRoles", "52 roles; at most 50")],
        );
    }

    #[test]
    fn a_document_with_too_many_fields_is_refused_whatever_the_others_say() {
        let fields = r#""dryRun":true,"#.repeat(key_policy::json::MAX_VALUES);
        let faults = parse(&format!(r#"{{{fields}"action":"audit","dryRun":false}}"#)).unwrap_err().faults;
        assert!(faults.named[0].message.contains("2 more were not read"), "{faults:#?}");
    }

    #[test]
    fn what_could_be_understood_of_a_malformed_request_is_kept() {
        let Malformed { action, dry_run, reason, .. } =
            parse(r#"{"action":"share","dryRun":true,"reason":"spring release","typo":1}"#).unwrap_err();
        assert_eq!((action, dry_run, reason.as_deref()), (Some(Action::Share), true, Some("spring release")));
    }

    #[test]
    fn regions_are_refused_with_the_way_out() {
        faults(
            r#"{"action":"share","imageIds":["ami-1a2b3c4d"],"accountIds":["111122223333"],"regions":["eu-west-1"]}"#,
            &[("/regions", "send the request with `copyFrom` to the deployment of the other Region")],
        );
    }

    fn with(field: &str, value: serde_json::Value) -> String {
        let mut document =
            serde_json::json!({"action": "share", "imageIds": ["ami-1a2b3c4d"], "accountIds": ["111122223333"]});
        document[field] = value;
        document.to_string()
    }

    #[test]
    fn an_expiry_time_is_no_longer_over_than_a_request_is_sent_again_and_at_most_ten_years_ahead() {
        // Whether the near ones have a record is for `decide` to say.
        for right in ["2026-11-21T12:00:00Z", "2026-11-22T12:04:59Z", "2026-11-22T12:05:00Z", "2036-11-21T12:00:00Z"] {
            assert!(parse(&with("expiresAt", right.into())).is_ok(), "{right}");
        }
        for wrong in [
            "2026-11-21T11:59:59Z",
            "2020-01-01T00:00:00Z",
            "2037-01-01T00:00:00Z",
            "tomorrow",
            "2027-01-01",
            "2027-01-01T00:00:00",
            "",
        ] {
            faults(&with("expiresAt", wrong.into()), &[("/expiresAt", "")]);
        }
    }

    #[test]
    fn a_reason_is_short_and_cannot_forge_a_log_line() {
        assert!(parse(&with("reason", "é".repeat(500).into())).is_ok());
        faults(&with("reason", "x".repeat(501).into()), &[("/reason", "longer than 500")]);
        for (wrong, words) in [
            ("a\nb", "character 2 is U+000A"),
            ("a\u{7f}b", "U+007F"),
            ("a\u{2028}b", "U+2028"),
            ("\u{1F469}\u{200d}\u{1F4BB}", "character 2 is U+200D"),
        ] {
            faults(&with("reason", wrong.into()), &[("/reason", words)]);
        }
    }
}
