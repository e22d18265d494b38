"""The write routes of the Hub emulator: create a repository, check its card, upload, commit.

As strict as the Hub: no write without a known token and into another's namespace, no content that
was not uploaded or is not what its name says, no commit on top of one that is not the newest.

Not covered: multipart and xet uploads, pull requests, organizations, deleting repositories.
"""

import base64
import hashlib
import json
from typing import Any

import yaml
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from hub_repos import LFS_SUFFIXES, Repo, blob_id
from hub_routes import Finder, RefusedError, failure

BAD_TOKEN = "Invalid username or password."
MAX_REGULAR_BYTES = 5_000_000
"""Larger files go to LFS, whatever their name."""


class Writer:
    """Looks up what may be written to, and keeps the LFS content that was uploaded."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self.uploads: dict[str, bytes] = {}
        """SHA-256 to content."""

    def user(self, request: Request) -> str:
        """The name behind the token.

        Raises:
            RefusedError: 401, there is none.
        """
        user = self.finder.user(request)
        if user is None:
            raise RefusedError(failure(401, None, BAD_TOKEN))
        return user

    def may_write(self, request: Request, owner: str) -> None:
        """Refuse a namespace of somebody else.

        Raises:
            RefusedError: 401 or 403.
        """
        user = self.user(request)
        if user != owner:
            message = f"You don't have the rights to write in the namespace {owner!r} as {user!r}"
            raise RefusedError(failure(403, None, message))

    def repo(self, request: Request, kind: str, repo_id: str) -> tuple[Repo, str]:
        """The repository and its newest commit; one that the user may not see is not found.

        Raises:
            RefusedError: 401, 403 or 404.
        """
        self.user(request)
        found = self.finder.find(request, kind, repo_id, "main")
        self.may_write(request, repo_id.split("/")[0])
        return found


def create_routes(writer: Writer) -> APIRouter:
    """Make a repository; judge a card's YAML."""
    routes = APIRouter()

    @routes.post("/api/repos/create")
    async def create(request: Request) -> Response:
        asked = await request.json()
        owner = asked.get("organization") or writer.user(request)
        writer.may_write(request, owner)
        kind = {"model": "models", "dataset": "datasets"}.get(asked.get("type", "model"))
        visibility = asked.get("visibility", "public")
        if kind is None or visibility not in ("public", "private") or not asked.get("name"):
            return failure(400, None, "Invalid repo name, type or visibility")
        repo_id = f"{owner}/{asked['name']}"
        url = address(request, kind, repo_id)
        if (kind, repo_id) in writer.finder.repos:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        repo = Repo(kind=kind, repo_id=repo_id, private=visibility == "private")
        repo.commit({".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        writer.finder.repos[kind, repo_id] = repo
        return JSONResponse({"url": url, "name": repo_id, "private": repo.private})

    @routes.post("/api/validate-yaml")
    async def validate_yaml(request: Request) -> Response:
        asked = await request.json()
        if asked["repoType"] not in ("model", "dataset", "space"):
            return failure(400, None, "Invalid repoType")
        error = card_error(asked["content"])
        errors = [{"message": error}] if error else []
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    return routes


def upload_routes(writer: Writer, storage: str) -> APIRouter:
    """Which LFS content is missing, and its upload; the other host name asks for no token."""
    routes = APIRouter()

    @routes.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch")
    async def dataset_batch(request: Request, owner: str, name: str) -> Response:
        return await batch(request, "datasets", f"{owner}/{name}")

    @routes.post("/{owner}/{name}.git/info/lfs/objects/batch")
    async def model_batch(request: Request, owner: str, name: str) -> Response:
        return await batch(request, "models", f"{owner}/{name}")

    async def batch(request: Request, kind: str, repo_id: str) -> Response:
        writer.repo(request, kind, repo_id)
        asked = (await request.json())["objects"]
        objects = [{"oid": entry["oid"], "size": entry["size"]} for entry in asked]
        for entry in objects:
            if entry["oid"] not in writer.uploads:
                href = f"{storage}/lfs-upload/{entry['oid']}"
                entry["actions"] = {"upload": {"href": href, "header": {}}}
        return JSONResponse({"transfer": "basic", "objects": objects})

    @routes.put("/lfs-upload/{oid}")
    async def upload(request: Request, oid: str) -> Response:
        content = await request.body()
        if hashlib.sha256(content).hexdigest() != oid:
            return failure(400, None, "the content does not have this SHA-256")
        writer.uploads[oid] = content
        return Response()

    return routes


def commit_routes(writer: Writer) -> APIRouter:
    """How each file is to be sent, and the commit of them all."""
    routes = APIRouter()

    @routes.post("/api/{kind}/{owner}/{name}/preupload/{revision}")
    async def preupload(request: Request, kind: str, owner: str, name: str) -> Response:
        repo, sha = writer.repo(request, kind, f"{owner}/{name}")
        asked = (await request.json())["files"]
        return JSONResponse({"files": [upload_mode(repo, sha, file) for file in asked]})

    @routes.post("/api/{kind}/{owner}/{name}/commit/{revision}")
    async def commit(request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        repo_id = f"{owner}/{name}"
        repo, newest = writer.repo(request, kind, repo_id)
        if revision != "main":
            return failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        if not lines or lines[0]["key"] != "header" or not lines[0]["value"].get("summary"):
            return failure(400, None, "the first line must be a header with a summary")
        if lines[0]["value"].get("parentCommit", newest) != newest:
            return failure(412, None, "A commit has happened since. Please refresh and try again.")
        sha = repo.commit(changes(lines[1:], repo.commits[newest], writer.uploads))
        url = f"{address(request, kind, repo_id)}/commit/{sha}"
        return JSONResponse({"success": True, "commitOid": sha, "commitUrl": url})

    return routes


def address(request: Request, kind: str, repo_id: str) -> str:
    """The page of a repository."""
    prefix = "" if kind == "models" else f"{kind}/"
    return f"http://{request.headers['host']}/{prefix}{repo_id}"


def card_error(text: str) -> str | None:
    """What is wrong with a card's front matter: it must be a YAML mapping. None: nothing."""
    lines = text.splitlines()
    if not lines or lines[0] != "---":
        return None  # a card without front matter is allowed
    if "---" not in lines[1:]:
        return "the front matter does not end"
    try:
        values = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    except yaml.YAMLError as error:
        return f"the front matter is not YAML: {error}"
    return None if isinstance(values, dict) else "the front matter must be a mapping"


def upload_mode(repo: Repo, sha: str, file: dict[str, Any]) -> dict[str, Any]:
    """How a file is to be sent, and its object's name where it is there already."""
    path, old = file["path"], repo.commits[sha].get(file["path"])
    base64.b64decode(file["sample"], validate=True)
    lfs = path.endswith((*LFS_SUFFIXES, ".onnx")) or file["size"] > MAX_REGULAR_BYTES
    answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
    if old is not None:
        answer["oid"] = hashlib.sha256(old).hexdigest() if lfs else blob_id(old)
    return answer


def changes(
    lines: list[dict[str, Any]], tree: dict[str, bytes], uploads: dict[str, bytes]
) -> dict[str, bytes | str | None]:
    """What the operations of a commit change, by path; None deletes.

    Raises:
        RefusedError: 400, an operation that is unknown or cannot be carried out.
    """
    changed: dict[str, bytes | str | None] = {}
    for line in lines:
        key, value = line["key"], line["value"]
        if key == "file" and value["encoding"] == "base64":
            changed[value["path"]] = base64.b64decode(value["content"], validate=True)
        elif key == "lfsFile" and value["algo"] == "sha256" and value["oid"] in uploads:
            changed[value["path"]] = uploads[value["oid"]]
        elif key == "deletedFile" and value["path"] in tree:
            changed[value["path"]] = None
        elif key == "deletedFolder":
            folder = value["path"].rstrip("/") + "/"
            changed |= {path: None for path in tree if path.startswith(folder)}
        else:
            raise RefusedError(failure(400, None, f"{key} of {value.get('path')} is refused"))
    return changed
