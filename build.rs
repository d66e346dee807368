//! Leaves the tables for unwinding out of the release binary. A panic ends that process (`panic = "abort"`), so nothing reads
//! them, and they are a tenth of the package. Builds for development keep them: backtraces need them.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build/no-unwind-tables.ld");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let Ok(package) = env::var("CARGO_MANIFEST_DIR") else { return };
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = Path::new(&package).join("build/no-unwind-tables.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
