"""The self-service page in a real Chromium, against the template deployed on the local AWS and its issuer.

It needs the built function, which AMI_SHARE_BOOTSTRAP names; `make test` runs it last. Where a test is about what the page does
with an answer, it gives that answer itself.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import unittest
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from ami_share_tools.demo import self_service
from ami_share_tools.demo.self_service import (
    ADA,
    BATCH,
    BY_HAND,
    CI,
    EDSGER,
    GRACE,
    LAB,
    PROD,
    STAGING,
    STRANGER,
    SelfService,
)
from ami_share_tools.document import Document
from ami_share_tools.local_aws.issuer import Person
from ami_share_tools.repository import ROOT
from tests.page.browser import AXE_OPTIONS, Missing, axe, chromium

BOOTSTRAP = os.environ.get("AMI_SHARE_BOOTSTRAP", "")
PAGE = ROOT / "crates/triggers/src/page"
PICTURES = ROOT / "docs/pictures"
SECONDS = 30_000  # a machine may be busy; what is there sooner is not waited for
SCRIPT = "<script>window.hit = 1</script>"
ASK = "0123456789abcdef0123456789abcdef"

service: SelfService
browser: Browser
resources = contextlib.ExitStack()


def setUpModule() -> None:
    global service, browser
    if not BOOTSTRAP:
        raise unittest.SkipTest("AMI_SHARE_BOOTSTRAP names no built function")
    try:
        path = chromium()
    except Missing as missing:
        print(f"\nSKIPPED, the page was not tried in a browser: {missing}", file=sys.stderr)
        raise unittest.SkipTest(str(missing)) from None
    unittest.addModuleCleanup(resources.close)
    service = resources.enter_context(self_service.opened(Path(BOOTSTRAP).resolve()))
    driver = resources.enter_context(sync_playwright())
    # Without a sandbox: CI runs as root, and no page but ours is opened.
    browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
    resources.callback(browser.close)
    expect.set_options(timeout=SECONDS)


class Case(unittest.TestCase):
    """A browser of its own for each test. Whatever a test does: no other host is asked, and the page has no errors."""

    page: Page
    expected_errors: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.page = self.open()

    def open(self, **options: Any) -> Page:
        context: BrowserContext = browser.new_context(
            viewport={"width": 1360, "height": 860}, locale="en-US", timezone_id="UTC", **options
        )
        self.addCleanup(context.close)
        context.set_default_timeout(SECONDS)
        page = context.new_page()
        hosts = {urlsplit(service.url).netloc, urlsplit(service.issuer.url).netloc}
        page.on("request", lambda request: self.assertIn(urlsplit(request.url).netloc, hosts | {""}, request.url))
        page.on("pageerror", lambda error: self.fail(f"the page failed: {error}"))
        page.on("console", lambda message: self.heard(message.type, message.text))
        return page

    def heard(self, kind: str, text: str) -> None:
        # Chromium itself logs each answer with a status of 400 or more.
        if (
            kind == "error"
            and "Failed to load resource" not in text
            and not any(e in text for e in self.expected_errors)
        ):
            self.fail(f"the console says: {text}")

    def sign_in(self, person: Person, page: Page | None = None, view: str = "") -> None:
        page = page or self.page
        page.goto(service.url + view)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name=person.name).click()
        expect(page.get_by_text(person.name)).to_be_visible()

    def given(
        self, path: str, answer: Document | Callable[[Route], None], status: int = 200, page: Page | None = None
    ) -> None:
        """What the API is made to answer at this path."""

        def fulfill(route: Route) -> None:
            if callable(answer):
                answer(route)
            else:
                route.fulfill(status=status, json=answer)

        (page or self.page).route(f"**/$default/{path}", fulfill)

    def choose(self, image: str, target: str) -> None:
        self.page.get_by_role("radio", name=image).check()
        self.page.get_by_label("For whom").select_option(label=target)

    def export(self) -> list[dict[str, str]]:
        """What the view Look exports."""
        with self.page.expect_download() as started:
            self.page.get_by_role("button", name="Export as CSV").click()
        return list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text())))

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.page.get_by_role("heading", name="Share machine images")).to_be_visible()


def image(image_id: str, name: str, *targets: str, **more: Any) -> Document:
    """A row of the catalogue, with a rule that lets it be shared with these targets."""
    may = {
        "rule": "web",
        "actions": ["share", "check"],
        "targets": [{"id": target, "name": f"account-{target[:4]}"} for target in targets],
        "access": "launch",
        "maxDuration": None,
        "approval": False,
    }
    return {
        "imageId": image_id,
        "name": name,
        "tags": {},
        "created": "2026-11-01T00:00:00.000Z",
        "architecture": "x86_64",
        "encrypted": False,
        "state": "available",
        "watermarks": [],
        "may": [may],
    } | more


def row(image_id: str, name: str, target: str, launch: str, **more: Any) -> Document:
    return {
        "imageId": image_id,
        "name": name,
        "target": target,
        "how": "account",
        "launch": launch,
        "why": f"because {launch}",
        "copy": False,
        "until": None,
        "rule": "web",
    } | more


def ask(who: str, image_id: str, **more: Any) -> Document:
    return {
        "id": ASK,
        "requester": who,
        "until": in_days(6),
        "rules": ["fleet"],
        "request": {"action": "share", "imageIds": [image_id], "accountIds": [PROD], "access": "launch"},
        "reason": "load test",
    } | more


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def completed(**more: Any) -> Document:
    return {
        "version": "1",
        "requestId": "id",
        "result": "completed",
        "refusals": [],
        "errors": [],
        "warnings": [],
    } | more


# Who can launch what, by the policies of the keys and the launch permissions that self_service.py seeds.
YES, NO, DEPENDS, SOON = (
    "can launch",
    "shared, but can't launch",
    "depends, or not known",
    "can launch, expires within 7 days",
)
MATRIX = {
    "golden-web-2026.10": {PROD: YES, STAGING: YES, BATCH: YES},
    "golden-db-2026.11": {PROD: YES, LAB: NO},
    "golden-vault-2026.09": {PROD: NO},
    "golden-legacy-2025.12": {PROD: DEPENDS, STAGING: DEPENDS, CI: DEPENDS},
    "base-al2023-2026.11": {PROD: YES, STAGING: YES, BATCH: YES, LAB: YES, CI: YES},
    "base-al2023-arm64-2026.11": {STAGING: YES, CI: YES},
    "base-ubuntu-24.04": {PROD: YES, BATCH: NO, LAB: YES},
    "analytics-node-7": {LAB: NO, BATCH: YES},
    "trial-app-0.9": {STAGING: SOON, BATCH: YES},
    "fleet-gateway-2": {PROD: YES, BY_HAND: NO},
    "partner-node-88": {CI: DEPENDS, BATCH: DEPENDS},
    "golden-web-2026.09": {PROD: YES},
}
LAUNCH = {YES: "really", SOON: "really", NO: "not", DEPENDS: "unknown"}


class WithTheApi(Case):
    """Nothing is made up: the page, the API behind it and AWS's own answers."""

    def test_ask_be_refused_be_allowed_wait_approve_look_and_sign_out(self) -> None:
        page = self.page
        self.sign_in(ADA)
        expect(page.get_by_role("heading", name="Ask for an image")).to_be_focused()
        page.get_by_label("Find an image").fill("vault")
        expect(page.get_by_role("radio")).to_have_count(1)
        self.choose("golden-vault", f"staging-web ({STAGING})")
        expect(page.get_by_text("doesn't have this image, and it can't be shared like this")).to_be_visible()
        remedy = page.get_by_role("group", name="Text to copy").first
        expect(remedy).to_contain_text(f"arn:aws:iam::{STAGING}:root")
        self.assertIn("kms:Decrypt", json.dumps(json.loads(remedy.inner_text())))
        send = page.get_by_role("button", name="Share", exact=True)
        expect(send).to_have_attribute("aria-disabled", "true")

        page.get_by_label("Find an image").fill("")
        self.choose("golden-web-2026.11", f"staging-web ({STAGING})")
        expect(page.get_by_text("staging-web can have this image, and will be able to launch it.")).to_be_visible()
        page.get_by_label("Reason").fill(f"spring release {SCRIPT}")
        send.click()
        expect(page.get_by_text("staging-web has this image, and can launch it.")).to_be_visible()
        self.assertIn(STAGING, self.shared_with("golden-web-2026.11"))

        self.choose("fleet-gateway-3", f"data-lab ({LAB})")
        expect(page.get_by_text("data-lab can have this image once somebody approves it.")).to_be_visible()
        page.get_by_label("Reason").fill(f"load test {SCRIPT}")
        page.get_by_role("button", name="Send for approval").click()
        expect(page.get_by_text("It waits for somebody to approve it.")).to_be_visible()
        expect(page.get_by_text("By the rule fleet.")).to_be_visible()
        self.assertNotIn(LAB, self.shared_with("fleet-gateway-3"))

        other = self.open()
        self.sign_in(GRACE, other, "#/approve")
        card = other.get_by_role("article")
        for text in (
            "fleet-gateway-3 for data-lab",
            f"jwt:{service.issuer.url}#ada",
            f"load test {SCRIPT}",
            "in 90 days",
        ):
            expect(card).to_contain_text(text)
        card.get_by_role("button", name="Review").click()
        expect(card).to_contain_text("A yes would take 2 steps:")
        expect(card).to_contain_text("ec2:ModifyImageAttribute")
        self.assertNotIn(LAB, self.shared_with("fleet-gateway-3"))
        card.get_by_label("Your reason").fill("until the test is over")
        card.get_by_role("button", name="Approve").click()
        expect(card).to_contain_text("Approved.")
        expect(card).to_contain_text("data-lab has this image, and can launch it.")
        self.assertIn(LAB, self.shared_with("fleet-gateway-3"))
        other.get_by_role("button", name="Look again").click()
        expect(other.get_by_text("Nothing waits for you.")).to_be_visible()
        # Who asked learns it without doing anything.
        expect(page.get_by_text("data-lab has this image, and can launch it.")).to_be_visible()

        self.sign_out()
        self.sign_in(EDSGER, view="#/look")
        page.get_by_role("gridcell", name="fleet-gateway-3, data-lab: can launch", exact=True).click()
        why = page.get_by_role("complementary", name="Why")
        expect(why).to_contain_text("lets it in")
        expect(why).to_contain_text("in 90 days")
        self.sign_out()
        page.reload()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        for one in (page, other):
            self.assertIsNone(one.evaluate("window.hit ?? null"))

    def shared_with(self, name: str) -> list[str]:
        permissions = service.aws.client("ec2").describe_image_attribute(
            ImageId=service.images[name], Attribute="launchPermission"
        )["LaunchPermissions"]
        return [one["UserId"] for one in permissions]

    def ask(self, name: str, account: str, reason: str) -> str:
        """The ID under which Ada's share of an image of the fleet waits."""
        wish = {"accountIds": [account], "expiresAt": in_days(20), "reason": reason}
        status, outcome = service.call(ADA, "POST", f"/images/{service.images[name]}/shares", wish)
        self.assertEqual(status, 202, outcome)
        found: str = outcome["approval"]["id"]
        return found

    def test_what_is_rejected_or_withdrawn_is_not_shared(self) -> None:
        page = self.page
        for person, press, done in ((GRACE, "Reject", "Rejected."), (ADA, "Withdraw", "Withdrawn.")):
            asked = self.ask("fleet-gateway-2", BATCH, f"to be {press}")
            self.sign_in(person, view="#/approve")
            card = page.get_by_role("article").filter(has_text=f"to be {press}")
            if person is GRACE:
                card.get_by_role("button", name="Review").click()
                card.get_by_label("Your reason").fill("not now & here")
            card.get_by_role("button", name=press).click()
            expect(card).to_contain_text(done)
            status, outcome = service.call(GRACE, "POST", f"/approvals/{asked}", {})
            self.assertEqual((status, outcome["refusals"][0]["code"]), (404, "ApprovalNotFound"))
            self.sign_out()
        self.assertNotIn(BATCH, self.shared_with("fleet-gateway-2"))

    def test_what_somebody_else_has_decided_meanwhile_is_told(self) -> None:
        asked = self.ask("fleet-gateway-2", LAB, "a race")
        page = self.page
        self.sign_in(GRACE, view="#/approve")
        card = page.get_by_role("article").filter(has_text="a race")
        card.get_by_role("button", name="Review").click()
        expect(card.get_by_label("Your reason")).to_be_visible()
        self.assertEqual(service.call(ADA, "DELETE", f"/approvals/{asked}?reason=mistaken")[0], 200)
        card.get_by_role("button", name="Approve").click()
        expect(card).to_contain_text("Approval not found")
        expect(card.get_by_role("button", name="Review")).to_be_visible()
        self.assertNotIn(LAB, self.shared_with("fleet-gateway-2"))

    def test_an_image_on_a_key_that_cannot_be_shared_is_shared_as_a_copy(self) -> None:
        page = self.page
        self.sign_in(ADA)
        page.get_by_label("Find an image").fill("reports")
        self.choose("reports-2026.10", f"data-lab ({LAB})")
        expect(page.get_by_text("Default key")).to_be_visible()
        page.get_by_label("Share a copy of it, on a key that can be shared").check()
        expect(page.get_by_text("data-lab can have a copy of this image once EC2 has made it.")).to_be_visible()
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.get_by_text("EC2 is making the copy. It is shared by itself when it is there.")).to_be_visible()
        expect(page.get_by_text("It is given up if it isn't there by")).to_be_visible()
        expect(page.get_by_label("The image").get_by_text("pending")).to_be_visible()
        service.aws.control(
            "POST", "/_local/copies", {"ids": [service.images["reports-2026.10"]], "state": "available"}
        )
        expect(page.get_by_text("data-lab has this image, and can launch it.")).to_be_visible()

    def test_a_share_for_a_time_says_until_when(self) -> None:
        page = self.page
        self.sign_in(ADA)
        self.choose("trial-app", f"staging-web ({STAGING})")
        expect(page.get_by_label("Until", exact=True)).to_have_value(str(30 * 86_400_000))
        self.assertNotIn("it is taken back", page.get_by_label("Until", exact=True).inner_text())
        expect(page.get_by_text("staging-web has this image, and can launch it.")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^Until .* \(in 3 days\)\.$"))).to_be_visible()

    def test_the_rows_of_an_audit_a_check_the_grid_and_the_export_say_the_same_of_every_pair(self) -> None:
        status, outcome = service.call(EDSGER, "POST", "/requests", {"action": "audit", "rows": True})
        self.assertEqual((status, "nextToken" in outcome), (200, False), outcome)
        rows = {(row["name"], row["target"]): row for row in outcome["rows"]}
        self.assertEqual(len(rows), len(outcome["rows"]))
        page = self.page
        self.sign_in(EDSGER, view="#/look")
        expect(page.get_by_text("targets, as of")).to_be_visible()
        drawn = {cell.get_attribute("aria-label") for cell in page.get_by_role("gridcell").all()}
        exported = {(one["name"], one["target"]): one for one in self.export()}
        called = {PROD: "prod-web", STAGING: "staging-web", BATCH: "batch", LAB: "data-lab", CI: "ci-runner"}
        self.assertEqual((len(MATRIX), len(called)), (12, 5))
        for name, known in MATRIX.items():
            for account in (*called, BY_HAND):
                with self.subTest(image=name, account=account):
                    words = known.get(account, "not shared")
                    by_hand = ", shared by hand" if account == BY_HAND and account in known else ""
                    self.assertIn(f"{name}, {called.get(account, account)}: {words}{by_hand}", drawn)
                    row = rows.get((name, account))
                    self.assertEqual(row and row["launch"], LAUNCH.get(words))
                    export = exported.get((name, account))
                    told = row and {
                        key: str(row[key] or "") for key in ("imageId", "launch", "how", "until", "rule", "why")
                    }
                    self.assertEqual(
                        export and {"imageId": export["image"]} | {key: export[key] for key in list(told or {})[1:]},
                        told,
                    )
                    if row:
                        self.assertEqual(row["rule"], None if account == BY_HAND else "platform")
                    if account != BY_HAND:
                        route = f"/images/{service.images[name]}/shares/{account}"
                        [target] = service.call(EDSGER, "GET", route)[1]["images"][0]["targets"]
                        self.assertEqual(target["state"], "shared" if row else "not-shared")
                        self.assertEqual(target["launch"] if row else "not", row["launch"] if row else "not")

    def test_who_is_named_by_no_rule_learns_nothing_but_what_to_ask_for(self) -> None:
        self.sign_in(STRANGER)
        expect(self.page.get_by_role("heading", name="Nobody has let you in yet")).to_be_visible()
        expect(self.page.get_by_text(f"jwt:{service.issuer.url}#mallory")).to_be_visible()

    def test_the_api_takes_only_a_token_of_this_issuer_for_this_client(self) -> None:
        route = f"/images/{service.images['golden-web-2026.11']}/shares/{PROD}"
        good = service.issuer.token(ADA)
        self.assertEqual(service.send(good, "GET", route)[0], 200)
        header, _, signature = good.split(".")
        other = service.issuer.token(GRACE).split(".")[1]
        for token in (
            None,
            "x",
            service.issuer.token(ADA, aud="other"),
            service.issuer.token(ADA, iss="https://other.example"),
            service.issuer.token(ADA, exp=1),
            service.issuer.token(ADA, exp=None),
            service.issuer.token(ADA, nbf=2**33),
            f"{header}.{other}.{signature}",
        ):
            self.assertEqual(service.send(token, "GET", route), (401, {"message": "Unauthorized"}), token)


class SigningIn(Case):
    def test_the_token_is_nowhere_but_in_memory(self) -> None:
        self.sign_in(ADA)
        page = self.page
        kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
        self.assertEqual(json.loads(kept), [{}, {}, ""])
        self.assertEqual(page.url, service.url)
        page.reload()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()

    def test_a_code_that_this_tab_did_not_ask_for_is_not_exchanged(self) -> None:
        exchanged: list[str] = []
        self.page.on("request", lambda request: exchanged.append(request.url) if "/token" in request.url else None)
        self.page.goto(f"{service.url}?code=stolen&state=made-up")
        expect(self.page.get_by_text("does not belong to a sign-in that began in this tab")).to_be_visible()
        self.assertEqual((exchanged, self.page.url), ([], service.url))

    def test_what_the_issuer_refuses_is_said(self) -> None:
        self.page.goto(service.url)
        self.page.route(
            "**/token", lambda route: route.fulfill(status=400, json={"error_description": "the code is old"})
        )
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("link", name=ADA.name).click()
        expect(self.page.get_by_text("the code is old")).to_be_visible()
        expect(self.page.get_by_role("button", name="Sign in")).to_be_visible()

    def test_an_issuer_that_gives_tokens_elsewhere_must_be_named(self) -> None:
        found = service.issuer.configuration() | {"token_endpoint": "http://127.0.0.1:9/token"}
        self.page.route("**/.well-known/openid-configuration", lambda route: route.fulfill(json=found))
        self.page.goto(service.url)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_text("AMI_SHARE_PAGE_TOKEN_ORIGIN")).to_be_visible()

    def test_a_session_that_ends_keeps_what_was_filled_in(self) -> None:
        page = self.page
        self.given("images", completed(images=[image("ami-1", "web", PROD, STAGING)]))
        self.given("images/ami-1/shares/*", {"message": "Unauthorized"}, 401)
        self.sign_in(ADA)
        self.choose("web", f"account-4444 ({STAGING})")
        expect(page.get_by_role("heading", name="Your session has ended")).to_be_focused()
        page.unroute("**/$default/images/ami-1/shares/*")
        self.given("images/ami-1/shares/*", shared_check("ami-1", STAGING, accepted=True))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name=ADA.name).click()
        expect(page.get_by_label("For whom")).to_have_value(STAGING)

    def test_nothing_but_the_script_of_the_page_runs(self) -> None:
        self.expected_errors = ("Content Security Policy",)
        self.page.goto(service.url)
        self.page.evaluate(
            "() => { const made = document.createElement('script'); made.textContent = 'window.hit = 1'; document.body.append(made) }"
        )
        self.assertIsNone(self.page.evaluate("window.hit ?? null"))


def shared_check(image_id: str, target: str, **more: Any) -> Document:
    return completed(
        images=[{"imageId": image_id, "targets": [{"target": target, "state": "not-shared"} | more], "keys": []}]
    )


class States(Case):
    """Empty, slow, failed."""

    def test_no_image_at_all(self) -> None:
        self.given("images", completed(images=[]))
        self.sign_in(ADA)
        expect(self.page.get_by_text("Your rules cover no image of this Region.")).to_be_visible()

    def test_a_catalogue_of_many_pages_grows_as_it_comes(self) -> None:
        page = self.page
        gate: list[Route] = []
        first = [image(f"ami-{number}", f"first-{number}", PROD) for number in range(300)]
        self.given("images", completed(images=first, nextToken="more & more"))
        page.route("**/$default/images?nextToken=*", lambda route: gate.append(route))
        self.sign_in(ADA)
        expect(page.get_by_text("Reading images: 300 so far")).to_be_visible()
        expect(page.get_by_text("100 more images: narrow the search.")).to_be_visible()
        self.assertIn("nextToken=more%20%26%20more", gate[0].request.url)
        gate[0].fulfill(json=completed(images=[image("ami-x", "last", PROD)]))
        expect(page.get_by_text("301 images")).to_be_visible()

    def test_a_failure_is_told_and_can_be_tried_again(self) -> None:
        page = self.page
        failed = completed(result="failed", errors=[{"code": "Denied", "message": "AWS denied ec2:DescribeImages"}])
        self.given("images", failed, 502)
        self.sign_in(ADA)
        expect(page.get_by_text("AWS denied ec2:DescribeImages")).to_be_visible()
        page.unroute("**/$default/images")
        self.given("images", completed(images=[image("ami-1", "web", PROD)]))
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("radio", name="web")).to_be_visible()

    def test_an_api_that_is_busy_is_asked_again(self) -> None:
        answers = [503, 429, 200]
        self.given(
            "images",
            lambda route: route.fulfill(
                status=answers.pop(0),
                headers={"retry-after": "0.1"},
                json=completed(images=[image("ami-1", "web", PROD)]),
            ),
        )
        self.sign_in(ADA)
        expect(self.page.get_by_role("radio", name="web")).to_be_visible()
        self.assertEqual(answers, [])

    def test_no_network(self) -> None:
        self.given("images", lambda route: route.abort())
        self.sign_in(ADA)
        expect(self.page.get_by_text("The API can't be reached.")).to_be_visible()

    def test_how_long_a_share_may_last_goes_by_the_rules_for_the_target(self) -> None:
        page, month = self.page, str(30 * 86_400_000)
        wanted = image("ami-1", "web", PROD)
        wanted["may"] += image("ami-1", "web", STAGING)["may"]
        wanted["may"][1]["maxDuration"] = "30d"
        self.given("images", completed(images=[wanted]))
        self.given("images/ami-1/shares/*", shared_check("ami-1", PROD, accepted=True))
        self.sign_in(ADA)
        until = page.get_by_label("Until", exact=True)
        for target, value in ((f"account-1111 ({PROD})", ""), (f"account-4444 ({STAGING})", month)):
            self.choose("web", target)
            expect(until).to_have_value(value)
        until.select_option(label="7 days from now")
        self.choose("web", f"account-1111 ({PROD})")
        expect(until).to_have_value(str(7 * 86_400_000))

    def test_what_others_wrote_stays_text(self) -> None:
        page = self.page
        wild = image("ami-1", SCRIPT, PROD, tags={SCRIPT: f"<img src=x onerror='window.hit = 2'> {SCRIPT}"})
        wild["may"][0]["targets"][0]["name"] = SCRIPT
        problem = {"code": "KeyAccessMissing", "message": SCRIPT, "remedy": f"{SCRIPT}\n{SCRIPT}"}
        checked = shared_check("ami-1", PROD, accepted=False) | {"refusals": [problem], "warnings": [SCRIPT]}
        self.given("images", completed(images=[wild]))
        self.given("images/ami-1/shares/*", checked)
        self.given("approvals", completed(approvals=[ask(SCRIPT, "ami-1", reason=SCRIPT, rules=[SCRIPT])]))
        step = {"call": SCRIPT, "resource": SCRIPT, "add": [SCRIPT], "state": "planned"}
        told = key_row() | {"because": [{"sid": SCRIPT, "index": 0, "effect": "Allow"}], "missing": [SCRIPT]}
        review = {"imageId": "ami-1", "steps": [step], "targets": [], "keys": [told]}
        self.given("approvals/**", completed(result="planned", images=[review], warnings=[SCRIPT]))
        self.given("requests", completed(rows=[row("ami-1", SCRIPT, PROD, "not", why=SCRIPT, rule=SCRIPT, how=SCRIPT)]))
        self.sign_in(ADA)
        page.get_by_role("radio").check()
        page.get_by_label("For whom").select_option(value=PROD)
        expect(page.locator(".verdict").filter(has_text=SCRIPT).first).to_be_visible()
        page.get_by_role("link", name="Approve").click()
        expect(page.get_by_role("article")).to_contain_text(SCRIPT)
        page.get_by_role("button", name="Review").click()
        expect(page.get_by_role("article").get_by_text(SCRIPT)).to_have_count(9)
        page.get_by_role("link", name="Look").click()
        page.get_by_role("gridcell").click()
        expect(page.get_by_role("complementary")).to_contain_text(SCRIPT)
        self.assertIsNone(page.evaluate("window.hit ?? null"))
        self.assertEqual(page.locator("main script, main img").count(), 0)


class Approving(Case):
    def open_with(self, *asks: Document) -> list[str]:
        """The view with what waits; what is sent to decide is gathered."""
        sent: list[str] = []

        def decide(route: Route) -> None:
            request = route.request
            sent.append(f"{request.method} {request.url.partition('$default/')[2]} {request.post_data or ''}".strip())
            steps = [{"call": "ec2:ModifyImageAttribute", "resource": "ami-1", "add": [PROD], "state": "planned"}]
            route.fulfill(json=completed(images=[{"imageId": "ami-1", "steps": steps, "targets": [], "keys": []}]))

        self.given("images", completed(images=[image("ami-1", "web", PROD)]))
        self.given("approvals", completed(approvals=list(asks)))
        self.given("approvals/**", decide)
        self.sign_in(GRACE, view="#/approve")
        return sent

    def test_what_it_would_do_is_shown_before_a_yes_with_a_reason(self) -> None:
        sent, page = self.open_with(ask("jwt:https://issuer.example#ada", "ami-1")), self.page
        card = page.get_by_role("article")
        expect(card).to_contain_text("web for account-1111")
        expect(card).to_contain_text("load test")
        expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
        card.get_by_role("button", name="Review").click()
        expect(card).to_contain_text("A yes would take 1 step:")
        card.get_by_label("Your reason").fill("fine & good")
        card.get_by_role("button", name="Approve").click()
        expect(card).to_contain_text("Approved.")
        path = f"approvals/{ASK}"
        self.assertEqual(sent, [f"POST {path}?dryRun=true {{}}", f'POST {path} {{"reason":"fine & good"}}'])

    def test_a_no_carries_its_reason(self) -> None:
        sent, page = self.open_with(ask("jwt:https://issuer.example#ada", "ami-1")), self.page
        page.get_by_role("button", name="Review").click()
        page.get_by_label("Your reason").fill("not now & here")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("article")).to_contain_text("Rejected.")
        self.assertEqual(sent[-1], f"DELETE approvals/{ASK}?reason=not%20now%20%26%20here")

    def test_what_one_asked_for_oneself_can_only_be_withdrawn(self) -> None:
        own = ask(f"jwt:{service.issuer.url}#{GRACE.subject}", "ami-1")
        sent, page = self.open_with(own), self.page
        expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
        expect(page.get_by_role("button", name="Review")).to_have_count(0)
        page.get_by_role("button", name="Withdraw").click()
        expect(page.get_by_role("article")).to_contain_text("Withdrawn.")
        self.assertEqual(sent, [f"DELETE approvals/{ASK}"])

    def test_nothing_waits(self) -> None:
        self.open_with()
        expect(self.page.get_by_text("You wait for nothing.")).to_be_visible()

    def test_what_cannot_be_decided_says_why_and_can_be_tried_again(self) -> None:
        page = self.page
        self.open_with(ask("jwt:https://issuer.example#ada", "ami-1"))
        for status, code, words in (
            (403, "ApprovalNotAllowed", "`jwt:x#y` has approved this share already"),
            (404, "ApprovalNotFound", "nothing waits for approval"),
            (409, "ApprovalLapsed", "nobody approved this share until yesterday"),
            (409, "KeyAccessMissing", "the key does not let the target in"),
        ):
            page.unroute("**/$default/approvals/**")
            refused = completed(result="refused", refusals=[{"code": code, "message": words}])
            self.given("approvals/**", refused, status)
            page.get_by_role("button", name="Review").click()
            expect(page.get_by_role("article")).to_contain_text(words)
            expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
            page.get_by_role("button", name="Reject").click()
            expect(page.get_by_role("button", name="Review")).to_be_visible()
            expect(page.get_by_role("article")).to_contain_text(words)

    def test_a_yes_to_a_copy_says_that_it_goes_on(self) -> None:
        page = self.page
        wanted = {"imageIds": ["ami-1"], "accountIds": [PROD], "access": "launch", "copyFrom": "eu-central-1"}
        self.open_with(ask("jwt:https://issuer.example#ada", "ami-1", request=wanted))
        expect(page.get_by_text("a copy of the image in eu-central-1 is shared")).to_be_visible()
        page.get_by_role("button", name="Review").click()
        page.unroute("**/$default/approvals/**")
        copy = {"state": "pending", "keyArn": "arn:aws:kms:eu-west-1:999988887777:key/1", "until": in_days(1)}
        waits = {
            "imageId": None,
            "copy": copy,
            "steps": [],
            "targets": [{"target": PROD, "state": "waiting"}],
            "keys": [],
        }
        self.given("approvals/**", completed(result="accepted", images=[waits]), 202)
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("EC2 is making the copy.")).to_be_visible()
        expect(page.get_by_text("no ID yet")).to_be_visible()

    def test_a_deployment_without_approvals_says_so_and_shows_the_rest(self) -> None:
        page = self.page
        missing = {"code": "NotSetUp", "message": "this deployment has no approvals", "remedy": "EnableApprovals=true"}
        self.given("images", completed(images=[]))
        self.given("approvals", completed(result="refused", refusals=[missing]), 409)
        self.given("requests", completed(rows=[row("ami-1", "web", PROD, "really")]))
        self.sign_in(EDSGER, view="#/approve")
        expect(page.get_by_text("this deployment has no approvals")).to_be_visible()
        page.get_by_role("link", name="Look").click()
        expect(page.get_by_text("1 image and 1 target, as of")).to_be_visible()
        expect(page.get_by_text("this deployment has no approvals")).to_be_hidden()

    def test_all_pages_of_what_waits_are_read(self) -> None:
        pages = [
            completed(approvals=[ask("jwt:x#y", "ami-1", id=str(number)) for number in range(20)], nextToken="a b"),
            completed(approvals=[ask("jwt:x#y", "ami-1", id="last")]),
        ]
        asked: list[str] = []

        def answer(route: Route) -> None:
            asked.append(route.request.url.partition("$default/")[2])
            route.fulfill(json=pages[len(asked) - 1])

        self.given("images", completed(images=[]))
        self.given("approvals*", answer)
        self.sign_in(GRACE, view="#/approve")
        expect(self.page.get_by_role("heading", name="To decide (21)")).to_be_visible()
        self.assertEqual(asked, ["approvals", "approvals?nextToken=a%20b"])

    def test_a_share_that_waits_says_for_whom_and_becomes_shared_by_itself(self) -> None:
        said = self.wait_for_approval()
        said["row"] = {"state": "shared", "launch": "really", "accepted": True}
        self.page.clock.run_for(11_000)
        expect(self.page.get_by_text("account-1111 has this image, and can launch it.")).to_be_visible()

    def test_a_share_that_waits_no_longer_and_is_not_shared_says_so(self) -> None:
        said = self.wait_for_approval()
        self.page.clock.run_for(11_000)
        expect(self.page.get_by_text("By the rule fleet.")).to_be_visible()
        said["approvals"] = []
        self.page.clock.run_for(16_000)
        expect(self.page.get_by_text("It waits no longer, and was not shared.")).to_be_visible()

    def wait_for_approval(self) -> dict[str, Any]:
        """The view Ask with a share that waits, in a browser whose clock stands still; what the API says of it may be changed."""
        page = self.page
        page.clock.install()
        wanted = image("ami-1", "web", PROD)
        wanted["may"][0]["approval"] = True
        said: dict[str, Any] = {
            "row": {"state": "not-shared", "accepted": True},
            "approvals": [ask("jwt:x#y", "ami-1")],
        }
        self.given("images", completed(images=[wanted]))
        self.given(
            "images/ami-1/shares/*", lambda route: route.fulfill(json=shared_check("ami-1", PROD, **said["row"]))
        )
        self.given("approvals", lambda route: route.fulfill(json=completed(approvals=said["approvals"])))
        approval = {"id": ASK, "until": in_days(7), "rules": ["fleet"]}
        self.given("images/ami-1/shares", completed(result="accepted", approval=approval), 202)
        self.sign_in(ADA)
        self.choose("web", f"account-1111 ({PROD})")
        page.clock.run_for(200)
        expect(page.get_by_text("can have this image once somebody approves it")).to_be_visible()
        page.get_by_role("button", name="Send for approval").click()
        expect(page.get_by_text("By the rule fleet.")).to_be_visible()
        return said


class Looking(Case):
    ROWS = [
        row("ami-1", "alpha", PROD, "really"),
        row("ami-1", "alpha", STAGING, "not"),
        row("ami-2", "beta", PROD, "unknown", rule=None),
        row("ami-3", "=cmd()", BATCH, "really", until=in_days(2), why='say "hi", please'),
    ]

    def look(self) -> None:
        self.given("images", completed(images=[image("ami-1", "alpha", PROD, STAGING)]))
        self.given(
            "approvals",
            completed(approvals=[ask("jwt:x#y", "ami-2", request={"imageIds": ["ami-2"], "accountIds": [BATCH]})]),
        )
        warning = "the records could not be listed"
        self.given("requests", completed(rows=self.ROWS, findings=[], warnings=[warning]))
        self.sign_in(EDSGER, view="#/look")
        expect(self.page.get_by_text(warning)).to_be_visible()
        expect(self.page.get_by_text("3 images and 3 targets, as of")).to_be_visible()

    def names(self) -> list[str]:
        return [name.split("\n")[0] for name in self.page.get_by_role("rowheader").all_inner_texts()]

    def test_a_cell_says_why_and_leads_to_asking(self) -> None:
        self.look()
        page = self.page
        page.get_by_role("gridcell", name="alpha, account-4444: shared, but can't launch").click()
        why = page.get_by_role("complementary", name="Why")
        expect(why).to_contain_text("because not")
        why.get_by_role("button", name="Check it now").click()
        expect(page.get_by_label("For whom")).to_have_value(STAGING)
        page.get_by_role("link", name="Look").click()
        page.get_by_role("gridcell", name="beta, account-1111: depends, or not known, shared by hand").click()
        expect(why).to_contain_text("none: shared by hand")
        page.get_by_role("gridcell", name=f"beta, {BATCH}: waiting").click()
        expect(why).to_contain_text("asked by jwt:x#y")

    def test_rows_are_filtered_and_sorted(self) -> None:
        self.look()
        page = self.page
        self.assertEqual(self.names(), ["=cmd()", "alpha", "beta"])
        page.get_by_label("Sort").select_option("trouble")
        self.assertEqual(self.names(), ["alpha", "beta", "=cmd()"])
        page.get_by_label("Sort").select_option("until")
        self.assertEqual(self.names()[0], "=cmd()")
        page.get_by_label("Filter").fill("account-4444")
        self.assertEqual(self.names(), ["alpha"])
        page.get_by_label("Filter").fill("by hand")
        self.assertEqual(self.names(), ["beta"])
        page.get_by_label("Filter").fill("")
        page.get_by_role("checkbox", name="can launch", exact=True).uncheck()
        page.get_by_role("checkbox", name="expires within 7 days").uncheck()
        self.assertEqual(sorted(self.names()), ["alpha", "beta"])
        expect(page.get_by_role("gridcell", name="alpha, account-1111: not shown")).to_be_empty()
        self.assertEqual({one["launch"] for one in self.export()}, {"not", "unknown", "waiting"})
        page.get_by_label("Filter").fill("nothing like it")
        expect(page.get_by_text("Nothing fits these filters")).to_be_visible()

    def test_the_grid_is_walked_with_the_arrows(self) -> None:
        self.look()
        page = self.page
        cells = page.get_by_role("gridcell")
        first = page.locator("td[tabindex='0']")
        expect(first).to_have_count(1)
        first.focus()
        for key, index in (
            ("ArrowRight", 1),
            ("ArrowDown", 4),
            ("Home", 3),
            ("End", 5),
            ("ArrowUp", 2),
            ("ArrowRight", 2),
        ):
            page.keyboard.press(key)
            expect(cells.nth(index)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("complementary", name="Why")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary", name="Why")).to_be_hidden()

    def test_the_export_is_what_is_shown_and_no_formula(self) -> None:
        self.look()
        rows = self.export()
        self.assertEqual(len(rows), 5)
        [odd] = [one for one in rows if one["image"] == "ami-3"]
        self.assertEqual((odd["name"], odd["why"], odd["launch"]), ("'=cmd()", 'say "hi", please', "really"))
        self.assertEqual({one["launch"] for one in rows}, {"really", "not", "unknown", "waiting"})

    def test_pages_of_an_audit_are_shown_as_they_come(self) -> None:
        page = self.page
        gate: list[Route] = []
        self.given("images", completed(images=[]))
        self.given("approvals", completed(approvals=[]))

        def answer(route: Route) -> None:
            asked = json.loads(route.request.post_data or "{}")
            self.assertEqual((asked["action"], asked["rows"]), ("audit", True))
            if "nextToken" in asked:
                gate.append(route)
            else:
                route.fulfill(json=completed(rows=self.ROWS[:2], nextToken="t"))

        self.given("requests", answer)
        self.sign_in(EDSGER, view="#/look")
        expect(page.get_by_text("1 image with shares so far, 1 page read")).to_be_visible()
        expect(page.get_by_role("gridcell")).to_have_count(2)
        gate[0].fulfill(json=completed(rows=self.ROWS[2:]))
        expect(page.get_by_text("3 images and 3 targets, as of")).to_be_visible()

    def test_an_audit_that_breaks_off_shows_what_came_and_goes_on(self) -> None:
        page = self.page
        self.given("images", completed(images=[]))
        self.given("approvals", completed(approvals=[]))
        failed = completed(result="failed", errors=[{"code": "OutOfTime", "message": "no time was left"}])
        answers = [
            (200, completed(rows=self.ROWS[:2], nextToken="t")),
            (504, failed),
            (200, completed(rows=self.ROWS[2:])),
        ]

        def answer(route: Route) -> None:
            status, document = answers.pop(0)
            route.fulfill(status=status, json=document)

        self.given("requests", answer)
        self.sign_in(EDSGER, view="#/look")
        expect(page.get_by_text("no time was left")).to_be_visible()
        expect(page.get_by_role("gridcell")).to_have_count(2)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("3 images and 3 targets, as of")).to_be_visible()

    def test_paper_has_the_table_and_what_its_signs_mean(self) -> None:
        self.look()
        self.page.emulate_media(media="print")
        expect(self.page.get_by_role("button", name="Print")).to_be_hidden()
        expect(self.page.get_by_role("group", name="Show")).to_contain_text("shared, but can't launch")
        for control in (self.page.get_by_role("checkbox").first, self.page.get_by_label("Filter")):
            expect(control).to_be_hidden()
        expect(self.page.get_by_role("banner")).to_be_hidden()
        self.assertTrue(self.page.pdf().startswith(b"%PDF"))


class WithoutAMouse(Case):
    """By the keyboard alone, and with the API behind it."""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def press_until(self, key: str, is_there: Callable[[], bool]) -> None:
        for _ in range(60):
            if is_there():
                return
            self.press(key)
        self.fail(f"{key} doesn't lead there, but to {self.focused('outerHTML')}")

    def focused(self, what: str) -> str:
        return str(self.page.evaluate(f"document.activeElement.{what}"))

    def press_on(self, text: str, key: str = "Tab") -> None:
        """Goes to what has this text, and presses it."""
        self.press_until(key, lambda: self.focused("textContent").strip() == text)
        self.press("Enter")

    def sign_in_by_keys(self, person: Person) -> None:
        self.press_on("Sign in")
        expect(self.page.get_by_role("heading", name="Who are you?")).to_be_visible()
        self.press_on(person.name)
        expect(self.page.get_by_text(person.name)).to_be_visible()

    def sign_out_by_keys(self) -> None:
        self.press_on("Sign out", "Shift+Tab")
        expect(self.page.get_by_role("heading", name="Share machine images")).to_be_focused()

    def choose_by_keys(self, image: str, target: str) -> None:
        self.press_until("Shift+Tab", lambda: self.focused("id") == "search")
        self.press("ControlOrMeta+A")
        self.page.keyboard.type(image)
        expect(self.page.get_by_role("radio")).to_have_count(1)
        self.press("Tab", "Space")
        expect(self.page.get_by_role("radio")).to_be_checked()
        self.press_until("Tab", lambda: self.focused("id") == "target")
        self.page.keyboard.type(target)

    def test_ask_approve_look_and_sign_out_with_the_keyboard_alone(self) -> None:
        page = self.page
        page.goto(service.url)
        self.sign_in_by_keys(ADA)
        expect(page.get_by_role("heading", name="Ask for an image")).to_be_focused()
        self.press_until("Tab", lambda: self.focused("id") == "search")
        self.choose_by_keys("golden-vault", "staging-web")
        expect(page.get_by_text("it can't be shared like this")).to_be_visible()
        self.press_on("Copy")
        expect(page.locator("#said")).to_have_text(re.compile("Copied|copy it with the keyboard"))

        self.choose_by_keys("golden-web-2026.11", "prod-web")
        expect(page.get_by_text("prod-web can have this image, and will be able to launch it.")).to_be_visible()
        self.press_on("Share")
        expect(page.get_by_text("prod-web has this image, and can launch it.")).to_be_visible()

        self.choose_by_keys("fleet-gateway-3", "batch")
        expect(page.get_by_text("batch can have this image once somebody approves it.")).to_be_visible()
        self.press_until("Tab", lambda: self.focused("id") == "reason")
        page.keyboard.type("by the keyboard")
        self.press_on("Send for approval")
        expect(page.get_by_text("It waits for somebody to approve it.")).to_be_visible()
        self.sign_out_by_keys()

        self.sign_in_by_keys(GRACE)
        self.press_on("Approve")
        expect(page.get_by_role("heading", name="Approve", exact=True)).to_be_focused()
        card = page.get_by_role("article").filter(has_text="by the keyboard")
        expect(card).to_be_visible()
        self.press_on("Review")
        expect(card.get_by_label("Your reason")).to_be_visible()
        self.press_until("Tab", lambda: self.focused("id").startswith("reason-"))
        page.keyboard.type("fine")
        self.press_on("Approve")
        expect(card).to_contain_text("batch has this image, and can launch it.")
        self.sign_out_by_keys()

        self.sign_in_by_keys(EDSGER)
        self.press_on("Look")
        expect(page.get_by_role("heading", name="Who can really launch what")).to_be_focused()
        expect(page.get_by_text("targets, as of")).to_be_visible()
        self.press_until("Tab", lambda: self.focused("tagName") == "TD")
        self.press_until(
            "ArrowDown", lambda: self.focused("ariaLabel").startswith("fleet-gateway-3, batch: can launch")
        )
        self.press("Enter")
        expect(page.get_by_role("complementary", name="Why")).to_contain_text("in 90 days")
        self.press("Escape")
        expect(page.get_by_role("complementary", name="Why")).to_be_hidden()
        self.sign_out_by_keys()


class Accessibility(Case):
    """axe-core finds nothing in any view and state, in light and in dark, and nothing is wider than a telephone."""

    def check(self, where: str) -> None:
        found = self.page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)
        told = [
            f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']]}" for one in found["violations"]
        ]
        self.assertEqual(told, [], where)

    def check_narrow(self, where: str) -> None:
        self.page.set_viewport_size({"width": 390, "height": 800})
        self.check(f"{where} on a telephone")
        self.assertLessEqual(self.page.evaluate("document.documentElement.scrollWidth"), 390, where)
        self.page.set_viewport_size({"width": 1360, "height": 860})

    def answer(self, path: str, answer: Document | Callable[[Route], None], status: int = 200) -> None:
        """What the API answers at this path from now on."""
        self.page.unroute(f"**/$default/{path}")
        self.given(path, answer, status)

    def test_every_view_and_state(self) -> None:
        try:
            source = axe()
        except Missing as missing:
            print(f"\nSKIPPED, axe-core did not look at the page: {missing}", file=sys.stderr)
            self.skipTest(str(missing))
        for scheme in ("light", "dark"):
            with self.subTest(scheme=scheme):
                self.page = self.open(color_scheme=scheme)
                self.page.add_init_script(source)
                self.signing_in()
                self.asking()
                self.approving()
                self.looking()

    def signing_in(self) -> None:
        page = self.page
        page.goto(service.url)
        self.check("signed out")
        page.route("**/.well-known/openid-configuration", lambda route: route.abort())
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Signing in failed")).to_be_visible()
        self.check("signing in failed")
        page.unroute("**/.well-known/openid-configuration")
        refused = {"code": "RequesterNotAllowed", "message": "no rule names you"}
        self.answer("images", completed(result="refused", refusals=[refused]), 403)
        self.sign_in(ADA)
        expect(page.get_by_role("heading", name="Nobody has let you in yet")).to_be_visible()
        self.check("named by no rule")

    def asking(self) -> None:
        page = self.page
        gate: list[Route] = []
        self.answer("images", gate.append)
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("Reading images: 0 so far")).to_be_visible()
        self.check("a slow catalogue")
        gate[0].fulfill(json=completed(images=[]))
        expect(page.get_by_text("Your rules cover no image")).to_be_visible()
        self.check("an empty catalogue")
        self.answer("images", completed(images=[image("ami-1", "alpha", PROD, STAGING, tags={"Tier": "gold"})]))
        self.sign_out()
        self.sign_in(ADA)
        expect(page.get_by_role("radio")).to_have_count(1)
        self.check("ask")
        refused = shared_check("ami-1", PROD, accepted=False) | {"warnings": ["a warning"]}
        refused["images"][0]["keys"] = [key_row()]
        refused["refusals"] = [
            {"code": "KeyAccessMissing", "message": "missing", "keyArn": "other", "statements": [{"Effect": "Allow"}]},
            {"code": "DefaultKey", "message": "a default key", "values": {"rule": "web", "copyFrom": "eu-west-1"}},
        ]
        self.answer("images/ami-1/shares/*", refused)
        self.choose("alpha", f"account-1111 ({PROD})")
        expect(page.get_by_text("it can't be shared like this")).to_be_visible()
        self.check("a check that finds faults")
        self.check_narrow("a check")
        self.answer("images/ami-1/shares/*", shared_check("ami-1", PROD, accepted=True))
        self.answer("images/ami-1/shares", shared_check("ami-1", PROD, state="shared", launch="unknown"))
        page.get_by_role("button", name="Check again").click()
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.get_by_text("account-1111 has this image")).to_be_visible()
        self.check("shared")
        approval = {"id": ASK, "until": in_days(7), "rules": ["fleet"]}
        self.answer("images/ami-1/shares", completed(result="accepted", approval=approval), 202)
        self.choose("alpha", f"account-4444 ({STAGING})")
        page.get_by_role("button", name="Share", exact=True).click()
        expect(page.get_by_text("It waits for somebody to approve it.")).to_be_visible()
        self.check("waiting")

    def approving(self) -> None:
        page = self.page
        self.answer("approvals", completed(approvals=[]))
        page.get_by_role("link", name="Approve").first.click()
        expect(page.get_by_text("You wait for nothing.")).to_be_visible()
        self.check("nothing to approve")
        own = f"jwt:{service.issuer.url}#{ADA.subject}"
        self.answer("approvals", completed(approvals=[ask("jwt:x#y", "ami-1"), ask(own, "ami-1", id="1" * 32)]))
        steps = [{"call": "ec2:ModifyImageAttribute", "resource": "ami-1", "add": [PROD], "state": "planned"}]
        planned = {"imageId": "ami-1", "steps": steps, "targets": [], "keys": [key_row()]}
        self.answer("approvals/**", completed(result="planned", images=[planned], warnings=["a warning"]))
        page.get_by_role("button", name="Look again").click()
        page.get_by_role("button", name="Review").click()
        expect(page.get_by_label("Your reason")).to_be_visible()
        self.check("a review")
        self.check_narrow("a review")
        refused = {"code": "ApprovalNotFound", "message": "nothing waits"}
        self.answer("approvals/**", completed(result="refused", refusals=[refused]), 404)
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_text("nothing waits")).to_be_visible()
        self.check("an approval that is gone")

    def looking(self) -> None:
        page = self.page
        gate: list[Route] = []
        self.answer("requests", gate.append)
        page.get_by_role("link", name="Look").click()
        expect(page.get_by_role("grid")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_be_visible()
        self.check("a slow audit")
        gate[0].fulfill(json=completed(rows=Looking.ROWS, warnings=["a warning"]))
        page.get_by_role("gridcell", name="alpha, account-4444").click()
        expect(page.get_by_role("complementary", name="Why")).to_be_visible()
        self.check("a cell that is told of")
        self.check_narrow("the grid")
        page.get_by_label("Filter").fill("nothing like it")
        expect(page.get_by_text("Nothing fits these filters")).to_be_visible()
        self.check("nothing fits")
        self.answer("approvals", completed(approvals=[]))
        self.answer("requests", completed(rows=[]))
        page.get_by_role("button", name="Read again").click()
        expect(page.get_by_text("Nothing is shared yet")).to_be_visible()
        self.check("nothing is shared")
        self.answer("requests", completed(result="failed", errors=[{"message": "AWS failed"}]), 502)
        page.get_by_role("button", name="Read again").click()
        expect(page.get_by_role("heading", name="This didn't work")).to_be_visible()
        self.check("a failed audit")


def key_row() -> Document:
    return {
        "keyArn": f"arn:aws:kms:eu-west-1:999988887777:key/{'0' * 8}",
        "target": PROD,
        "verdict": "missing",
        "because": [{"sid": "Owner", "index": 0, "effect": "Allow"}],
        "missing": ["kms:Decrypt"],
        "dependsOn": [],
        "limits": ["default-key-only"],
        "likelyToFail": [],
        "notes": [],
        "remedy": [{"Effect": "Allow", "Action": "kms:Decrypt"}],
    }


class AtHome(unittest.TestCase):
    """`make local-aws`: what it prints is there, and nothing is left after Ctrl-C."""

    def test_it_prints_the_address_of_a_page_and_ends_in_good_order(self) -> None:
        command = [sys.executable, "-m", "ami_share_tools.demo.open_aws", BOOTSTRAP]
        with subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            assert process.stdout
            told = ""
            for line in process.stdout:
                told += line
                if "control.py says what else" in line:
                    break
            for words in ("Ada Lovelace", "web-team", "approvers", "platform", "AWS_ENDPOINT_URL="):
                self.assertIn(words, told)
            found = re.search(r"address +(http://127\.0\.0\.1:\d+/\S+)", told)
            assert found, told
            with urllib.request.urlopen(found[1], timeout=20) as answer:
                self.assertIn(b"<title>AMI Share</title>", answer.read())
            process.send_signal(signal.SIGINT)
            self.assertIn("Stopped; nothing is left.", process.stdout.read())
            self.assertEqual(process.wait(20), 0)
        with self.assertRaises(OSError):
            urllib.request.urlopen(found[1], timeout=5)


class Pictures(Case):
    """The pictures of the README. `make pictures` takes them; the test says when they are no longer of this page."""

    def digest(self) -> str:
        text = b"".join((PAGE / f"page.{ending}").read_bytes() for ending in ("html", "css", "js"))
        return hashlib.sha256(text).hexdigest()

    def test_the_pictures_are_of_this_page(self) -> None:
        stamp = PICTURES / "page.sha256"
        if os.environ.get("AMI_SHARE_TAKE_PICTURES"):
            self.take()
            stamp.write_text(self.digest() + "\n")
        self.assertEqual(stamp.read_text().strip(), self.digest(), "the page has changed since: run make pictures")

    def take(self) -> None:
        PICTURES.mkdir(exist_ok=True)
        for scheme in ("light", "dark"):
            page = self.page = self.open(color_scheme=scheme, device_scale_factor=1)
            page.set_viewport_size({"width": 1320, "height": 870})
            self.sign_in(EDSGER, view="#/look")
            expect(page.get_by_text("targets, as of")).to_be_visible()
            page.get_by_role("gridcell", name="golden-vault-2026.09, prod-web").click()
            page.screenshot(path=PICTURES / f"look-{scheme}.png", animations="disabled")
            page.get_by_role("button", name="Sign out").click()
            self.sign_in(ADA)
            self.choose("golden-vault", f"staging-web ({STAGING})")
            expect(page.get_by_text("it can't be shared like this")).to_be_visible()
            page.screenshot(path=PICTURES / f"ask-{scheme}.png", animations="disabled")


if __name__ == "__main__":
    unittest.main()
