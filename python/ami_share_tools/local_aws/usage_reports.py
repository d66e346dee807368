"""Reports of who uses an image: EC2 API Reference, CreateImageUsageReport, DescribeImageUsageReports,
DescribeImageUsageReportEntries, DeleteImageUsageReport; EC2 User Guide, "View your AMI usage".

A report is pending until a test says what becomes of it, or for the setting `reportSeconds`. It then tells what was seeded of
its image's usage by other accounts. The pages name no error codes of their own; those here are EC2's for the same refusal.
"""

import datetime
import re
import uuid
from collections.abc import Iterable

from ami_share_tools.document import Document
from ami_share_tools.local_aws import access, adapter, client_tokens, images, later, settings
from ami_share_tools.local_aws.adapter import Params, Place, get_account_id, get_region, request_scope
from ami_share_tools.local_aws.wire import (
    Item,
    Refusal,
    action,
    done,
    element,
    filters,
    matches,
    members,
    page,
    param,
    refuse_dry_run,
    required,
    tag_set,
    tag_specifications,
)

# The API knew only the first two when it was new.
TYPES = ("ec2:Instance", "ec2:LaunchTemplate", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe")
KEPT = datetime.timedelta(days=30)  # "automatically deletes a report 30 days after creation"
MOST_IDS = 200
ID = re.compile(r"amiur-[0-9a-f]{17}")

# By account, Region and ID, in the order of their creation; and who uses which image how often.
_REPORTS: dict[Place, Document] = {}
USAGE: dict[str, list[Document]] = {}


def install() -> None:
    adapter.ec2_actions.update(
        {
            "CreateImageUsageReport": action(create),
            "DescribeImageUsageReports": action(describe),
            "DescribeImageUsageReportEntries": action(describe_entries),
            "DeleteImageUsageReport": action(delete),
        }
    )


def clear() -> None:
    _REPORTS.clear()
    USAGE.clear()


def forget(image_ids: Iterable[str]) -> None:
    """Forget who uses these images, and what was reported of them."""
    gone = set(image_ids)
    for image_id in gone:
        USAGE.pop(image_id, None)
    for key in [key for key, report in _REPORTS.items() if report["ImageId"] in gone]:
        del _REPORTS[key]
        client_tokens.forget({key[-1]})


def all_reports() -> dict[str, Document]:
    """Of every account and Region."""
    return {key[-1]: report for key, report in _REPORTS.items() if not has_expired(report)}


def of_caller() -> list[Document]:
    return [
        report
        for (owner, region, _), report in _REPORTS.items()
        if (owner, region) == (get_account_id(), get_region()) and not has_expired(report)
    ]


def has_expired(report: Document) -> bool:
    return report["CreationTime"] + KEPT < now()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def text(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


# CreateImageUsageReport.


def create(params: Params) -> str:
    required(params, "ImageId")
    types = resource_types(params)
    accounts = members(params, "AccountId")
    if len(accounts) > MOST_IDS:
        raise Refusal("InvalidParameterValue", f"A report takes at most {MOST_IDS} account IDs")
    for account in accounts:
        if not re.fullmatch(r"\d{12}", account):
            raise Refusal("InvalidParameterValue", f"Value ({account}) for parameter accountId is invalid.")
    tags = tag_specifications(params, {"image-usage-report"}).get("image-usage-report", [])
    arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:image-usage-report/*"
    access.refuse_unless_allowed("ec2:CreateImageUsageReport", arn, access.tag_keys(tags))
    if tags:
        access.refuse_unless_allowed(
            "ec2:CreateTags", arn, {"ec2:CreateAction": "CreateImageUsageReport"} | access.tag_keys(tags)
        )
    refuse_dry_run(params)
    before = client_tokens.earlier(params)
    if before:
        return element("reportId", before)
    image_id = images.own(params)["ImageId"]
    if any(report["ImageId"] == image_id and report["State"] == "pending" for report in of_caller()):
        # "Report quotas": in-progress reports per AMI, 1.
        raise Refusal("ResourceLimitExceeded", f"There is already a pending usage report for the image {image_id}")
    report_id = add(image_id, types, accounts)
    adapter.tags[report_id] = tags
    client_tokens.keep(params, report_id)
    later.after(settings.CURRENT["reportSeconds"], lambda: finish(report_id))
    return element("reportId", report_id)


def resource_types(params: Params) -> list[Document]:
    """[{"ResourceType", "Depth"}]; the depth counts for launch templates only, and is 20 unless the request names it."""
    numbers = sorted({int(m[1]) for key in params if (m := re.match(r"ResourceType\.(\d+)\.", key))})
    if not numbers:
        raise Refusal("MissingParameter", "The request must contain the parameter ResourceTypes")
    found = []
    for number in numbers:
        name, option = (
            param(params, f"ResourceType.{number}.ResourceType"),
            f"ResourceType.{number}.ResourceTypeOption.1",
        )
        if name not in TYPES:
            raise Refusal("InvalidParameterValue", f"Value ({name}) for parameter resourceType is invalid.")
        depth = param(params, f"{option}.OptionValue.1")
        if depth and (name != "ec2:LaunchTemplate" or not depth.isdigit() or not 1 <= int(depth) <= 10000):
            raise Refusal("InvalidParameterValue", f"Value ({depth}) for parameter version-depth is invalid.")
        found.append({"ResourceType": name, "Depth": depth or None})
    return found


def add(
    image_id: str,
    types: list[Document],
    accounts: list[str],
    state: str = "pending",
    reason: str | None = None,
    created: datetime.datetime | None = None,
    report_id: str | None = None,
) -> str:
    """A report of the account and Region in scope."""
    report_id = report_id or "amiur-" + uuid.uuid4().hex[:17]
    report = {
        "ReportId": report_id,
        "ImageId": image_id,
        "Types": types,
        "Accounts": accounts,
        "State": "pending",
        "Reason": None,
        "CreationTime": created or now(),
        "Entries": [],
    }
    _REPORTS[get_account_id(), get_region(), report_id] = report
    if state != "pending":
        end(report, get_account_id(), state, reason)
    return report_id


# What becomes of it.


def waiting(ids: Iterable[str]) -> list[str]:
    """The pending reports whose ID or whose image's ID contains one of these."""
    return [
        report_id
        for report_id, report in all_reports().items()
        if report["State"] == "pending" and any(part in report_id or part in report["ImageId"] for part in ids)
    ]


def finish(report_id: str, state: str = "available", reason: str | None = None) -> Document | None:
    for (owner, region, key), report in _REPORTS.items():
        if key == report_id and report["State"] == "pending":
            end(report, owner, state, reason)
            return {"reportId": report_id, "imageId": report["ImageId"], "region": region, "state": state}
    return None


def end(report: Document, owner: str, state: str, reason: str | None) -> None:
    """ "how your image is used across other Amazon Web Services accounts", of the types and accounts asked for."""
    types = {one["ResourceType"] for one in report["Types"]}
    report.update(State=state, Reason=reason if state == "error" else None)
    if state == "available":
        report["Entries"] = [
            dict(entry)
            for entry in USAGE.get(report["ImageId"], [])
            if entry["account"] != owner
            and entry["resourceType"] in types
            and (not report["Accounts"] or entry["account"] in report["Accounts"])
        ]


# The Describe calls, and DeleteImageUsageReport.


def asked(params: Params) -> list[Document]:
    report_ids, image_ids = members(params, "ReportId"), members(params, "ImageId")
    if max(len(report_ids), len(image_ids)) > MOST_IDS:
        raise Refusal("InvalidParameterValue", f"A request takes at most {MOST_IDS} IDs")
    for report_id in report_ids:
        find(report_id)
    return [
        report
        for report in of_caller()
        if (not report_ids or report["ReportId"] in report_ids) and (not image_ids or report["ImageId"] in image_ids)
    ]


def find(report_id: str) -> Document:
    if not ID.fullmatch(report_id):
        raise Refusal("InvalidImageUsageReportId.Malformed", f'Invalid id: "{report_id}"')
    for report in of_caller():
        if report["ReportId"] == report_id:
            return report
    raise Refusal("InvalidImageUsageReportId.NotFound", f"The image usage report '{report_id}' does not exist")


def paged(params: Params, items: list[Item]) -> tuple[list[Item], str]:
    """Pages also where MaxResults is not given; IDs may be given with it."""
    return page({"MaxResults": ["1000"], **params}, items, "")


def describe(params: Params) -> str:
    wanted = filters(params, {"creation-time", "state", "tag-key"})
    refuse_dry_run(params)
    found = [
        report
        for report in asked(params)
        if matches(
            wanted,
            {"creation-time": [text(report["CreationTime"])], "state": [report["State"]]},
            adapter.tags.get(report["ReportId"], []),
        )
    ]
    items, token = paged(params, found)
    return (
        f"<imageUsageReportSet>{''.join(f'<item>{report_xml(r)}</item>' for r in items)}</imageUsageReportSet>{token}"
    )


def report_xml(report: Document) -> str:
    types = "".join(
        f"<item>{element('resourceType', one['ResourceType'])}{depth_xml(one['Depth'])}</item>"
        for one in report["Types"]
    )
    accounts = "".join(element("item", account) for account in report["Accounts"])
    return (
        element("imageId", report["ImageId"])
        + element("reportId", report["ReportId"])
        + f"<resourceTypeSet>{types}</resourceTypeSet>"
        + (f"<accountIdSet>{accounts}</accountIdSet>" if accounts else "")
        + element("state", report["State"])
        + element("stateReason", report["Reason"])
        + element("creationTime", text(report["CreationTime"]))
        + element("expirationTime", text(report["CreationTime"] + KEPT))
        + tag_set(report["ReportId"])
    )


def depth_xml(depth: str | None) -> str:
    if depth is None:
        return ""
    values = f"<optionValueSet>{element('item', depth)}</optionValueSet>"
    return (
        f"<resourceTypeOptionSet><item>{element('optionName', 'version-depth')}{values}</item></resourceTypeOptionSet>"
    )


def describe_entries(params: Params) -> str:
    wanted = filters(params, {"account-id", "creation-time", "resource-type"})
    refuse_dry_run(params)
    found = [
        (report, entry)
        for report in asked(params)
        for entry in report["Entries"]
        if matches(
            wanted,
            {
                "account-id": [entry["account"]],
                "creation-time": [text(report["CreationTime"])],
                "resource-type": [entry["resourceType"]],
            },
            [],
        )
    ]
    items, token = paged(params, found)
    rows = "".join(f"<item>{entry_xml(report, entry)}</item>" for report, entry in items)
    return f"<imageUsageReportEntrySet>{rows}</imageUsageReportEntrySet>{token}"


def entry_xml(report: Document, entry: Document) -> str:
    return (
        element("resourceType", entry["resourceType"])
        + element("reportId", report["ReportId"])
        + element("usageCount", entry["count"])
        + element("accountId", entry["account"])
        + element("imageId", report["ImageId"])
        + element("reportCreationTime", text(report["CreationTime"]))
    )


def delete(params: Params) -> str:
    report = find(required(params, "ReportId"))
    refuse_dry_run(params)
    del _REPORTS[get_account_id(), get_region(), report["ReportId"]]
    return done()


def seeded(seed: Document, owner: str, region: str) -> Document:
    """A report from its seed."""
    created = datetime.datetime.fromisoformat(seed["createdAt"]) if "createdAt" in seed else now()
    types = [{"ResourceType": name, "Depth": None} for name in seed.get("resourceTypes", TYPES)]
    with request_scope(owner, region):
        made = add(
            seed["imageId"],
            types,
            seed.get("accountIds", []),
            seed.get("state", "available"),
            seed.get("reason"),
            created,
            seed.get("id"),
        )
    return {"ref": seed.get("ref"), "reportId": made}
