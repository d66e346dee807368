//! Owns [`Config`]: the settings from the environment, which is read once.

use std::{str::FromStr, time::Duration};

use sharing::{allowlist::Location, decide::Setup, domain::KeyArn};
use triggers::PageSettings;

/// The function's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `AMI_SHARE_ALLOWLIST`: where the allowlist is.
    pub allowlist: Location,
    /// `AMI_SHARE_ALLOWLIST_TTL`: how long a copy of it may be used.
    pub allowlist_ttl: Duration,
    /// `AMI_SHARE_MAX_EVENT_AGE`: how old an event may be that asks for a share.
    pub max_event_age: Duration,
    /// `AMI_SHARE_ENTITY_QUOTA`: how many entities one image may be shared with.
    pub entity_quota: usize,
    /// `AMI_SHARE_SCHEDULE_GROUP`, `AMI_SHARE_SCHEDULE_ROLE_ARN` and `AMI_SHARE_REQUEST_BUS`: the settings that records
    /// need, or the names of the variables that are not set.
    pub records: Result<RecordSettings, Vec<&'static str>>,
    /// `AMI_SHARE_KEY_GRANTS`, `AMI_SHARE_COPY_ACCESS`, `AMI_SHARE_COPIES` and `AMI_SHARE_APPROVALS`: which optional permissions the function's role has.
    pub setup: Setup,
    /// `AMI_SHARE_OUTCOME_BUS`: where outcomes are published.
    pub outcome_bus: Option<String>,
    /// `AMI_SHARE_REQUEST_BUS`: the bus for requests, where the function also puts the request that continues an audit.
    pub request_bus: Option<String>,
    /// `AMI_SHARE_PAGE_ISSUER`, `AMI_SHARE_PAGE_CLIENT_ID` and `AMI_SHARE_PAGE_TOKEN_ORIGIN`: what is put into the
    /// page. If one of the first two is not set, there is no page.
    pub page: Option<PageSettings>,
    /// `AMI_SHARE_GROUPS_CLAIM`: the claim of a token that holds its groups.
    pub groups_claim: String,
    /// `AWS_LAMBDA_FUNCTION_NAME`: a dimension of the metrics.
    pub function_name: String,
    /// `AWS_LAMBDA_LOG_LEVEL`
    pub log_level: tracing::Level,
    /// `AWS_LAMBDA_LOG_FORMAT`: whether log lines are JSON.
    pub logs_json: bool,
}

/// The schedule group of the records, and the bus on which Scheduler puts their hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSettings {
    /// The schedule group.
    pub group: String,
    /// The role with which Scheduler puts events on the bus.
    pub role_arn: String,
    /// The bus, by name or ARN.
    pub bus: String,
    /// `AMI_SHARE_SCHEDULE_DLQ_ARN`: the queue for the hints that Scheduler can't deliver.
    pub dead_letter_arn: Option<String>,
    /// `AMI_SHARE_RECORD_KEY`: the HMAC key of records that give a right, if there is one.
    pub record_key: Option<KeyArn>,
}

impl Config {
    /// Reads the variables with `get`. The error names every invalid variable.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut problems = Vec::new();
        let allowlist = allowlist(&get, &mut problems);
        let ttl = number(&get, "AMI_SHARE_ALLOWLIST_TTL", 60, 1..=86_400, &mut problems);
        let max_age = number(&get, "AMI_SHARE_MAX_EVENT_AGE", 900, 1..=86_400, &mut problems);
        let quota = number(&get, "AMI_SHARE_ENTITY_QUOTA", 1_000, 1..=1_000_000, &mut problems);
        let setup = Setup {
            key_grants: switch(&get, "AMI_SHARE_KEY_GRANTS", &mut problems),
            copy_access: switch(&get, "AMI_SHARE_COPY_ACCESS", &mut problems),
            copies: switch(&get, "AMI_SHARE_COPIES", &mut problems),
            approvals: switch(&get, "AMI_SHARE_APPROVALS", &mut problems),
        };
        let records = RecordSettings::read(&get, &mut problems);
        let page = page(&get, &mut problems);
        let log_level = log_level(&get, &mut problems);
        let logs_json = get("AWS_LAMBDA_LOG_FORMAT").is_none_or(|format| !format.eq_ignore_ascii_case("text"));
        match allowlist {
            Some(allowlist) if problems.is_empty() => Ok(Self {
                allowlist,
                allowlist_ttl: Duration::from_secs(ttl),
                max_event_age: Duration::from_secs(max_age),
                entity_quota: usize::try_from(quota).unwrap_or(usize::MAX),
                records,
                setup,
                outcome_bus: set(&get, "AMI_SHARE_OUTCOME_BUS"),
                request_bus: set(&get, "AMI_SHARE_REQUEST_BUS"),
                page,
                groups_claim: set(&get, "AMI_SHARE_GROUPS_CLAIM").unwrap_or_else(|| "groups".to_owned()),
                function_name: set(&get, "AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "ami-share".to_owned()),
                log_level,
                logs_json,
            }),
            Some(_) | None => Err(problems.join("; ")),
        }
    }
}

impl RecordSettings {
    /// Reads the settings; fails with the names of the variables that are needed and not set.
    fn read(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Result<Self, Vec<&'static str>> {
        let record_key = set(get, "AMI_SHARE_RECORD_KEY").and_then(|text| {
            text.parse().map_err(|problem| problems.push(format!("AMI_SHARE_RECORD_KEY: {problem}"))).ok()
        });
        let mut unset = Vec::new();
        let mut needed = |name: &'static str| {
            set(get, name).or_else(|| {
                unset.push(name);
                None
            })
        };
        let settings = (
            needed("AMI_SHARE_SCHEDULE_GROUP"),
            needed("AMI_SHARE_SCHEDULE_ROLE_ARN"),
            needed("AMI_SHARE_REQUEST_BUS"),
        );
        let dead_letter_arn = set(get, "AMI_SHARE_SCHEDULE_DLQ_ARN");
        match settings {
            (Some(group), Some(role_arn), Some(bus)) => Ok(Self { group, role_arn, bus, dead_letter_arn, record_key }),
            _ => Err(unset),
        }
    }
}

/// A variable with a value.
fn set(get: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    get(name).filter(|text| !text.is_empty())
}

fn allowlist(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Option<Location> {
    let Some(text) = get("AMI_SHARE_ALLOWLIST") else {
        let missing = "AMI_SHARE_ALLOWLIST: missing; say where the allowlist is, such as `file:allowlist.yaml`";
        problems.push(missing.to_owned());
        return None;
    };
    text.parse().map_err(|problem| problems.push(format!("AMI_SHARE_ALLOWLIST: {problem}"))).ok()
}

fn log_level(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> tracing::Level {
    match get("AWS_LAMBDA_LOG_LEVEL").as_deref() {
        None | Some("" | "INFO") => tracing::Level::INFO,
        Some("TRACE") => tracing::Level::TRACE,
        Some("DEBUG") => tracing::Level::DEBUG,
        Some("WARN") => tracing::Level::WARN,
        Some("ERROR" | "FATAL") => tracing::Level::ERROR,
        Some(other) => {
            problems.push(format!("AWS_LAMBDA_LOG_LEVEL: `{other}` is not TRACE, DEBUG, INFO, WARN, ERROR or FATAL"));
            tracing::Level::INFO
        }
    }
}

fn number(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
    problems: &mut Vec<String>,
) -> u64 {
    let Some(text) = set(get, name) else { return default };
    match u64::from_str(&text) {
        Ok(number) if range.contains(&number) => number,
        Ok(_) | Err(_) => {
            problems.push(format!("{name}: `{text}` is not a number from {} to {}", range.start(), range.end()));
            default
        }
    }
}

/// Checks that the file of `SSL_CERT_FILE` has certificates. Without them every call to AWS fails, with an error that
/// does not mention the file.
pub fn check_certificates(path: Option<String>, read: impl Fn(&str) -> std::io::Result<Vec<u8>>) -> Result<(), String> {
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(()) };
    let remedy =
        "name a file of PEM certificates (Amazon Linux 2023 has /etc/pki/tls/certs/ca-bundle.crt), or unset it";
    let text = read(&path).map_err(|error| format!("SSL_CERT_FILE: {path} can't be read: {error}; {remedy}"))?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if !text.windows(begin.len()).any(|part| part == begin) {
        return Err(format!("SSL_CERT_FILE: {path} holds no certificate; {remedy}"));
    }
    Ok(())
}

/// Whether a variable is `on`, which is the default.
fn switch(get: &impl Fn(&str) -> Option<String>, name: &str, problems: &mut Vec<String>) -> bool {
    match get(name).as_deref() {
        None | Some("" | "on") => true,
        Some("off") => false,
        Some(other) => {
            problems.push(format!("{name}: `{other}` is not on or off"));
            true
        }
    }
}

/// The settings of the page. A variable that is set must be valid, even if another one is missing.
fn page(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Option<PageSettings> {
    let issuer = parsed(get, "AMI_SHARE_PAGE_ISSUER", problems);
    let client_id = parsed(get, "AMI_SHARE_PAGE_CLIENT_ID", problems);
    let token_origin = parsed(get, "AMI_SHARE_PAGE_TOKEN_ORIGIN", problems);
    Some(PageSettings { issuer: issuer?, client_id: client_id?, token_origin })
}

fn parsed<T: FromStr<Err = String>>(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    problems: &mut Vec<String>,
) -> Option<T> {
    let parsed = set(get, name)?.parse();
    parsed.map_err(|problem| problems.push(format!("{name}: {problem}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_the_allowlist_must_be_given() {
        let config = read(&[("AMI_SHARE_ALLOWLIST", "file:allowlist.yaml")]).unwrap();
        assert_eq!((config.allowlist_ttl.as_secs(), config.entity_quota), (60, 1000));
        assert_eq!(config.groups_claim, "groups");
        assert!(config.logs_json);
        let all = Setup { key_grants: true, copy_access: true, copies: true, approvals: true };
        assert_eq!(config.setup, all);
    }

    #[test]
    fn what_the_role_may_not_do_is_switched_off() {
        for value in ["on", ""] {
            let config = read(&[("AMI_SHARE_ALLOWLIST", "file:a"), ("AMI_SHARE_KEY_GRANTS", value)]).unwrap();
            assert!(config.setup.key_grants, "{value}");
        }
        let all = Setup { key_grants: true, copy_access: true, copies: true, approvals: true };
        for (name, setup) in [
            ("AMI_SHARE_KEY_GRANTS", Setup { key_grants: false, ..all }),
            ("AMI_SHARE_COPY_ACCESS", Setup { copy_access: false, ..all }),
            ("AMI_SHARE_COPIES", Setup { copies: false, ..all }),
            ("AMI_SHARE_APPROVALS", Setup { approvals: false, ..all }),
        ] {
            assert_eq!(read(&[("AMI_SHARE_ALLOWLIST", "file:a"), (name, "off")]).unwrap().setup, setup);
        }
    }

    #[test]
    fn a_certificate_file_is_there_and_holds_certificates() {
        let read = |path: &str| match path {
            "/bundle" => Ok(b"# Amazon\n-----BEGIN CERTIFICATE-----\nMII".to_vec()),
            "/empty" => Ok(Vec::new()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let check = |path: &str| check_certificates(Some(path.to_owned()), read);
        assert_eq!(check_certificates(None, read), Ok(()));
        assert_eq!((check(""), check("/bundle")), (Ok(()), Ok(())));
        for (path, why) in [("/empty", "holds no certificate"), ("/none", "can't be read")] {
            let problem = check(path).unwrap_err();
            assert!(problem.starts_with(&format!("SSL_CERT_FILE: {path} {why}")), "{problem}");
        }
    }

    #[test]
    fn what_records_lack_is_named_and_keeps_nothing_else_from_working() {
        let all = [
            ("AMI_SHARE_SCHEDULE_GROUP", "records"),
            ("AMI_SHARE_SCHEDULE_ROLE_ARN", "arn:aws:iam::999988887777:role/hints"),
            ("AMI_SHARE_REQUEST_BUS", "ami-share"),
        ];
        let with =
            |set: &[(&str, &str)]| read(&[&[("AMI_SHARE_ALLOWLIST", "file:a.yaml")], set].concat()).unwrap().records;
        let settings = with(&all).unwrap();
        assert_eq!((settings.bus.as_str(), settings.dead_letter_arn), ("ami-share", None));
        let queue = ("AMI_SHARE_SCHEDULE_DLQ_ARN", "arn:aws:sqs:eu-west-1:999988887777:undelivered");
        let settings = with(&[all.as_slice(), &[queue]].concat()).unwrap();
        assert_eq!((settings.dead_letter_arn.as_deref(), settings.record_key), (Some(queue.1), None));
        let key =
            ("AMI_SHARE_RECORD_KEY", "arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000009");
        let settings = with(&[all.as_slice(), &[key]].concat()).unwrap();
        assert_eq!(settings.record_key.map(|key| key.to_string()).as_deref(), Some(key.1));
        assert_eq!(with(&[]), Err(all.map(|(name, _)| name).to_vec()));
        for (place, (name, _)) in all.iter().enumerate() {
            let mut set = all;
            set[place].1 = "";
            assert_eq!(with(&set), Err(vec![*name]));
        }
    }

    #[test]
    fn there_is_a_page_where_issuer_and_client_are_named() {
        let (issuer, client) =
            (("AMI_SHARE_PAGE_ISSUER", "https://login.example.com/a"), ("AMI_SHARE_PAGE_CLIENT_ID", "page"));
        let page = |set: &[(&str, &str)]| read(&[&[("AMI_SHARE_ALLOWLIST", "file:a")], set].concat()).map(|it| it.page);
        let origin = ("AMI_SHARE_PAGE_TOKEN_ORIGIN", "https://tokens.example.com");
        let settings = page(&[issuer, client, origin]).unwrap().unwrap();
        assert_eq!((settings.issuer.as_str(), settings.client_id.as_str()), (issuer.1, client.1));
        assert_eq!(settings.token_origin.unwrap().as_str(), origin.1);
        assert_eq!(page(&[issuer, client]).unwrap().unwrap().token_origin, None);
        for unset in [&[][..], &[issuer], &[client], &[origin], &[issuer, (client.0, "")]] {
            assert_eq!(page(unset), Ok(None));
        }
        let problems = page(&[(issuer.0, "http://login.example.com"), (origin.0, "https://a/b")]).unwrap_err();
        assert!(problems.contains("PAGE_ISSUER: ") && problems.contains("PAGE_TOKEN_ORIGIN: "), "{problems}");
    }

    #[test]
    fn every_bad_variable_is_reported_together() {
        let problems = read(&[
            ("AMI_SHARE_ALLOWLIST", "s3://bucket"),
            ("AMI_SHARE_ALLOWLIST_TTL", "soon"),
            ("AMI_SHARE_ENTITY_QUOTA", "0"),
            ("AMI_SHARE_KEY_GRANTS", "true"),
            ("AMI_SHARE_COPY_ACCESS", "OFF"),
            ("AMI_SHARE_RECORD_KEY", "alias/records"),
            ("AWS_LAMBDA_LOG_LEVEL", "LOUD"),
        ])
        .unwrap_err();
        for name in [
            "AMI_SHARE_ALLOWLIST:",
            "AMI_SHARE_ALLOWLIST_TTL:",
            "AMI_SHARE_ENTITY_QUOTA:",
            "AMI_SHARE_KEY_GRANTS:",
            "AMI_SHARE_COPY_ACCESS:",
            "AMI_SHARE_RECORD_KEY:",
            "AWS_LAMBDA_LOG_LEVEL:",
        ] {
            assert!(problems.contains(name), "{problems}");
        }
        assert!(read(&[]).unwrap_err().contains("missing"));
    }
}
