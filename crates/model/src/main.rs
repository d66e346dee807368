//! Owns `make model`: explores every scene, and prints how much that was and what doesn't hold.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "nothing that is deployed depends on it, and what it finds is for a reader"
)]

use std::{
    collections::BTreeMap,
    num::NonZero,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use model::{
    explore::{Explorer, Limits},
    kept::Lag,
    planted::Planted,
    scenes::Scene,
    search::Explored,
    sets::{
        approvals, approvals_of_one_that_may_go, approvals_until, approved_copies, copies, copies_and_approvals,
        copies_until, deregistrations, early, image_and_approvals, scenes,
    },
};

/// Nothing goes wrong.
const QUIET: Limits = Limits::NONE;

/// The same, and calls that don't affect each other come in one order only.
const REDUCED: Limits = Limits { is_reduced: true, ..QUIET };

/// Reads of EC2 lag.
const LATE: Limits = Limits { lag: Lag::EC2, ..QUIET };

/// Reads of Scheduler lag.
const SCHEDULER: Lag = Lag { scheduler: true, ..Lag::NONE };

/// A line of progress is printed each time this many more scenes have begun.
const PROGRESS: usize = 500;

/// What the invocations are about.
#[derive(Debug, Clone, Copy)]
enum About {
    TheImage,
    AnImageThatMayGo,
    Early,
    Copies,
    Approvals,
    ApprovalsOfAnImageThatMayGo,
    ApprovedCopies,
    ImageAndApprovals,
    CopiesUntil,
    ApprovalsUntil,
    CopiesAndApprovals,
}

impl About {
    fn scenes(self, size: usize) -> Vec<Scene> {
        match self {
            Self::TheImage => scenes(size).collect(),
            Self::AnImageThatMayGo => deregistrations(size).collect(),
            Self::Early => early().collect(),
            Self::Copies => copies(size).collect(),
            Self::CopiesUntil => copies_until(size).collect(),
            Self::ApprovalsUntil => approvals_until(size).collect(),
            Self::ImageAndApprovals => image_and_approvals(size).collect(),
            Self::ApprovedCopies => approved_copies(size).collect(),
            Self::Approvals => approvals(size).collect(),
            Self::CopiesAndApprovals => copies_and_approvals(size).collect(),
            Self::ApprovalsOfAnImageThatMayGo => approvals_of_one_that_may_go(size).collect(),
        }
    }
}

/// What the invocations are about, how many run at once, what may go wrong, and the exceptions of docs/reliability.md that are
/// found: no others may be, and each of these must.
const PARTS: [(About, usize, Limits, &[u8]); 75] = [
    (About::TheImage, 1, Limits { crashes: 2, faults: 2, lag: Lag::EC2_AND_KMS, ..QUIET }, &[]),
    (About::TheImage, 2, LATE, &[]),
    (About::TheImage, 2, Limits { crashes: 1, ..QUIET }, &[1, 20]),
    (About::TheImage, 2, Limits { crashes: 1, ..LATE }, &[1, 2, 20]),
    (About::TheImage, 3, REDUCED, &[]),
    (
        About::Copies,
        1,
        Limits { crashes: 1, faults: 1, events: 1, lag: Lag::EC2_AND_KMS, ..QUIET },
        &[4, 8, 11, 12, 13, 22],
    ),
    (About::Copies, 2, LATE, &[3, 5, 7, 10, 26]),
    (About::Copies, 2, Limits { events: 1, ..REDUCED }, &[3, 4, 5, 10, 11, 12, 13, 14, 26]),
    (About::Copies, 2, Limits { crashes: 1, ..REDUCED }, &[3, 5, 6, 8, 10, 15, 16, 20, 21, 26]),
    (About::Approvals, 1, Limits { crashes: 2, faults: 1, lag: Lag::EC2_AND_KMS, ..QUIET }, &[8]),
    (About::Approvals, 2, LATE, &[26]),
    (About::Approvals, 2, Limits { crashes: 1, ..QUIET }, &[8, 9, 26]),
    (About::Approvals, 3, REDUCED, &[26]),
    (About::TheImage, 1, Limits { crashes: 1, reads: 2, ..QUIET }, &[17]),
    (About::TheImage, 2, Limits { reads: 1, ..REDUCED }, &[17, 18]),
    (About::AnImageThatMayGo, 1, Limits { crashes: 1, reads: 1, events: 1, ..QUIET }, &[]),
    (About::AnImageThatMayGo, 2, Limits { events: 1, ..LATE }, &[14]),
    (About::Copies, 1, Limits { crashes: 1, reads: 2, ..QUIET }, &[8, 17]),
    (About::Approvals, 1, Limits { crashes: 1, reads: 2, ..QUIET }, &[8]),
    (About::Approvals, 2, Limits { reads: 1, ..REDUCED }, &[26]),
    (
        About::ApprovedCopies,
        1,
        Limits { crashes: 1, faults: 1, events: 1, lag: Lag::EC2_AND_KMS, ..QUIET },
        &[4, 8, 11, 12, 13, 22],
    ),
    (About::ApprovedCopies, 2, Limits { crashes: 1, ..REDUCED }, &[3, 6, 8, 10, 15, 21, 26]),
    (About::Copies, 2, Limits { reads: 1, ..REDUCED }, &[3, 5, 10, 15, 17, 19, 26]),
    (About::Copies, 3, Limits { crashes: 1, ..REDUCED }, &[3, 5, 6, 8, 10, 15, 16, 20, 21, 26, 31]),
    (About::TheImage, 3, Limits { crashes: 1, ..REDUCED }, &[1, 20]),
    (About::ApprovalsOfAnImageThatMayGo, 1, Limits { crashes: 1, reads: 1, events: 1, ..QUIET }, &[8]),
    (About::ApprovalsOfAnImageThatMayGo, 2, Limits { events: 1, ..LATE }, &[26]),
    (About::Early, 2, Limits { crashes: 1, ..QUIET }, &[8]),
    (About::ImageAndApprovals, 1, Limits { crashes: 2, faults: 1, lag: Lag::EC2_AND_KMS, ..QUIET }, &[8]),
    (About::ImageAndApprovals, 2, LATE, &[]),
    (About::ImageAndApprovals, 2, Limits { crashes: 1, ..LATE }, &[2, 8, 9]),
    (About::ImageAndApprovals, 2, Limits { reads: 1, ..REDUCED }, &[17, 18]),
    (About::ImageAndApprovals, 2, Limits { faults: 1, ..REDUCED }, &[8, 9]),
    (About::TheImage, 2, Limits { faults: 1, ..REDUCED }, &[1, 20]),
    (About::Approvals, 2, Limits { faults: 1, ..REDUCED }, &[8, 9, 23, 26]),
    (About::CopiesUntil, 1, Limits { crashes: 1, faults: 1, lag: Lag::EC2_AND_KMS, ..QUIET }, &[8, 22]),
    (About::CopiesUntil, 2, LATE, &[3, 7]),
    (About::CopiesUntil, 2, Limits { crashes: 1, ..REDUCED }, &[1, 3, 6, 8, 15, 20, 21]),
    (About::CopiesUntil, 2, Limits { events: 1, ..REDUCED }, &[3, 4, 5, 10, 11, 12, 13, 14]),
    (About::CopiesUntil, 2, Limits { reads: 1, ..REDUCED }, &[3, 15, 17, 18, 19]),
    (About::ImageAndApprovals, 3, Limits { crashes: 1, ..REDUCED }, &[1, 8, 9, 20, 26, 27]),
    (About::Approvals, 3, Limits { crashes: 1, ..REDUCED }, &[8, 9, 26, 30]),
    (About::TheImage, 1, Limits { crashes: 1, lag: SCHEDULER, ..QUIET }, &[]),
    (About::TheImage, 2, Limits { lag: SCHEDULER, ..QUIET }, &[24, 25]),
    (About::Copies, 2, Limits { lag: SCHEDULER, ..QUIET }, &[3, 5, 10, 24, 25, 26]),
    (About::CopiesUntil, 2, Limits { lag: SCHEDULER, ..QUIET }, &[3, 24, 25]),
    (About::Approvals, 2, Limits { lag: SCHEDULER, ..QUIET }, &[26]),
    (About::ImageAndApprovals, 2, Limits { lag: SCHEDULER, ..QUIET }, &[24, 25]),
    (About::Copies, 2, Limits { faults: 1, ..REDUCED }, &[3, 5, 6, 8, 10, 15, 20, 26, 28]),
    (About::CopiesUntil, 2, Limits { faults: 1, ..REDUCED }, &[1, 3, 6, 15, 20, 28]),
    (About::ApprovedCopies, 2, LATE, &[3, 7, 10, 26]),
    (About::ApprovedCopies, 2, Limits { events: 1, ..REDUCED }, &[3, 4, 5, 10, 11, 12, 13, 26]),
    (About::ApprovedCopies, 1, Limits { crashes: 1, reads: 2, ..QUIET }, &[8, 17]),
    (About::ApprovedCopies, 2, Limits { reads: 1, ..REDUCED }, &[3, 10, 15, 17, 19, 26]),
    (About::ApprovedCopies, 2, Limits { faults: 1, ..REDUCED }, &[3, 6, 8, 10, 15, 23, 26, 28]),
    (About::Approvals, 1, Limits { crashes: 1, faults: 1, events: 1, ..QUIET }, &[8]),
    (About::Approvals, 2, Limits { events: 1, ..REDUCED }, &[26]),
    (About::ApprovalsUntil, 1, Limits { crashes: 1, faults: 1, events: 1, lag: Lag::EC2_AND_KMS, ..QUIET }, &[8]),
    (About::ApprovalsUntil, 2, LATE, &[]),
    (About::ApprovalsUntil, 2, Limits { events: 1, ..REDUCED }, &[]),
    (About::ApprovalsUntil, 2, Limits { crashes: 1, ..REDUCED }, &[8, 9, 20, 29]),
    (About::ApprovalsUntil, 2, Limits { reads: 1, ..REDUCED }, &[17, 18]),
    (About::ApprovalsUntil, 2, Limits { faults: 1, ..REDUCED }, &[8, 9, 20, 29]),
    (About::Copies, 3, REDUCED, &[3, 5, 10, 26, 31]),
    (About::CopiesUntil, 3, REDUCED, &[3, 10, 26, 31]),
    (About::ApprovedCopies, 3, REDUCED, &[3, 5, 10, 26]),
    (About::CopiesUntil, 3, Limits { crashes: 1, ..REDUCED }, &[1, 3, 5, 6, 8, 10, 15, 16, 20, 21, 26, 31]),
    (About::ApprovedCopies, 3, Limits { crashes: 1, ..REDUCED }, &[3, 5, 6, 8, 9, 10, 15, 21, 26, 30, 31]),
    (About::ImageAndApprovals, 3, REDUCED, &[26]),
    (About::ApprovalsUntil, 3, REDUCED, &[26]),
    (About::ApprovalsUntil, 3, Limits { crashes: 1, ..REDUCED }, &[1, 8, 9, 20, 26, 27, 29, 30]),
    (About::CopiesAndApprovals, 2, REDUCED, &[]),
    (About::CopiesAndApprovals, 2, Limits { crashes: 1, ..REDUCED }, &[1, 8, 9, 20]),
    (About::CopiesAndApprovals, 3, REDUCED, &[3, 5, 10, 26, 31]),
    (
        About::CopiesAndApprovals,
        3,
        Limits { crashes: 1, ..REDUCED },
        &[1, 3, 5, 6, 8, 9, 10, 15, 16, 20, 21, 26, 27, 30, 31],
    ),
];

/// The numbers of the parts to explore may be given; otherwise it explores all.
fn main() -> ExitCode {
    let chosen: Vec<usize> =
        std::env::args().skip(1).map(|number| number.parse().expect("the number of a part")).collect();
    let mut is_new = false;
    for (number, (about, size, limits, exceptions)) in PARTS.into_iter().enumerate() {
        if !chosen.is_empty() && !chosen.contains(&number) {
            continue;
        }
        let (began, scenes) = (Instant::now(), about.scenes(size));
        let mut part = Part::default();
        for (scene, explored) in scenes.iter().zip(explore(number, &scenes, limits)) {
            part.add(scene, explored);
        }
        is_new |= part.found > 0 || !part.has_only(exceptions);
        part.print_known();
        let Part { states, steps, ends, found, .. } = part;
        let (scenes, seconds) = (scenes.len(), began.elapsed().as_secs_f32());
        println!("{number}: {about:?}, {size} at once, {limits:?}:");
        println!(
            "    {scenes} scenes, {states} states, {steps} steps, {ends} ends, {found} don't hold, {seconds:.1} s"
        );
    }
    if is_new { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Explores each scene of a part, as many at once as there are processors, and returns what was explored in the order of the
/// scenes.
fn explore(number: usize, scenes: &[Scene], limits: Limits) -> Vec<Explored> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut explorer, mut done) = (Explorer::new(Planted::Nothing), Vec::new());
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(scene) = scenes.get(place) else { return done };
            if place > 0 && place.is_multiple_of(PROGRESS) {
                println!("{number}: {place} of {} scenes have begun", scenes.len());
            }
            if explorer.is_large() {
                explorer = Explorer::new(Planted::Nothing);
            }
            done.push((place, explorer.explore(scene, limits)));
        }
    };
    let mut explored = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it explores to the end")).collect::<Vec<_>>()
    });
    explored.sort_by_key(|(place, _)| *place);
    explored.into_iter().map(|(_, explored)| explored).collect()
}

/// What was explored of a part.
#[derive(Default)]
struct Part {
    states: usize,
    steps: usize,
    ends: usize,
    /// The number of scenes that ended with something that doesn't hold.
    found: usize,
    /// What is known not to hold: how often it was found, where soonest, and how.
    known: BTreeMap<u8, (usize, String, Vec<String>)>,
}

impl Part {
    fn add(&mut self, scene: &Scene, explored: Explored) {
        self.states += explored.states;
        self.steps += explored.steps;
        self.ends += explored.ends;
        for (number, (times, trace)) in explored.known {
            let known = self.known.entry(number).or_insert_with(|| (0, scene.name(), trace.clone()));
            known.0 += times;
            if trace.len() < known.2.len() {
                (known.1, known.2) = (scene.name(), trace);
            }
        }
        let Some(it) = explored.found else { return };
        self.found += 1;
        println!("{}: {}", scene.name(), it.what);
        it.trace.iter().for_each(|line| println!("    {line}"));
    }

    /// Whether the exceptions that were found are these. Prints which are not.
    fn has_only(&self, exceptions: &[u8]) -> bool {
        let other: Vec<_> = self.known.keys().filter(|number| !exceptions.contains(number)).collect();
        let missing: Vec<_> = exceptions.iter().filter(|number| !self.known.contains_key(number)).collect();
        for number in &other {
            println!("exception {number} is found where docs/reliability.md does not say so");
        }
        for number in &missing {
            println!("exception {number} is not found where docs/reliability.md says so");
        }
        other.is_empty() && missing.is_empty()
    }

    fn print_known(&self) {
        for (number, (times, scene, trace)) in &self.known {
            println!("exception {number} of docs/reliability.md: {times} times, soonest in {scene}:");
            trace.iter().for_each(|line| println!("    {line}"));
        }
    }
}
