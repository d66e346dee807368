//! The exact bytes: what the function sends to EC2 and KMS for each action, and what it makes of AWS's documented
//! answers, replayed by a server that knows no AWS.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{
    ACCOUNT,
    function::Function,
    http::{Request, Response, Server},
};

const IMAGE: &str = "ami-0123456789abcdef0";
const SNAPSHOT: &str = "snap-0123456789abcdef0";
const ALLOWLIST: &str = r#"
version: 1
rules:
  - name: all
    requesters: ["lambda:invoke"]
    actions: [share, revoke, reset, list, check]
    images: all
    targets: ["111122223333", "000011112222", "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5", "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"]
"#;

/// An AWS that answers each operation with a fixed document, and remembers what it was sent.
struct Replay {
    sent: Arc<Mutex<Vec<String>>>,
    server: Server,
}

impl Replay {
    fn start(answers: &'static [(&'static str, &'static str)]) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&sent);
        let server = Server::start(move |request| {
            let operation = operation(&request);
            remember.lock().unwrap().push(bytes(&request));
            let answer = answers.iter().find(|(name, _)| *name == operation);
            let (_, body) = answer.unwrap_or_else(|| panic!("no answer for {operation}"));
            Some(Response { status: 200, headers: Vec::new(), body: (*body).to_owned() })
        });
        Self { sent, server }
    }

    fn function(&self) -> Function {
        Function::start(&format!("http://{}", self.server.address), ALLOWLIST, &[])
    }

    /// What was sent, sorted: calls of one wave have no order.
    fn sent(&self) -> Vec<String> {
        let mut sent = self.sent.lock().unwrap().clone();
        sent.sort();
        sent
    }
}

fn operation(request: &Request) -> String {
    let target = request.headers.iter().find(|(name, _)| name == "x-amz-target");
    match target {
        Some((_, target)) => target.clone(),
        None => request.body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default().to_owned(),
    }
}

/// The request as one readable line.
fn bytes(request: &Request) -> String {
    match request.headers.iter().find(|(name, _)| name == "x-amz-target") {
        Some((_, target)) => format!("{target} {}", request.body),
        None => request.body.replace("%3A", ":").replace("%2F", "/"),
    }
}

const IMAGES: &str = r#"<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imagesSet><item>
  <imageId>ami-0123456789abcdef0</imageId><imageState>available</imageState><imageOwnerId>999988887777</imageOwnerId><isPublic>false</isPublic>
  <name>golden-1</name><rootDeviceType>ebs</rootDeviceType>
  <blockDeviceMapping>
    <item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-0123456789abcdef0</snapshotId><volumeSize>8</volumeSize><encrypted>true</encrypted></ebs></item>
    <item><deviceName>/dev/sdb</deviceName><virtualName>ephemeral0</virtualName></item>
    <item><deviceName>/dev/sdc</deviceName><ebs><volumeSize>20</volumeSize><encrypted>false</encrypted></ebs></item>
    <item><deviceName>/dev/sdd</deviceName><noDevice/></item>
  </blockDeviceMapping>
  <tagSet><item><key>Tier</key><value>gold</value></item></tagSet>
</item></imagesSet></DescribeImagesResponse>"#;
const NO_PERMISSIONS: &str = r#"<DescribeImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageId>ami-0123456789abcdef0</imageId><launchPermission/></DescribeImageAttributeResponse>"#;
const PERMISSIONS: &str = r#"<DescribeImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imageId>ami-0123456789abcdef0</imageId><launchPermission>
  <item><userId>000011112222</userId></item><item><group>all</group></item>
  <item><organizationArn>arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5</organizationArn></item>
  <item><organizationalUnitArn>arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111</organizationalUnitArn></item>
</launchPermission></DescribeImageAttributeResponse>"#;
const SNAPSHOTS: &str = r#"<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><snapshotSet><item>
  <snapshotId>snap-0123456789abcdef0</snapshotId><status>completed</status><ownerId>999988887777</ownerId><encrypted>true</encrypted>
  <kmsKeyId>arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab</kmsKeyId></item></snapshotSet></DescribeSnapshotsResponse>"#;
const KEY: &str = r#"{"KeyMetadata":{"AWSAccountId":"999988887777","KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab","Arn":"arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab","Enabled":true,"KeyUsage":"ENCRYPT_DECRYPT","KeyState":"Enabled","KeyManager":"CUSTOMER","KeySpec":"SYMMETRIC_DEFAULT"}}"#;
const POLICY: &str = r#"{"PolicyName":"default","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"AllowUse\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":[\"arn:aws:iam::111122223333:root\",\"arn:aws:iam::000011112222:root\"]},\"Action\":[\"kms:DescribeKey\",\"kms:CreateGrant\",\"kms:Decrypt\",\"kms:ReEncrypt*\",\"kms:GenerateDataKey*\"],\"Resource\":\"*\"}]}"}"#;
const MODIFIED: &str = r#"<ModifyImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><return>true</return></ModifyImageAttributeResponse>"#;
const RESET: &str = r#"<ResetImageAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><return>true</return></ResetImageAttributeResponse>"#;
const VOLUMES: &str = r#"<DescribeSnapshotAttributeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><snapshotId>snap-0123456789abcdef0</snapshotId><createVolumePermission><item><userId>444455556666</userId></item></createVolumePermission></DescribeSnapshotAttributeResponse>"#;

const READ_IMAGE: &str =
    "Action=DescribeImageAttribute&Version=2016-11-15&Attribute=launchPermission&ImageId=ami-0123456789abcdef0";
const READ_IMAGES: &str = "Action=DescribeImages&Version=2016-11-15&IncludeDisabled=true&MaxResults=100&Filter.1.Name=image-id&Filter.1.Value.1=ami-0123456789abcdef0";

fn request(action: &str, more: Value) -> Value {
    let mut request = json!({"action": action, "imageIds": [IMAGE]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn a_share_reads_images_snapshots_and_keys_and_writes_once() {
    let replay = Replay::start(&[
        ("DescribeImages", IMAGES),
        ("DescribeImageAttribute", NO_PERMISSIONS),
        ("DescribeSnapshots", SNAPSHOTS),
        ("TrentService.DescribeKey", KEY),
        ("TrentService.GetKeyPolicy", POLICY),
        ("ModifyImageAttribute", MODIFIED),
    ]);
    let function = replay.function();
    let outcome = function.invoke(&request("share", json!({"accountIds": ["111122223333", "000011112222"]}))).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(outcome["images"][0]["tags"], json!({"Tier": "gold"}));
    assert_eq!(
        replay.sent(),
        [
            READ_IMAGE,
            READ_IMAGES,
            "Action=DescribeSnapshots&Version=2016-11-15&MaxResults=1000&Filter.1.Name=snapshot-id&Filter.1.Value.1=snap-0123456789abcdef0",
            "Action=ModifyImageAttribute&Version=2016-11-15&ImageId=ami-0123456789abcdef0&LaunchPermission.Add.1.UserId=111122223333&LaunchPermission.Add.2.UserId=000011112222",
            r#"TrentService.DescribeKey {"KeyId":"arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
            r#"TrentService.GetKeyPolicy {"KeyId":"arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"}"#,
        ]
    );
}

#[test]
fn a_revoke_reads_only_the_image_and_removes_every_target_asked_for() {
    let replay = Replay::start(&[
        ("DescribeImages", IMAGES),
        ("DescribeImageAttribute", NO_PERMISSIONS),
        ("ModifyImageAttribute", MODIFIED),
    ]);
    let function = replay.function();
    let organization = "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5";
    let unit = "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111";
    let asked =
        json!({"accountIds": ["111122223333"], "organizationArns": [organization], "organizationalUnitArns": [unit]});
    let outcome = function.invoke(&request("revoke", asked)).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    let write = format!(
        "Action=ModifyImageAttribute&Version=2016-11-15&ImageId={IMAGE}&LaunchPermission.Remove.1.UserId=111122223333\
         &LaunchPermission.Remove.2.OrganizationArn={organization}&LaunchPermission.Remove.3.OrganizationalUnitArn={unit}"
    );
    assert_eq!(replay.sent(), [READ_IMAGE, READ_IMAGES, write.as_str()]);
    assert_eq!(outcome["images"][0]["changed"], false, "nothing was there before");
}

#[test]
fn a_reset_is_one_reset_call() {
    let replay = Replay::start(&[
        ("DescribeImages", IMAGES),
        ("DescribeImageAttribute", PERMISSIONS),
        ("ResetImageAttribute", RESET),
    ]);
    let function = replay.function();
    let outcome = function.invoke(&request("reset", json!({}))).unwrap();
    assert_eq!(outcome["images"][0]["changed"], true, "{outcome:#}");
    let write =
        "Action=ResetImageAttribute&Version=2016-11-15&Attribute=launchPermission&ImageId=ami-0123456789abcdef0";
    assert_eq!(replay.sent(), [READ_IMAGE, READ_IMAGES, write]);
}

#[test]
fn a_list_tells_every_kind_of_launch_permission_and_who_may_copy() {
    let replay = Replay::start(&[
        ("DescribeImages", IMAGES),
        ("DescribeImageAttribute", PERMISSIONS),
        ("DescribeSnapshotAttribute", VOLUMES),
    ]);
    let function = replay.function();
    let outcome = function.invoke(&request("list", json!({}))).unwrap();
    assert_eq!(
        outcome["images"][0]["permissions"],
        json!({
            "launch": [
                {"type": "account", "id": "000011112222"},
                {"type": "organization", "id": "arn:aws:organizations::999988887777:organization/o-a1b2c3d4e5"},
                {"type": "organizational-unit", "id": "arn:aws:organizations::999988887777:ou/o-a1b2c3d4e5/ou-ab12-11111111"},
                {"type": "public", "id": "all"},
            ],
            "copy": [{"snapshotId": SNAPSHOT, "accountIds": ["444455556666"]}],
        })
    );
    assert!(outcome["warnings"][0].as_str().unwrap().contains("PUBLIC"), "{outcome:#}");
    assert_eq!(outcome["images"][0]["targets"].as_array().unwrap().len(), 3);
    let read = "Action=DescribeSnapshotAttribute&Version=2016-11-15&Attribute=createVolumePermission&SnapshotId=snap-0123456789abcdef0";
    assert_eq!(replay.sent(), [READ_IMAGE, READ_IMAGES, read]);
    assert_eq!(ACCOUNT, "999988887777");
}

#[test]
fn a_key_whose_policy_lets_nobody_in_is_asked_for_grants_to_the_target() {
    const NOBODY: &str = r#"{"PolicyName":"default","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::999988887777:root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}]}"}"#;
    const GRANTS: &str = r#"{"Grants":[{"GrantId":"g1","GranteePrincipal":"arn:aws:iam::111122223333:root","IssuingAccount":"arn:aws:iam::999988887777:root","KeyId":"arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab","Name":"by-hand","Operations":["Decrypt","ReEncryptFrom","ReEncryptTo","GenerateDataKeyWithoutPlaintext","DescribeKey","CreateGrant"]}],"Truncated":false}"#;
    let replay = Replay::start(&[
        ("DescribeImages", IMAGES),
        ("DescribeImageAttribute", NO_PERMISSIONS),
        ("DescribeSnapshots", SNAPSHOTS),
        ("TrentService.DescribeKey", KEY),
        ("TrentService.GetKeyPolicy", NOBODY),
        ("TrentService.ListGrants", GRANTS),
        ("ModifyImageAttribute", MODIFIED),
    ]);
    let function = replay.function();
    let outcome = function.invoke(&request("share", json!({"accountIds": ["111122223333"]}))).unwrap();
    assert_eq!(outcome["result"], "completed", "{outcome:#}");
    assert_eq!(outcome["images"][0]["keys"][0]["verdict"], "allowed");
    let sent = replay.sent();
    let listing = sent.iter().find(|call| call.contains("ListGrants")).unwrap();
    assert!(listing.contains(r#""GranteePrincipal":"arn:aws:iam::111122223333:root""#), "{listing}");
}
