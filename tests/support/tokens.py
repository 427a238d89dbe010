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
    """Issues tokens as the configured issuer would."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "test-1", "use": "sig"})

    def token(self, *, key: RSAKey | None = None, kid: str = "test-1", **claims: Any) -> str:
        """A token with the standard claims; keywords replace or add."""
        now = int(clock.now().timestamp())
        standard = {
            "iss": os.environ["FACTEO_OIDC_ISSUER"],
            "aud": "staff-web",
            "sub": "s-1",
            "iat": now,
            "exp": now + 3600,
        }
        return jwt.encode({"alg": "RS256", "kid": kid}, standard | claims, key or self.key, algorithms=["RS256"])

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
        body = json.dumps({"keys": [issuer.key.as_dict(private=False)]}).encode()

        class KeySet(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

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
