//! What a share costs without AWS: opening the event, deciding, planning and answering, in microseconds and allocations.

#[path = "../tests/memory/world.rs"]
mod world;

use std::{
    alloc::System,
    hint::black_box,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use key_policy::Policy;
use sharing::allowlist::Allowlist;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::world::{Failure, World};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "| images × accounts | part | µs | allocations | KB allocated |\n|---|---|---|---|---|")?;
    for (images, accounts) in [(1, 1), (1, 100), (50, 20)] {
        let world = World::new(images, accounts)?;
        let name = format!("{images} × {accounts}");
        let (microseconds, allocations, bytes) = measure(|| {
            let _ = black_box(Allowlist::parse(black_box(&world.allowlist_text)));
        });
        writeln!(out, "| {name} | read the allowlist | {microseconds:.0} | {allocations} | {} |", bytes / 1024)?;
        let (microseconds, allocations, bytes) = measure(|| {
            let _ = black_box(Policy::parse(black_box(&world.policy_text)));
        });
        writeln!(out, "| {name} | read a key policy | {microseconds:.0} | {allocations} | {} |", bytes / 1024)?;
        let (microseconds, allocations, bytes) = world.decided(|decide| measure(decide))?;
        writeln!(out, "| {name} | decide, plan | {microseconds:.0} | {allocations} | {} |", bytes / 1024)?;
        let (microseconds, allocations, bytes) = measure(|| {
            let _ = black_box(world.answer());
        });
        writeln!(
            out,
            "| {name} | parse, decide, plan, answer | {microseconds:.0} | {allocations} | {} |",
            bytes / 1024
        )?;
    }
    Ok(())
}

/// Microseconds (the fastest of many: what is slower is other people's work), allocations and bytes of one call.
fn measure(mut call: impl FnMut()) -> (f64, usize, usize) {
    call();
    let region = Region::new(ALLOCATOR);
    call();
    let stats = region.change();
    let (begin, mut fastest) = (Instant::now(), f64::INFINITY);
    while begin.elapsed() < Duration::from_secs(1) {
        let begin = Instant::now();
        call();
        fastest = fastest.min(begin.elapsed().as_secs_f64() * 1e6);
    }
    (fastest, stats.allocations.saturating_add(stats.reallocations), stats.bytes_allocated)
}
