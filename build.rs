//! Makes the release binary smaller. Builds for development are left as they are.

use std::{env, fs, io, path::Path};

/// Leaves out the tables for unwinding. A panic ends the process (`panic = "abort"`), so nothing reads them, and they are a
/// tenth of the package. Builds for development keep them: backtraces need them.
const SCRIPT: &str = "build/no-unwind-tables.ld";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCRIPT}");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let Ok(out) = env::var("OUT_DIR") else { return Ok(()) };
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return Ok(());
    }
    // A copy in the build folder: Cargo keeps what is printed here, also for another checkout that shares that folder.
    let script = Path::new(&out).join("no-unwind-tables.ld");
    fs::copy(SCRIPT, &script)?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    // Functions that are the same become one. Only LLD can do that, the linker of this target unless Cargo is told another one:
    // https://blog.rust-lang.org/2025/09/01/rust-lld-on-1.90.0-stable/
    if is("TARGET", "x86_64-unknown-linux-gnu") && env::var_os("RUSTC_LINKER").is_none() {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
    Ok(())
}
