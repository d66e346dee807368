//! Owns [`LogRecord`]: what the log keeps about a request: who did what, when and why. Pure.
//!
//! A record is JSON in lines of bounded length. `schemas/log-record.schema.json` describes a line, `docs/runbook.md` has
//! the queries.

use std::{borrow::Cow, collections::BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    domain::{ImageId, KeyArn, Target, rfc3339, shortened},
    outcome::{
        ErrorRow, Finding, FindingCode, ImageRow, Outcome, Refusal, RefusalCode, Source, Status, StepState, TargetRow,
        TargetState, to_text,
    },
    request::{Action, Asked, FaultKind},
};

/// The maximum length of a line in bytes. CloudWatch Logs accepts 1 MB and Lambda 256 KB, but nobody can read such a
/// line.
const LONGEST_LINE: usize = 60_000;
/// The maximum number of characters of a sentence.
const LONGEST_TEXT: usize = 2_000;
/// The maximum number of characters of a name.
const LONGEST_NAME: usize = 500;
/// The maximum number of characters of a requester: an issuer has up to 512 and a subject up to 255.
const LONGEST_REQUESTER: usize = 1_000;

/// The maximum number of parameters of an image in a line.
const MOST_PARAMETERS: usize = 10;

/// What a record is made from.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// The outcome of the request.
    pub outcome: &'a Outcome,
    /// The trigger it came through.
    pub trigger: &'a str,
    /// Lambda's ID of the invocation.
    pub lambda_request_id: &'a str,
    /// Now.
    pub at: OffsetDateTime,
}

/// One line. The fields that every part has come first, because CloudWatch Logs Insights discovers only the first 200
/// fields of a line.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html>
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    timestamp: &'a str,
    level: &'static str,
    message: &'a str,
    /// The field that distinguishes a record from other lines.
    r#type: &'static str,
    request_id: &'a str,
    lambda_request_id: &'a str,
    trigger: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requester: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requester_session: Option<&'a str>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    result: Status,
    retryable: bool,
    part: usize,
    parts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
    /// Only in the first part.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a Asked>,
    #[serde(flatten)]
    lists: Lists<'a>,
}

/// The lists that are divided among lines.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Lists<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requester_groups: Vec<&'a str>,
    rules: BTreeSet<Cow<'a, str>>,
    images: Vec<ImageEntry<'a>>,
    refusals: Vec<RefusalEntry<'a>>,
    errors: Vec<ErrorEntry<'a>>,
    findings: Vec<FindingEntry<'a>>,
    warnings: Vec<Cow<'a, str>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry<'a> {
    /// None if it is a copy that EC2 has not begun to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<&'a ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_of: Option<&'a Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Cow<'a, str>>,
    changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Cow<'a, str>>,
    targets: Vec<TargetEntry<'a>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetEntry<'a> {
    target: &'a Target,
    state: TargetState,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalEntry<'a> {
    code: RefusalCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<&'a ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_arn: Option<&'a KeyArn>,
    message: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct ErrorEntry<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Cow<'a, str>>,
    message: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingEntry<'a> {
    code: FindingCode,
    image_id: &'a ImageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Target>,
}

/// An item that is not divided among lines.
enum Item<'a> {
    /// A group of the requester's token.
    Group(&'a str),
    /// An image with one of its targets, or an image without targets.
    Pair(ImageEntry<'a>, Option<TargetEntry<'a>>),
    Refusal(RefusalEntry<'a>),
    Error(ErrorEntry<'a>),
    Finding(FindingEntry<'a>),
    Warning(Cow<'a, str>),
}

impl LogRecord<'_> {
    /// The lines of the record, each without a line break.
    pub fn lines(&self) -> Vec<String> {
        let outcome = self.outcome;
        let timestamp = rfc3339(self.at);
        let requester = outcome.requester.as_ref().map(|requester| shortened(requester.as_str(), LONGEST_REQUESTER));
        let approver = outcome.approved_by.as_ref().map(|approver| shortened(approver.as_str(), LONGEST_REQUESTER));
        let session = outcome.requester_session.as_ref().map(|session| shortened(session, LONGEST_NAME));
        let next_token = outcome.next_token.as_ref().map(ToString::to_string);
        let next_token = next_token.or_else(|| outcome.next_page.as_ref().map(|page| page.as_str().to_owned()));
        let message = format!(
            "{} by {}: {}",
            outcome.action.map_or("request", Action::as_str),
            requester.as_deref().unwrap_or("nobody"),
            outcome.result.as_str()
        );
        let line = |part: usize, parts: usize, lists| Line {
            timestamp: &timestamp,
            level: "INFO",
            message: &message,
            r#type: "request",
            request_id: &outcome.request_id,
            lambda_request_id: self.lambda_request_id,
            trigger: self.trigger,
            action: outcome.action,
            requester: requester.as_deref(),
            approved_by: approver.as_deref(),
            approval_reason: outcome.approval_reason.as_deref(),
            requester_session: session.as_deref(),
            dry_run: outcome.dry_run,
            reason: outcome.reason.as_deref(),
            result: outcome.result,
            retryable: outcome.retryable,
            part,
            parts,
            next_token: next_token.as_deref(),
            asked: (part == 1).then_some(&outcome.asked),
            lists,
        };
        // Nearly every record is one line, and to measure its items takes as long as to write them.
        let whole = to_text(&line(1, 1, Lists::of(items(outcome))));
        if whole.len() <= LONGEST_LINE {
            return vec![whole];
        }
        let empty = |part| to_text(&line(part, usize::MAX, Lists::default())).len();
        let parts = divide(items(outcome), |part| LONGEST_LINE.saturating_sub(empty(part)));
        let number = parts.len();
        (1..).zip(parts).map(|(part, lists)| to_text(&line(part, number, lists))).collect()
    }
}

/// Divides items among parts, in order. `room` returns the bytes that a part has for items; the first part is 1.
fn divide<'a>(items: impl Iterator<Item = Item<'a>>, room: impl Fn(usize) -> usize) -> Vec<Lists<'a>> {
    let (mut parts, mut part, mut left) = (Vec::new(), Lists::default(), room(1));
    for item in items {
        let mut length = part.length(&item);
        // The first part may be full already. Any other part has room for at least one item.
        if length > left {
            parts.push(std::mem::take(&mut part));
            left = room(parts.len().saturating_add(1));
            length = part.length(&item);
        }
        left = left.saturating_sub(length);
        part.push(item);
    }
    parts.push(part);
    parts
}

impl<'a> Lists<'a> {
    fn of(items: impl Iterator<Item = Item<'a>>) -> Self {
        let mut lists = Self::default();
        items.for_each(|item| lists.push(item));
        lists
    }

    /// The approximate number of bytes that an item adds.
    fn length(&self, item: &Item<'a>) -> usize {
        let rule = |rule: &Option<Cow<'a, str>>| match rule {
            Some(rule) if !self.rules.contains(rule) => written(rule),
            Some(_) | None => 0,
        };
        match item {
            Item::Group(group) => written(group),
            Item::Pair(image, target) => {
                let image_length =
                    if self.is_last(image) { 0 } else { written(image).saturating_add(rule(&image.rule)) };
                let target_rule = target.as_ref().map_or(0, |target| rule(&target.rule));
                image_length.saturating_add(target.as_ref().map_or(0, written)).saturating_add(target_rule)
            }
            Item::Refusal(refusal) => written(refusal),
            Item::Error(error) => written(error),
            Item::Finding(finding) => written(finding),
            Item::Warning(warning) => written(warning),
        }
    }

    fn push(&mut self, item: Item<'a>) {
        match item {
            Item::Group(group) => self.requester_groups.push(group),
            Item::Pair(image, target) => {
                self.rules.extend(image.rule.clone());
                self.rules.extend(target.as_ref().and_then(|target| target.rule.clone()));
                if !self.is_last(&image) {
                    self.images.push(image);
                }
                if let Some(last) = self.images.last_mut() {
                    last.targets.extend(target);
                }
            }
            Item::Refusal(refusal) => self.refusals.push(refusal),
            Item::Error(error) => self.errors.push(error),
            Item::Finding(finding) => self.findings.push(finding),
            Item::Warning(warning) => self.warnings.push(warning),
        }
    }

    fn is_last(&self, image: &ImageEntry<'_>) -> bool {
        self.images.last().is_some_and(|last| last.image_id == image.image_id && last.copy_of == image.copy_of)
    }
}

/// The bytes of an item in a list, with what separates it from the next.
fn written(item: &impl Serialize) -> usize {
    to_text(item).len().saturating_add(1)
}

fn items(outcome: &Outcome) -> impl Iterator<Item = Item<'_>> {
    let groups = outcome.requester.iter().flat_map(|requester| requester.groups());
    let groups = groups.map(|group| Item::Group(group));
    groups
        .chain(outcome.images.iter().flat_map(pairs))
        .chain(outcome.refusals.iter().map(refusal))
        .chain(outcome.errors.iter().map(error))
        .chain(outcome.findings.iter().flatten().map(finding))
        .chain(outcome.warnings.iter().map(|warning| Item::Warning(shortened(warning, LONGEST_TEXT))))
}

fn pairs(row: &ImageRow) -> Vec<Item<'_>> {
    let image = ImageEntry {
        image_id: row.image_id.as_ref(),
        copy_of: row.copy_of.as_ref(),
        name: row.name.as_ref().map(|name| shortened(name, LONGEST_NAME)),
        rule: row.rule.as_ref().map(|rule| shortened(rule, LONGEST_NAME)),
        changed: row.changed,
        parameters: parameters(row).collect(),
        targets: Vec::new(),
    };
    let target = |row| {
        let TargetRow { target, state, expires_at, rule, .. }: &TargetRow = row;
        let rule = rule.as_ref().map(|rule| shortened(rule, LONGEST_NAME));
        TargetEntry { target, state: *state, expires_at: *expires_at, rule }
    };
    if row.targets.is_empty() {
        return vec![Item::Pair(image, None)];
    }
    row.targets.iter().map(|row| Item::Pair(image.clone(), Some(target(row)))).collect()
}

/// The parameters that were set.
fn parameters(row: &ImageRow) -> impl Iterator<Item = Cow<'_, str>> {
    let put = row.steps.iter().filter(|step| step.call == "ssm:PutParameter" && step.state == StepState::Done);
    put.take(MOST_PARAMETERS).map(|step| shortened(&step.resource, LONGEST_REQUESTER))
}

/// It leaves out what only callers need: the remedy, and the values and statements as data.
fn refusal(refusal: &Refusal) -> Item<'_> {
    Item::Refusal(RefusalEntry {
        code: refusal.code,
        image_id: refusal.image_id.as_ref(),
        target: refusal.target.as_ref(),
        pointer: refusal.pointer.as_ref().map(|pointer| shortened(pointer, LONGEST_NAME)),
        parameter: refusal.parameter.as_ref().map(|parameter| shortened(parameter, LONGEST_NAME)),
        fault: refusal.fault,
        key_arn: refusal.key_arn.as_ref(),
        message: shortened(&refusal.message, LONGEST_TEXT),
    })
}

fn error(error: &ErrorRow) -> Item<'_> {
    Item::Error(ErrorEntry {
        code: error.code.as_str(),
        call: error.call,
        resource: error.resource.as_ref().map(|resource| shortened(resource, LONGEST_NAME)),
        message: shortened(&error.message, LONGEST_TEXT),
    })
}

fn finding(finding: &Finding) -> Item<'_> {
    let Finding { code, image_id, target, .. } = finding;
    Item::Finding(FindingEntry { code: *code, image_id, target: target.as_ref() })
}
