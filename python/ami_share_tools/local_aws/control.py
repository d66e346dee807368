"""The door for tests only: `/_local/seed` puts things into the local AWS, `/_local/calls` tells what was asked of it.

POST /_local/seed — every member is optional; `ref` is a handle for use inside the same request:

    {"settings":  {"entityQuota": 1000, "blockPublicAccess": true, "pageSize": 1000, "copyQuota": 300,
                  "unknownAccounts": [], "namesUnknown": true, "copySeconds": null, "reportSeconds": null,
                  "parametersWait": false},
     "keys":      [{"ref", "id", "account", "region", "alias": "alias/x", "policy": {…} | "…", "manager": "CUSTOMER" | "AWS",
                    "state": "Enabled", "spec": "SYMMETRIC_DEFAULT", "usage": "ENCRYPT_DECRYPT", "validTo": 1830000000,
                    "grants": [{"grantee", "operations": […], "name", "issuingAccount", "retiring", "constraints"}]}],
     "snapshots": [{"ref", "id", "account", "region", "key": KEY, "state": "completed", "size": 8, "tags": {…},
                    "createVolumePermissions": ["111122223333", "all"]}],
     "images":    [{"ref", "id", "account", "region", "name", "description", "architecture", "state": "available", "tags": {…},
                    "deprecationTime": "2027-01-01T00:00:00.000Z",
                    "mappings": [{"device": "/dev/xvda", "snapshot": SNAPSHOT} | {"device", "size": 8}
                                 | {"device", "virtualName": "ephemeral0"} | {"device", "noDevice": true}],
                    "productCodes": [{"id", "type": "marketplace"}], "rootDeviceType": "ebs",
                    "launchPermissions": ["111122223333", "all", "arn:…:organization/…", "arn:…:ou/…"],
                    "creationDate": "2026-01-01T00:00:00.000Z", "stateReason": "…", "allowed": true,
                    "sourceImageId", "sourceImageRegion", "sourceInstanceId": "i-…",
                    "watermarks": ["999988887777:approved" | {"key", "sourceImageId", "sourceImageRegion"}],
                    "scan": {"severity": "high", "at": "2026-01-01T00:00:00.000Z"},
                    "usage": [{"account", "resourceType": "ec2:Instance", "count": 1}]}],
     "usageReports": [{"ref", "id", "account", "region", "imageId": IMAGE, "state": "available", "reason", "createdAt",
                       "resourceTypes": ["ec2:Instance", …], "accountIds": []}],
     "encryption": [{"account", "region", "byDefault": true, "key": KEY}],
     "schedules": [{"group", "name", "expression": "at(…)", "input": "…" | {…, "keyArns": [KEY, …]}, "state": "ENABLED",
                    "timezone": "UTC", "bus": "ami-share", "source": "ami-share.ends", "end": 1830000000}],
     "parameters":     [{"name": "/path/name", "value": "…", "type": "SecureString", "dataType": "text"}],
     "configurations": [{"application", "environment", "profile", "content": "…"}],
     "faults":    [{"call": "ec2:ModifyImageAttribute", "code": "RequestLimitExceeded", "status": 503,
                    "message": "…", "after": 0, "times": 1, "holding": "…"}]}

KEY is a key's `ref`, a key ARN or an inline key; SNAPSHOT a snapshot's `ref`, id or an inline snapshot; IMAGE an image's `ref`
or id. What has no `account` belongs to the server's own; what has no `region` is in the server's own. An image with a
`sourceInstanceId` was made by CreateImage, one with a source image alone by CopyImage. A fault answers the next `times` calls
of its kind (and with parameters that hold its text), once `after` of them have passed, with an error instead; giving `faults`
forgets earlier ones. A parameter is there without validation, a configuration is made if need be and deployed at once. The
answer has these lists, in the order given:

    {"keys": [{"ref", "keyId", "arn"}], "snapshots": [{"ref", "snapshotId", "keyArn"}], "images": [{"ref", "imageId"}],
     "usageReports": [{"ref", "reportId"}]}

GET /_local/calls — [{"service": "ec2", "operation": "DescribeImages", "account": "…", "agent": "…", "params": {…}}],
the AWS calls received since the last DELETE /_local/calls, in order. Calls of the test itself are among them.

POST /_local/hints {"ids": ["ami-1"]} — the events that the schedules whose names contain one of `ids` put on their bus when
they are due, as a rule there hands them on.

POST /_local/copies {"ids": ["ami-1"], "state": "available" | "failed", "reason": "…", "event": true} — ends pending copies,
all or those whose id or source's id contains one of `ids`: they fail, for this reason, or are available, unless EC2 finds a
key that it can't use. With `event` false, EC2 sends no event. The answer: [{"imageId", "region", "state", "reason"}].

POST /_local/usage-reports {"ids": ["ami-1"], "state": "available" | "error", "reason": "…"} — ends pending usage reports, all
or those whose id or image's id contains one of `ids`. The answer: [{"reportId", "imageId", "region", "state"}].

POST /_local/parameters {} — validates the parameters that wait: [{"name", "version", "valid"}].

POST /_local/state {"ids": ["ami-1", "snap-1"], "keys": [ARN, …]} — what is there, whoever owns it, without asking it of
an API: the images, snapshots and schedules whose ids or names contain one of `ids`, the images whose source's id does, with
their snapshots, and these keys with their grants; further the usage reports of these images, and the parameters that hold
one of `ids` in their name or value; {} is everything. DELETE /_local/state removes everything, and forgets settings, faults
and calls with it; with `ids` it removes those and nothing else, and no keys:

    {"images":    {"ami-…": {"owner", "region", "state", "snapshots": ["snap-…"], "launchPermissions": ["111122223333", …],
                             "source": "REGION/ami-…" | absent}},
     "snapshots": {"snap-…": {"owner", "key": ARN | null, "createVolumePermissions": ["111122223333", …]}},
     "keys":      {"arn:…": {"policy": "…"}},
     "grants":    [{"key", "name", "grantee", "issuingAccount", "operations"}],
     "parameters":   {"/path/name": {"value", "version", "dataType"}},
     "usageReports": {"amiur-…": {"imageId", "state"}},
     "schedules": {"group/name": {"expression", "input", "target", "parameters", "deadLetters": ARN | null}}}
"""

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws import (
    adapter,
    client_tokens,
    copies,
    documents,
    ebs_encryption,
    image_fields,
    parameters,
    schedules,
    settings,
    usage_reports,
)
from ami_share_tools.local_aws.adapter import Answer, Params, get_account_id, request_scope

CALLS: list[Document] = []
FAULTS: list[Document] = []


class BadSeed(Exception):
    """A seed that can't be understood; the message names the place."""


def handle(method: str, path: str, body: bytes, account: str, region: str) -> tuple[int, Any]:
    """(status, JSON value)."""
    if (method, path) == ("POST", "/_local/seed"):
        try:
            with request_scope(account, region):
                return 200, Seed(account, region).run(json.loads(body))
        except (BadSeed, ValueError) as error:
            return 400, {"error": str(error)}
    if (method, path) == ("GET", "/_local/calls"):
        return 200, CALLS
    if (method, path) == ("DELETE", "/_local/calls"):
        CALLS.clear()
        return 200, []
    if (method, path) == ("POST", "/_local/hints"):
        ids = json.loads(body)["ids"]
        with request_scope(account, region):
            return 200, [
                schedules.hint(schedule)
                for (_, _, key), schedule in adapter.schedules.everywhere()
                if any(part in key for part in ids)
            ]
    if (method, path) == ("POST", "/_local/copies"):
        return 200, end_copies(**json.loads(body))
    if (method, path) == ("POST", "/_local/usage-reports"):
        return 200, end_usage_reports(**json.loads(body))
    if (method, path) == ("POST", "/_local/parameters"):
        return 200, parameters.validate()
    if (method, path) == ("POST", "/_local/state"):
        return 200, state(**json.loads(body))
    if (method, path) == ("DELETE", "/_local/state") and body:
        forget(json.loads(body)["ids"])
        return 200, []
    if (method, path) == ("DELETE", "/_local/state"):
        adapter.images.clear_everywhere()
        adapter.snapshots.clear_everywhere()
        adapter.tags.clear_everywhere()
        client_tokens.clear()
        copies.clear()
        ebs_encryption.clear()
        parameters.clear()
        usage_reports.clear()
        adapter.reset_kms()
        adapter.reset_scheduler()
        adapter.last_fired.clear()
        settings.CURRENT.update(settings.DEFAULTS)
        FAULTS.clear()
        CALLS.clear()
        return 200, []
    return 404, {"error": f"there is no {method} {path}"}


def end_copies(
    ids: Sequence[str] = ("",), state: str = "available", reason: str | None = None, event: bool = True
) -> list[Document | None]:
    failure = (reason or copies.NO_SUCH_KEY) if state == "failed" else None
    return [copies.finish(*place, failure=failure, event=event) for place in copies.waiting(ids)]


def end_usage_reports(
    ids: Sequence[str] = ("",), state: str = "available", reason: str | None = None
) -> list[Document | None]:
    return [usage_reports.finish(report_id, state, reason) for report_id in usage_reports.waiting(ids)]


def asked(ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """The ids of the images and snapshots whose ids contain one of `ids`, and of the images whose source's id does, with
    their snapshots."""
    images = {
        key: image
        for (_, _, key), image in adapter.images.everywhere()
        if any(part in key or part in image.get("SourceImageId", "") for part in ids)
    }
    snapshots = {key for (_, _, key), _ in adapter.snapshots.everywhere() if any(part in key for part in ids)}
    return set(images), snapshots.union(*(snapshots_of(image) for image in images.values() if "SourceImageId" in image))


def snapshots_of(image: Document) -> list[str]:
    return sorted(m["Ebs"]["SnapshotId"] for m in image["BlockDeviceMappings"] if "SnapshotId" in (m.get("Ebs") or {}))


def forget(ids: Sequence[str]) -> None:
    images, snapshots = asked(ids)
    copies.forget(ids)
    usage_reports.forget(images)
    parameters.forget(ids)
    adapter.images.remove_everywhere(lambda key: key in images)
    adapter.snapshots.remove_everywhere(lambda key: key in snapshots)
    adapter.schedules.remove_everywhere(lambda key: any(part in key for part in ids))


def state(ids: Sequence[str] = ("",), keys: Sequence[str] | None = None) -> Document:
    """Everything a request could change or must not change, in every account."""
    images, snapshots = asked(ids)

    def is_asked(name: str) -> bool:
        return any(part in name for part in ids)

    def is_key(arn: str) -> bool:
        return keys is None or arn in keys

    def plain(permissions: list[Document]) -> list[str]:
        return sorted(value for permission in permissions for value in permission.values())

    def source(image: Document) -> Document:
        return (
            {"source": f"{image.get('SourceImageRegion')}/{image['SourceImageId']}"} if "SourceImageId" in image else {}
        )

    return {
        "images": {
            key: {
                "owner": image["OwnerId"],
                "region": region,
                "state": image.get("State", "available"),
                "snapshots": snapshots_of(image),
                "launchPermissions": plain(image.get("LaunchPermissions", [])),
            }
            | source(image)
            for (_, region, key), image in adapter.images.everywhere()
            if key in images
        },
        "snapshots": {
            key: {
                "owner": snapshot["OwnerId"],
                "key": snapshot.get("KmsKeyId"),
                "createVolumePermissions": plain(snapshot.get("CreateVolumePermissions", [])),
            }
            for (_, _, key), snapshot in adapter.snapshots.everywhere()
            if key in snapshots
        },
        "keys": {
            key["Arn"]: {"policy": key["Policy"]} for _, key in adapter.kms_keys.everywhere() if is_key(key["Arn"])
        },
        "grants": [
            {
                "key": grant["KeyId"],
                "name": grant.get("Name") or "",
                "grantee": grant["GranteePrincipal"],
                "issuingAccount": grant.get("IssuingAccount"),
                "operations": sorted(grant["Operations"]),
            }
            for _, grant in adapter.kms_grants.everywhere()
            if is_key(grant["KeyId"])
        ],
        "parameters": parameters.state(ids),
        "usageReports": {
            key: {"imageId": report["ImageId"], "state": report["State"]}
            for key, report in usage_reports.all_reports().items()
            if is_asked(report["ImageId"])
        },
        "schedules": {
            key: {
                "expression": schedule["ScheduleExpression"],
                "input": schedule.get("Target", {}).get("Input"),
                "target": schedule.get("Target", {}).get("Arn"),
                "parameters": schedule.get("Target", {}).get("EventBridgeParameters"),
                "deadLetters": schedule.get("Target", {}).get("DeadLetterConfig", {}).get("Arn"),
            }
            for (_, _, key), schedule in adapter.schedules.everywhere()
            if is_asked(key)
        },
    }


def record(service: str, method: str, path: str, headers: dict[str, str], body: bytes, params: Params) -> str:
    """Keep one AWS call, with its parameters as they came."""
    action = adapter.extract_iam_action(service, method, path, headers, body, params) or ""
    target = headers.get("x-amz-target", "")
    if target:
        given = json.loads(body or b"{}")
    else:
        given = {k: v[0] for k, v in params.items() if k not in ("Action", "Version")}
    operation = params.get("Action", [""])[0] or target.rpartition(".")[2] or action.rpartition(":")[2]
    CALLS.append(
        {
            "service": service,
            "operation": operation or f"{method} {path}",
            "account": get_account_id(),
            "agent": headers.get("user-agent", ""),
            "params": given,
        }
    )
    return f"{service}:{CALLS[-1]['operation']}"


def fault(call: str) -> Answer | None:
    """The error this call is to meet, in the protocol of its service, or None."""
    for one in FAULTS:
        if one["call"] != call or one["times"] == 0 or one["holding"] not in json.dumps(CALLS[-1]["params"]):
            continue
        if one["after"]:
            one["after"] -= 1
            continue
        one["times"] -= 1
        answer = adapter.ec2_error if call.startswith("ec2:") else adapter.error_response_json
        return answer(one["code"], one["message"], one["status"])
    return None


def fields(where: str, value: Any, known: str) -> Document:
    if not isinstance(value, dict):
        raise BadSeed(f"{where} must be an object")
    if unknown := set(value) - set(known.split()):
        raise BadSeed(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    return value


class Seed:
    """One seed request, with the handles it has defined so far."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region = account, region
        self.keys: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        self.images: dict[str, str] = {}

    def run(self, document: Document) -> Document:
        fields(
            "the seed",
            document,
            "settings keys snapshots images usageReports encryption schedules parameters configurations faults",
        )
        given = fields("settings", document.get("settings", {}), " ".join(settings.DEFAULTS))
        settings.CURRENT.update(given)
        if "faults" in document:
            FAULTS[:] = [self.fault(f"faults/{i}", item) for i, item in enumerate(document["faults"])]
        for i, item in enumerate(document.get("parameters", [])):
            documents.put_parameter(**fields(f"parameters/{i}", item, "name value type dataType"))
        for i, item in enumerate(document.get("configurations", [])):
            documents.deploy(**fields(f"configurations/{i}", item, "application environment profile content"))
        made = {
            kind: [make(f"{kind}/{i}", item) for i, item in enumerate(document.get(kind, []))]
            for kind, make in (
                ("keys", self.key),
                ("snapshots", self.snapshot),
                ("images", self.image),
                ("usageReports", self.usage_report),
            )
        }
        for i, item in enumerate(document.get("encryption", [])):
            self.encryption(f"encryption/{i}", item)
        for i, item in enumerate(document.get("schedules", [])):
            self.schedule(f"schedules/{i}", item)
        return made

    def schedule(self, where: str, seed: Document) -> None:
        fields(where, seed, "group name expression input state timezone bus source end")
        group = seed["group"]
        adapter.create_schedule_group(group, {})  # may be there already
        if "name" not in seed:
            return
        given = seed["input"]
        if isinstance(given, dict):
            given = json.dumps(
                given | {"keyArns": [self.key_arn(f"{where}/input", key) for key in given.get("keyArns", [])]}
            )
        bus = f"arn:aws:events:{self.region}:{self.account}:event-bus/{seed.get('bus', 'ami-share')}"
        parameters = {"DetailType": "AMI Share Record Due", "Source": seed.get("source", "ami-share.ends")}
        target = {
            "Arn": bus,
            "RoleArn": f"arn:aws:iam::{self.account}:role/hints",
            "Input": given,
            "EventBridgeParameters": parameters,
        }
        adapter.schedules.pop(f"{group}/{seed['name']}")
        status, _, body = schedules.create(
            seed["name"],
            {
                "GroupName": group,
                "ScheduleExpression": seed["expression"],
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "ScheduleExpressionTimezone": seed.get("timezone", "UTC"),
                "State": seed.get("state", "ENABLED"),
                "Target": target,
            }
            # One that repeats until then, and is deleted after that.
            | ({"EndDate": seed["end"], "ActionAfterCompletion": "DELETE"} if "end" in seed else {}),
        )
        if status != 200:
            raise BadSeed(f"{where}: {body.decode()}")

    def scope(self, seed: Document) -> AbstractContextManager[None]:
        return request_scope(seed.get("account", self.account), seed.get("region", self.region))

    def usage_report(self, where: str, seed: Document) -> Document:
        fields(where, seed, "ref id account region imageId state reason createdAt resourceTypes accountIds")
        image_id = self.images.get(seed["imageId"], seed["imageId"])
        return usage_reports.seeded(
            seed | {"imageId": image_id}, seed.get("account", self.account), seed.get("region", self.region)
        )

    def encryption(self, where: str, seed: Document) -> None:
        fields(where, seed, "account region byDefault key")
        key = self.key_arn(f"{where}/key", seed["key"]) if seed.get("key") else None
        with self.scope(seed):
            ebs_encryption.seed(seed.get("byDefault", False), key)

    def fault(self, where: str, seed: Document) -> Document:
        fields(where, seed, "call code status message after times holding")
        return {"status": 500, "message": "a fault", "after": 0, "times": 1, "holding": ""} | seed

    def key(self, where: str, seed: Document) -> Document:
        fields(where, seed, "ref id account region alias policy manager state spec usage validTo grants")
        owner = seed.get("account", self.account)
        # Only HMAC keys differ in what they hold.
        material = {"KeySpec": seed["spec"], "KeyUsage": seed["usage"]} if "HMAC" in seed.get("spec", "") else {}
        with self.scope(seed):
            _, _, body = adapter.create_key(material)
            key = adapter.kms_keys[json.loads(body)["KeyMetadata"]["KeyId"]]
            if "id" in seed:  # for an allowlist that names the key before it is there
                adapter.kms_keys.pop(key["KeyId"])
                key |= {"KeyId": seed["id"], "Arn": key["Arn"].replace(key["KeyId"], seed["id"])}
                adapter.kms_keys[seed["id"]] = key
            state = seed.get("state", "Enabled")
            key.update(
                KeyState=state,
                Enabled=state == "Enabled",
                KeyManager=seed.get("manager", "CUSTOMER"),
                KeySpec=seed.get("spec", "SYMMETRIC_DEFAULT"),
                KeyUsage=seed.get("usage", "ENCRYPT_DECRYPT"),
            )
            if state == "PendingDeletion":
                key["DeletionDate"] = int(time.time()) + 30 * 86400
            if "validTo" in seed:  # imported key material that expires
                key.update(Origin="EXTERNAL", ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=seed["validTo"])
            if "policy" in seed:
                policy = seed["policy"]
                key["Policy"] = policy if isinstance(policy, str) else json.dumps(policy)
            if "alias" in seed:
                adapter.create_alias({"AliasName": seed["alias"], "TargetKeyId": key["KeyId"]})
            for i, grant in enumerate(seed.get("grants", [])):
                self.grant(f"{where}/grants/{i}", key, owner, grant)
        if "ref" in seed:
            self.keys[seed["ref"]] = key["Arn"]
        return {"ref": seed.get("ref"), "keyId": key["KeyId"], "arn": key["Arn"]}

    def grant(self, where: str, key: Document, owner: str, seed: Document) -> None:
        fields(where, seed, "grantee operations name issuingAccount retiring constraints")
        grant_id = uuid.uuid4().hex + uuid.uuid4().hex
        adapter.kms_grants[grant_id] = {
            "GrantId": grant_id,
            "KeyId": key["Arn"],
            "Name": seed.get("name", ""),
            "CreationDate": int(time.time()),
            "GranteePrincipal": seed["grantee"],
            "RetiringPrincipal": seed.get("retiring"),
            "IssuingAccount": f"arn:aws:iam::{seed.get('issuingAccount', owner)}:root",
            "Operations": seed["operations"],
            "Constraints": seed.get("constraints"),
            "_tokens": [],
        }

    def key_arn(self, where: str, key: str | Document) -> str:
        if isinstance(key, dict):
            return self.key(where, key)["arn"]
        if key in self.keys or key.startswith("arn:"):
            return self.keys.get(key, key)
        raise BadSeed(f"{where} names no key: {key}")

    def snapshot(self, where: str, seed: Document) -> Document:
        fields(where, seed, "ref id account region key state size tags createVolumePermissions")
        owner = seed.get("account", self.account)
        arn = self.key_arn(f"{where}/key", seed["key"]) if seed.get("key") is not None else None
        snapshot_id = seed.get("id") or "snap-" + uuid.uuid4().hex[:17]
        with self.scope(seed):
            adapter.snapshots[snapshot_id] = {
                "SnapshotId": snapshot_id,
                "VolumeId": "vol-ffffffffffffffffa",
                "VolumeSize": seed.get("size", 8),
                "Description": "",
                "State": seed.get("state", "completed"),
                "StartTime": adapter.ec2_now(),
                "Progress": "100%",
                "OwnerId": owner,
                "Encrypted": arn is not None,
                "StorageTier": "standard",
                "CreateVolumePermissions": [entry(p) for p in seed.get("createVolumePermissions", [])],
            } | ({"KmsKeyId": arn} if arn else {})
            tag(snapshot_id, seed.get("tags", {}))
        if "ref" in seed:
            self.snapshots[seed["ref"]] = snapshot_id
        return {"ref": seed.get("ref"), "snapshotId": snapshot_id, "keyArn": arn}

    def image(self, where: str, seed: Document) -> Document:
        fields(
            where,
            seed,
            "ref id account region name description architecture state tags mappings deprecationTime productCodes"
            " launchPermissions rootDeviceType " + image_fields.SEEDED,
        )
        owner = seed.get("account", self.account)
        image_id = seed.get("id") or "ami-" + uuid.uuid4().hex[:17]
        place = {"account": owner, "region": seed.get("region", self.region)}
        mappings = [self.mapping(f"{where}/mappings/{i}", place, m) for i, m in enumerate(seed.get("mappings", []))]
        with self.scope(seed):
            adapter.images[image_id] = {
                "ImageId": image_id,
                "Name": seed.get("name", image_id),
                "ImageLocation": "",
                "OwnerId": owner,
                "Description": seed.get("description", ""),
                "Architecture": seed.get("architecture", "x86_64"),
                "RootDeviceType": seed.get("rootDeviceType", "ebs"),
                "RootDeviceName": "/dev/xvda",
                "VirtualizationType": "hvm",
                "State": seed.get("state", "available"),
                "BlockDeviceMappings": mappings,
                "ProductCodes": seed.get("productCodes", []),
                "DeprecationTime": seed.get("deprecationTime"),
                "LaunchPermissions": [entry(p) for p in seed.get("launchPermissions", [])],
            } | image_fields.seeded(seed, image_id, place["region"], adapter.ec2_now())
            tag(image_id, seed.get("tags", {}))
        usage_reports.USAGE[image_id] = [
            fields(f"{where}/usage", entry, "account resourceType count") for entry in seed.get("usage", [])
        ]
        if "ref" in seed:
            self.images[seed["ref"]] = image_id
        return {"ref": seed.get("ref"), "imageId": image_id}

    def mapping(self, where: str, place: Document, seed: Document) -> Document:
        fields(where, seed, "device snapshot size virtualName noDevice")
        made = {"DeviceName": seed["device"]}
        if "virtualName" in seed:
            return made | {"VirtualName": seed["virtualName"]}
        if seed.get("noDevice"):
            return made | {"NoDevice": True}
        snapshot = seed.get("snapshot")
        if isinstance(snapshot, dict):
            snapshot = self.snapshot(f"{where}/snapshot", place | snapshot)["snapshotId"]
        elif snapshot and not snapshot.startswith("snap-") and snapshot not in self.snapshots:
            raise BadSeed(f"{where}/snapshot names no snapshot: {snapshot}")
        if not snapshot:
            return made | {"Ebs": {"VolumeSize": seed.get("size", 8)}}
        snapshot_id: str = self.snapshots.get(snapshot) or snapshot
        with self.scope(place):  # RegisterImage: "the default is the snapshot size"
            size = adapter.snapshots.get(snapshot_id, {"VolumeSize": 8})["VolumeSize"]
        return made | {"Ebs": {"VolumeSize": seed.get("size", size), "SnapshotId": snapshot_id}}


def tag(resource_id: str, tags: dict[str, str]) -> None:
    adapter.tags[resource_id] = [{"Key": key, "Value": value} for key, value in tags.items()]


def entry(target: str) -> Document:
    """A launch or create volume permission from its one-string form."""
    if target == "all":
        return {"Group": "all"}
    if ":organization/" in target:
        return {"OrganizationArn": target}
    if ":ou/" in target:
        return {"OrganizationalUnitArn": target}
    return {"UserId": target}
