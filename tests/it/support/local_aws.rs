//! Owns the local AWS of the tests: one for all, started by the first that needs it and gone with this process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock},
};

use serde_json::Value;

use super::http;

/// A turn with the local AWS: its call list is one for all, so one test after the other has it.
pub struct LocalAws {
    pub endpoint: &'static str,
    address: &'static str,
    _turn: MutexGuard<'static, ()>,
}

struct Running {
    endpoint: String,
    /// Its standard input is a pipe that closes with this process; it then ends by itself.
    _process: Child,
}

impl LocalAws {
    /// Waits for a turn; the first one starts it.
    pub fn turn() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static RUNNING: OnceLock<Running> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let endpoint = RUNNING.get_or_init(start).endpoint.as_str();
        let this = Self { endpoint, address: endpoint.trim_start_matches("http://"), _turn: turn };
        this.forget_calls();
        this
    }

    /// Puts keys, snapshots, images or faults there; `local_aws/control.py` says how it is written.
    #[track_caller]
    pub fn seed(&self, seed: &Value) -> Value {
        let (status, body) = http::send(self.address, "POST", "/_local/seed", &seed.to_string());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Seeds one image and gives its id.
    #[track_caller]
    pub fn image(&self, image: Value) -> String {
        let made = self.seed(&serde_json::json!({"images": [image]}));
        made["images"][0]["imageId"].as_str().unwrap().to_owned()
    }

    /// The calls that arrived in this turn, as `service:Operation`, in order.
    pub fn calls(&self) -> Vec<String> {
        let (status, body) = http::send(self.address, "GET", "/_local/calls", "");
        assert_eq!(status, 200, "{body}");
        let calls: Vec<Value> = serde_json::from_str(&body).unwrap();
        let name =
            |call: &Value| format!("{}:{}", call["service"].as_str().unwrap(), call["operation"].as_str().unwrap());
        calls.iter().map(name).collect()
    }

    /// The calls of this turn that change something.
    pub fn writes(&self) -> Vec<String> {
        let is_read = |call: &String| ["Describe", "Get", "List"].iter().any(|verb| call.contains(&format!(":{verb}")));
        self.calls().into_iter().filter(|call| !is_read(call)).collect()
    }

    pub fn forget_calls(&self) {
        http::send(self.address, "DELETE", "/_local/calls", "");
    }
}

fn start() -> Running {
    let python = std::env::var("AMI_SHARE_LOCAL_PYTHON")
        .expect("AMI_SHARE_LOCAL_PYTHON is not set: these tests need the local AWS; run `make test`, which sets it up");
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("local-aws.log");
    let mut process = Command::new(python)
        .args(["-m", "local_aws", "--account", super::ACCOUNT, "--region", super::REGION, "--log"])
        .arg(log)
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/local"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the local AWS starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("the local AWS says where it listens");
    Running { endpoint: ready["endpoint"].as_str().unwrap().to_owned(), _process: process }
}
