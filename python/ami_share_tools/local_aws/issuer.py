"""A small OpenID Connect issuer on loopback, where everybody on a list can sign in without a password.

It has what the page and a JWT authorizer of API Gateway need: discovery, keys, the authorization code flow with PKCE, ID
tokens by RS256, and an end of the session. Nothing of it is fit for anything but a machine of one's own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from ami_share_tools.document import Document

CODE_SECONDS = 60
LOOPBACK = ("127.0.0.1", "localhost")
KEY_ID = "local"


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    subject: str
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """What a code was given for."""

    person: Person
    redirect_uri: str
    challenge: str
    nonce: str | None
    given: float


class Refused(Exception):
    """A request that the issuer does not carry out: an error code of RFC 6749, and why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


class Issuer:
    """One that this process runs, as long as the `with` block."""

    def __init__(self, people: Sequence[Person], client_id: str = "ami-share-page", token_seconds: int = 3600) -> None:
        self.people = {person.subject: person for person in people}
        self.client_id, self.token_seconds = client_id, token_seconds
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.codes: dict[str, Code] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def configuration(self) -> Document:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "end_session_endpoint": f"{self.url}/logout",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    def keys(self) -> Document:
        public: Document = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [public | {"kid": KEY_ID, "use": "sig", "alg": "RS256"}]}

    def code(self, asked: dict[str, str], person: Person) -> str:
        """Where the browser goes with a code (RFC 6749, section 4.1.2; RFC 9207)."""
        if asked.get("response_type") != "code" or not asked.get("state"):
            raise Refused("invalid_request", "only the code flow, with a state")
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            raise Refused("invalid_request", "PKCE by S256 is required")
        code = secrets.token_urlsafe(24)
        uri = asked["redirect_uri"]
        self.codes[code] = Code(person, uri, asked["code_challenge"], asked.get("nonce"), time.monotonic())
        return f"{uri}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.url})}"

    def check_client(self, asked: dict[str, str]) -> None:
        """Whose request it is decides where the browser may be sent: until then, nowhere."""
        if asked.get("client_id") != self.client_id:
            raise Refused("invalid_client", "this issuer has one client, the page")
        uri = urlsplit(asked.get("redirect_uri", ""))
        host = uri.hostname or ""
        if uri.scheme != "http" or not (host in LOOPBACK or host.endswith(".localhost")) or uri.query or uri.fragment:
            raise Refused("invalid_request", "the page is on loopback")

    def exchange(self, asked: dict[str, str]) -> Document:
        """The tokens for a code, which counts once (RFC 6749, section 4.1.3; RFC 7636, section 4.6)."""
        given = self.codes.pop(asked.get("code", ""), None)
        if asked.get("grant_type") != "authorization_code" or asked.get("client_id") != self.client_id:
            raise Refused("invalid_request", "only the code flow of the page")
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            given is None
            or time.monotonic() - given.given > CODE_SECONDS
            or given.redirect_uri != asked.get("redirect_uri")
            or given.challenge != challenge
        ):
            raise Refused("invalid_grant", "the code is used, old, or somebody else's")
        token = self.token(given.person, **({"nonce": given.nonce} if given.nonce else {}))
        return {"id_token": token, "access_token": secrets.token_urlsafe(24), "token_type": "Bearer"} | {
            "expires_in": self.token_seconds
        }

    def token(self, person: Person, **claims: Any) -> str:
        """A token of this person, signed with this issuer's key; a test may give other claims."""
        now = int(time.time())
        payload = {
            "iss": self.url,
            "sub": person.subject,
            "aud": self.client_id,
            "iat": now - 1,
            "exp": now + self.token_seconds,
            "name": person.name,
            "groups": list(person.groups),
        }
        claimed = {name: value for name, value in (payload | claims).items() if value is not None}
        return jwt.encode(claimed, self.key, algorithm="RS256", headers={"kid": KEY_ID})

    def choice(self, asked: dict[str, str]) -> str:
        """The page on which somebody says who they are."""
        rows = "".join(
            f'<li><a href="/authorize?{html.escape(urlencode(asked | {"person": person.subject}))}">{html.escape(person.name)}</a>'
            f" {html.escape(', '.join(person.groups) or 'in no group')}</li>"
            for person in self.people.values()
        )
        return PAGE.format(title="Who are you?", body=f"<ul>{rows}</ul>")


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><title>{title}</title><style>body{{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}}
li{{margin:.6rem 0}}</style><h1>{title}</h1>{body}<p>A local issuer, for this machine alone.</p></html>"""


def handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    """What answers the issuer's requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            match parts.path:
                case "/.well-known/openid-configuration":
                    self.document(issuer.configuration())
                case "/keys":
                    self.document(issuer.keys())
                case "/authorize":
                    self.authorize(asked)
                case "/logout":
                    self.log_out(asked)
                case _:
                    self.answer(404, "text/plain", b"nothing is here")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if urlsplit(self.path).path != "/token":
                return self.answer(404, "text/plain", b"nothing is here")
            try:
                return self.document(issuer.exchange({name: values[0] for name, values in parse_qs(body).items()}))
            except Refused as refused:
                return self.document({"error": refused.code, "error_description": refused.why}, 400)

        def authorize(self, asked: dict[str, str]) -> None:
            try:
                issuer.check_client(asked)
                person = issuer.people.get(asked.pop("person", ""))
                if person:
                    self.redirect(issuer.code(asked, person))
                else:
                    self.answer(200, "text/html; charset=utf-8", issuer.choice(asked).encode())
            except Refused as refused:
                self.answer(400, "text/plain; charset=utf-8", str(refused).encode())

        def log_out(self, asked: dict[str, str]) -> None:
            try:
                issuer.check_client(asked | {"redirect_uri": asked.get("post_logout_redirect_uri", "")})
                self.redirect(asked["post_logout_redirect_uri"])
            except Refused as refused:
                self.answer(400, "text/plain; charset=utf-8", str(refused).encode())

        def document(self, document: Document, status: int = 200) -> None:
            self.answer(status, "application/json", json.dumps(document).encode())

        def redirect(self, address: str) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            # A page of another origin reads discovery and tokens: https://fetch.spec.whatwg.org/#http-cors-protocol
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler
