//! Owns [`RequesterPattern`]: which callers a rule names, by themselves or by a group of their token.

use super::Pattern;
use crate::domain::{AccountId, Partition, Requester, quoted, unnamable_group};

/// What a group of tokens begins with.
const GROUP: &str = "jwt-group:";

/// A requester whose last part may have wildcards. The parts before it, such as the account, can't have any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequesterPattern {
    prefix: String,
    last: Pattern,
    text: String,
}

impl RequesterPattern {
    /// Reads a requester that is named in a question, such as that of the command line. No trigger has authenticated
    /// it, so nothing may be done in its name.
    ///
    /// # Errors Fails if the text is not a requester as allowlists write it. The subject of a token may have any
    /// character but control characters. The last part of any other requester can't have a wildcard.
    pub fn requester(text: &str) -> Result<Requester, String> {
        Self::parse(text)?;
        if text.starts_with(GROUP) {
            return Err(format!("{} is a group: write out one token's `jwt:<issuer>#<subject>`", quoted(text)));
        }
        if text.contains(['*', '?']) && !text.starts_with("jwt:") {
            return Err(format!("{} has a wildcard: write out one requester", quoted(text)));
        }
        Ok(Requester::new(text.to_owned()))
    }

    /// Reads an approver: a person, a group of them or an IAM role or user, none of whom is everybody.
    pub(super) fn approver(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text)?;
        if !["jwt:", GROUP, "arn:"].iter().any(|kind| text.starts_with(kind)) {
            return Err(format!("{} can't approve: only `jwt:`, `jwt-group:` and IAM requesters can", quoted(text)));
        }
        if pattern.is_open() {
            return Err(format!("{} would let everybody approve: its last part is only wildcards", quoted(text)));
        }
        Ok(pattern)
    }

    /// Whether the pattern matches this requester.
    pub fn matches(&self, requester: &Requester) -> bool {
        if let Some(issuer) = self.prefix.strip_prefix(GROUP) {
            // It ends in the `#` that no issuer holds, so that one issuer can't be taken for another.
            let is_of_issuer = requester.as_str().strip_prefix("jwt:").is_some_and(|rest| rest.starts_with(issuer));
            return is_of_issuer && requester.groups().iter().any(|group| self.last.matches(group));
        }
        // An IAM name has no slash: `user/*` is every user without a path, not every user.
        let is_iam = self.prefix.starts_with("arn:");
        requester
            .as_str()
            .strip_prefix(&self.prefix)
            .is_some_and(|last| !(is_iam && last.contains('/')) && self.last.matches(last))
    }

    /// Whether the pattern matches every requester of its kind: its last part has only wildcards.
    pub(super) fn is_open(&self) -> bool {
        self.last.is_only_wildcards()
    }

    /// Whether it certainly matches every requester that the other pattern matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.last.covers(&other.last)
    }

    /// The pattern as the document writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // A line break at the end of the text, which a YAML block leaves there, would make a rule that names nobody.
        if text.contains(|character: char| character.is_control() || ['\u{2028}', '\u{2029}'].contains(&character)) {
            return Err(format!("{} holds a line break or another control character", quoted(text)));
        }
        let prefix = prefix(text)?;
        let last = text.get(prefix..).unwrap_or_default();
        let fixed = text.get(..prefix).unwrap_or_default();
        if last.is_empty() {
            return Err(format!("{} names nobody: its last part is empty", quoted(text)));
        }
        if fixed.contains(['*', '?']) {
            return Err(format!("{} has a wildcard outside its last part: write out everything else", quoted(text)));
        }
        if let (true, Some(why)) = (fixed.starts_with(GROUP), unnamable_group(last)) {
            return Err(format!("the group {} {why}", quoted(last)));
        }
        Ok(Self { prefix: fixed.to_owned(), last: Pattern::new(last), text: text.to_owned() })
    }
}

/// The number of bytes before the last part of a requester.
fn prefix(text: &str) -> Result<usize, String> {
    let at = |separator: char, from: &str| {
        from.rfind(separator).map(|found| text.len().saturating_sub(from.len()).saturating_add(found).saturating_add(1))
    };
    if text == "lambda:invoke" {
        return Ok("lambda:".len());
    }
    if let Some(rest) = text.strip_prefix("events:") {
        let (account, source) = rest.split_once(':').ok_or_else(|| unknown(text))?;
        account.parse::<AccountId>().map_err(|error| error.to_string())?;
        return Ok(text.len().saturating_sub(source.len()));
    }
    if let Some(rest) = text.strip_prefix("jwt:").or_else(|| text.strip_prefix(GROUP)) {
        let (issuer, subject) = rest.split_once('#').ok_or_else(|| unknown(text))?;
        if issuer.is_empty() {
            return Err(unknown(text));
        }
        return Ok(text.len().saturating_sub(subject.len()));
    }
    let arn = text.strip_prefix("sqs:").unwrap_or(text);
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match (text.starts_with("sqs:"), parts.as_slice()) {
        (true, ["arn", partition, "sqs", region, account, _]) if !region.is_empty() => {
            place(partition, account)?;
            at(':', text).ok_or_else(|| unknown(text))
        }
        (false, ["arn", partition, "iam", "", account, resource]) => {
            place(partition, account)?;
            match resource.split_once('/') {
                Some(("role", name)) if name.contains('/') => Err(format!(
                    "{} has a path; a role's sessions lose it, so write `role/{}`",
                    quoted(text),
                    name.rsplit('/').next().unwrap_or_default()
                )),
                Some(("role" | "user", _)) => at('/', text).ok_or_else(|| unknown(text)),
                Some(_) | None => Err(unknown(text)),
            }
        }
        (false, ["arn", _, "sts", ..]) => {
            Err(format!("{} is a session: write its role, `arn:aws:iam::<account>:role/<name>`", quoted(text)))
        }
        (true | false, _) => Err(unknown(text)),
    }
}

fn place(partition: &str, account: &str) -> Result<(), String> {
    Partition::parse(partition).ok_or_else(|| format!("{} is not a partition, such as `aws`", quoted(partition)))?;
    account.parse::<AccountId>().map(|_| ()).map_err(|error| error.to_string())
}

fn unknown(text: &str) -> String {
    format!(
        "{} is not a requester: `arn:aws:iam::<account>:role/<name>`, `arn:aws:iam::<account>:user/<name>`, \
         `jwt:<issuer>#<subject>`, `jwt-group:<issuer>#<group>`, `events:<account>:<source>`, `sqs:<queue ARN>` or `lambda:invoke`",
        quoted(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = RequesterPattern::parse(pattern).unwrap();
        for requester in yes {
            assert!(pattern.matches(&Requester::new((*requester).to_owned())), "{pattern:?} should match {requester}");
        }
        for requester in no {
            assert!(
                !pattern.matches(&Requester::new((*requester).to_owned())),
                "{pattern:?} should not match {requester}"
            );
        }
    }

    #[test]
    fn a_requester_matches_exactly_but_for_wildcards_in_its_last_part() {
        check(
            "arn:aws:iam::999988887777:role/portal",
            &["arn:aws:iam::999988887777:role/portal"],
            &[
                "arn:aws:iam::999988887777:role/portal2",
                "arn:aws:iam::111122223333:role/portal",
                "arn:aws:iam::999988887777:user/portal",
            ],
        );
        check(
            "arn:aws:iam::999988887777:role/portal-*",
            &["arn:aws:iam::999988887777:role/portal-blue"],
            &["arn:aws:iam::999988887777:role/portal", "arn:aws:iam::999988887777:role/portal-x/y"],
        );
        check(
            "arn:aws:iam::999988887777:user/team/*",
            &["arn:aws:iam::999988887777:user/team/ada"],
            &["arn:aws:iam::999988887777:user/team/x/ada"],
        );
        check(
            "events:999988887777:com.example.*",
            &["events:999988887777:com.example.pipeline"],
            &["events:999988887777:com.example", "events:111122223333:com.example.pipeline"],
        );
        check(
            "jwt:https://issuer.example/#user-*",
            &["jwt:https://issuer.example/#user-1"],
            &["jwt:https://evil.example/#user-1"],
        );
        check(
            "sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo",
            &["sqs:arn:aws:sqs:eu-west-1:999988887777:requests.fifo"],
            &["sqs:arn:aws:sqs:eu-west-1:999988887777:requests"],
        );
        check("lambda:invoke", &["lambda:invoke"], &["lambda:invoke2"]);
    }

    /// Whether a pattern names whoever has these groups at `https://issuer.example`.
    #[track_caller]
    fn names_group(pattern: &str, groups: &[&str], expect: bool) {
        let pattern = RequesterPattern::parse(pattern).unwrap();
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let requester = Requester::new("jwt:https://issuer.example#ada#web".to_owned()).with_groups(groups);
        assert_eq!(pattern.matches(&requester), expect, "{pattern:?} {:?}", requester.groups());
    }

    #[test]
    fn a_group_names_the_tokens_of_its_issuer_that_have_it() {
        names_group("jwt-group:https://issuer.example#web", &["ops", "web"], true);
        names_group("jwt-group:https://issuer.example#web", &[], false);
        names_group("jwt-group:https://issuer.example#web", &["Web", "web-team", "we"], false);
        names_group("jwt-group:https://issuer.example#web-*", &["web-team"], true);
        names_group("jwt-group:https://issuer.example#ada#web", &["web"], false);
        names_group("jwt-group:https://issuer.example#a#b", &["a#b"], true);
        for other in
            ["https://issuer.example/", "https://issuer.exampl", "https://issuer.example.com", "issuer.example"]
        {
            names_group(&format!("jwt-group:{other}#web"), &["web"], false);
        }
        // The subject is no group, and a group is no subject.
        names_group("jwt:https://issuer.example#web", &["web"], false);
        names_group("jwt:https://issuer.example#ada*", &[], true);
        let pattern = RequesterPattern::parse("jwt-group:https://issuer.example#*").unwrap();
        for name in ["lambda:invoke", "jwt-group:https://issuer.example#web", "events:999988887777:web"] {
            let requester = Requester::new(name.to_owned()).with_groups(vec!["web".to_owned()]);
            assert!(!pattern.matches(&requester), "{name}");
        }
    }

    #[test]
    fn a_question_names_one_requester() {
        let right = ["arn:aws:iam::999988887777:role/portal", "lambda:invoke", "jwt:https://issuer.example/#user-*"];
        for text in right {
            assert_eq!(RequesterPattern::requester(text).unwrap().as_str(), text);
        }
        for (wrong, words) in [
            ("arn:aws:iam::999988887777:role/portal-*", "write out one requester"),
            ("events:999988887777:com.example.?", "write out one requester"),
            ("arn:aws:sts::999988887777:assumed-role/portal/session", "write its role"),
            ("jwt-group:https://issuer.example#web", "is a group"),
            ("portal", "is not a requester"),
        ] {
            let error = RequesterPattern::requester(wrong).unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_no_requester_is_refused_with_advice() {
        for (wrong, words) in [
            ("*", "is not a requester"),
            ("", "is not a requester"),
            ("portal", "is not a requester"),
            ("arn:aws:iam::*:role/portal", "not an account id"),
            ("arn:aws:iam::99998888777?:role/portal", "not an account id"),
            ("arn:*:iam::999988887777:role/portal", "not a partition"),
            ("arn:aws:iam::999988887777:role/team/portal", "write `role/portal`"),
            ("arn:aws:iam::999988887777:role/", "last part is empty"),
            ("arn:aws:iam::999988887777:r*/portal", "is not a requester"),
            ("arn:aws:iam::999988887777:user/*/ada", "outside its last part"),
            ("arn:aws:iam::999988887777:root", "is not a requester"),
            ("arn:aws:sts::999988887777:assumed-role/portal/session", "write its role"),
            ("events:*:com.example", "not an account id"),
            ("events:999988887777:", "last part is empty"),
            ("jwt:https://*#user", "outside its last part"),
            ("jwt-group:https://issuer.example", "is not a requester"),
            ("jwt-group:#web", "is not a requester"),
            ("jwt-group:https://issuer.example#", "last part is empty"),
            ("jwt-group:https://*#web", "outside its last part"),
            ("jwt-group:https://issuer.example#web team", "holds a space"),
            ("jwt-group:https://issuer.example#web,ops", "holds a comma"),
            ("jwt-group:https://issuer.example#[web]", "holds a bracket"),
            ("jwt-group:https://issuer.example#web\u{200b}", "can't be seen"),
            ("sqs:requests", "is not a requester"),
            ("sqs:arn:aws:sqs::999988887777:requests", "is not a requester"),
            ("lambda:*", "is not a requester"),
            ("lambda:invoke\n", "holds a line break"),
            ("arn:aws:iam::999988887777:role/portal\n", "holds a line break"),
            ("events:999988887777:com.example\nx", "holds a line break"),
            ("sqs:arn:aws:sqs:eu-west-1:999988887777:re\u{85}quests", "control character"),
            ("jwt:https://issuer.example#a\u{7f}da", "control character"),
            ("jwt:https://issuer.example#ada\u{2028}", "control character"),
            ("jwt-group:https://issuer\t.example#web", "control character"),
        ] {
            let error = RequesterPattern::parse(wrong).unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }
}
