//! Every scene with the role that template.yaml gives the function, IAM enforced: what the function does, its role may.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    ACCOUNT, REGION,
    function::Function,
    local_aws::LocalAws,
    scenes::{self, Scene, Stage},
};

const ON: &[&str] = &[
    "EnableKeyGrants=true",
    "KeyArns=arn:aws:kms:eu-west-1:999988887777:key/*",
    "EnableCopyAccess=true",
    "PublishPrefix=/golden/",
    "EnableCopies=true",
    "CopySourceRegions=eu-west-1,eu-central-1",
    "CopyKeyArns=arn:aws:kms:*:999988887777:key/*",
];

/// The variables of a process that has the role of a stack with these parameters.
fn role(aws: &LocalAws, parameters: &[&str]) -> Vec<(String, String)> {
    let python = std::env::var("AMI_SHARE_LOCAL_PYTHON").expect("`make test` sets AMI_SHARE_LOCAL_PYTHON");
    let answer = Command::new(python)
        .args(["-m", "ami_share_tools.local_aws.role", aws.endpoint, ACCOUNT, REGION])
        .args(parameters)
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
        .output()
        .expect("the script starts");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let variables: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let variables = variables.as_object().unwrap().iter();
    variables.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Plays scenes with that role: each ends as it does with every right.
fn play(scenes: impl Fn(&Scene) -> bool, parameters: &[&str], variables: &[(&str, &str)]) {
    let aws = LocalAws::turn();
    let role = role(&aws, parameters);
    let role = role.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables: Vec<_> = scenes::VARIABLES.into_iter().chain(variables.iter().copied()).chain(role).collect();
    let almighty = Function::start(aws.endpoint, scenes::ALLOWLIST, &scenes::VARIABLES);
    let function = Function::start(aws.endpoint, scenes::ALLOWLIST, &variables);
    let stage = Stage::new(&aws, 0);
    let mut played = 0;
    for scene in scenes::scenes().iter().filter(|scene| scenes(scene)) {
        let scene = stage.place(scene);
        let undisturbed = stage.undisturbed(&scene, &almighty);
        let keys = stage.seed(&scene);
        let answer = function.invoke(scene.event()).unwrap_or_else(|error| panic!("{}: {error:#}", scene.name));
        assert_eq!(answer["result"], scene.result(), "{}: {answer:#}", scene.name);
        assert_eq!(scenes::without_ids(&stage.state(&keys), &keys), undisturbed, "{}", scene.name);
        played += 1;
    }
    assert!(played > 5, "{played}");
}

#[test]
fn the_role_of_the_template_may_do_everything_that_the_function_does() {
    play(|_| true, ON, &[]);
}

#[test]
fn a_role_that_may_give_neither_grants_nor_copies_still_takes_them_away() {
    let off = [("AMI_SHARE_KEY_GRANTS", "off"), ("AMI_SHARE_COPY_ACCESS", "off")];
    play(|scene| scene.request["action"] != "share", &[], &off);
}

#[test]
fn a_function_that_does_not_know_what_its_role_may_not_do_is_denied() {
    let aws = LocalAws::turn();
    let role = role(&aws, &[]);
    let role = role.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let function = Function::start(
        aws.endpoint,
        scenes::ALLOWLIST,
        &scenes::VARIABLES.into_iter().chain(role).collect::<Vec<_>>(),
    );
    let stage = Stage::new(&aws, 0);
    let scene = stage.place(&scenes::scene("share, copies and grants"));
    stage.seed(&scene);
    assert_eq!(function.invoke(scene.event()).unwrap_err()["errorType"], "Denied");
}
