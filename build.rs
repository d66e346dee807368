//! Leaves the tables for unwinding out of the release binary. A panic ends that process (`panic = "abort"`), so nothing reads
//! them, and they are a tenth of the package. Builds for development keep them: backtraces need them.

use std::{env, fs, io, path::Path};

const SCRIPT: &str = "build/no-unwind-tables.ld";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCRIPT}");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let Ok(out) = env::var("OUT_DIR") else { return Ok(()) };
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        // A copy in the build folder: Cargo keeps what is printed here, also for another checkout that shares that folder.
        let script = Path::new(&out).join("no-unwind-tables.ld");
        fs::copy(SCRIPT, &script)?;
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
    Ok(())
}
