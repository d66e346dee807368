//! Makes the release binary smaller. Builds for development are left as they are.

use std::{env, fs, io, path::Path};

/// Leaves out the tables for unwinding. A panic ends the process (`panic = "abort"`), so nothing reads them, and they are a
/// tenth of the package. Builds for development keep them: backtraces need them.
const SCRIPT: &str = "build/no-unwind-tables.ld";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCRIPT}");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let Ok(out) = env::var("OUT_DIR") else { return Ok(()) };
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return Ok(());
    }
    // A copy in the build folder: Cargo keeps what is printed here, also for another checkout that shares that folder.
    let script = Path::new(&out).join("no-unwind-tables.ld");
    fs::copy(SCRIPT, &script)?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    // Functions that are the same become one. GNU ld and zig, the linker of cargo-lambda, can't do that; LLD can, which is the
    // linker of this target unless Cargo is told another one:
    // https://blog.rust-lang.org/2025/09/01/rust-lld-on-1.90.0-stable/
    let names_linker = |flags: String| flags.contains("link");
    let is_told = env::var_os("RUSTC_LINKER").is_some() || env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(names_linker);
    if is("TARGET", "x86_64-unknown-linux-gnu") && !is_told {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
    Ok(())
}
