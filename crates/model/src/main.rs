//! Owns `make model`: explores every scene, and prints how much that was and what doesn't hold.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "nothing that is deployed depends on it, and what it finds is for a reader"
)]

use std::{process::ExitCode, time::Instant};

use model::{
    explore::{Explorer, Limits},
    invocation::Planted,
    kept::Lag,
    scenes::KNOWN,
    sets::scenes,
};

/// How many invocations run at once, and what may go wrong.
const PARTS: [(usize, Limits); 5] = [
    (1, Limits { crashes: 2, faults: 2, lag: Lag { ec2: true, kms: true }, is_one_by_one: false }),
    (2, Limits { crashes: 0, faults: 0, lag: Lag { ec2: true, kms: false }, is_one_by_one: false }),
    (2, Limits { crashes: 1, faults: 0, lag: Lag { ec2: false, kms: false }, is_one_by_one: false }),
    (2, Limits { crashes: 1, faults: 0, lag: Lag { ec2: true, kms: false }, is_one_by_one: false }),
    (3, Limits { crashes: 0, faults: 0, lag: Lag { ec2: false, kms: false }, is_one_by_one: true }),
];

/// The numbers of the parts to explore may be given; otherwise it explores all.
fn main() -> ExitCode {
    let chosen: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let mut is_new = false;
    for (number, (size, limits)) in PARTS.into_iter().enumerate() {
        if !chosen.is_empty() && !chosen.contains(&number) {
            continue;
        }
        let (began, mut explorer) = (Instant::now(), Explorer::new(Planted::Nothing));
        let (mut number, mut states, mut steps, mut ends, mut found) = (0, 0, 0, 0, 0);
        for scene in scenes(size) {
            let explored = explorer.explore(&scene, limits);
            number += 1;
            states += explored.states;
            steps += explored.steps;
            ends += explored.ends;
            let Some(it) = explored.found else { continue };
            found += 1;
            let is_known = KNOWN.contains(&scene.name().as_str());
            is_new |= !is_known;
            println!("{}: {}{}", scene.name(), it.what, if is_known { " (docs/reliability.md)" } else { "" });
            it.trace.iter().filter(|_| !is_known).for_each(|line| println!("    {line}"));
        }
        let seconds = began.elapsed().as_secs_f32();
        println!("{size} at once, {limits:?}:");
        println!(
            "    {number} scenes, {states} states, {steps} steps, {ends} ends, {found} don't hold, {seconds:.1} s"
        );
    }
    if is_new { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
