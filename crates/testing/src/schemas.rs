//! Owns the published schemas, compiled, and the checks of documents against them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex},
};

use serde_json::{Value, json};
use sharing::outcome::{ErrorCode, Refusal, RefusalCode};

/// The schema of a request.
pub static REQUEST: LazyLock<Schema> = LazyLock::new(|| Schema::new(read("request")));
/// The schema of an outcome.
pub static OUTCOME: LazyLock<Schema> = LazyLock::new(|| Schema::new(read("outcome")));
/// The schema of an outcome, in which an undeclared field is an error.
pub static CLOSED_OUTCOME: LazyLock<Schema> = LazyLock::new(|| Schema::new(closed(read("outcome"))));
/// The schema of a log record, in which an undeclared field is an error.
pub static CLOSED_LOG_RECORD: LazyLock<Schema> = LazyLock::new(|| Schema::new(closed(read("log-record"))));
/// The schema of an allowlist.
pub static ALLOWLIST: LazyLock<Schema> = LazyLock::new(|| Schema::new(read("allowlist")));

/// A compiled schema.
pub struct Schema(Mutex<boon::Schemas>, boon::SchemaIndex);

impl Schema {
    /// Compiles a schema.
    pub fn new(document: Value) -> Self {
        const URL: &str = "https://schemas.example/it.json";
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(URL, document).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(URL, &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self(Mutex::new(schemas), index)
    }

    /// What is wrong with the document.
    pub fn faults(&self, document: &Value) -> Option<String> {
        let schemas = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        schemas.validate(document, self.1).err().map(|error| format!("{error:#}"))
    }
}

/// A file or folder of the project.
pub fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

/// The published schema of that name.
pub fn read(name: &str) -> Value {
    let path = folder("schemas").join(format!("{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The schema, changed so that undeclared fields are errors.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for value in members.values_mut() {
                *value = closed(value.take());
            }
            if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}

/// Checks a request document of the documentation.
#[track_caller]
pub fn check_request(document: &Value) {
    assert_eq!(REQUEST.faults(document), None, "{document:#}");
}

/// Checks that an outcome matches its schema and has no field that the schema does not declare.
#[track_caller]
pub fn check_outcome(document: &Value) {
    assert_eq!(OUTCOME.faults(document), None, "{document:#}");
    assert_eq!(CLOSED_OUTCOME.faults(document), None, "{document:#}");
    for refusal in document["refusals"].as_array().into_iter().flatten() {
        let code = RefusalCode::ALL.iter().find(|code| refusal["code"] == code.as_str()).unwrap();
        let names = refusal["values"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        are_declared(*code, names);
    }
}

/// Checks that a refusal has only values that its code declares, and has its place.
#[track_caller]
pub fn check_values(refusal: &Refusal) {
    are_declared(refusal.code, refusal.values.keys().copied());
    assert!(refusal.pointer.is_none() || refusal.parameter.is_none(), "{refusal:?}");
    assert_eq!(refusal.fault.is_some(), refusal.code == RefusalCode::MalformedRequest, "{refusal:?}");
}

#[track_caller]
fn are_declared<'n>(code: RefusalCode, names: impl Iterator<Item = &'n str>) {
    for name in names {
        assert!(code.values().contains(&name), "{code} does not declare the value {name}");
    }
}

/// The longest line that a log may have.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Checks the lines of a log: none is too long, and each line of a request's record matches the schema. Returns these
/// lines.
#[track_caller]
pub fn check_log(log: &str) -> Vec<Value> {
    let mut records = Vec::new();
    for line in log.lines() {
        assert!(line.len() < LONGEST_LINE, "{} bytes: {}", line.len(), line.get(..2_000).unwrap_or(line));
        if let Some(record) = log_record(line) {
            assert_eq!(CLOSED_LOG_RECORD.faults(&record), None, "{record:#}");
            records.push(record);
        }
    }
    records
}

/// The line of a log, if it is part of a request's record.
fn log_record(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(|line: &Value| line["type"] == "request")
}

/// Checks the answer to one invocation: an outcome, an HTTP answer with one, or an error with one. Only a queue gets
/// none, and who opens the page.
#[track_caller]
pub fn check_answer(answer: &Result<Value, Value>) {
    let text = |value: &Value| serde_json::from_str::<Value>(value.as_str().unwrap_or_default()).ok();
    let outcome = match answer {
        Ok(batch) if batch.get("batchItemFailures").is_some() => return,
        Ok(page) if page["headers"]["content-type"] == "text/html; charset=utf-8" => return,
        Ok(http) if http.get("statusCode").is_some() => text(&http["body"]),
        Ok(other) => Some(other.clone()),
        Err(error) => text(&error["errorMessage"]),
    };
    let outcome = outcome.unwrap_or_else(|| panic!("no outcome in {answer:#?}"));
    check_outcome(&without_problem(outcome));
}

/// The outcome in a problem document.
fn without_problem(mut document: Value) -> Value {
    for member in ["type", "title", "status", "detail"] {
        document.as_object_mut().unwrap().remove(member);
    }
    document
}

/// Checks an allowlist document of the documentation.
#[track_caller]
pub fn check_allowlist(document: &Value) {
    assert_eq!(ALLOWLIST.faults(document), None, "{document:#}");
}

/// The names of these values in documents.
pub fn names<T: serde::Serialize>(values: &[T]) -> BTreeSet<String> {
    values.iter().map(|value| json!(value).as_str().unwrap().to_owned()).collect()
}

/// Lists every value of an enum. It contains a match, so it does not compile if a value is missing.
#[macro_export]
macro_rules! every {
    ($type:ident: $($value:ident),+ $(,)?) => {{
        let complete = |value: &$type| match value { $($type::$value => {})+ };
        let every = vec![$($type::$value),+];
        every.iter().for_each(complete);
        every
    }};
}

/// Every kind of failure.
pub fn error_codes() -> Vec<ErrorCode> {
    every!(ErrorCode: AllowlistUnavailable, Denied, NotFound, LimitExceeded, Throttled, Unavailable, OutOfTime, ExpiryLost, TargetNotKnown, CopyFailed, CopyOverdue, NotPublished, Unexpected)
}

/// The names of every kind of failure.
pub fn error_code_names() -> BTreeSet<String> {
    names(&error_codes())
}
