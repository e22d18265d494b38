"""`SignIn`: an OpenID provider on loopback, as huggingface.co is for a Space; everybody is let in.

Not covered: a consent page, refresh tokens, PKCE.
"""

import secrets
import socket
import threading
import time
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey


class SignIn:
    """The provider in a thread; `visitor` is who signs in next, with this token."""

    def __init__(self) -> None:
        self.visitor, self.token = "", ""
        self.scopes = ""
        """What the app asked for."""
        self._key = RSAKey.generate_key(2048, {"kid": "one"})
        self._asked: dict[str, dict[str, Any]] = {}
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self._app(), log_level="error", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __enter__(self) -> "SignIn":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }

        @app.get("/jwks")
        def jwks() -> dict[str, Any]:
            return {"keys": [self._key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize(redirect_uri: str, state: str, nonce: str, scope: str, client_id: str):
            code = secrets.token_hex(8)
            self.scopes = scope
            about = {"name": self.visitor, "preferred_username": self.visitor, "nonce": nonce}
            self._asked[code] = {**about, "token": self.token, "aud": client_id}
            joint = "&" if "?" in redirect_uri else "?"
            query = urlencode({"code": code, "state": state})
            return RedirectResponse(f"{redirect_uri}{joint}{query}")

        @app.post("/token")
        async def token(request: Request) -> dict[str, Any]:
            asked = self._asked.pop(str((await request.form())["code"]))
            access, now = asked.pop("token"), int(time.time())
            page = f"{self.url}/{asked['name']}"
            claims = {**asked, "iss": self.url, "sub": asked["name"], "profile": page}
            claims |= {"picture": "", "iat": now, "exp": now + 28800}
            return {
                "access_token": access,
                "token_type": "bearer",
                "expires_in": 28800,
                "scope": self.scopes,
                "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key),
            }

        return app
