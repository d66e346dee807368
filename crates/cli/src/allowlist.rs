//! Owns the commands about the allowlist: every fault of a document, and which rule covers a request.

mod provenance;

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

use serde::Serialize;
use sharing::{
    allowlist::{Allowlist, Ask, Criterion, DocumentFault, Images, Part, RequesterPattern, Rule, Terms},
    domain::{Region, Requester, ServiceLinkedRole, Target, unnamable_group},
    outcome::RefusalCode,
    request::{Access, Action},
};
use time::{Duration, OffsetDateTime};

use self::provenance::{Given, duration, goes_by_provenance, what_it_lacks};
use crate::{
    answer::{Answer, Failure, Format, give},
    input::Input,
};

#[derive(clap::Args)]
pub(crate) struct Check {
    /// The allowlist, YAML or JSON; `-` is standard input
    file: Input,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Words)]
    format: Format,
}

impl Check {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let text = self.file.read()?;
        give(&Checked::of(&self.file, &text), self.format)
    }
}

/// What is wrong with a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: String,
    /// What makes the document unusable.
    faults: Vec<DocumentFinding>,
    /// What is allowed but probably not intended, such as a rule that can never decide.
    warnings: Vec<DocumentFinding>,
    #[serde(skip)]
    holds: Option<(usize, usize)>,
}

/// A fault or a warning, with its place in the document.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentFinding {
    /// The part of the document: a rule by its name, an account or a group by its key.
    rule: Option<String>,
    account: Option<String>,
    group: Option<String>,
    field: Option<String>,
    line: Option<usize>,
    message: String,
}

impl Checked {
    fn of(file: &Input, text: &str) -> Self {
        let allowlist = Allowlist::parse(text);
        let warning = |message| DocumentFinding { message, ..DocumentFinding::default() };
        Self {
            file: file.to_string(),
            holds: allowlist.as_ref().ok().map(|allowlist| (allowlist.rules.len(), allowlist.accounts.len())),
            warnings: allowlist.iter().flat_map(Allowlist::warnings).map(warning).collect(),
            faults: allowlist.err().into_iter().flat_map(|invalid| invalid.faults).map(DocumentFinding::from).collect(),
        }
    }
}

impl From<DocumentFault> for DocumentFinding {
    fn from(DocumentFault { line, part, field, message }: DocumentFault) -> Self {
        let field = (!field.is_empty()).then_some(field);
        let finding = Self { line: Some(line), field, message, ..Self::default() };
        match part {
            Part::Document => finding,
            Part::Rule(name) => Self { rule: Some(name), ..finding },
            Part::Account(key) => Self { account: Some(key), ..finding },
            Part::Group(name) => Self { group: Some(name), ..finding },
        }
    }
}

/// Reads an allowlist that must have no faults.
pub(crate) fn read(file: &Input) -> Result<Allowlist, Failure> {
    Allowlist::parse(&file.read()?).map_err(|invalid| {
        let remedy = "Fix the faults that `ami-share allowlist check` names, then run the command again.";
        Failure::unusable(format_args!("{file} is not valid"), invalid, remedy)
    })
}

impl Answer for Checked {
    fn is_yes(&self) -> bool {
        self.faults.is_empty()
    }

    fn in_words(&self) -> String {
        let mut words = String::new();
        let findings = self.faults.iter().map(|fault| ("fault", fault));
        for (kind, finding) in findings.chain(self.warnings.iter().map(|warning| ("warning", warning))) {
            // Editors and CI systems find the file and the line in this form.
            let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
            let DocumentFinding { rule, account, group, field, .. } = finding;
            let parts = [("rule", rule), ("account", account), ("group", group), ("field", field)];
            let parts = parts.into_iter().filter_map(|(part, name)| Some(format!("{part} `{}`", name.as_ref()?)));
            let place = parts.collect::<Vec<_>>().join(", ");
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            // Writing to a String cannot fail.
            let _ = writeln!(words, "{}{line}: {kind}: {place}{}", self.file, finding.message);
        }
        let _ = match self.holds {
            Some((rules, accounts)) => writeln!(
                words,
                "{}: no faults; {} and {} in the directory",
                self.file,
                count(rules, "rule"),
                count(accounts, "account")
            ),
            None => writeln!(words, "{}: {}", self.file, count(self.faults.len(), "fault")),
        };
        words
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[derive(clap::Args)]
pub(crate) struct Explain {
    /// The allowlist, YAML or JSON; `-` is standard input
    file: Input,
    /// Who asks, as the allowlist writes it: `arn:aws:iam::999988887777:role/portal`
    #[arg(long, value_parser = RequesterPattern::requester)]
    requester: Requester,
    /// One of the groups of the requester's token; repeat for more
    #[arg(long = "group", value_name = "GROUP", value_parser = group)]
    groups: Vec<String>,
    /// `share`, `revoke`, `reset`, `list`, `check`, `usage`, `audit`, `repair` or `images`
    #[arg(long)]
    action: Action,
    /// The image's name. Without a name and tags, the criteria for the image are not checked
    #[arg(long, value_name = "NAME")]
    image_name: Option<String>,
    /// One of the image's tags; repeat for more
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    provenance: Box<Given>,
    /// An account ID, or the ARN of an organization or OU. Without it, the criterion for the target is not checked
    #[arg(long)]
    target: Option<Target>,
    /// What the target can do: `launch` (the default) or `copy`
    #[arg(long)]
    access: Option<Access>,
    /// A service-linked role that needs the keys: `autoscaling`, `autoscaling:<suffix>`, `spot`, `spotfleet` or
    /// `ec2fleet`; repeat for more
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<ServiceLinkedRole>,
    /// How long the share lasts, such as `12h` or `30d`. Without it, the share does not expire
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
    /// The Region of the source, if not the image itself is shared but its copy in this deployment's Region
    #[arg(long, value_name = "REGION")]
    copy_from: Option<Region>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Words)]
    format: Format,
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write the tag's key, `=` and its value: `Tier=gold`".to_owned()),
    }
}

fn group(text: &str) -> Result<String, String> {
    unnamable_group(text)
        .map_or_else(|| Ok(text.to_owned()), |why| Err(format!("a group that {why} has no name in a rule")))
}

impl Explain {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let tags = self.check()?;
        give(&self.explain(&read(&self.file)?, &tags), self.format)
    }

    /// Rejects options that have no meaning for the action, and reads the tags.
    fn check(&self) -> Result<BTreeMap<String, String>, Failure> {
        let Self { action, .. } = self;
        let about_sharing = [
            ("--access", self.access.is_some()),
            ("--role", !self.roles.is_empty()),
            ("--expires-in", self.expires_in.is_some()),
            ("--copy-from", self.copy_from.is_some()),
        ];
        let about_sharing = about_sharing.into_iter().chain(self.provenance.options());
        if let Some((option, _)) = about_sharing.filter(|(_, given)| *given).find(|_| !action.is_about_sharing()) {
            return Err(Failure::Usage(format!("{option} has no meaning for `{action}`: leave it out.")));
        }
        if !self.groups.is_empty() && !self.requester.as_str().starts_with("jwt:") {
            return Err(Failure::Usage(
                "--group has a meaning for the requester of a token only: leave it out.".to_owned(),
            ));
        }
        if self.target.is_some() && !action.takes_targets() {
            return Err(Failure::Usage(format!("--target has no meaning for `{action}`: leave it out.")));
        }
        let mut tags = BTreeMap::new();
        for (key, value) in &self.tags {
            if tags.insert(key.clone(), value.clone()).is_some() {
                return Err(Failure::Usage(format!("--tag names the key `{key}` twice: an image has each key once.")));
            }
        }
        Ok(tags)
    }

    fn explain<'a>(&'a self, allowlist: &'a Allowlist, tags: &BTreeMap<String, String>) -> Explained<'a> {
        // Only the time until the expiry counts, so any current time will do.
        let now = OffsetDateTime::UNIX_EPOCH;
        let terms = Terms {
            access: self.access.unwrap_or_default(),
            service_linked_roles: &self.roles,
            expires_at: self.expires_in.and_then(|duration| now.checked_add(duration)),
            copy_from: self.copy_from.as_ref(),
            now,
        };
        let requester = self.requester.clone().with_groups(self.groups.clone());
        let is_about_an_image = self.image_name.is_some() || !tags.is_empty();
        let provenance = self.provenance.read(now);
        let is_giving = self.action.is_about_sharing();
        let ask = Ask {
            requester: &requester,
            action: self.action,
            image: is_about_an_image.then_some((self.image_name.as_deref(), tags)),
            provenance: provenance.as_ref().filter(|_| is_giving).map(|provenance| (provenance, now)),
            target: self.target.as_ref(),
            terms: is_giving.then_some(terms),
        };
        let covered = allowlist.cover(&ask);
        let rules = allowlist.explain(&ask).map(|(rule, fails)| RuleExplanation {
            rule: &rule.name,
            fails: fails.map(Criterion::as_str),
            why: fails.map(|criterion| match (criterion, &provenance) {
                (Criterion::Provenance, Some(provenance)) => what_it_lacks(&rule.images, provenance, now),
                _ => self.why(rule, criterion, tags),
            }),
        });
        let is_unnamed = |target| !allowlist.names_target(target);
        let not_asked = [
            (!is_about_an_image).then_some(NotAsked { criterion: "image", why: "neither name nor tags are given" }),
            (is_giving && provenance.is_none() && allowlist.rules.iter().any(goes_by_provenance)).then_some(NotAsked {
                criterion: "image's watermarks, scan and age",
                why: "none of --watermark, --severity and --age is given",
            }),
            match &self.target {
                None if self.action.takes_targets() => Some(NotAsked { criterion: "target", why: "none is given" }),
                Some(target) if self.action == Action::Revoke && is_unnamed(target) => {
                    let why = "no rule names it, and access can always be removed";
                    Some(NotAsked { criterion: "target", why })
                }
                Some(_) | None => None,
            },
        ];
        let publish = covered.ok().and_then(|rule| rule.publish.as_ref()).filter(|_| is_giving);
        // EC2 knows the architecture of every image, and its words for them fit.
        let filled = publish.filter(|_| is_about_an_image).map(|it| it.parameter(tags, Some("x86_64")));
        let approvers = covered.ok().map(|rule| &rule.approvers).filter(|approvers| !approvers.is_empty() && is_giving);
        Explained {
            approvers: approvers
                .map(|approvers| approvers.iter().map(|approver| approver.as_str().to_owned()).collect()),
            publishes: publish.map(ToString::to_string),
            cannot_publish: filled.and_then(Result::err).map(|unfillable| unfillable.why),
            decides: covered.ok().map(|rule| rule.name.as_str()),
            fails: covered.err().map(Criterion::as_str),
            refusal: covered.err().map(|criterion| refusal(criterion, self.expires_in.is_some()).as_str()),
            rules: rules.collect(),
            not_asked: not_asked.into_iter().flatten().collect(),
        }
    }

    /// Why the rule does not cover the request.
    fn why(&self, rule: &Rule, criterion: Criterion, tags: &BTreeMap<String, String>) -> String {
        match criterion {
            Criterion::Requester => {
                let or_groups = if self.groups.is_empty() { "" } else { " or one of its groups" };
                format!("its `requesters` don't name `{}`{or_groups}", self.requester)
            }
            Criterion::Action => format!("its `actions` don't include `{}`", self.action),
            Criterion::Image | Criterion::Provenance => why_not_image(&rule.images, self.image_name.as_deref(), tags),
            Criterion::Target => {
                let target = self.target.as_ref().map(ToString::to_string).unwrap_or_default();
                let names_a_group = rule.targets.iter().any(|target| target.account().is_none());
                let is_account = self.target.as_ref().is_some_and(|target| target.account().is_some());
                let never_members = if names_a_group && is_account {
                    "; an organization or OU there never covers its members"
                } else {
                    ""
                };
                format!("its `targets` don't name {target}{never_members}")
            }
            Criterion::Access => "its `access` is `launch`, and the request asks for `copy`".to_owned(),
            Criterion::Roles => {
                let lacking = self.roles.iter().filter(|role| !rule.service_linked_roles.contains(role));
                let lacking: Vec<_> = lacking.map(|role| format!("`{role}`")).collect();
                format!("its `serviceLinkedRoles` don't include {}", lacking.join(", "))
            }
            Criterion::Duration if self.expires_in.is_none() => {
                "it has a `maxDuration`, and the share does not expire (--expires-in)".to_owned()
            }
            Criterion::Duration => "the share lasts longer than its `maxDuration`".to_owned(),
            Criterion::Copies => match (&rule.copies, &self.copy_from) {
                (Some(_), Some(region)) => format!("its `copies` are not from {region}"),
                (_, _) => "it makes no `copies`".to_owned(),
            },
        }
    }
}

fn why_not_image(images: &Images, name: Option<&str>, tags: &BTreeMap<String, String>) -> String {
    let Images::Matching { names, tags: wanted, .. } = images else { return "its `images` don't match".to_owned() };
    match name {
        _ if names.is_empty() => {}
        None => return "its `images` have `names`, and the image has no name (--image-name)".to_owned(),
        Some(name) if !names.iter().any(|pattern| pattern.matches(name)) => {
            return format!("none of the `names` of its `images` matches `{name}`");
        }
        Some(_) => {}
    }
    for (key, patterns) in wanted {
        match tags.get(key) {
            None => return format!("its `images` have the tag `{key}`, and the image has no such tag (--tag)"),
            Some(value) if !patterns.iter().any(|pattern| pattern.matches(value)) => {
                return format!("none of the values that its `images` have for the tag `{key}` matches `{value}`");
            }
            Some(_) => {}
        }
    }
    "its `images` don't match".to_owned()
}

/// The code of the refusal for a request that no rule covers because of this criterion.
fn refusal(criterion: Criterion, has_end: bool) -> RefusalCode {
    match criterion {
        Criterion::Requester => RefusalCode::RequesterNotAllowed,
        Criterion::Action => RefusalCode::ActionNotAllowed,
        Criterion::Image | Criterion::Provenance => RefusalCode::ImageNotAllowed,
        Criterion::Target => RefusalCode::TargetNotAllowed,
        Criterion::Access => RefusalCode::AccessNotAllowed,
        Criterion::Roles => RefusalCode::RoleNotAllowed,
        Criterion::Duration if has_end => RefusalCode::ExpiryNotAllowed,
        Criterion::Duration => RefusalCode::ExpiryRequired,
        Criterion::Copies => RefusalCode::CopyNotAllowed,
    }
}

/// Which rule covers a request, or why each rule does not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    /// The rule that decides.
    decides: Option<&'a str>,
    /// The criterion because of which no rule covers the request.
    fails: Option<&'static str>,
    /// The code of the refusal that the request gets.
    refusal: Option<&'static str>,
    /// Who may approve the share, before it is made. Nobody need do so if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    approvers: Option<Vec<String>>,
    /// The parameter that names the newest image which all targets of the deciding rule have.
    #[serde(skip_serializing_if = "Option::is_none")]
    publishes: Option<String>,
    /// Why the image can't be published there, which refuses the share.
    #[serde(skip_serializing_if = "Option::is_none")]
    cannot_publish: Option<String>,
    /// Every rule in document order.
    rules: Vec<RuleExplanation<'a>>,
    /// The criteria that were not checked.
    not_asked: Vec<NotAsked>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotAsked {
    criterion: &'static str,
    why: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleExplanation<'a> {
    rule: &'a str,
    /// The first criterion that fails; none if the rule covers the request.
    fails: Option<&'static str>,
    why: Option<String>,
}

impl Answer for Explained<'_> {
    fn is_yes(&self) -> bool {
        self.decides.is_some()
    }

    fn in_words(&self) -> String {
        let mut words = match (self.decides, self.fails, self.refusal) {
            (Some(rule), _, _) => format!("rule `{rule}` decides: it is the first that covers the request\n"),
            (None, Some(criterion), Some(code)) => {
                format!("no rule covers the request: it is refused with {code}, because of the {criterion}\n")
            }
            (None, _, _) => "no rule covers the request\n".to_owned(),
        };
        if let Some(approvers) = &self.approvers {
            let approvers: Vec<_> = approvers.iter().map(|approver| format!("`{approver}`")).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                words,
                "the share waits until somebody else approves it: {}; it can be asked for through the API and the function URL only",
                approvers.join(" or ")
            );
        }
        if let Some(parameter) = &self.publishes {
            // Writing to a String cannot fail.
            let _ = match &self.cannot_publish {
                None => writeln!(words, "the newest image that all its targets have is published to `{parameter}`"),
                Some(why) => writeln!(
                    words,
                    "it publishes to `{parameter}`, which refuses the share with {}: {why}",
                    RefusalCode::PublishNotPossible
                ),
            };
        }
        for explanation in &self.rules {
            // Writing to a String cannot fail.
            let _ = match (explanation.fails, &explanation.why) {
                (Some(criterion), Some(why)) => writeln!(words, "  `{}` fails at {criterion}: {why}", explanation.rule),
                _ => writeln!(words, "  `{}` covers the request", explanation.rule),
            };
        }
        for NotAsked { criterion, why } in &self.not_asked {
            let _ = writeln!(words, "note: the rules were not checked for the {criterion}: {why}");
        }
        words
    }
}
