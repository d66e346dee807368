//! Owns the way between a function and its AWS: a proxy that sees every call in order, and that a test tells what
//! becomes of each.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::http;

/// One AWS call on its way.
#[derive(Debug, Clone)]
pub struct Call {
    /// The how manieth it is, from 0, since the proxy was last told what to do.
    pub index: usize,
    /// As `service:Operation`.
    pub name: String,
    /// The parameters, as readable as they get, but for Scheduler's token, which differs from try to try.
    pub body: String,
    request: http::Request,
}

impl Call {
    /// The service, as credentials name it.
    pub fn service(&self) -> &str {
        self.name.split(':').next().unwrap()
    }

    /// Whether it can change anything.
    pub fn is_write(&self) -> bool {
        let (_, operation) = self.name.split_once(':').unwrap();
        // A code that is made of a text changes nothing.
        !["Describe", "Get", "List", "GET ", "GenerateMac"].iter().any(|verb| operation.starts_with(verb))
    }

    fn read(index: usize, request: http::Request) -> Self {
        let header = |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        // Credential=<access key>/<date>/<Region>/<service>/aws4_request
        let service = header("authorization").and_then(|value| value.split('/').nth(3)).unwrap_or("unsigned");
        let operation = match header("x-amz-target") {
            Some(target) => target.rsplit('.').next().unwrap().to_owned(),
            None => match request.body.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
                Some(action) => action.to_owned(),
                None => rest_operation(&request),
            },
        };
        let body = format!("{} {}", request.path, request.body).replace("%3A", ":").replace("%2F", "/");
        let body = match body.split_once("lientToken") {
            Some((head, tail)) => format!("{head}{}", tail.trim_start_matches(|end| !"&, }".contains(end))),
            None => body,
        };
        Self { index, name: format!("{service}:{operation}"), body, request }
    }
}

/// What a service whose operations are methods on paths calls this one.
///
/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html>
fn rest_operation(request: &http::Request) -> String {
    let is_one = request.path.starts_with("/schedules/");
    let name = match (request.method.as_str(), is_one) {
        ("POST", true) => "CreateSchedule",
        ("PUT", true) => "UpdateSchedule",
        ("DELETE", true) => "DeleteSchedule",
        ("GET", true) => "GetSchedule",
        ("GET", false) if request.path.starts_with("/schedules") => "ListSchedules",
        (method, _) => return format!("{method} {}", request.path),
    };
    name.to_owned()
}

/// What the caller gets to see.
pub enum Reply {
    /// The answer of AWS, or one made up.
    Answer(Answer),
    /// These bytes, one after the other with this pause, and then the end of the connection.
    Bytes(Vec<u8>, Duration),
    /// The end of the connection.
    Hangup,
    /// Nothing, for so long; then the end of the connection.
    Silence(Duration),
}

/// An answer of AWS.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The answer as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{head}\r\n{}", self.body).into_bytes()
    }
}

/// Decides what becomes of a call; the second argument lets AWS have it and gives the answer.
pub type Rule = dyn Fn(&Call, &dyn Fn() -> Answer) -> Reply + Send + Sync;

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    pub endpoint: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    rule: Mutex<Arc<Rule>>,
    calls: Mutex<Vec<Call>>,
    under_way: Mutex<usize>,
    settled: Condvar,
    stop: AtomicBool,
}

impl Proxy {
    /// Starts one that lets everything pass.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            rule: Mutex::new(Arc::new(|_, aws| Reply::Answer(aws()))),
            calls: Mutex::default(),
            under_way: Mutex::default(),
            settled: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let of_listener = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_listener.stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_listener);
                std::thread::spawn(move || stream.map(|stream| shared.serve(stream)));
            }
        });
        Self { endpoint: format!("http://{address}"), address, shared }
    }

    /// Says what becomes of the calls from now on, and forgets those before.
    pub fn rule(&self, rule: impl Fn(&Call, &dyn Fn() -> Answer) -> Reply + Send + Sync + 'static) {
        self.settle();
        self.shared.calls.lock().unwrap().clear();
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    /// Lets everything pass from now on.
    pub fn let_pass(&self) {
        self.rule(|_, aws| Reply::Answer(aws()));
    }

    /// The calls since the proxy was last told what to do, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Waits until no call is under way any more.
    pub fn settle(&self) {
        let under_way = self.shared.under_way.lock().unwrap();
        drop(self.shared.settled.wait_while(under_way, |count| *count > 0).unwrap());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address)); // wakes the listener
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = http::read_request(&mut reader) {
            let under_way = UnderWay::begin(self);
            let reply = self.decide(request);
            drop(under_way);
            if !deliver(&mut writer, reply) {
                let _ = writer.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }

    fn decide(&self, request: http::Request) -> Reply {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            let call = Call::read(calls.len(), request);
            calls.push(call.clone());
            call
        };
        let rule = Arc::clone(&self.rule.lock().unwrap());
        rule(&call, &|| self.forward(&call.request))
    }

    /// Lets AWS have the request, byte by byte as it was signed.
    fn forward(&self, request: &http::Request) -> Answer {
        let mut stream = TcpStream::connect(&self.upstream).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.path);
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{}", request.body).as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap();
        let (headers, body) = http::read_rest(&mut reader).unwrap();
        let is_framing = |name: &str| ["content-length", "transfer-encoding", "connection"].contains(&name);
        Answer { status, headers: headers.into_iter().filter(|(name, _)| !is_framing(name)).collect(), body }
    }
}

/// A call under way; it is over when this is dropped, be it by a panic.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared) -> Self {
        *shared.under_way.lock().unwrap() += 1;
        Self(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock().unwrap() -= 1;
        self.0.settled.notify_all();
    }
}

/// Whether the connection can take another request.
fn deliver(writer: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Answer(answer) => writer.write_all(&answer.bytes()).is_ok(),
        Reply::Bytes(bytes, pause) => {
            for byte in bytes.chunks(if pause.is_zero() { bytes.len().max(1) } else { 1 }) {
                std::thread::sleep(pause);
                if writer.write_all(byte).is_err() {
                    break;
                }
            }
            false
        }
        Reply::Hangup => false,
        Reply::Silence(time) => {
            std::thread::sleep(time);
            false
        }
    }
}
