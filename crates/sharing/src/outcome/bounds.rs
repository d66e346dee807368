//! Owns the length of outcomes: lists and texts are cut until an outcome fits, and a warning says so.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use key_policy::KeyAccess;
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{ImageRow, KeyRow, Outcome, key_rows};
use crate::domain::shortened;

/// The first warning of an outcome that was cut.
const SHORTENED: &str = "shortened: the outcome was too long. Lists and texts are cut; ask about fewer images or targets at \
                         a time to get the rest";

/// How much an outcome keeps.
#[derive(Clone, Copy)]
struct Cut {
    /// The number of rows that each list keeps.
    rows: usize,
    /// The number of characters that each text keeps.
    text: usize,
    /// The number of target rows that an image keeps: as long as possible the 200 that a request may ask for.
    targets: usize,
}

/// They are tried in order until the outcome fits.
const CUTS: [Cut; 8] = [
    Cut { rows: 2_000, text: 8_000, targets: 2_000 },
    Cut { rows: 500, text: 4_000, targets: 500 },
    Cut { rows: 200, text: 2_000, targets: 200 },
    Cut { rows: 100, text: 1_000, targets: 200 },
    Cut { rows: 30, text: 500, targets: 200 },
    Cut { rows: 10, text: 300, targets: 200 },
    Cut { rows: 3, text: 200, targets: 20 },
    Cut { rows: 1, text: 100, targets: 20 },
];

/// An outcome as JSON text. Inside another document, it is neither written nor read again.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct WrittenOutcome(Box<RawValue>);

impl WrittenOutcome {
    /// The text, its fields in the documented order.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text, its fields in the documented order.
    pub fn into_text(self) -> String {
        Box::<str>::from(self.0).into_string()
    }

    /// Whether it has at most so many bytes as a JSON string, in which quotes and backslashes count twice.
    fn fits(&self, most: usize) -> bool {
        let text = self.as_str();
        let escaped = || text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        // Counting takes as long as a third of the writing, and nearly every outcome is short.
        text.len().saturating_mul(2) <= most || text.len().saturating_add(escaped()) <= most
    }
}

impl Outcome {
    /// The outcome without its lists.
    #[must_use]
    pub fn without_rows(&self) -> Self {
        Self {
            action: self.action,
            requester: self.requester.clone(),
            approved_by: self.approved_by.clone(),
            approval_reason: self.approval_reason.clone(),
            approval: self.approval.clone(),
            requester_session: self.requester_session.clone(),
            dry_run: self.dry_run,
            reason: self.reason.clone(),
            retryable: self.retryable,
            next_token: self.next_token.clone(),
            next_page: self.next_page.clone(),
            continues: self.continues,
            is_unpublished: self.is_unpublished,
            ..Self::new(self.request_id.clone(), self.result)
        }
    }

    /// Writes the document, with lists and texts cut until it has no more bytes than this. It is counted as a JSON string, in
    /// which quotes and backslashes count twice.
    pub fn write_within(&mut self, most: usize) -> WrittenOutcome {
        for cut in CUTS {
            if let Some(written) = self.written(most).filter(|written| written.fits(most)) {
                return written;
            }
            self.cut(cut);
        }
        // After the last cut, an outcome is short.
        self.written(usize::MAX).unwrap_or_default()
    }

    /// The document; `None` if it certainly has more bytes than this. Rows share what they say about a key, so the text may be a
    /// hundred times as long as the outcome.
    fn written(&self, most: usize) -> Option<WrittenOutcome> {
        if key_rows::are_longer_than(&self.images, most) {
            return None;
        }
        to_raw_value(self).ok().map(WrittenOutcome)
    }

    fn cut(&mut self, cut: Cut) {
        let Cut { rows, text, .. } = cut;
        // The refusal that determines the status comes first, so that it is kept.
        let deciding = self.refusals.iter().enumerate().min_by_key(|(_, refusal)| refusal.code.kind());
        if let Some(place) = deciding.map(|(place, _)| place) {
            self.refusals.swap(0, place);
        }
        self.refusals.truncate(rows);
        for refusal in &mut self.refusals {
            shorten(&mut refusal.message, text);
            shorten_some(refusal.remedy.as_mut(), text);
            shorten_some(refusal.pointer.as_mut(), text);
            shorten_some(refusal.parameter.as_mut(), text);
            if refusal.statements.as_ref().is_some_and(|statements| is_long(statements, text)) {
                refusal.statements = None;
            }
            refusal.values.values_mut().for_each(|value| cut_value(value, rows, text));
        }
        self.errors.truncate(rows);
        for error in &mut self.errors {
            shorten(&mut error.message, text);
            shorten_some(error.resource.as_mut(), text);
        }
        for told in self.rows.iter_mut() {
            told.truncate(rows);
            told.iter_mut().for_each(|row| shorten(&mut row.why, text));
        }
        if let Some(findings) = &mut self.findings {
            findings.truncate(rows);
            for finding in findings {
                shorten(&mut finding.message, text);
                shorten(&mut finding.remedy, text);
            }
        }
        self.warnings.retain(|warning| warning != SHORTENED);
        self.warnings.truncate(rows);
        self.warnings.iter_mut().for_each(|warning| shorten(warning, text));
        self.warnings.insert(0, SHORTENED.to_owned());
        let mut judgements = CutJudgements::default();
        for image in &mut self.images {
            cut_image(image, cut, &mut judgements);
        }
        // A repair may have any number of images.
        self.images.truncate(rows.max(crate::request::MAX_IMAGES));
    }
}

fn cut_image(image: &mut ImageRow, cut: Cut, judgements: &mut CutJudgements) {
    let Cut { rows, text, targets } = cut;
    image.keys.truncate(rows);
    image.keys.iter_mut().for_each(|row| judgements.cut(row, cut));
    image.key_arns.truncate(rows);
    image.shared_tags.truncate(rows);
    image.watermarks.truncate(rows);
    image.steps.truncate(rows);
    for step in &mut image.steps {
        step.add.truncate(rows);
        step.remove.truncate(rows);
    }
    image.targets.truncate(targets);
    for row in &mut image.targets {
        shorten_some(row.detail.as_mut(), text);
    }
    if let Some(permissions) = &mut image.permissions {
        permissions.launch.truncate(rows);
        permissions.copy.truncate(rows);
        for copy in &mut permissions.copy {
            if let Some(accounts) = &mut copy.account_ids {
                accounts.truncate(rows);
            }
        }
    }
    for may in image.catalogue.iter_mut().flat_map(|catalogue| &mut catalogue.may) {
        may.targets.truncate(rows);
    }
    if let Some(usage) = &mut image.usage {
        // The sums of the accounts that aren't named come last, and there are few.
        let named = usage.entries.iter().filter(|entry| entry.account_id.is_some()).count();
        usage.entries.drain(rows.min(named)..named);
    }
    image.tags = std::mem::take(&mut image.tags).into_iter().take(rows).collect();
}

/// Whether the statements of a key policy are longer than this. They are left out as a whole, because a part would mean
/// something else.
fn is_long(statements: &Value, text: usize) -> bool {
    super::to_text(statements).len() > text
}

fn cut_value(value: &mut Value, rows: usize, text: usize) {
    match value {
        Value::String(value) => shorten(value, text),
        Value::Array(items) => {
            items.truncate(rows);
            items.iter_mut().for_each(|item| cut_value(item, rows, text));
        }
        Value::Object(members) => members.values_mut().for_each(|member| cut_value(member, rows, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is left of each judgement that rows share, beside the judgement itself: it stays shared, and is cut once.
#[derive(Default)]
struct CutJudgements(BTreeMap<*const KeyAccess, (Arc<KeyAccess>, Arc<KeyAccess>)>);

impl CutJudgements {
    fn cut(&mut self, row: &mut KeyRow, Cut { rows, text, .. }: Cut) {
        let whole = &row.access;
        let cut = || (Arc::clone(whole), Arc::new(cut_access(whole, rows, text)));
        let (_, left) = self.0.entry(Arc::as_ptr(whole)).or_insert_with(cut);
        row.access = Arc::clone(left);
        for role in &mut row.roles {
            shorten_some(role.remedy.as_mut(), text);
        }
    }
}

/// What is left of a judgement. It copies nothing that is left out.
fn cut_access(access: &KeyAccess, rows: usize, text: usize) -> KeyAccess {
    let texts = |texts: &[String]| texts.iter().take(rows).map(|note| shortened(note, text).into_owned()).collect();
    KeyAccess {
        verdict: access.verdict,
        because: access.because.iter().take(rows).cloned().collect(),
        per_action: access.per_action.clone(),
        missing: texts(&access.missing),
        depends_on: texts(&access.depends_on),
        limits: access.limits.clone(),
        likely_to_fail: texts(&access.likely_to_fail),
        notes: texts(&access.notes),
        remedy: access.remedy.as_ref().filter(|remedy| !is_long(remedy, text)).cloned(),
        grant_remedy: access.grant_remedy.clone(),
        advice: access.advice.clone(),
    }
}

fn shorten(text: &mut String, most: usize) {
    if let Cow::Owned(short) = shortened(text, most) {
        *text = short;
    }
}

fn shorten_some(text: Option<&mut String>, most: usize) {
    if let Some(text) = text {
        shorten(text, most);
    }
}
