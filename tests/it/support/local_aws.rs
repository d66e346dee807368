//! Owns the local AWS of the tests: two for all, started when
//! they are needed and gone with this process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Condvar, LazyLock, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::http;

/// So many are started when tests want them at the same time; each is one Python process, busy on one core.
const AT_MOST: usize = 2;

/// A turn with a local AWS of which nobody else has a share: it is empty, and its call list is this test's own.
pub struct LocalAws {
    pub endpoint: &'static str,
    pub address: &'static str,
    running: &'static Running,
}

struct Running {
    endpoint: String,
    /// Its standard input is a pipe that closes with this process; it then ends by itself.
    _process: Child,
}

#[derive(Default)]
struct Pool {
    free: Vec<&'static Running>,
    started: usize,
}

static POOL: LazyLock<(Mutex<Pool>, Condvar)> = LazyLock::new(Default::default);

impl LocalAws {
    /// Waits for a turn.
    pub fn turn() -> Self {
        let (pool, is_free) = &*POOL;
        let pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pool = is_free
            .wait_while(pool, |pool| pool.free.is_empty() && pool.started == AT_MOST)
            .unwrap_or_else(PoisonError::into_inner);
        let running = pool.free.pop().unwrap_or_else(|| {
            let running = Box::leak(Box::new(start(pool.started + 1)));
            // One that did not start must not be waited for.
            pool.started += 1;
            running
        });
        drop(pool);
        let endpoint = running.endpoint.as_str();
        let this = Self { endpoint, address: endpoint.trim_start_matches("http://"), running };
        this.clear();
        this
    }

    /// Forgets everything in it, settings, faults and calls included.
    pub fn clear(&self) {
        let (status, body) = http::send(self.address, "DELETE", "/_local/state", "");
        assert_eq!(status, 200, "{body}");
    }

    /// Removes a part of it; `local_aws/control.py` says how it is written.
    pub fn clear_part(&self, part: &Value) {
        let (status, body) = http::send(self.address, "DELETE", "/_local/state", &part.to_string());
        assert_eq!(status, 200, "{body}");
    }

    /// Everything a request could change or must not change, as the local AWS itself keeps it.
    pub fn state(&self) -> Value {
        self.part_of_state(&json!({}))
    }

    /// A part of it; `local_aws/control.py` says how both are written.
    pub fn part_of_state(&self, part: &Value) -> Value {
        let (status, body) = http::send(self.address, "POST", "/_local/state", &part.to_string());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The events that the schedules whose names hold `part` put on their bus when they are due.
    pub fn hints(&self, part: &str) -> Vec<Value> {
        let (status, body) = http::send(self.address, "POST", "/_local/hints", &json!({"ids": [part]}).to_string());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ends the pending copies whose IDs, or whose sources' IDs, hold `part`. EC2's event is left to the test.
    pub fn end_copies(&self, part: &str, state: &str, reason: Option<&str>) -> Vec<Value> {
        let mut end = json!({"ids": [part], "state": state, "event": false});
        if let Some(reason) = reason {
            end["reason"] = json!(reason);
        }
        let (status, body) = http::send(self.address, "POST", "/_local/copies", &end.to_string());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Puts keys, snapshots, images or faults there; `local_aws/control.py` says how it is written.
    #[track_caller]
    pub fn seed(&self, seed: &Value) -> Value {
        let (status, body) = http::send(self.address, "POST", "/_local/seed", &seed.to_string());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ends the usage reports on an image that EC2 is making.
    #[track_caller]
    pub fn end_usage_report(&self, image: &str, state: &str, reason: &str) {
        let end = json!({"ids": [image], "state": state, "reason": reason});
        let (status, body) = http::send(self.address, "POST", "/_local/usage-reports", &end.to_string());
        assert_eq!(status, 200, "{body}");
        let ended: Value = serde_json::from_str(&body).unwrap();
        assert!(ended.as_array().is_some_and(|ended| !ended.is_empty()), "no report on {image} is being made");
    }

    /// What KMS answers to GenerateMac for this key and message, in hexadecimal digits.
    #[track_caller]
    pub fn mac(&self, key: &str, message: &[u8]) -> String {
        let target = ("x-amz-target", "TrentService.GenerateMac");
        let scope = format!("Credential=test/20260101/{}/kms/aws4_request", super::REGION);
        let signature = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
        let headers = [target, ("content-type", "application/x-amz-json-1.1"), ("authorization", &signature)];
        let body = json!({"KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Message": BASE64.encode(message)});
        let (status, body) = http::send_with(self.address, "POST", "/", &headers, &body.to_string());
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let mac = BASE64.decode(answer["Mac"].as_str().unwrap()).unwrap();
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Meets the next so many calls of that name with an error.
    pub fn fault(&self, call: &str, code: &str, status: u16, times: u32) {
        let fault = json!({"call": call, "code": code, "status": status, "message": "no", "times": times});
        self.seed(&json!({"faults": [fault]}));
    }

    pub fn no_faults(&self) {
        self.seed(&json!({"faults": []}));
    }

    /// Seeds one image and gives its id.
    #[track_caller]
    pub fn image(&self, image: Value) -> String {
        let made = self.seed(&json!({"images": [image]}));
        made["images"][0]["imageId"].as_str().unwrap().to_owned()
    }

    /// The calls that arrived in this turn, as `service:Operation`, in order.
    pub fn calls(&self) -> Vec<String> {
        let name =
            |call: &Value| format!("{}:{}", call["service"].as_str().unwrap(), call["operation"].as_str().unwrap());
        self.whole_calls().iter().map(name).collect()
    }

    /// The events that were put on buses in this turn.
    pub fn events(&self) -> Vec<Value> {
        let calls = self.whole_calls().into_iter().filter(|call| call["operation"] == "PutEvents");
        calls.flat_map(|call| call["params"]["Entries"].as_array().unwrap().clone()).collect()
    }

    fn whole_calls(&self) -> Vec<Value> {
        let (status, body) = http::send(self.address, "GET", "/_local/calls", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The calls of this turn that change something.
    pub fn writes(&self) -> Vec<String> {
        let is_read = |call: &String| {
            ["Describe", "Get", "List", "GenerateMac"].iter().any(|verb| call.contains(&format!(":{verb}")))
        };
        self.calls().into_iter().filter(|call| !is_read(call)).collect()
    }

    pub fn forget_calls(&self) {
        http::send(self.address, "DELETE", "/_local/calls", "");
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        let (pool, is_free) = &*POOL;
        pool.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.running);
        is_free.notify_one();
    }
}

fn start(number: usize) -> Running {
    let python = std::env::var("AMI_SHARE_LOCAL_PYTHON")
        .expect("AMI_SHARE_LOCAL_PYTHON is not set: these tests need the local AWS; run `make test`, which sets it up");
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("local-aws-{number}.log"));
    let mut process = Command::new(python)
        .args(["-m", "ami_share_tools.local_aws", "--account", super::ACCOUNT, "--region", super::REGION, "--log"])
        .arg(log)
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the local AWS starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("the local AWS says where it listens");
    Running { endpoint: ready["endpoint"].as_str().unwrap().to_owned(), _process: process }
}
