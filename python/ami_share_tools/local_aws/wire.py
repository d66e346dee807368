"""EC2's query protocol: reading parameters, writing XML and errors, filters and pages shared by images and snapshots."""

import base64
import re
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar
from xml.sax.saxutils import escape

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter, settings
from ami_share_tools.local_aws.adapter import Answer, Handler, Params

ACCOUNT_ID = re.compile(r"\d{12}")
# Organization and OU ARNs as the Organizations API reference gives their patterns.
ORGANIZATION_ARN = re.compile(r"arn:aws[a-z-]*:organizations::\d{12}:organization/o-[a-z0-9]{10,32}")
OU_ARN = re.compile(r"arn:aws[a-z-]*:organizations::\d{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}")

Item = TypeVar("Item")
Tags = list[dict[str, str]]

param = adapter.ec2_param
members = adapter.ec2_members


class Refusal(Exception):
    """An error EC2 answers with."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def action(handler: Callable[[Params], str]) -> Handler:
    """Make `handler(params) -> inner XML` an EC2 action: name the answer, turn a Refusal into an error document."""

    def run(params: Params) -> Answer:
        name = param(params, "Action")
        try:
            return adapter.ec2_answer(200, f"{name}Response", handler(params))
        except Refusal as refusal:
            return adapter.ec2_error(refusal.code, escape(refusal.message), refusal.status)

    return run


def done() -> str:
    return "<return>true</return>"


def refuse_dry_run(params: Params) -> None:
    """An authorized DryRun is answered with the error DryRunOperation (EC2 API Reference, Common parameters)."""
    if param(params, "DryRun").lower() == "true":
        raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def required(params: Params, name: str) -> str:
    value = param(params, name)
    if not value:
        raise Refusal("MissingParameter", f"The request must contain the parameter {name}")
    return value


def element(name: str, value: object) -> str:
    """One XML element, or nothing where there is no value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{escape(str(value))}</{name}>"


def tag_set(resource_id: str, tags: Tags | None = None) -> str:
    tags = adapter.tags.get(resource_id, []) if tags is None else tags
    items = "".join(f"<item>{element('key', t['Key'])}{element('value', t.get('Value', ''))}</item>" for t in tags)
    return f"<tagSet>{items}</tagSet>" if items else ""


def tag_specifications(params: Params, kinds: Collection[str]) -> dict[str, Tags]:
    """{resource type: tags} of the request. The pages of the actions: "If you specify other values for ResourceType, the
    request fails". EC2 User Guide, "Tag your Amazon EC2 resources", Tag restrictions."""
    found: dict[str, Tags] = {}
    numbers = {int(m[1]) for key in params if (m := re.match(r"TagSpecification\.(\d+)\.", key))}
    for number in sorted(numbers):
        kind = param(params, f"TagSpecification.{number}.ResourceType")
        if kind not in kinds:
            raise Refusal(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        prefix = re.escape(f"TagSpecification.{number}.Tag.")
        places = sorted({int(m[1]) for key in params if (m := re.match(prefix + r"(\d+)\.Key", key))})
        tags = [
            {
                "Key": param(params, f"TagSpecification.{number}.Tag.{place}.Key"),
                "Value": param(params, f"TagSpecification.{number}.Tag.{place}.Value"),
            }
            for place in places
        ]
        if any(tag["Key"].lower().startswith("aws:") for tag in tags):
            raise Refusal("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        found.setdefault(kind, []).extend(tags)
    return found


def permission_items(params: Params, prefix: str, fields: Sequence[str]) -> list[Document]:
    """`{prefix}.N.{field}` off the wire, as [{field: value}]."""
    numbers = {int(m[1]) for key in params if (m := re.match(re.escape(prefix) + r"\.(\d+)\.", key))}
    found = []
    for number in sorted(numbers):
        found += [{field: value} for field in fields if (value := param(params, f"{prefix}.{number}.{field}"))]
    return found


def permission_set(entries: list[Document]) -> str:
    names = {
        "UserId": "userId",
        "Group": "group",
        "OrganizationArn": "organizationArn",
        "OrganizationalUnitArn": "organizationalUnitArn",
    }
    return "".join(f"<item>{''.join(element(names[k], v) for k, v in entry.items())}</item>" for entry in entries)


def check_permission(entry: Document) -> None:
    """Refuse an item that isn't an account ID, the group `all`, an organization's or an OU's ARN.

    EC2 API Reference, Error codes: InvalidAMIAttributeItemValue.
    """
    [(kind, value)] = entry.items()
    checks: dict[str, Callable[[str], object]] = {
        "UserId": ACCOUNT_ID.fullmatch,
        "Group": lambda v: v == "all",
        "OrganizationArn": ORGANIZATION_ARN.fullmatch,
        "OrganizationalUnitArn": OU_ARN.fullmatch,
    }
    if not checks[kind](value):
        name = kind[0].lower() + kind[1:]
        raise Refusal("InvalidAMIAttributeItemValue", f'Invalid attribute item value "{value}" for {name} item type.')


def applied(entries: list[Document], add: list[Document], remove: list[Document]) -> list[Document]:
    """The entries afterwards. Adding one that is there, or removing one that isn't, changes nothing."""
    kept = [e for e in entries if e not in remove]
    return kept + [e for i, e in enumerate(add) if e not in kept and e not in add[:i]]


def filters(params: Params, known: set[str]) -> dict[str, list[str]]:
    """The request's filters. EC2 User Guide, "Filtering resources": at most 50 filters and 200 values in each."""
    given = adapter.ec2_filters(params)
    for name, values in given.items():
        if name not in known and not name.startswith("tag:"):
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        if len(values) > 200:
            raise Refusal(
                "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200"
            )
    if len(given) > 50:
        raise Refusal("FilterLimitExceeded", "The maximum number of filters specified on a single call is 50")
    return given


def matches(given: dict[str, list[str]], facts: dict[str, list[str]], tags: Tags) -> bool:
    """Every filter must match, by any of its values; `*` and `?` are wildcards, and case counts."""
    for name, patterns in given.items():
        if name == "tag-key":
            actual = [t["Key"] for t in tags]
        elif name.startswith("tag:"):
            actual = [t.get("Value", "") for t in tags if t["Key"] == name[4:]]
        else:
            actual = facts[name]
        if not any(adapter.glob_matches(pattern, value) for pattern in patterns for value in actual):
            return False
    return True


def page(params: Params, items: list[Item], ids_name: str) -> tuple[list[Item], str]:
    """One page of `items` and the nextToken element (EC2 API Reference, "Pagination")."""
    size, token = param(params, "MaxResults"), param(params, "NextToken")
    if not size and not token:
        return items, ""
    if members(params, ids_name):
        raise Refusal(
            "InvalidParameterCombination",
            f"The parameter MaxResults cannot be used with the parameter {ids_name}s in the same request",
        )
    if size and not (size.isdigit() and int(size) > 0):
        raise Refusal("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid.")
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError:
        raise Refusal("InvalidNextToken", "The specified NextToken is invalid") from None
    # "a request may return fewer results than MaxResults": pageSize makes that testable with a handful of items.
    end = start + min(int(size or 1000), 1000, settings.CURRENT["pageSize"])
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return items[start:end], element("nextToken", following)
