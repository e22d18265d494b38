"""`HubEmulator`: a small Hugging Face Hub on loopback, with the endpoints that clients use.

Run it in a thread of the test (`with HubEmulator() as hub:`), and the client in a subprocess with
`hub.client_env(...)`, because huggingface_hub reads `HF_ENDPOINT` at import. It is strict: an
unknown endpoint answers 404 and is listed in `hub.unknown`. Every request is kept in
`hub.requests`, with its headers and its body.

Not covered: xet, discussions, running Spaces.
Written from the endpoint list of huggingface_hub 2.4, huggingface.co's documentation and nothing
else; the answers hold only the fields that clients were seen to use.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers

from hub_faults import Exchange, Faults, play
from hub_repos import Repo
from hub_routes import (
    Finder,
    RefusedError,
    account_routes,
    description_routes,
    failure,
    file_routes,
)
from hub_tokens import Token
from hub_upload_routes import upload_routes
from hub_write_routes import Writer, commit_routes, create_routes


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it arrived, and the status that it got."""

    method: str
    path: str
    query: str
    host: str
    authorization: str | None
    byte_range: str | None
    status: int
    """0: the connection broke before an answer."""
    at: float
    """When it came, by `time.monotonic()`, in seconds."""
    headers: dict[str, str]
    body: bytes = field(repr=False)
    num_bytes: int = 0
    """Length of the answer's body, as its header has it."""


class HubEmulator:
    """The repositories, the record of requests, and the server in a thread."""

    def __init__(self, page_size: int = 1000, part_bytes: int = 2**40) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users: dict[str, str | Token] = {}
        """Token to the user's name, with every right of that user, or to what it may do."""
        self.organizations: dict[str, dict[str, str]] = {}
        """User to organization to `read`, `contributor`, `write` or `admin`."""
        self.requests: list[Seen] = []
        self.unknown: list[str] = []
        self.faults = Faults()
        self.page_size = page_size
        self.part_bytes = part_bytes
        self.port = 0

    @property
    def endpoint(self) -> str:
        """Where clients find it; LFS content is served under the other name, `localhost`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage(self) -> str:
        """The other host name, as the real Hub's CDN has one."""
        return f"http://localhost:{self.port}"

    def repo(self, kind: str, repo_id: str, **fields) -> Repo:
        """Create an empty repository of `models`, `datasets` or `spaces`."""
        made = Repo(kind=kind, repo_id=repo_id, **fields)
        self.repos[kind, repo_id] = made
        return made

    def dataset(self, repo_id: str, files: Mapping[str, bytes | str | None], **fields) -> Repo:
        """A dataset with one commit."""
        made = self.repo("datasets", repo_id, **fields)
        made.commit(files)
        return made

    def model(self, repo_id: str, files: Mapping[str, bytes | str | None], **fields) -> Repo:
        """A model with one commit."""
        made = self.repo("models", repo_id, **fields)
        made.commit(files)
        return made

    def client_env(self, home: Path, **extra: str) -> dict[str, str]:
        """The environment of a client subprocess: this Hub, an own cache, no token, no xet."""
        dropped = ("HF_", "HUGGING", "TRANSFORMERS", "LRLAB_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **extra,
        }

    def __enter__(self) -> "HubEmulator":
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            Gate(self), log_level="error", lifespan="off", ws="none", access_log=False
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the Hub emulator did not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()


def unused_endpoint() -> str:
    """An address on loopback where nothing listens: a Hub that is down."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


class Gate:
    """The outermost layer: mends the path, plays the faults, keeps the record."""

    def __init__(self, hub: HubEmulator) -> None:
        self.hub = hub
        self.app = build_app(hub)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        # "%2F" inside a revision must not become a path separator: routes see it quoted.
        raw = scope["raw_path"].split(b"?")[0].decode()
        scope["path"] = unquote(raw.replace("%2F", "%252F"))
        came = time.monotonic()

        def keep(exchange: Exchange) -> None:
            self.hub.requests.append(seen(scope, exchange, came))

        fault = self.hub.faults.take(scope["method"], scope["path"])
        await play(fault, self.app, scope, Exchange(receive, send, keep))


def seen(scope: dict[str, Any], exchange: Exchange, came: float) -> Seen:
    """The record of a request."""
    headers = Headers(scope=scope)
    return Seen(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode(),
        host=headers.get("host", ""),
        authorization=headers.get("authorization"),
        byte_range=headers.get("range"),
        status=exchange.status,
        at=came,
        headers=dict(headers),
        body=exchange.body,
        num_bytes=exchange.num_bytes,
    )


def build_app(hub: HubEmulator) -> FastAPI:
    """The app: the routes, and the strict 404."""
    app = FastAPI(openapi_url=None)
    finder = Finder(hub.repos, hub.users, hub.organizations)
    writer = Writer(finder)
    for router in (
        create_routes(writer),
        upload_routes(writer, hub.storage, hub.part_bytes),
        commit_routes(writer),
        account_routes(finder),
        description_routes(finder, hub.page_size),
        file_routes(finder, hub.storage),
    ):
        app.include_router(router)

    @app.exception_handler(RefusedError)
    def refused(_request: Request, error: RefusedError) -> Response:
        return error.answer

    @app.exception_handler(ValueError)
    def malformed(_request: Request, error: ValueError) -> Response:
        return failure(400, None, f"malformed: {type(error).__name__}")

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
    def unknown(request: Request) -> Response:
        hub.unknown.append(f"{request.method} {request.url.path}")
        return failure(404, None, "the emulator has no such endpoint")

    return app
