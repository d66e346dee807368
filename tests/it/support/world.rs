//! Owns [`World`]: a function with a local AWS of its own, and what most suites ask of the two.

use serde_json::{Value, json};

use super::{function::Function, local_aws::LocalAws, scenes::VARIABLES};

/// A function and the AWS it works on. What is so is read from the local AWS, not from the function.
pub struct World {
    pub aws: LocalAws,
    pub function: Function,
}

impl World {
    pub fn start(allowlist: &str, variables: &[(&str, &str)]) -> Self {
        let aws = LocalAws::turn();
        let function = Function::start(aws.endpoint, allowlist, variables);
        Self { aws, function }
    }

    /// A function that can record expiries, with these additional variables.
    pub fn with_records(allowlist: &str, variables: &[(&str, &str)]) -> Self {
        Self::start(allowlist, &[&VARIABLES[..], variables].concat())
    }

    /// The outcome of an event; the calls before it are forgotten.
    #[track_caller]
    pub fn outcome(&self, event: &Value) -> Value {
        self.aws.forget_calls();
        self.function.invoke(event).unwrap_or_else(|error| panic!("an invocation error: {error:#}"))
    }

    #[track_caller]
    pub fn completed(&self, event: &Value) -> Value {
        let outcome = self.outcome(event);
        assert_eq!(outcome["result"], "completed", "{outcome:#}");
        outcome
    }

    /// The outcome of an event that is refused before anything is written.
    #[track_caller]
    pub fn refused(&self, event: &Value) -> Value {
        let outcome = self.outcome(event);
        assert_eq!(outcome["result"], "refused", "{outcome:#}");
        assert_eq!(self.aws.writes(), [""; 0]);
        outcome
    }

    /// The launch permissions of an image.
    pub fn launch(&self, image: &str) -> Vec<String> {
        texts(&self.aws.state()["images"][image]["launchPermissions"])
    }

    /// The create volume permissions of an image's snapshots, one list for each.
    pub fn copy(&self, image: &str) -> Vec<Vec<String>> {
        let state = self.aws.state();
        let snapshots = texts(&state["images"][image]["snapshots"]);
        snapshots.iter().map(|id| texts(&state["snapshots"][id]["createVolumePermissions"])).collect()
    }

    /// The grants whose Name holds `part`, as `Name grantee`, sorted.
    pub fn grants(&self, part: &str) -> Vec<String> {
        let state = self.aws.state();
        let text = |grant: &Value, field: &str| grant[field].as_str().unwrap().to_owned();
        let grants = state["grants"].as_array().unwrap().iter();
        let named = grants.filter(|grant| text(grant, "name").contains(part));
        let mut named: Vec<_> =
            named.map(|grant| format!("{} {}", text(grant, "name"), text(grant, "grantee"))).collect();
        named.sort();
        named
    }
}

/// A request about one image.
pub fn ask(action: &str, image: &str, more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [image]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// The codes of an outcome's refusals.
#[track_caller]
pub fn codes(outcome: &Value) -> Vec<&str> {
    outcome["refusals"].as_array().unwrap().iter().map(|refusal| refusal["code"].as_str().unwrap()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}
