//! Owns questions written as JSON: who asks, for what, under which policy.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use super::{
    because::Because,
    caller::{Caller, Known, OrganizationFacts},
    context::{ContextFact, ContextValue, RequestContext},
    document::Policy,
    evaluate::{ActionVerdict, evaluate},
    grants::Grant,
    remark::Remark,
    request::EvaluationRequest,
    several::{Several, nearest_miss},
};
use crate::{
    domain::{Arn, ParseError},
    json::Json,
};

/// The answer to one question.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The question's own name.
    pub name: Option<String>,
    /// The worst of the verdicts on the actions asked for.
    pub verdict: ActionVerdict,
    /// The verdict on each action.
    pub per_action: BTreeMap<String, ActionVerdict>,
    /// The actions that nothing allows, in the order they were asked for.
    pub missing: Vec<String>,
    /// The condition keys that a conditional verdict depends on.
    pub depends_on: Vec<String>,
    /// The statements and grants that decided.
    pub because: Vec<Because>,
    /// For the missing actions: the statements that came nearest, and what failed in them.
    pub nearest: Vec<String>,
    /// What the author of the policy should know.
    pub remarks: Vec<Remark>,
}

/// Answers one question.
///
/// A question is an object with `policy` (the document, or its text), `principal` (`account`, `arn`, `org_id`,
/// `org_paths`), `action` or `needed_actions`, `resource`, `context`, `context_mode` (`open` by default), and
/// optionally `grants` (entries of `ListGrants`), `principal_role_arn` (for a session whose role has a path) and
/// `name`.
///
/// # Errors
/// The text is not such an object; the message says what is wrong with it.
pub fn explain(question: &str) -> Result<Explanation, ParseError> {
    let node: Json =
        serde_json::from_str(question).map_err(|error| ParseError::new(format!("this is not JSON: {error}")))?;
    let question_fields = QuestionFields::of(&node, "the question")?;
    let Listed { grants } = serde_json::from_str(question)
        .map_err(|error| ParseError::new(format!("`grants` are not entries of ListGrants: {error}")))?;
    let document = question_fields.required("policy")?;
    let policy = document.as_str().map_or_else(|| Policy::from_node(document), Policy::parse);
    let policy = policy.map_err(|error| ParseError::new(error.to_string()))?;
    let grants = grants.unwrap_or_default();
    let resource = question_fields.required_text("resource")?;
    let caller = caller(&question_fields, resource)?;
    let context = context(&question_fields)?;

    // One context describes several calls. Each call carries only the condition keys that its action has.
    let (actions, shared) = match (question_fields.text("action")?, question_fields.list("needed_actions")?) {
        (Some(action), None) => (vec![action], false),
        (None, Some(actions)) if !actions.is_empty() => (actions, true),
        (None, Some(_)) => return Err(ParseError::new("`needed_actions` is empty")),
        (None, None) | (Some(_), Some(_)) => {
            return Err(ParseError::new("give exactly one of `action` and `needed_actions`"));
        }
    };
    let contexts: Vec<RequestContext> =
        actions.iter().map(|action| if shared { context.for_action(action) } else { context.clone() }).collect();
    let requests = actions.iter().zip(&contexts).map(|(action, context)| EvaluationRequest {
        caller: &caller,
        action,
        resource,
        context,
    });
    let requests: Vec<_> = requests.collect();
    let decisions: Vec<_> =
        requests.iter().map(|request| (request.action, evaluate(&policy, &grants, request))).collect();
    let Several { verdict, per_action, missing, depends_on, because } = Several::of(&decisions);
    let nearest = requests
        .iter()
        .filter(|request| missing.iter().any(|missing| missing == request.action))
        .filter_map(|request| nearest_miss(&policy, request))
        .collect();
    let name = question_fields.text("name")?.map(ToOwned::to_owned);
    let remarks = policy.remarks().to_vec();
    Ok(Explanation { name, verdict, per_action, missing, depends_on, because, nearest, remarks })
}

impl Explanation {
    /// The answer in words, several lines.
    pub fn in_words(&self) -> String {
        let mut words = String::new();
        let name = self.name.as_deref().unwrap_or("(without a name)");
        let verdict = match self.verdict {
            ActionVerdict::Allowed => "allowed: the key lets this principal in",
            ActionVerdict::Conditional => "conditional: it depends on facts about the call that are not known",
            ActionVerdict::ImplicitDeny => "not allowed: nothing allows some of the actions",
            ActionVerdict::Denied => "denied: a statement denies it",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(words, "{name}\n  {verdict}");
        if self.per_action.len() > 1 {
            for (action, verdict) in &self.per_action {
                let _ = writeln!(words, "    {action}: {}", verdict.as_str());
            }
        }
        for because in &self.because {
            let _ = match because {
                Because::Statement { sid, index, effect } => {
                    let sid = sid.as_deref().map(|sid| format!(" `{sid}`")).unwrap_or_default();
                    writeln!(words, "  because of statement{sid} at index {index} ({effect:?})")
                }
                Because::Grant { grant_id, grant_name } => {
                    let named = grant_name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
                    writeln!(words, "  because of the grant{named} {grant_id}")
                }
            };
        }
        if !self.depends_on.is_empty() {
            let _ = writeln!(words, "  depends on {}", self.depends_on.join(", "));
        }
        for nearest in &self.nearest {
            let _ = writeln!(words, "  nearest: {nearest}");
        }
        for remark in &self.remarks {
            let _ = writeln!(words, "  note: {}", remark.in_words());
        }
        words
    }
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    grants: Option<Vec<Grant>>,
}

fn caller(question: &QuestionFields<'_>, resource: &str) -> Result<Caller, ParseError> {
    let principal = QuestionFields::of(question.required("principal")?, "`principal`")?;
    let partition = Arn::split(resource).map_or("aws", |arn| arn.partition);
    let known = |name| principal.text(name).map(|text| text.filter(|text| *text != "unknown"));
    let account = known("account")?.map(str::parse).transpose()?;
    let caller = match (account, known("arn")?) {
        (None, Some(service)) if !service.starts_with("arn:") => return Ok(Caller::service(service)),
        (_, Some(arn)) => {
            let caller = Caller::identity_in_account(arn, question.text("principal_role_arn")?)?;
            if account.is_some() && caller.account() != account {
                return Err(ParseError::new("`principal.arn` is of another account than `principal.account`"));
            }
            caller
        }
        (Some(account), None) => Caller::account_as_a_whole(account),
        (None, None) => Caller::any_member(None),
    };
    let organization_id = match principal.get("org_id") {
        Some(Json::Null) => Known::Is(None),
        Some(Json::String(id)) if id != "unknown" => Known::Is(Some(id.clone())),
        _ => Known::Unknown,
    };
    let paths = match principal.get("org_paths") {
        Some(Json::String(text)) if text == "unknown" => Known::Unknown,
        None | Some(Json::Null) if organization_id != Known::Is(None) => Known::Unknown,
        None | Some(Json::Null) => Known::Is(Vec::new()),
        Some(_) => {
            Known::Is(principal.list("org_paths")?.unwrap_or_default().into_iter().map(ToOwned::to_owned).collect())
        }
    };
    Ok(caller.in_partition(partition).in_organization(&OrganizationFacts { organization_id, paths }))
}

fn context(question: &QuestionFields<'_>) -> Result<RequestContext, ParseError> {
    let mut context = match question.text("context_mode")? {
        None | Some("open") => RequestContext::open(),
        Some("closed") => RequestContext::closed(),
        Some(_) => return Err(ParseError::new("`context_mode` is neither `open` nor `closed`")),
    };
    let stated = match question.get("context") {
        None | Some(Json::Null) => return Ok(context),
        Some(node) => QuestionFields::of(node, "`context`")?,
    };
    for (key, value) in stated.0 {
        let fact = if *value == Json::Null {
            ContextFact::Absent
        } else {
            let texts: Option<Vec<_>> = value.items().iter().map(Json::as_scalar).collect();
            let texts = texts.ok_or_else(|| {
                ParseError::new(format!(
                    "the value of `{key}` in `context` is not text, a number, a boolean or a list of these"
                ))
            })?;
            ContextFact::Present(texts.into_iter().map(|text| ContextValue::Exactly(text.into_owned())).collect())
        };
        context = context.with(key, fact);
    }
    Ok(context)
}

/// The fields of an object. None appears twice.
struct QuestionFields<'a>(BTreeMap<&'a str, &'a Json>);

impl<'a> QuestionFields<'a> {
    fn of(node: &'a Json, what: &str) -> Result<Self, ParseError> {
        let Json::Object(entries) = node else { return Err(ParseError::new(format!("{what} is not a JSON object"))) };
        let fields: BTreeMap<&str, &Json> = entries.iter().map(|(name, value)| (name.as_str(), value)).collect();
        if fields.len() < entries.len() {
            return Err(ParseError::new(format!("{what} has a field twice")));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&'a Json> {
        self.0.get(name).copied()
    }

    fn required(&self, name: &str) -> Result<&'a Json, ParseError> {
        self.get(name).ok_or_else(|| ParseError::new(format!("`{name}` is missing")))
    }

    fn required_text(&self, name: &str) -> Result<&'a str, ParseError> {
        self.text(name)?.ok_or_else(|| ParseError::new(format!("`{name}` is missing")))
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, ParseError> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(node) => node.as_str().map(Some).ok_or_else(|| ParseError::new(format!("`{name}` is not a string"))),
        }
    }

    fn list(&self, name: &str) -> Result<Option<Vec<&'a str>>, ParseError> {
        match self.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(node) => {
                let texts: Option<Vec<_>> = node.items().iter().map(Json::as_str).collect();
                texts.map(Some).ok_or_else(|| ParseError::new(format!("`{name}` is not a list of strings")))
            }
        }
    }
}
