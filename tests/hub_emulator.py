"""`HubEmulator`: a small Hugging Face Hub on loopback, with the endpoints that clients use.

Run it in a thread of the test (`with HubEmulator() as hub:`), and the client in a subprocess with
`hub.client_env(...)`, because huggingface_hub reads `HF_ENDPOINT` at import. It is strict: an
unknown endpoint answers 404 and is listed in `hub.unknown`. Every request is kept in
`hub.requests`, with its Authorization header.

Not covered: xet, spaces, discussions.
Written from the endpoint list of huggingface_hub 2.4, huggingface.co's documentation and nothing
else; the answers hold only the fields that clients were seen to use.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from hub_repos import Repo
from hub_routes import (
    Finder,
    RefusedError,
    account_routes,
    description_routes,
    failure,
    file_routes,
)
from hub_write_routes import Writer, commit_routes, create_routes, upload_routes


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
    num_bytes: int = 0
    """Length of the answer's body, as its header has it."""


@dataclass(kw_only=True)
class Faults:
    """What goes wrong on purpose; the fields may be changed while the emulator runs."""

    status: int | None = None
    """Answer this status (500, 429, …) instead of the real answer."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with `status`, for example `Retry-After`."""
    delay_seconds: float = 0.0
    """Wait before every answer."""
    only: str = ""
    """Only for paths that contain this."""
    times: int | None = None
    """Only for so many requests; None: until switched off."""

    def applies(self, path: str) -> bool:
        """Whether this request gets the fault; counts it."""
        if (not self.status and not self.delay_seconds) or self.only not in path:
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class HubEmulator:
    """The repositories, the record of requests, and the server in a thread."""

    def __init__(self, page_size: int = 1000) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users: dict[str, str] = {}
        """Token to user name."""
        self.requests: list[Seen] = []
        self.unknown: list[str] = []
        self.faults = Faults()
        self.page_size = page_size
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
        """Create an empty repository of `models` or `datasets`."""
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
            build_app(self), log_level="error", lifespan="off", ws="none", access_log=False
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


def build_app(hub: HubEmulator) -> FastAPI:
    """The app: routes, the strict 404, the record and the faults."""
    app = FastAPI(openapi_url=None)
    finder = Finder(hub.repos, hub.users)
    writer = Writer(finder)
    for router in (
        create_routes(writer),
        upload_routes(writer, hub.storage),
        commit_routes(writer),
        account_routes(finder),
        description_routes(finder, hub.page_size),
        file_routes(finder, hub.storage),
    ):
        app.include_router(router)

    @app.exception_handler(RefusedError)
    def refused(_request: Request, error: RefusedError) -> Response:
        return error.answer

    @app.middleware("http")
    async def record(request: Request, call_next) -> Response:
        # "%2F" inside a revision must not become a path separator: routes see it quoted.
        raw = request.scope["raw_path"].split(b"?")[0].decode()
        request.scope["path"] = unquote(raw.replace("%2F", "%252F"))
        path = request.scope["path"]
        faulty, faults = hub.faults.applies(path), hub.faults
        if faulty:
            await asyncio.sleep(faults.delay_seconds)
        if faulty and faults.status:
            answer = JSONResponse({"error": "fault"}, faults.status, headers=faults.headers)
        else:
            answer = await call_next(request)
        hub.requests.append(
            Seen(
                method=request.method,
                path=path,
                query=request.url.query,
                host=request.headers.get("host", ""),
                authorization=request.headers.get("authorization"),
                byte_range=request.headers.get("range"),
                status=answer.status_code,
                num_bytes=int(answer.headers.get("content-length", 0)),
            )
        )
        return answer

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
    def unknown(request: Request) -> Response:
        hub.unknown.append(f"{request.method} {request.url.path}")
        return failure(404, None, "the emulator has no such endpoint")

    return app
