"""Made from openapi.bundle.yaml by make bundle. Edit openapi.yaml and schemas/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .documents import Access, AccountId, ApprovalId, CopyFrom, Decision, ExpiresAt, ImageId, Name, NextToken, Outcome, Reason, RequestDocument, Share


class Operations:
    """A method for each operation of the API. What is not answered with success is raised as `ApiError`."""

    def call(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> Any:
        raise NotImplementedError

    def send_request(self, body: RequestDocument, *, dry_run: bool | None = None) -> Outcome:
        """Send a request document. The document that every trigger accepts. Its fields depend on `action`."""
        answer: Outcome = self.call("POST", "/requests", {"dryRun": dry_run}, body)
        return answer

    def list_images(self, *, name: Name | None = None, next_token: NextToken | None = None) -> Outcome:
        """Which images the caller's rules cover, and what they let the caller do. The action `images`: a page of the images of this account and Region that a rule of the caller covers, each with what these rules allow (`may`). A page may be empty and still have a `nextToken`."""
        answer: Outcome = self.call("GET", "/images", {"name": name, "nextToken": next_token}, None)
        return answer

    def list_approvals(self, *, next_token: NextToken | None = None) -> Outcome:
        """Which shares wait for approval. The action `approvals`: a page of the shares that wait for approval and that the caller may decide, and the caller's own. A page may be empty and still have a `nextToken`."""
        answer: Outcome = self.call("GET", "/approvals", {"nextToken": next_token}, None)
        return answer

    def approve_share(self, id: ApprovalId, body: Decision, *, dry_run: bool | None = None) -> Outcome:
        """Approve a share, which is then made. The action `approve`. The outcome is that of the share: `requester` is who asked for it, `approvedBy` is the caller, and `requestId` is that of the request for the share."""
        answer: Outcome = self.call("POST", f"/approvals/{quote(id, safe='')}", {"dryRun": dry_run}, body)
        return answer

    def reject_share(self, id: ApprovalId, *, dry_run: bool | None = None, reason: Reason | None = None) -> Outcome:
        """Reject a share. The action `reject`. The requester of the share can send it too."""
        answer: Outcome = self.call("DELETE", f"/approvals/{quote(id, safe='')}", {"dryRun": dry_run, "reason": reason}, None)
        return answer

    def list_shares(self, image_id: ImageId, *, copy_from: CopyFrom | None = None) -> Outcome:
        """Who may launch the image, and who may copy it. The action `list`. `permissions` is what EC2 returns."""
        answer: Outcome = self.call("GET", f"/images/{quote(image_id, safe='')}/shares", {"copyFrom": copy_from}, None)
        return answer

    def share_image(self, image_id: ImageId, body: Share, *, copy_from: CopyFrom | None = None, dry_run: bool | None = None) -> Outcome:
        """Share the image. The request document without `action` and `imageIds`, which the route sets."""
        answer: Outcome = self.call("POST", f"/images/{quote(image_id, safe='')}/shares", {"copyFrom": copy_from, "dryRun": dry_run}, body)
        return answer

    def get_usage(self, image_id: ImageId) -> Outcome:
        """Which accounts use the image. The action `usage`. `usage` in the image's row has EC2's newest report, if it is at most a day old. Otherwise the function requests a report, or waits for one that EC2 is making: the status is 202, and `usage` has the newest older report, if there is one."""
        answer: Outcome = self.call("GET", f"/images/{quote(image_id, safe='')}/usage", {}, None)
        return answer

    def list_shares_of_account(self, account_id: AccountId, *, next_token: NextToken | None = None) -> Outcome:
        """Which images are shared with the account. The action `list` by account: a page of the images that are shared with the account by its own ID, as far as the caller's rules cover them. A page may be empty and still have a `nextToken`. Images that are shared only through an organization, an organizational unit or publicly are not listed: EC2 doesn't say which those are."""
        answer: Outcome = self.call("GET", f"/targets/{quote(account_id, safe='')}/shares", {"nextToken": next_token}, None)
        return answer

    def check_share(self, image_id: ImageId, target: str, *, access: Access | None = None, copy_from: CopyFrom | None = None, expires_at: ExpiresAt | None = None, service_linked_roles: list[str] | None = None) -> Outcome:
        """Is the image shared with the target, and can the target launch it? The status is 200 even if a share would be refused. `refusals` then has the reasons."""
        answer: Outcome = self.call("GET", f"/images/{quote(image_id, safe='')}/shares/{quote(target, safe='')}", {"access": access, "copyFrom": copy_from, "expiresAt": expires_at, "serviceLinkedRoles": service_linked_roles}, None)
        return answer

    def revoke_share(self, image_id: ImageId, target: str, *, copy_from: CopyFrom | None = None, dry_run: bool | None = None) -> Outcome:
        """Take the share back. The action `revoke`. It is carried out whatever the image's keys and state are."""
        answer: Outcome = self.call("DELETE", f"/images/{quote(image_id, safe='')}/shares/{quote(target, safe='')}", {"copyFrom": copy_from, "dryRun": dry_run}, None)
        return answer
