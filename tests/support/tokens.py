"""A small identity provider: it signs tokens and serves its key set over HTTP."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from chalicelib.core import clock


class TokenIssuer:
    """Issues tokens as the configured issuer would. `fetches` counts how often its key set was read."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "test-1", "use": "sig"})
        self.key_set = self.key_set_of(self.key)
        self.fetches = 0

    @staticmethod
    def key_set_of(*keys: Any) -> bytes:
        """The document in which the public halves of these keys are published (RFC 7517)."""
        return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()

    @contextmanager
    def publishing(self, document: bytes) -> Iterator[None]:
        """Within the block this is read where the key set is expected."""
        usual, self.key_set = self.key_set, document
        try:
            yield
        finally:
            self.key_set = usual

    def token(self, *, key: RSAKey | None = None, kid: str = "test-1", **claims: Any) -> str:
        """A token with the standard claims; keywords replace, add, or with None leave out."""
        now = int(clock.now().timestamp())
        standard = {
            "iss": os.environ["FACTEO_OIDC_ISSUER"],
            "aud": "staff-web",
            "sub": "s-1",
            "iat": now,
            "exp": now + 3600,
        }
        told = {name: value for name, value in (standard | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": kid}, told, key or self.key, algorithms=["RS256"])

    def staff(self, *roles: str, scope: str = "*", **claims: Any) -> str:
        """The token of a member of staff."""
        return self.token(**{"cognito:groups": list(roles), "custom:scope": scope, **claims})

    def client(self, *scopes: str) -> str:
        """The token of another system."""
        return self.token(aud="tracking-site", client_id="tracking-site", scope=" ".join(f"facteo/{s}" for s in scopes))

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[TokenIssuer]:
        """An issuer whose key set is served on 127.0.0.1, on a free port."""
        issuer = cls()

        class KeySet(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(issuer.key_set)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["FACTEO_OIDC_JWKS"] = f"http://127.0.0.1:{server.server_port}/jwks.json"
        try:
            yield issuer
        finally:
            server.shutdown()
            server.server_close()
