//! Owns the real `bootstrap`, run as Lambda runs it: a process that asks the Runtime API for events.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use ami_share_testing::schemas::{check_answer, check_log};
use serde_json::Value;

use super::{
    ACCOUNT, REGION,
    http::{Request, Response, Server},
};

/// What the function said to one event: its response, or the error of the invocation.
pub type Answer = Result<Value, Value>;

/// A running function; its process ends when this is dropped.
pub struct Function {
    lambda: Lambda,
    log: PathBuf,
    _server: Server,
}

/// What Lambda holds of a function: its process and its Runtime API. Whoever has a copy can end the process.
#[derive(Clone)]
pub struct Lambda(Arc<RuntimeApi>);

#[derive(Default)]
struct RuntimeApi {
    /// Events not fetched yet, with the channel that waits for the answer.
    queue: Mutex<Vec<(String, Duration, mpsc::Sender<Answer>)>>,
    arrived: Condvar,
    /// The channel of the event that was fetched last.
    waiting: Mutex<Option<mpsc::Sender<Answer>>>,
    process: OnceLock<Mutex<Child>>,
    /// Whether the process is ended when it answers, before the answer is taken.
    dies_answering: AtomicBool,
}

impl Function {
    /// Starts the function against an AWS endpoint with this allowlist and further variables.
    pub fn start(endpoint: &str, allowlist: &str, variables: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("function-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("allowlist.yaml"), allowlist).unwrap();

        let api = Arc::new(RuntimeApi::default());
        let of_server = Arc::clone(&api);
        let server = Server::start(move |request| of_server.answer(&request));
        let log = folder.join("log");
        // Another build of it, such as the release binary that is deployed, can be tried by its path.
        let binary = std::env::var("AMI_SHARE_BOOTSTRAP").unwrap_or(env!("CARGO_BIN_EXE_bootstrap").to_owned());
        let process = Command::new(binary)
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
        let _ = api.process.set(Mutex::new(process));
        Self { lambda: Lambda(api), log, _server: server }
    }

    /// Sends an event with a minute to answer it.
    #[track_caller]
    pub fn invoke(&self, event: &Value) -> Answer {
        self.invoke_bytes(&event.to_string(), Duration::from_secs(60))
    }

    /// Sends bytes as an event, with so much time to answer.
    #[track_caller]
    pub fn invoke_bytes(&self, event: &str, time: Duration) -> Answer {
        self.send(event, time).expect("the function lives on")
    }

    /// Sends bytes as an event; no answer comes from a function that is ended meanwhile. Whatever outcome comes, the
    /// published schema knows it.
    #[track_caller]
    pub fn send(&self, event: &str, time: Duration) -> Option<Answer> {
        let (sender, receiver) = mpsc::channel();
        let api = &self.lambda.0;
        api.queue.lock().unwrap().push((event.to_owned(), time, sender));
        api.arrived.notify_all();
        match receiver.recv_timeout(time + Duration::from_secs(30)) {
            Ok(answer) => {
                check_answer(&answer);
                Some(answer)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the function does not answer"),
        }
    }

    /// Its process, for whoever is to end it.
    pub fn lambda(&self) -> Lambda {
        self.lambda.clone()
    }

    /// Ends the process when it answers, before the answer is taken.
    pub fn die_answering(&self) {
        self.lambda.0.dies_answering.store(true, Ordering::SeqCst);
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

    /// The records of the requests so far, each part as one; they are as the published schema says.
    pub fn records(&self) -> Vec<Value> {
        check_log(&self.log())
    }

    /// Every line logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Lambda {
    /// Ends the process at once (SIGKILL) and waits until it is gone; whoever waits for its answer gets none.
    pub fn kill(&self) {
        if let Some(process) = self.0.process.get() {
            let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = process.kill();
            let _ = process.wait();
        }
        self.0.queue.lock().unwrap().clear();
        drop(self.0.waiting.lock().unwrap().take());
        self.0.arrived.notify_all();
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.lambda.kill();
        if !std::thread::panicking() {
            // Whatever a test is about: what was logged is as the schema says. A process that was ended leaves half a line.
            let log = self.log();
            check_log(log.rsplit_once('\n').map_or("", |(whole, _)| whole));
        }
        if let Some(folder) = self.log.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl RuntimeApi {
    fn answer(self: &Arc<Self>, request: &Request) -> Option<Response> {
        let (_, action) = request.path.rsplit_once('/')?;
        match (request.method.as_str(), action) {
            ("GET", "next") => self.next(),
            ("POST", "response" | "error") if self.dies_answering.load(Ordering::SeqCst) => {
                Lambda(Arc::clone(self)).kill();
                None
            }
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
            (
                "lambda-runtime-invoked-function-arn",
                format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:ami-share:live"),
            ),
            ("content-type", "application/json".to_owned()),
        ];
        Some(Response { status: 200, headers, body })
    }
}
