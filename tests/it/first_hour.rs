//! The deployment guide against the local AWS: its commands, one after the other, with the function itself.

use std::process::Command;

/// `python/ami_share_tools/first_hour.py` says what stands in for what isn't here.
fn run(arguments: &[&str]) {
    let python = std::env::var("AMI_SHARE_LOCAL_PYTHON").expect("`make test` sets AMI_SHARE_LOCAL_PYTHON");
    let binary = std::env::var("AMI_SHARE_BOOTSTRAP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bootstrap").to_owned());
    let answer = Command::new(python)
        .args(["-m", "ami_share_tools.first_hour", &binary])
        .args(arguments)
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
        .output()
        .expect("the script starts");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
}

#[test]
fn the_deployment_goes_as_the_guide_says() {
    run(&[]);
}

#[test]
fn a_stack_without_parameters_completes_its_daily_audit() {
    run(&["audit"]);
}
