//! Owns the command about keys: whether a key policy and grants let a target use the key, why, and what is missing.

use std::{fmt::Write as _, io, process::ExitCode};

use key_policy::{
    Because, Grant, KeyAccess, KeyQuestion, KeyUse, OrganizationFacts, Policy, Verdict,
    json_lines::{self, Style},
    judge,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sharing::domain::{KeyArn, Target};

use crate::{
    allowlist,
    answer::{Answer, Failure, Format, give},
    input::Input,
};

#[derive(clap::Args)]
pub(crate) struct Explain {
    /// The key policy, alone or as `aws kms get-key-policy` prints it; `-` is standard input
    #[arg(required_unless_present = "json_lines", conflicts_with = "json_lines")]
    policy: Option<Input>,
    /// The key's ARN
    #[arg(long, required_unless_present = "json_lines", conflicts_with = "json_lines")]
    key: Option<KeyArn>,
    /// The target that uses the key: an account ID, or the ARN of an organization or OU
    #[arg(long, required_unless_present = "json_lines", conflicts_with = "json_lines")]
    target: Option<Target>,
    /// The key's grants, as `aws kms list-grants` prints them
    #[arg(long, value_name = "FILE", conflicts_with = "json_lines")]
    grants: Option<Input>,
    /// The use: `launch`, `copy`, or the service-linked role of the target account that launches (`autoscaling`,
    /// `autoscaling:<suffix>`, `spot`, `spotfleet`, `ec2fleet`)
    #[arg(long = "use", value_name = "USE", default_value = "launch", value_parser = key_use, conflicts_with = "json_lines")]
    key_use: Use,
    /// An allowlist whose directory says where the target is in AWS Organizations
    #[arg(long, value_name = "FILE", conflicts_with = "json_lines")]
    allowlist: Option<Input>,
    /// Read a question from each line of standard input, and write a line of JSON for each; docs/key-access.md has the
    /// fields
    #[arg(long)]
    json_lines: bool,
    /// Under --json-lines: the same as --format words
    #[arg(long, conflicts_with_all = ["policy", "format"])]
    pretty: bool,
    /// How the answer is written [default: words; under --json-lines: json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// A use, and the word for it.
#[derive(Debug, Clone)]
struct Use(KeyUse, String);

fn key_use(text: &str) -> Result<Use, String> {
    let key_use = match text {
        "launch" => KeyUse::Launch,
        "copy" => KeyUse::Copy,
        role => KeyUse::ServiceLinkedRole(
            role.parse().map_err(|error| format!("not `launch` or `copy`, and as a service-linked role: {error}"))?,
        ),
    };
    Ok(Use(key_use, text.to_owned()))
}

impl Explain {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        match (&self.policy, &self.key, &self.target) {
            (Some(policy), Some(key), Some(target)) => {
                give(&self.explain(policy, key, target)?, self.format.unwrap_or(Format::Words))
            }
            _ => self.answer_lines(),
        }
    }

    fn answer_lines(&self) -> Result<ExitCode, Failure> {
        let style = match self.format {
            Some(Format::Words) => Style::Words,
            None if self.pretty => Style::Words,
            Some(Format::Json) | None => Style::Json,
        };
        json_lines::answer(io::stdin().lock(), io::stdout().lock(), style).map_err(|error| {
            let what = "can't read questions from standard input, or write answers to standard output";
            Failure::unusable(what, error, "Check where both are redirected.")
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn explain<'a>(&'a self, policy: &Input, key: &'a KeyArn, target: &'a Target) -> Result<Explained<'a>, Failure> {
        let Use(key_use, word) = &self.key_use;
        if let (KeyUse::ServiceLinkedRole(_), None) = (key_use, target.account()) {
            let message =
                "--use names a service-linked role, which belongs to one account: give an account as --target.";
            return Err(Failure::Usage(message.to_owned()));
        }
        let inputs = [Some(policy), self.grants.as_ref(), self.allowlist.as_ref()];
        if inputs.into_iter().flatten().filter(|input| input.is_standard_input()).count() > 1 {
            return Err(Failure::Usage("`-` stands for two files: standard input can be only one of them.".to_owned()));
        }
        let organization = match &self.allowlist {
            None => OrganizationFacts::UNKNOWN,
            Some(file) => allowlist::read(file)?.organization_facts(target),
        };
        let grants = self.grants.as_ref().map(read_grants).transpose()?;
        let policy = read_policy(policy)?;
        let mut access = judge(&KeyQuestion {
            key,
            policy: &policy,
            grants: grants.as_deref().unwrap_or_default(),
            target,
            organization: &organization,
            key_use,
        });
        // A grant can't name an organization, and does not override a `Deny`.
        let may_be_granted =
            matches!(access.verdict, Verdict::Missing | Verdict::Conditional) && target.account().is_some();
        if grants.is_none() && may_be_granted {
            access.notes.push("no grants are given (--grants): one of them may let the target in".to_owned());
        }
        Ok(Explained { key_arn: key, target, key_use: word, grant_remedy: access.grant_remedy.take(), access })
    }
}

/// The output of `aws kms get-key-policy`, which has the policy document as a string.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetKeyPolicy {
    policy: String,
    #[serde(rename = "PolicyName")]
    _name: Option<String>,
}

fn read_policy(file: &Input) -> Result<Policy, Failure> {
    let text = file.read()?;
    let document = serde_json::from_str(&text).map_or(text, |printed: GetKeyPolicy| printed.policy);
    Policy::parse(&document).map_err(|error| {
        let remedy = "Give what `aws kms get-key-policy --policy-name default --key-id <key>` prints.";
        Failure::unusable(format_args!("{file} is not a key policy"), error, remedy)
    })
}

fn read_grants(file: &Input) -> Result<Vec<Grant>, Failure> {
    let failure = |error: &dyn std::fmt::Display| {
        let remedy = "Give what `aws kms list-grants --key-id <key>` prints.";
        Failure::unusable(format_args!("{file} does not have the grants of a key"), error, remedy)
    };
    let mut printed: Value = serde_json::from_str(&file.read()?).map_err(|error| failure(&error))?;
    let is_cut = ["NextToken", "NextMarker"].iter().any(|field| printed.get(field).is_some_and(Value::is_string));
    if is_cut || printed.get("Truncated") == Some(&Value::Bool(true)) {
        return Err(failure(&"it holds only some of them; list all, without `--max-items`"));
    }
    let list = if printed.is_array() { Some(printed) } else { printed.get_mut("Grants").map(Value::take) };
    let list = list.ok_or_else(|| failure(&"it has no `Grants`"))?;
    serde_json::from_value(list).map_err(|error| failure(&error))
}

/// Whether the key lets the target in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    key_arn: &'a KeyArn,
    target: &'a Target,
    #[serde(rename = "use")]
    key_use: &'a str,
    #[serde(flatten)]
    access: KeyAccess,
    /// The grant for a service-linked role, which only a grant lets in. Outcomes show the command that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_remedy: Option<Value>,
}

impl Answer for Explained<'_> {
    fn is_yes(&self) -> bool {
        self.access.verdict == Verdict::Allowed
    }

    fn in_words(&self) -> String {
        let Self { target, access, .. } = self;
        let use_it = match self.key_use {
            "launch" => format!("{target} launch from images encrypted with it"),
            "copy" => format!("{target} copy images encrypted with it"),
            role => format!("the role `{role}` of {target} launch from images encrypted with it"),
        };
        let verdict = match access.verdict {
            Verdict::Allowed => format!("allowed: the key lets {use_it}"),
            Verdict::Missing => {
                format!("missing: the key does not let {use_it}, because nothing allows some of the actions")
            }
            Verdict::Conditional => {
                format!("conditional: whether the key lets {use_it} depends on conditions that are not known")
            }
            Verdict::Denied => {
                format!("denied: the key does not let {use_it}, because a statement denies some of the actions")
            }
            Verdict::Unknown => format!("unknown: it is not known whether the key lets {use_it}"),
        };
        let because = access.because.iter().map(|because| match because {
            Because::Statement { sid, index, effect } => {
                let sid = sid.as_deref().map(|sid| format!(" `{sid}`")).unwrap_or_default();
                format!("statement{sid} at index {index} ({effect:?})")
            }
            Because::Grant { grant_id, grant_name } => {
                let name = grant_name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
                format!("grant{name} {grant_id}")
            }
        });
        let mut words = format!("{verdict}\n");
        section(
            &mut words,
            "actions",
            access.per_action.iter().map(|(action, it)| format!("{action}: {}", it.as_str())),
        );
        section(&mut words, "because of", because);
        section(&mut words, "missing", access.missing.iter().cloned());
        section(&mut words, "depends on", access.depends_on.iter().cloned());
        section(&mut words, "likely to fail", access.likely_to_fail.iter().cloned());
        section(&mut words, "notes", access.notes.iter().cloned());
        paste(&mut words, "remedy: add these statements to the key policy", access.remedy.as_ref());
        paste(&mut words, "remedy: create this grant", self.grant_remedy.as_ref());
        words
    }
}

fn section(words: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        // Writing to a String cannot fail.
        let _ = writeln!(words, "{title}:");
        for line in lines {
            let _ = writeln!(words, "  {line}");
        }
    }
}

/// JSON to copy. It starts at the beginning of a line.
fn paste(words: &mut String, title: &str, json: Option<&Value>) {
    if let Some(json) = json {
        let _ = writeln!(words, "{title}:\n{json:#}");
    }
}
