"""What DescribeImages says of an image beside its attributes: where it comes from, why it failed, its watermarks, what
Amazon Inspector found, whether Allowed AMIs lets it in (EC2 API Reference: Image, ImageWatermark, ScanResults)."""

from ami_share_tools.document import Document
from ami_share_tools.local_aws.wire import element

# Of the image, as the local AWS keeps it, to the XML name.
_LINEAGE = {
    "SourceInstanceId": "sourceInstanceId",
    "SourceImageId": "sourceImageId",
    "SourceImageRegion": "sourceImageRegion",
}
_WATERMARK = {
    "WatermarkKey": "watermarkKey",
    "SourceImageRegion": "sourceImageRegion",
    "SourceImageId": "sourceImageId",
    "SourceImageCreationTime": "sourceImageCreationTime",
    "WatermarkCreationTime": "watermarkCreationTime",
}
_SCAN = {"HighestFindingSeverityLabel": "highestFindingSeverityLabel", "FindingScanDate": "findingScanDate"}

SEEDED = "creationDate sourceImageId sourceImageRegion sourceInstanceId stateReason watermarks scan allowed usage"


def _present(record: Document, name: str) -> list[str]:
    return [record[name]] if record.get(name) else []


def facts(image: Document) -> dict[str, list[str]]:
    """DescribeImages, Filters: the values of each filter about these."""
    reason, scan, marks = image.get("StateReason") or {}, image.get("ScanResults") or {}, image.get("Watermarks") or []
    return {
        "creation-date": [image["CreationDate"]],
        "image-allowed": ["true" if image["ImageAllowed"] else "false"] if "ImageAllowed" in image else [],
        "image-watermark.source-image-creation-time": [m["SourceImageCreationTime"] for m in marks],
        "image-watermark.source-image-id": [m["SourceImageId"] for m in marks],
        "image-watermark.source-image-region": [m["SourceImageRegion"] for m in marks],
        "image-watermark.watermark-creation-time": [m["WatermarkCreationTime"] for m in marks],
        "image-watermark.watermark-key": [m["WatermarkKey"] for m in marks],
        "scan-result.finding-scan-date": _present(scan, "FindingScanDate"),
        "scan-result.highest-finding-severity-label": _present(scan, "HighestFindingSeverityLabel"),
        "source-image-id": _present(image, "SourceImageId"),
        "source-image-region": _present(image, "SourceImageRegion"),
        "source-instance-id": _present(image, "SourceInstanceId"),
        "state-reason-code": _present(reason, "Code"),
        "state-reason-message": _present(reason, "Message"),
    }


FILTERS = set(facts({"CreationDate": ""}))


def xml(image: Document) -> str:
    reason = image.get("StateReason")
    marks = "".join(f"<item>{_elements(mark, _WATERMARK)}</item>" for mark in image.get("Watermarks") or [])
    return (
        _elements(image, _LINEAGE)
        + (
            f"<stateReason>{element('code', reason['Code'])}{element('message', reason['Message'])}</stateReason>"
            if reason
            else ""
        )
        + (f"<imageWatermarkSet>{marks}</imageWatermarkSet>" if marks else "")
        # "present only for AMIs that Amazon Inspector has scanned"; the severity "only if the AMI has at least one finding"
        + (f"<scanResults>{_elements(image['ScanResults'], _SCAN)}</scanResults>" if image.get("ScanResults") else "")
        + element("imageAllowed", image.get("ImageAllowed"))
    )


def _elements(record: Document, names: dict[str, str]) -> str:
    return "".join(element(tag, record.get(name)) for name, tag in names.items())


def seeded(seed: Document, image_id: str, region: str, now: str) -> Document:
    """These fields of a new image, from its seed."""
    created = seed.get("creationDate", now)
    made: Document = {
        "CreationDate": created,
        "Watermarks": [_watermark(mark, image_id, region, created) for mark in seed.get("watermarks", [])],
    }
    for name in ("sourceImageId", "sourceImageRegion", "sourceInstanceId"):
        if name in seed:
            made[name[0].upper() + name[1:]] = seed[name]
    if "stateReason" in seed:
        made["StateReason"] = {"Code": "Client.InternalError", "Message": seed["stateReason"]}
    if "scan" in seed:
        made["ScanResults"] = {
            "FindingScanDate": seed["scan"].get("at"),
            "HighestFindingSeverityLabel": seed["scan"].get("severity"),
        }
    if "allowed" in seed:
        made["ImageAllowed"] = seed["allowed"]
    return made


def _watermark(seed: str | Document, image_id: str, region: str, created: str) -> Document:
    """Attached to this very image, unless the seed says to which."""
    given = {"key": seed} if isinstance(seed, str) else seed
    return watermark(
        given["key"], given.get("sourceImageId", image_id), given.get("sourceImageRegion", region), created
    )


def watermark(key: str, image_id: str, region: str, created: str, now: str | None = None) -> Document:
    return {
        "WatermarkKey": key,
        "SourceImageId": image_id,
        "SourceImageRegion": region,
        "SourceImageCreationTime": created,
        "WatermarkCreationTime": now or created,
    }
