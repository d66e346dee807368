"""Watermarks of images: EC2 API Reference, AttachImageWatermark and DetachImageWatermark.

The pages of these actions name no error codes; those here are EC2's for the same kind of refusal.
"""

from ami_share_tools.local_aws import adapter, image_fields, images
from ami_share_tools.local_aws.adapter import Params, get_account_id, get_region
from ami_share_tools.local_aws.wire import Refusal, action, done, element, refuse_dry_run, required

# EC2 User Guide, AMI watermarks: at most five on an image.
MOST = 5


def install() -> None:
    adapter.ec2_actions.update({"AttachImageWatermark": action(attach), "DetachImageWatermark": action(detach)})


def attach(params: Params) -> str:
    name = required(params, "WatermarkName")
    if not adapter.ami_name.match(name):
        raise Refusal("InvalidParameterValue", f"Value ({name}) for parameter watermarkName is invalid.")
    image = images.own(params)
    refuse_dry_run(params)
    if images.is_public(image):  # "Watermarks cannot be added to public AMIs"
        raise Refusal("OperationNotPermitted", "A watermark can't be attached to a public AMI")
    key = f"{get_account_id()}:{name}"
    marks = image.setdefault("Watermarks", [])
    if all(mark["WatermarkKey"] != key for mark in marks):
        if len(marks) == MOST:
            raise Refusal("ResourceLimitExceeded", f"An AMI has at most {MOST} watermarks")
        marks.append(
            image_fields.watermark(key, image["ImageId"], get_region(), image["CreationDate"], adapter.ec2_now())
        )
    return element("watermarkKey", key)


def detach(params: Params) -> str:
    """ "It succeeds even if the watermark does not exist on the image"; images made from it keep theirs."""
    key, image = required(params, "WatermarkKey"), images.own(params)
    refuse_dry_run(params)
    image["Watermarks"] = [mark for mark in image.get("Watermarks") or [] if mark["WatermarkKey"] != key]
    return done()
