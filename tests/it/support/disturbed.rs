//! Owns how one event of a scene is disturbed: the function is killed around each of its calls, and each of its calls fails.

use std::{fmt::Debug, time::Duration};

use serde_json::Value;

use super::{
    function::{Answer, Function},
    local_aws::LocalAws,
    proxy::{Call, Proxy, Reply},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A scene with the event that is disturbed.
pub trait Disturbed: Sized {
    /// What the stage is set for.
    type Scene: Copy + Debug;

    fn set(aws: LocalAws, scene: Self::Scene) -> Self;

    fn scene(&self) -> Self::Scene;

    fn aws(&self) -> &LocalAws;

    fn into_aws(self) -> LocalAws;

    fn proxy(&self) -> &Proxy;

    fn event(&self) -> &Value;

    /// Another process, which meets what the proxy does.
    fn disturbed(&self) -> Function;

    /// What must be so at any moment.
    #[track_caller]
    fn check(&self, what: &str);

    /// Sends the event once more, undisturbed, and lets time pass.
    #[track_caller]
    fn ends_well(&self, what: &str);

    /// The same scene from its beginning.
    fn again(self) -> Self {
        let scene = self.scene();
        Self::set(self.into_aws(), scene)
    }

    /// The calls of the event if nothing disturbs it.
    fn calls(&self) -> Vec<Call> {
        let function = self.disturbed();
        self.proxy().let_pass();
        function.invoke(self.event()).unwrap();
        self.proxy().settle();
        self.proxy().calls()
    }
}

#[derive(Debug, Clone, Copy)]
enum Crash {
    Before(usize),
    After(usize),
}

impl Crash {
    fn everywhere(calls: &[Call]) -> Vec<Self> {
        // After a read everything is as before the next call.
        let around = |(index, call): (usize, &Call)| {
            [Self::Before(index)].into_iter().chain(call.is_write().then_some(Self::After(index)))
        };
        calls.iter().enumerate().flat_map(around).collect()
    }

    fn strike(self, stage: &impl Disturbed) {
        let function = stage.disturbed();
        let lambda = function.lambda();
        stage.proxy().rule(move |call, aws| match self {
            Self::Before(index) if call.index >= index => {
                lambda.kill();
                Reply::Hangup
            }
            Self::After(index) if call.index > index => Reply::Hangup,
            Self::After(index) if call.index == index => {
                let answer = aws();
                lambda.kill();
                Reply::Answer(answer)
            }
            Self::Before(_) | Self::After(_) => Reply::Answer(aws()),
        });
        assert!(function.send(&stage.event().to_string(), MINUTE).is_none(), "{self:?} did not come in time");
        stage.proxy().settle();
    }
}

/// Kills the function before each call, and after each write.
#[track_caller]
pub fn crash_everywhere<S: Disturbed>(scene: S::Scene) {
    let mut stage = S::set(LocalAws::turn(), scene);
    let calls = stage.calls();
    stage.ends_well("undisturbed");
    let crashes = Crash::everywhere(&calls);
    for crash in &crashes {
        stage = stage.again();
        let what = format!("{scene:?}, {crash:?}");
        crash.strike(&stage);
        stage.check(&what);
        stage.ends_well(&what);
    }
    println!("crash suite: {scene:?}: {} calls, {} crash points", calls.len(), crashes.len());
}

/// Lets each call fail in turn, with errors that AWS returns at once. The invocation has the given time.
#[track_caller]
pub fn fail_everywhere<S: Disturbed>(
    scene: S::Scene,
    time: Duration,
    errors: impl Fn(&str) -> [(&'static str, u16); 2],
    judge: impl Fn(&str, &Answer),
) {
    let mut stage = S::set(LocalAws::turn(), scene);
    let mut names: Vec<_> = stage.calls().into_iter().map(|call| call.name).collect();
    names.sort();
    names.dedup();
    for name in names.iter().filter(|name| *name != "events:PutEvents") {
        for (code, status) in errors(name) {
            stage = stage.again();
            let what = format!("{scene:?}, {name} {code}");
            stage.aws().fault(name, code, status, 100);
            let answer = stage.disturbed().invoke_bytes(&stage.event().to_string(), time);
            stage.check(&what);
            stage.aws().no_faults();
            judge(&what, &answer);
            stage.ends_well(&what);
        }
    }
    println!("faults: {scene:?}: {} calls", names.len());
}
