"""The local issuer: what the page and an authorizer read of it, and what it refuses."""

import base64
import hashlib
import json
import unittest
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from ami_share_tools.document import Document
from ami_share_tools.local_aws.issuer import Issuer, Person
from ami_share_tools.local_aws.tokens import is_well_made

ADA = Person("ada", "Ada <Lovelace>", ("web-team", "makers"))
PAGE = "http://127.0.0.1:4000/page"
VERIFIER = "v" * 43


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def send(url: str, body: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(status, body, where it redirects to)"""
    data = urlencode(body).encode() if body is not None else None
    try:
        with urllib.request.build_opener(NoRedirects).open(url, data, timeout=10) as answer:
            return answer.status, answer.read().decode(), ""
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode(), answer.headers.get("Location", "")


class Issued(unittest.TestCase):
    def setUp(self) -> None:
        self.issuer = self.enterContext(Issuer([ADA]))

    def authorize(self, **changed: str | None) -> tuple[int, str, str]:
        asked = {
            "response_type": "code",
            "client_id": self.issuer.client_id,
            "redirect_uri": PAGE,
            "scope": "openid",
            "state": "s",
            "nonce": "n",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            "person": "ada",
        } | changed
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return send(f"{self.issuer.url}/authorize?{query}")

    def code(self) -> str:
        status, _, address = self.authorize()
        self.assertEqual((status, address.split("?")[0]), (302, PAGE))
        answer = parse_qs(urlsplit(address).query)
        self.assertEqual((answer["state"], answer["iss"]), (["s"], [self.issuer.url]))
        return answer["code"][0]

    def exchange(self, **changed: str) -> tuple[int, Document]:
        asked = {
            "grant_type": "authorization_code",
            "code": self.code(),
            "redirect_uri": PAGE,
            "client_id": self.issuer.client_id,
            "code_verifier": VERIFIER,
        }
        status, body, _ = send(f"{self.issuer.url}/token", asked | changed)
        return status, json.loads(body)

    def test_a_token_is_signed_with_the_key_that_discovery_names(self) -> None:
        _, body, _ = send(f"{self.issuer.url}/.well-known/openid-configuration")
        found = json.loads(body)
        self.assertEqual(found["issuer"], self.issuer.url)
        status, given = self.exchange()
        self.assertEqual(status, 200)
        key = jwt.PyJWKClient(found["jwks_uri"]).get_signing_key_from_jwt(given["id_token"])
        claims = jwt.decode(given["id_token"], key, ["RS256"], audience=self.issuer.client_id, issuer=self.issuer.url)
        self.assertEqual((claims["sub"], claims["nonce"], claims["groups"]), ("ada", "n", ["web-team", "makers"]))

    def test_a_code_counts_once_and_only_for_who_asked(self) -> None:
        code = self.code()
        self.assertEqual(self.exchange(code=code)[0], 200)
        self.assertEqual(self.exchange(code=code), (400, self.exchange(code="made-up")[1]))
        for changed in (
            {"code_verifier": "w" * 43},
            {"redirect_uri": "http://127.0.0.1:4000/other"},
            {"client_id": "other"},
            {"grant_type": "password"},
        ):
            self.assertEqual(self.exchange(**changed)[0], 400, changed)

    def test_nobody_is_sent_anywhere_but_to_a_page_on_loopback(self) -> None:
        for uri in ("https://evil.example/", "http://evil.example/", "http://127.0.0.1.evil.example/", "x:y", ""):
            self.assertEqual(self.authorize(redirect_uri=uri)[::2], (400, ""), uri)
            logout = urlencode({"client_id": self.issuer.client_id, "post_logout_redirect_uri": uri})
            self.assertEqual(send(f"{self.issuer.url}/logout?{logout}")[::2], (400, ""), uri)
        self.assertEqual(self.authorize(client_id="other")[0], 400)

    def test_the_code_flow_needs_a_state_and_pkce(self) -> None:
        for name in ("state", "code_challenge", "code_challenge_method", "response_type"):
            self.assertEqual(self.authorize(**{name: None})[0], 400, name)
        self.assertEqual(self.authorize(code_challenge_method="plain")[0], 400)

    def test_people_are_listed_as_text(self) -> None:
        status, body, _ = self.authorize(person=None)
        self.assertEqual(status, 200)
        self.assertIn("Ada &lt;Lovelace&gt;", body)
        self.assertIn("web-team, makers", body)

    def test_a_token_without_proper_times_or_with_another_algorithm_is_as_good_as_none(self) -> None:
        token = self.issuer.token(ADA)
        self.assertTrue(is_well_made(f"Bearer {token}"))
        for made in (
            self.issuer.token(ADA, exp=None),
            jwt.encode({"exp": 2**40}, "k" * 32, "HS256"),
            jwt.encode({"exp": 2**40}, "", "none"),
            "a.b.c",
            "abc",
            "",
        ):
            self.assertFalse(is_well_made(f"Bearer {made}"), made)


if __name__ == "__main__":
    unittest.main()
