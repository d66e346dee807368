//! Owns the real `bootstrap`, run as Lambda runs it: a process that asks the Runtime API for events.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, mpsc},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{
    ACCOUNT, REGION,
    http::{Request, Response, Server},
};

/// What the function said to one event: its response, or the error of the invocation.
pub type Answer = Result<Value, Value>;

/// A running function; its process ends when this is dropped.
pub struct Function {
    process: Child,
    api: Arc<RuntimeApi>,
    log: PathBuf,
    _server: Server,
}

struct RuntimeApi {
    /// Events not fetched yet, with the channel that waits for the answer.
    queue: Mutex<Vec<(String, Duration, mpsc::Sender<Answer>)>>,
    arrived: Condvar,
    /// The channel of the event that was fetched last.
    waiting: Mutex<Option<mpsc::Sender<Answer>>>,
}

impl Function {
    /// Starts the function against an AWS endpoint with this allowlist and further variables.
    pub fn start(endpoint: &str, allowlist: &str, variables: &[(&str, &str)]) -> Self {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("function-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("allowlist.yaml"), allowlist).unwrap();

        let api =
            Arc::new(RuntimeApi { queue: Mutex::new(Vec::new()), arrived: Condvar::new(), waiting: Mutex::new(None) });
        let of_server = Arc::clone(&api);
        let server = Server::start(move |request| of_server.answer(&request));
        let log = folder.join("log");
        let process = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .current_dir(&folder)
            .env("AWS_LAMBDA_RUNTIME_API", server.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "ami-share")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/ami-share")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AMI_SHARE_ALLOWLIST", "file:allowlist.yaml")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { process, api, log, _server: server }
    }

    /// Sends an event with a minute to answer it.
    #[track_caller]
    pub fn invoke(&self, event: &Value) -> Answer {
        self.invoke_bytes(&event.to_string(), Duration::from_secs(60))
    }

    /// Sends bytes as an event, with so much time to answer.
    #[track_caller]
    pub fn invoke_bytes(&self, event: &str, time: Duration) -> Answer {
        let (sender, receiver) = mpsc::channel();
        self.api.queue.lock().unwrap().push((event.to_owned(), time, sender));
        self.api.arrived.notify_all();
        receiver.recv_timeout(time + Duration::from_secs(30)).expect("the function answers")
    }

    /// Sends a REST API event; gives status, headers and the body as JSON.
    #[track_caller]
    pub fn http(&self, event: &Value) -> (u64, Value, Value) {
        self.http_within(event, Duration::from_secs(60))
    }

    /// The same with so much time to answer.
    #[track_caller]
    pub fn http_within(&self, event: &Value, time: Duration) -> (u64, Value, Value) {
        let answer = self.invoke_bytes(&event.to_string(), time).expect("an HTTP answer is never an invocation error");
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), answer["headers"].clone(), body)
    }

    /// Every line logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.api.arrived.notify_all();
        if let Some(folder) = self.log.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl RuntimeApi {
    fn answer(&self, request: &Request) -> Option<Response> {
        let (_, action) = request.path.rsplit_once('/')?;
        match (request.method.as_str(), action) {
            ("GET", "next") => self.next(),
            ("POST", "response" | "error") => {
                let body = serde_json::from_str(&request.body).unwrap_or(Value::String(request.body.clone()));
                let answer = if action == "response" { Ok(body) } else { Err(body) };
                if let Some(waiting) = self.waiting.lock().unwrap().take() {
                    let _ = waiting.send(answer);
                }
                Some(Response { status: 202, headers: Vec::new(), body: "{\"status\":\"OK\"}".to_owned() })
            }
            _ => Some(Response { status: 404, headers: Vec::new(), body: String::new() }),
        }
    }

    /// Waits for the next event; gives up after a while so that a dead function's thread ends too.
    fn next(&self) -> Option<Response> {
        let queue = self.queue.lock().unwrap();
        let (mut queue, _) =
            self.arrived.wait_timeout_while(queue, Duration::from_secs(300), |queue| queue.is_empty()).unwrap();
        if queue.is_empty() {
            return None;
        }
        let (body, time, sender) = queue.remove(0);
        *self.waiting.lock().unwrap() = Some(sender);
        let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + time;
        let headers = vec![
            ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            ("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:ami-share")),
            ("content-type", "application/json".to_owned()),
        ];
        Some(Response { status: 200, headers, body })
    }
}
