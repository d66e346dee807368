"""The questions: each with what the function relies on, or nothing where it relies on no answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ami_share_tools.conformance.ledger import TAG, Ledger
from ami_share_tools.conformance.policies import POLICIES, encrypt, refused
from ami_share_tools.conformance.world import BOTH, LAUNCH, SESSION, World, answer

Ask = Callable[[World], str]
CHECKS: list["Check"] = []
FOR_EC2 = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@dataclass
class Check:
    name: str
    question: str
    makes: str
    expected: str | None
    ask: Ask
    launches: bool

    def see(self, world: World) -> str:
        """The answer in words; a check that fails is one too, and the others go on. What only it uses is removed at
        once, so that no other check is answered by it."""
        try:
            with Ledger() as world.passing:
                return self.ask(world)
        except (ClientError, BotoCoreError) as error:
            return f"could not be asked: {error}"
        finally:
            world.ledger.left += world.passing.left

    def is_met_by(self, seen: str) -> bool:
        if seen.startswith("could not be asked"):
            return False
        return self.expected is None or seen in self.expected.split(" or ")


def check(
    question: str, expected: str | None = None, makes: str = "an image", launches: bool = False
) -> Callable[[Ask], Ask]:
    """Makes a check of a function, under its name."""

    def decorate(ask: Ask) -> Ask:
        CHECKS.append(Check(ask.__name__.replace("_", "-"), question, makes, expected, ask, launches))
        return ask

    return decorate


# Launch permissions


@check(
    "Is adding a launch permission that is there already, and removing one that is not, accepted?", "accepted, accepted"
)
def idempotent(world: World) -> str:
    image = world.image()
    world.share(image)
    again = answer(world.share, image=image)
    world.share(image, Remove=[{"UserId": world.target}])
    return f"{again}, {answer(world.share, image=image, Remove=[{'UserId': world.target}])}"


@check("Does a reset remove every launch permission?", "nobody")
def reset(world: World) -> str:
    image = world.image()
    world.share(image)
    world.ec2.reset_image_attribute(ImageId=image, Attribute="launchPermission")
    return ", ".join(world.shared_with(image)) or "nobody"


@check("What becomes of one account in Add and Remove of the same call? The function never sends that.")
def add_and_remove(world: World) -> str:
    image = world.image()
    both = [{"UserId": world.target}]
    said = answer(world.share, image=image, Add=both, Remove=both)
    return f"{said}; shared with {', '.join(world.shared_with(image)) or 'nobody'}"


@check("Is an account ID that nobody can have, 000000000000, accepted as a target?")
def unknown_account(world: World) -> str:
    return answer(world.share, image=world.image(), Add=[{"UserId": "000000000000"}])


@check("Can an image be shared while it is pending?", makes="an image and a copy of it")
def pending_image(world: World) -> str:
    copy = world.copy(world.image())
    said = answer(world.share, image=copy)
    [described] = world.ec2.describe_images(ImageIds=[copy])["Images"]
    return f"{said} while {described['State']}"


@check("May the target read who else an image is shared with?", "AuthFailure or UnauthorizedOperation")
def target_reads_permissions(world: World) -> str:
    image = world.image()
    world.share(image)
    return answer(world.their_ec2.describe_image_attribute, ImageId=image, Attribute="launchPermission")


@check("Can an image on the AWS managed key aws/ebs be shared?", "InvalidParameter", "an image on aws/ebs")
def default_key(world: World) -> str:
    return answer(world.share, image=world.image("alias/aws/ebs"))


@check(
    "Does IAM see `ec2:Attribute` when launch permissions are changed, so that a Deny on it holds?",
    makes="an image and a role",
)
def attribute_condition(world: World) -> str:
    image = world.image()
    here = f"arn:{world.partition}:ec2:{world.options.region}::image/*"
    ec2 = world.role(
        {"Effect": "Allow", "Action": "ec2:ModifyImageAttribute", "Resource": here},
        {
            "Effect": "Deny",
            "Action": "ec2:ModifyImageAttribute",
            "Resource": here,
            "Condition": {"StringEqualsIgnoreCase": {"ec2:Attribute": ["launchPermission", "LaunchPermission"]}},
        },
    )
    return answer(ec2.modify_image_attribute, ImageId=image, LaunchPermission={"Add": [{"UserId": world.target}]})


# Copies

MISSING_KEY = "00000000-0000-0000-0000-000000000000"


@check(
    "Does CopyImage, called again with the same client token, name the copy that the first call began?",
    "the same",
    "an image and a copy of it",
)
def copy_token(world: World) -> str:
    image, given = world.image(), {"Name": f"{TAG}-{world.run}-token", "ClientToken": f"token-{world.run}"}
    return "the same" if world.copy(image, **given) == world.copy(image, **given) else "another"


@check(
    "What does CopyImage answer to a client token whose copy was deregistered? The function then sends another token.",
    makes="an image and copies of it",
)
def copy_token_of_a_deregistered_image(world: World) -> str:
    image, given = world.image(), {"Name": f"{TAG}-{world.run}-gone", "ClientToken": f"gone-{world.run}"}
    copy = world.copy(image, **given)
    world.ended(copy)
    world.deregister(copy)
    try:
        return "the deregistered image" if world.copy(image, **given) == copy else "a new copy"
    except ClientError as error:
        return error.response["Error"]["Code"]


@check(
    "Does CopyImage accept a key that doesn't exist, so that the copy fails later?",
    "accepted, failed",
    "an image and a copy of it",
)
def copy_under_a_missing_key(world: World) -> str:
    return f"accepted, {world.ended(world.copy(world.image(), Encrypted=True, KmsKeyId=MISSING_KEY))}"


@check(
    "Does an image whose copy failed keep its name, so that another copy can't have it? The function then uses another name.",
    makes="an image and copies of it",
)
def name_of_a_failed_copy(world: World) -> str:
    image, name = world.image(), f"{TAG}-{world.run}-failed"
    state = world.ended(world.copy(image, Name=name, Encrypted=True, KmsKeyId=MISSING_KEY))
    return f"{answer(world.copy, image=image, Name=name)} while the first is {state}"


@check(
    "Is a copy found by the filters `source-image-id` and `source-image-region` while it is pending?",
    "found while pending",
    "an image and a copy of it",
)
def source_of_a_pending_copy(world: World) -> str:
    image = world.image()
    copy = world.copy(image)
    source = {"source-image-id": image, "source-image-region": world.options.region}
    filters = [{"Name": name, "Values": [value]} for name, value in source.items()]
    found = [one["State"] for one in world.ec2.describe_images(Filters=filters)["Images"] if one["ImageId"] == copy]
    return f"found while {found[0]}" if found else "not found"


@check(
    "May a role copy images of one account only, and tag them only while it copies them, by `ec2:Owner` and `ec2:CreateAction`?",
    "accepted, UnauthorizedOperation, UnauthorizedOperation",
    "an image, a copy of it and roles",
)
def copy_conditions(world: World) -> str:
    image = world.image()
    here = [f"arn:{world.partition}:ec2:{world.options.region}::{kind}/*" for kind in ("image", "snapshot")]

    def role(owner: str) -> Any:
        return world.role(
            {
                "Effect": "Allow",
                "Action": "ec2:CopyImage",
                "Resource": here,
                "Condition": {"StringEqualsIfExists": {"ec2:Owner": owner}},
            },
            {
                "Effect": "Allow",
                "Action": "ec2:CreateTags",
                "Resource": here,
                "Condition": {"StringEquals": {"ec2:CreateAction": "CopyImage"}},
            },
        )

    own, foreign = role(world.owner), role(world.target)
    tagged = answer(own.create_tags, Resources=[image], Tags=[{"Key": TAG, "Value": world.run}])
    return ", ".join([answer(world.copy, image=image, ec2=own), answer(world.copy, image=image, ec2=foreign), tagged])


# What the deployment's policies rely on


@check(
    "Is a call of PutEvents that also has an entry of another source kept from that source, where `events:source` is "
    "compared by ForAllValues?",
    "accepted, refused or accepted, half accepted",
    "an event bus and a role",
)
def mixed_sources(world: World) -> str:
    bus = world.bus()
    events = world.role(
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": bus,
            "Condition": {
                "ForAllValues:StringEquals": {"events:source": "com.example.mine"},
                "Null": {"events:source": "false"},
            },
        },
        service="events",
    )

    def put(*sources: str) -> str:
        try:
            failed = events.put_events(
                Entries=[
                    {"EventBusName": bus, "Source": source, "DetailType": "x", "Detail": "{}"} for source in sources
                ]
            )["FailedEntryCount"]
        except ClientError as error:
            return "refused" if "Denied" in error.response["Error"]["Code"] else error.response["Error"]["Code"]
        return "accepted" if not failed else "refused" if failed == len(sources) else "half accepted"

    return f"{put('com.example.mine')}, {put('com.example.mine', 'com.example.other')}"


@check(
    "Does IAM see `ec2:Add/userId` in the call that the function makes, so that TargetAccounts bounds it?",
    "accepted, UnauthorizedOperation",
    "a snapshot and a role",
)
def add_condition(world: World) -> str:
    snapshot = world.snapshot()
    ec2 = world.role(
        {
            "Effect": "Allow",
            "Action": "ec2:ModifySnapshotAttribute",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"ec2:Add/userId": [world.target]},
                "Null": {"ec2:Add/userId": "false"},
            },
        }
    )

    def add(account: str) -> str:
        return answer(
            ec2.modify_snapshot_attribute,
            SnapshotId=snapshot,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=[account],
        )

    seen = f"{add(world.target)}, {add('000000000000')}"
    world.ec2.reset_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    return seen


@check(
    "May a role remove somebody from a snapshot, and add nobody, by the keys `ec2:Remove/userId` and `ec2:Add/userId`?",
    "accepted, UnauthorizedOperation",
    "a snapshot and a role",
)
def remove_condition(world: World) -> str:
    snapshot = world.snapshot()
    ec2 = world.role(
        {
            "Effect": "Allow",
            "Action": "ec2:ModifySnapshotAttribute",
            "Resource": "*",
            "Condition": {"Null": {"ec2:Remove/userId": "false", "ec2:Add/userId": "true", "ec2:Add/group": "true"}},
        }
    )

    def change(operation: str) -> str:
        return answer(
            ec2.modify_snapshot_attribute,
            SnapshotId=snapshot,
            Attribute="createVolumePermission",
            OperationType=operation,
            UserIds=[world.target],
        )

    return f"{change('remove')}, {change('add')}"


@check(
    "Does a key's tag decide where a role may make grants, as KeyTagValue relies on?",
    "accepted, AccessDeniedException",
    "a key, a grant and a role",
)
def tagged_key(world: World) -> str:
    key = world.key()

    def grant(value: str) -> str:
        kms = world.role(
            {
                "Effect": "Allow",
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {"StringEquals": {f"aws:ResourceTag/{TAG}": value}},
            },
            service="kms",
        )
        made = answer(
            kms.create_grant,
            KeyId=key,
            Operations=["Decrypt"],
            GranteePrincipal=f"arn:{world.partition}:iam::{world.target}:root",
        )
        for one in world.kms.list_grants(KeyId=key)["Grants"]:
            world.kms.revoke_grant(KeyId=key, GrantId=one["GrantId"])
        return made

    return f"{grant(world.run)}, {grant('another')}"


@check(
    "May EventBridge Scheduler use a role that trusts it for one schedule group for a schedule in that group, and in no other?",
    "accepted, ValidationException",
    "an event bus, a schedule group, schedules and a role",
)
def schedule_role(world: World) -> str:
    group, bus = world.schedule_group(), world.bus()
    role = world.role_arn(
        {"Service": "scheduler.amazonaws.com"},
        {
            "StringEquals": {
                "aws:SourceAccount": world.owner,
                "aws:SourceArn": f"arn:{world.partition}:scheduler:{world.options.region}:{world.owner}:schedule-group/{group}",
            }
        },
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus},
    )
    own = answer(lambda: world.patiently(world.schedule, group=group, bus=bus, role=role))
    return f"{own}, {answer(world.schedule, group='default', bus=bus, role=role)}"


@check("Does CloudFormation end the name of a FIFO queue in .fifo by itself?", "yes", "a stack with a queue")
def fifo_name(world: World) -> str:
    queue = world.stack({"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": True}})
    return "yes" if queue.endswith(".fifo") else queue


# Keys


@check(
    "Is a grant refused whose grantee is a role that does not exist in the target account?",
    "InvalidArnException",
    "a key",
)
def grant_to_a_missing_role(world: World) -> str:
    role = (
        f"arn:{world.partition}:iam::{world.target}:role/aws-service-role/autoscaling.amazonaws.com/"
        f"AWSServiceRoleForAutoScaling_{world.run}"
    )
    return answer(world.grant, grantee=role)


for policies in POLICIES:
    CHECKS.append(Check(policies.name, policies.question, "a key", policies.expected, policies.ask, launches=False))


@check(
    "Whom does a Deny spare whose NotPrincipal lists a role and its session, the account and the role, the account and the "
    "session, or all three? The evaluator is sure of the last alone.",
    makes="a key and a role",
)
def not_principal(world: World) -> str:
    role = world.own_role({"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"})
    account = f"arn:{world.partition}:iam::{world.owner}:root"
    session = f"arn:{world.partition}:sts::{world.owner}:assumed-role/{role.rpartition('/')[2]}/{SESSION}"
    kms = world.client_of(role, "kms")

    def spared(*listed: str) -> str:
        deny = {"Effect": "Deny", "NotPrincipal": {"AWS": listed}, "Action": "kms:DescribeKey"}
        # Nobody else is kept out.
        deny["Condition"] = {"ArnEquals": {"aws:PrincipalArn": role}}
        return refused(world, deny) or answer(kms.describe_key, KeyId=world.key())

    lists = (role, session), (account, role), (account, session), (account, role, session)
    return ", ".join(spared(*listed) for listed in lists)


# Launches


@check(
    "Does the target start an instance where the key policy allows the six documented actions?",
    "running",
    "a key, an image and an instance",
    launches=True,
)
def launch_with_all_actions(world: World) -> str:
    world.let_in(
        {"Action": [a for a in BOTH if a != "kms:CreateGrant"]}, {"Action": "kms:CreateGrant", "Condition": FOR_EC2}
    )
    return launch(world)


@check(
    "Are four actions enough, for volumes under the target's own key (`default-key-only`)?",
    "running",
    "a key, an image and an instance",
    launches=True,
)
def launch_with_four_actions(world: World) -> str:
    world.let_in(
        {"Action": [a for a in LAUNCH if a != "kms:CreateGrant"]}, {"Action": "kms:CreateGrant", "Condition": FOR_EC2}
    )
    return launch(world)


@check(
    "Does the launch die without kms:CreateGrant, as the verdict `missing` says?",
    "terminated: Client.InternalError or terminated: Client.InvalidKMSKey.InvalidState",
    "a key, an image and an instance",
    launches=True,
)
def launch_without_create_grant(world: World) -> str:
    world.let_in({"Action": [a for a in BOTH if a != "kms:CreateGrant"]})
    return launch(world)


@check(
    "Does a launch work where no call may carry aws:SourceArn or aws:SourceAccount? The evaluator can't say whether EC2's "
    "calls for the target do.",
    makes="a key, an image and an instance",
    launches=True,
)
def launch_without_a_source(world: World) -> str:
    none = {"Null": {"aws:SourceArn": "true", "aws:SourceAccount": "true"}}
    world.let_in(
        {"Action": [a for a in BOTH if a != "kms:CreateGrant"], "Condition": none},
        {"Action": "kms:CreateGrant", "Condition": FOR_EC2 | none},
    )
    return launch(world)


@check(
    "Is a launch refused once the share is revoked?",
    "InvalidAMIID.NotFound or AuthFailure or InvalidAMIID.Unavailable",
    "an image",
    launches=True,
)
def launch_after_revoke(world: World) -> str:
    image = world.image()
    world.share(image)
    world.share(image, Remove=[{"UserId": world.target}])
    world.wait(10)
    return world.launch(image)


# Grants come last: one that was revoked is felt for a while longer. So each of these asks for another operation.


@check(
    "Does the case of a key matter in the encryption context of a grant's constraint? The first call has it as the grant says.",
    "accepted, accepted",
    "a key and a grant",
)
def grant_context_case(world: World) -> str:
    world.let_in()
    constraints = {"EncryptionContextEquals": {"Purpose": "check"}}
    world.grant(f"arn:{world.partition}:iam::{world.target}:root", ["Encrypt"], Constraints=constraints)
    contexts = {"Purpose": "check"}, {"purpose": "check"}
    return ", ".join(answer(encrypt, world=world, context=context) for context in contexts)


@check(
    "Does a grant with a SourceArn let the account's principals in when they call themselves, without a service?",
    "AccessDeniedException or ValidationException",
    "a key and a grant",
)
def grant_for_a_source(world: World) -> str:
    world.let_in()
    grantee, constraints = f"arn:{world.partition}:iam::{world.target}:root", {"SourceArn": world.key()}
    made = answer(world.grant, grantee=grantee, operations=["GenerateDataKey"], Constraints=constraints)
    if made != "accepted":
        return made
    return answer(world.their_kms.generate_data_key, KeyId=world.key(), NumberOfBytes=16)


@check(
    "Is a grant refused whose grantee is an account's bare number, or does it let the account in?",
    "AccessDeniedException or InvalidArnException or ValidationException",
    "a key and a grant",
)
def grant_to_a_number(world: World) -> str:
    world.let_in()
    made = answer(world.grant, grantee=world.target, operations=["GenerateDataKeyWithoutPlaintext"])
    if made != "accepted":
        return made
    return answer(world.their_kms.generate_data_key_without_plaintext, KeyId=world.key(), NumberOfBytes=16)


@check(
    "Does a grant to an account as a whole let its principals use the key? Rules with `keys: grant` rely on it.",
    "accepted",
    "a key and a grant",
)
def grant_to_an_account(world: World) -> str:
    world.let_in()
    world.grant(f"arn:{world.partition}:iam::{world.target}:root")
    return answer(world.their_kms.describe_key, KeyId=world.key())


@check(
    "Does a grant to the account alone let it launch?",
    "running",
    "a key, a grant, an image and an instance",
    launches=True,
)
def launch_by_grant(world: World) -> str:
    world.let_in()
    world.grant(f"arn:{world.partition}:iam::{world.target}:root")
    return launch(world)


def launch(world: World) -> str:
    image = world.image(world.key())
    world.share(image)
    world.wait(10)
    return world.launch(image)
