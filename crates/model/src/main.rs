//! Owns `make model`: explores every scene, and prints how much that was and what doesn't hold.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "nothing that is deployed depends on it, and what it finds is for a reader"
)]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use model::{
    explore::{Explorer, Limits},
    kept::Lag,
    planted::Planted,
    scenes::{KNOWN, Scene},
    sets::{approvals, copies, scenes},
};

/// Nothing goes wrong.
const QUIET: Limits =
    Limits { crashes: 0, faults: 0, reads: 0, events: 0, lag: Lag { ec2: false, kms: false }, is_one_by_one: false };

/// The same, and the reads that an invocation makes at the same time run one after the other.
const SIMPLE: Limits = Limits { is_one_by_one: true, ..QUIET };

/// Reads of EC2 lag.
const LATE: Limits = Limits { lag: Lag { ec2: true, kms: false }, ..QUIET };

/// What the invocations are about.
#[derive(Debug, Clone, Copy)]
enum About {
    TheImage,
    Copies,
    Approvals,
}

impl About {
    fn scenes(self, size: usize) -> Vec<Scene> {
        match self {
            Self::TheImage => scenes(size).collect(),
            Self::Copies => copies(size).collect(),
            Self::Approvals => approvals(size).collect(),
        }
    }
}

/// What the invocations are about, how many run at once, and what may go wrong.
const PARTS: [(About, usize, Limits); 13] = [
    (About::TheImage, 1, Limits { crashes: 2, faults: 2, lag: Lag { ec2: true, kms: true }, ..QUIET }),
    (About::TheImage, 2, LATE),
    (About::TheImage, 2, Limits { crashes: 1, ..QUIET }),
    (About::TheImage, 2, Limits { crashes: 1, ..LATE }),
    (About::TheImage, 3, SIMPLE),
    (About::Copies, 1, Limits { crashes: 1, faults: 1, events: 1, lag: Lag { ec2: true, kms: true }, ..SIMPLE }),
    (About::Copies, 2, Limits { is_one_by_one: true, ..LATE }),
    (About::Copies, 2, Limits { events: 1, ..SIMPLE }),
    (About::Copies, 2, Limits { crashes: 1, ..SIMPLE }),
    (About::Approvals, 1, Limits { crashes: 2, faults: 1, lag: Lag { ec2: true, kms: true }, ..QUIET }),
    (About::Approvals, 2, LATE),
    (About::Approvals, 2, Limits { crashes: 1, ..QUIET }),
    (About::Approvals, 3, SIMPLE),
];

/// The numbers of the parts to explore may be given; otherwise it explores all.
fn main() -> ExitCode {
    let chosen: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let mut is_new = false;
    for (number, (about, size, limits)) in PARTS.into_iter().enumerate() {
        if !chosen.is_empty() && !chosen.contains(&number) {
            continue;
        }
        let (began, mut explorer) = (Instant::now(), Explorer::new(Planted::Nothing));
        let mut known: BTreeMap<&str, (usize, String, Vec<String>)> = BTreeMap::new();
        let (mut number, mut states, mut steps, mut ends, mut found) = (0, 0, 0, 0, 0);
        for scene in about.scenes(size) {
            let explored = explorer.explore(&scene, limits);
            number += 1;
            states += explored.states;
            steps += explored.steps;
            ends += explored.ends;
            for (what, (times, trace)) in explored.known {
                let known = known.entry(what).or_insert_with(|| (0, scene.name(), trace.clone()));
                known.0 += times;
                if trace.len() < known.2.len() {
                    (known.1, known.2) = (scene.name(), trace);
                }
            }
            let Some(it) = explored.found else { continue };
            found += 1;
            let is_known = KNOWN.contains(&scene.name().as_str());
            is_new |= !is_known;
            println!("{}: {}{}", scene.name(), it.what, if is_known { " (docs/reliability.md)" } else { "" });
            it.trace.iter().filter(|_| !is_known).for_each(|line| println!("    {line}"));
        }
        for (what, (times, scene, trace)) in known {
            println!("{what}, as docs/reliability.md says: {times} times, soonest in {scene}:");
            trace.iter().for_each(|line| println!("    {line}"));
        }
        let seconds = began.elapsed().as_secs_f32();
        println!("{about:?}, {size} at once, {limits:?}:");
        println!(
            "    {number} scenes, {states} states, {steps} steps, {ends} ends, {found} don't hold, {seconds:.1} s"
        );
    }
    if is_new { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
