//! Owns the metric events: the result of a request, in CloudWatch's embedded metric format.
//!
//! There is one event with all metrics for each request, and a small one for each code of its refusals or findings.
//! Only fields with few values are dimensions: function, action, result, code. Images, accounts and requesters are
//! properties, which cost nothing and can be searched. They have the names of the log's fields.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value, json};
use sharing::{
    domain::shortened,
    outcome::{ErrorCode, Outcome, Status},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use triggers::Trigger;

/// The namespace of every metric; the alarms and the dashboard of `template.yaml` name it too.
pub const NAMESPACE: &str = "AmiShare";

/// A request that was answered, and its measurements.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The function's name: several deployments share a namespace.
    pub function_name: &'a str,
    /// Lambda's id of the invocation, which its own log lines carry.
    pub lambda_request_id: &'a str,
    /// The trigger the request came through.
    pub trigger: Trigger,
    /// Its outcome.
    pub outcome: &'a Outcome,
    /// When it was answered.
    pub at: OffsetDateTime,
    /// How long the request took.
    pub duration: Duration,
    /// The attempts to call AWS, retries included.
    pub calls: u64,
    /// The retries among them.
    pub retries: u64,
    /// Whether it was the first request of the process.
    pub is_cold: bool,
}

impl Measured<'_> {
    /// The events, each to be written as one line.
    pub fn events(&self) -> Vec<Value> {
        let mut events = vec![self.wide()];
        // The refusals in the outcome of a check or list did not refuse the request.
        if !matches!(self.outcome.result, Status::Completed | Status::Planned | Status::Accepted) {
            events.extend(self.by_code("Refusals", self.outcome.refusals.iter().map(|refusal| refusal.code.as_str())));
        }
        let findings = self.outcome.findings.iter().flatten();
        events.extend(self.by_code("Findings", findings.map(|finding| finding.code.as_str())));
        events
    }

    fn wide(&self) -> Value {
        let Self { outcome, .. } = self;
        let is = |truth: bool| Value::from(u8::from(truth));
        let is_unreadable = outcome.errors.iter().any(|error| error.code == ErrorCode::AllowlistUnavailable);
        // If no caller waits and the survey did not continue by itself, the remaining images were not audited.
        let is_left = outcome.next_token.is_some() && !outcome.continues && !self.trigger.is_synchronous();
        let is_unfinished = is_left || matches!(outcome.result, Status::Incomplete | Status::Failed);
        let metrics = [
            ("Requests", "Count", Value::from(1)),
            ("Refused", "Count", is(outcome.result == Status::Refused)),
            ("Unfinished", "Count", is(is_unfinished)),
            ("AllowlistUnavailable", "Count", is(is_unreadable)),
            ("PublishFailed", "Count", is(outcome.is_unpublished)),
            ("NobodysRecords", "Count", u64::try_from(outcome.nobodys_records.len()).unwrap_or(u64::MAX).into()),
            ("ColdStarts", "Count", is(self.is_cold)),
            ("AwsCalls", "Count", self.calls.into()),
            ("AwsRetries", "Count", self.retries.into()),
            ("Duration", "Milliseconds", u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX).into()),
        ];
        let names: Vec<_> = metrics.iter().map(|(name, unit, _)| (*name, *unit)).collect();
        let directives = json!([
            directive(&["FunctionName"], &names),
            directive(&["FunctionName", "Action", "Result"], &[("Requests", "Count")]),
        ]);
        let mut event = self.event(directives);
        event.extend(metrics.map(|(name, _, value)| (name.to_owned(), value)));
        event.insert("Action".to_owned(), outcome.action.map_or("unknown", |action| action.as_str()).into());
        event.insert("Result".to_owned(), outcome.result.as_str().into());
        let codes: BTreeSet<_> = outcome.refusals.iter().map(|refusal| refusal.code.as_str()).collect();
        let errors: BTreeSet<_> = outcome.errors.iter().map(|error| error.code.as_str()).collect();
        let images = outcome.images.iter().filter_map(|image| Some(image.image_id.as_ref()?.as_str()));
        let images: Vec<_> = images.take(sharing::request::MAX_IMAGES).collect();
        let properties = [
            ("request.trigger", json!(self.trigger.as_str())),
            (
                "request.requester",
                json!(outcome.requester.as_ref().map(|requester| shortened(requester.as_str(), 1_000))),
            ),
            ("request.dry_run", json!(outcome.dry_run)),
            ("outcome.images", json!(images)),
            ("outcome.refusals", json!(codes)),
            ("outcome.errors", json!(errors)),
        ];
        event.extend(properties.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(event)
    }

    /// One event for each code, with how often it occurs.
    fn by_code<'c>(&self, metric: &str, codes: impl Iterator<Item = &'c str>) -> Vec<Value> {
        let mut counts = BTreeMap::<_, u64>::new();
        for code in codes {
            let count = counts.entry(code).or_default();
            *count = count.saturating_add(1);
        }
        let event = |(code, count): (&str, u64)| {
            let mut event = self.event(json!([directive(&["FunctionName", "Code"], &[(metric, "Count")])]));
            event.insert("Code".to_owned(), code.into());
            event.insert(metric.to_owned(), count.into());
            Value::Object(event)
        };
        counts.into_iter().map(event).collect()
    }

    /// The fields of every event: the metrics' description, and the IDs that connect it to log lines.
    fn event(&self, directives: Value) -> Map<String, Value> {
        let milliseconds = self.at.unix_timestamp_nanos().div_euclid(1_000_000);
        let milliseconds = i64::try_from(milliseconds).unwrap_or_default();
        let members = [
            ("_aws", json!({"Timestamp": milliseconds, "CloudWatchMetrics": directives})),
            // Lambda's log level filter treats a line without these fields as INFO too.
            ("level", json!("INFO")),
            ("timestamp", json!(self.at.format(&Rfc3339).unwrap_or_default())),
            ("FunctionName", json!(self.function_name)),
            ("lambda.request_id", json!(self.lambda_request_id)),
            ("request.id", json!(self.outcome.request_id)),
        ];
        members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}

fn directive(dimensions: &[&str], metrics: &[(&str, &str)]) -> Value {
    let metrics: Vec<_> = metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
    json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics})
}

#[cfg(test)]
mod tests {
    use sharing::{
        outcome::{ErrorRow, Finding, FindingCode, Refusal, RefusalCode},
        request::Action,
    };

    use super::*;

    fn measured(outcome: &Outcome) -> Measured<'_> {
        Measured {
            function_name: "ami-share",
            lambda_request_id: "11111111-2222-3333-4444-555555555555",
            trigger: Trigger::EventBridge,
            outcome,
            at: OffsetDateTime::from_unix_timestamp_nanos(1_900_000_000_123_000_000).unwrap(),
            duration: Duration::from_micros(1_234_567),
            calls: 7,
            retries: 2,
            is_cold: true,
        }
    }

    /// Units of the specification; <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
    const UNITS: [&str; 3] = ["Count", "Milliseconds", "None"];

    /// Checks an event against the specification, and returns its metrics with the values of their dimensions.
    #[track_caller]
    fn check(event: &Value) -> Vec<(Vec<String>, String, f64)> {
        let aws = event["_aws"].as_object().unwrap();
        assert!(aws["Timestamp"].is_u64());
        let mut found = Vec::new();
        for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=1024).contains(&namespace.len()) && !namespace.starts_with("AWS/"));
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= 100);
            for set in directive["Dimensions"].as_array().unwrap() {
                let set = set.as_array().unwrap();
                assert!(set.len() <= 30);
                let values: Vec<_> = set
                    .iter()
                    .map(|name| {
                        let value =
                            event[name.as_str().unwrap()].as_str().expect("a dimension is a string at the root");
                        assert!((1..=1024).contains(&value.len()) && value.is_ascii() && !value.starts_with(':'));
                        value.to_owned()
                    })
                    .collect();
                for metric in metrics {
                    let name = metric["Name"].as_str().unwrap();
                    assert!(UNITS.contains(&metric["Unit"].as_str().unwrap()));
                    found.push((values.clone(), name.to_owned(), event[name].as_f64().expect("a number at the root")));
                }
            }
        }
        assert!(event.to_string().len() < 1_048_576);
        assert!(!event.to_string().contains('\n'));
        found
    }

    fn of(metrics: &[(Vec<String>, String, f64)], dimensions: &[&str], name: &str) -> f64 {
        metrics.iter().find(|(values, metric, _)| values == dimensions && metric == name).unwrap().2
    }

    #[test]
    fn a_share_is_one_event_with_every_metric() {
        let outcome = Outcome { action: Some(Action::Share), ..Outcome::new("id", Status::Completed) };
        let events = measured(&outcome).events();
        assert_eq!(events.len(), 1);
        let metrics = check(&events[0]);
        for (name, value) in [
            ("Requests", 1.0),
            ("Refused", 0.0),
            ("Unfinished", 0.0),
            ("AllowlistUnavailable", 0.0),
            ("PublishFailed", 0.0),
            ("NobodysRecords", 0.0),
            ("ColdStarts", 1.0),
            ("AwsCalls", 7.0),
            ("AwsRetries", 2.0),
            ("Duration", 1234.0),
        ] {
            assert_eq!(of(&metrics, &["ami-share"], name), value, "{name}");
        }
        assert_eq!(of(&metrics, &["ami-share", "share", "completed"], "Requests"), 1.0);
        assert_eq!(events[0]["_aws"]["Timestamp"], 1_900_000_000_123_u64);
        assert_eq!(events[0]["timestamp"], "2030-03-17T17:46:40.123Z");
        assert_eq!(events[0]["request.trigger"], "eventbridge");
    }

    #[test]
    fn each_refusal_code_is_counted() {
        let refusals = [RefusalCode::TargetNotAllowed, RefusalCode::DefaultKey, RefusalCode::TargetNotAllowed];
        let refusals: Vec<_> = refusals.map(|code| Refusal::new(code, "no")).into();
        let refused = Outcome { action: Some(Action::Share), ..Outcome::refused("id", refusals) };
        let events = measured(&refused).events();
        assert_eq!(of(&check(&events[0]), &["ami-share"], "Refused"), 1.0);
        assert_eq!(events[0]["outcome.refusals"], json!(["DefaultKey", "TargetNotAllowed"]));
        let narrow: Vec<_> = events[1..].iter().map(|event| check(event)[0].clone()).collect();
        let row = |code: &str, count| (vec!["ami-share".to_owned(), code.to_owned()], "Refusals".to_owned(), count);
        assert_eq!(narrow, [row("DefaultKey", 1.0), row("TargetNotAllowed", 2.0)]);

        let checked = Outcome { result: Status::Completed, action: Some(Action::Check), ..refused };
        assert_eq!(measured(&checked).events().len(), 1);
    }

    #[test]
    fn each_kind_of_finding_is_counted() {
        let finding = |code| Finding {
            code,
            image_id: "ami-1a2b3c4d".parse().unwrap(),
            target: None,
            message: String::new(),
            remedy: String::new(),
        };
        let codes = [FindingCode::PublicImage, FindingCode::GrantLeft, FindingCode::GrantLeft];
        let findings = Some(codes.map(finding).into());
        let outcome = Outcome { action: Some(Action::Audit), findings, ..Outcome::new("id", Status::Completed) };
        let events = measured(&outcome).events();
        let narrow: Vec<_> = events[1..].iter().map(|event| check(event)[0].clone()).collect();
        let row = |code: &str, count| (vec!["ami-share".to_owned(), code.to_owned()], "Findings".to_owned(), count);
        assert_eq!(narrow, [row("GrantLeft", 2.0), row("PublicImage", 1.0)]);
    }

    #[test]
    fn an_unreadable_allowlist_is_counted() {
        let error = ErrorRow {
            code: ErrorCode::AllowlistUnavailable,
            call: None,
            resource: None,
            message: String::new(),
            retryable: true,
        };
        let outcome = Outcome { errors: vec![error], ..Outcome::new("id", Status::Failed) };
        let metrics = check(&measured(&outcome).events()[0]);
        assert_eq!(of(&metrics, &["ami-share"], "AllowlistUnavailable"), 1.0);
        assert_eq!(of(&metrics, &["ami-share"], "Unfinished"), 1.0);
        assert_eq!(of(&metrics, &["ami-share", "unknown", "failed"], "Requests"), 1.0);
    }

    #[test]
    fn nobody_can_forge_a_line_or_a_dimension() {
        let hostile = "id\"}\n{\"_aws\":{\"CloudWatchMetrics\":[]},\"Refused\":9\u{2028}\u{1b}[31m";
        let refusal = Refusal::new(RefusalCode::TargetNotAllowed, hostile);
        let outcome = Outcome { reason: Some(hostile.to_owned()), ..Outcome::refused(hostile, vec![refusal]) };
        for event in measured(&outcome).events() {
            check(&event);
            let line = event.to_string();
            assert!(!line.chars().any(char::is_control), "{line}");
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), event);
        }
    }

    #[test]
    fn dimensions_are_bounded_and_images_and_people_none() {
        let outcome = Outcome::refused("id", RefusalCode::ALL.iter().map(|code| Refusal::new(*code, "no")).collect());
        let names: BTreeSet<_> = measured(&outcome)
            .events()
            .iter()
            .flat_map(|event| event["_aws"]["CloudWatchMetrics"].as_array().unwrap().clone())
            .flat_map(|directive| directive["Dimensions"][0].as_array().unwrap().clone())
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["Action", "Code", "FunctionName", "Result"].map(str::to_owned).into());
    }
}
