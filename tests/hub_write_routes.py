"""The write routes of the Hub emulator: create a repository, check its card, commit.

As strict as the Hub: no write without a login that may, no content that was not uploaded or is not
what its name says, no commit on top of one that is not the newest.

Not covered: xet uploads, pull requests, branches, deleting repositories.
"""

import base64
import hashlib
import json
import re
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from hub_cards import SDKS, card_errors, card_warnings
from hub_naming import id_error, path_error
from hub_repos import MAX_REGULAR_BYTES, Repo, Said, blob_id, is_lfs
from hub_routes import Finder, RefusedError, failure
from hub_tokens import Token, may_create, may_write

KINDS = {"model": "models", "dataset": "datasets", "space": "spaces"}

STATIC_PAGE = """<!doctype html>
<html>
  <head><link rel="stylesheet" href="style.css" /></head>
  <body><h1>A static Space, and nothing in it yet</h1></body>
</html>
"""
"""The page that a new static Space begins with."""


class Writer:
    """Looks up what may be written to."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def token(self, request: Request) -> Token:
        """The login.

        Raises:
            RefusedError: 401, there is none.
        """
        token = self.finder.token(request)
        if token is None:
            raise RefusedError(failure(401, None, "Invalid username or password."))
        return token

    def repo(self, request: Request, kind: str, repo_id: str) -> tuple[Repo, str]:
        """The repository and its newest commit; one that the user may not see is not found.

        Raises:
            RefusedError: 401, 403 or 404.
        """
        token = self.token(request)
        repo, newest = self.finder.find(request, kind, repo_id, "main")
        if not may_write(token, repo, self.finder.organizations):
            message = f"You don't have the rights to write to {repo_id!r} with this token"
            raise RefusedError(failure(403, None, message))
        return repo, newest


def create_routes(writer: Writer) -> APIRouter:
    """Make a repository; judge a card's YAML."""
    routes = APIRouter()

    @routes.post("/api/repos/create")
    async def create(request: Request) -> Response:
        token, asked = writer.token(request), await request.json()
        owner = asked.get("organization") or token.user
        kind, repo_id = KINDS.get(asked.get("type", "model")), f"{owner}/{asked.get('name', '')}"
        error = id_error(repo_id) or creation_error(asked)
        if kind is None or error:
            return failure(400, None, error or "Invalid repo type")
        if not may_create(token, owner, writer.finder.organizations):
            message = f"You don't have the rights to create a {kind[:-1]} under {owner!r}"
            return failure(403, None, message)
        url = address(request, kind, repo_id)
        if (kind, repo_id) in writer.finder.repos:
            message = f"You already created this {kind[:-1]} repo"
            return JSONResponse({"error": message, "url": url}, 409)
        repo = new_repo(kind, repo_id, token, asked)
        writer.finder.repos[kind, repo_id] = repo
        return JSONResponse({"url": url, "name": repo_id, "private": repo.private})

    @routes.post("/api/validate-yaml")
    async def validate_yaml(request: Request) -> Response:
        writer.finder.token(request)  # a bad login is refused here too, none is fine
        asked = await request.json()
        if asked.get("repoType") not in KINDS or not isinstance(asked.get("content"), str):
            return failure(400, None, "Invalid repoType or content")
        found = card_errors(asked["content"], KINDS[asked["repoType"]])
        errors = [{"message": message} for message in found]
        warnings = [{"message": message} for message in card_warnings(asked["content"])]
        return JSONResponse({"errors": errors, "warnings": warnings}, 400 if errors else 200)

    return routes


def creation_error(asked: dict[str, Any]) -> str | None:
    """What is wrong with the wish for a repository, but its name. None: nothing."""
    if asked.get("visibility", "public") not in ("public", "private"):
        return "Invalid visibility"
    if asked.get("type") == "space" and asked.get("sdk") not in SDKS:
        return f'"sdk" must be one of [{", ".join(SDKS)}]'
    return '"sdk" is not allowed' if "sdk" in asked and asked.get("type") != "space" else None


def new_repo(kind: str, repo_id: str, token: Token, asked: dict[str, Any]) -> Repo:
    """A repository with the Hub's own first commit."""
    repo = Repo(
        kind=kind,
        repo_id=repo_id,
        private=asked.get("visibility") == "private",
        sdk=asked.get("sdk"),
        creator=token.user,
        app=token.app if token.role == "oauth" else "",
    )
    files = {".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
    if kind == "spaces":
        name = repo_id.split("/")[1]
        files["README.md"] = f"---\ntitle: {name}\nemoji: 🚀\nsdk: {repo.sdk}\n---\n"
    if repo.sdk == "static":
        files |= {"index.html": STATIC_PAGE, "style.css": "h1 {\n  color: teal;\n}\n"}
    sha = repo.commit(files)
    repo.log[sha] = Said(title="initial commit", author=token.user)
    return repo


def commit_routes(writer: Writer) -> APIRouter:
    """How each file is to be sent, and the commit of them all."""
    routes = APIRouter()

    @routes.post("/api/{kind}/{owner}/{name}/preupload/{revision}")
    async def preupload(request: Request, kind: str, owner: str, name: str) -> Response:
        asked = (await request.json())["files"]
        repo, sha = writer.repo(request, kind, f"{owner}/{name}")
        return JSONResponse({"files": [upload_mode(repo, sha, file) for file in asked]})

    @routes.post("/api/{kind}/{owner}/{name}/commit/{revision}")
    async def commit(request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        # From here on nothing waits, so that of two commits at the same time one is the newest.
        repo, newest = writer.repo(request, kind, f"{owner}/{name}")
        if revision != "main":
            return failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if "create_pr" in request.query_params:
            return failure(403, None, "Pull requests are disabled for this repository")
        header = checked_header(lines, newest)
        changed = changes(lines[1:], repo, repo.commits[newest])
        check_card(changed, kind)
        sha = repo.commit(changed)
        repo.log[sha] = Said(
            parent=newest,
            title=header["summary"],
            message=header.get("description", ""),
            author=writer.token(request).user,
        )
        url = f"{address(request, kind, repo.repo_id)}/commit/{sha}"
        return JSONResponse({"success": True, "commitOid": sha, "commitUrl": url})

    return routes


def address(request: Request, kind: str, repo_id: str) -> str:
    """The page of a repository."""
    prefix = "" if kind == "models" else f"{kind}/"
    return f"http://{request.headers['host']}/{prefix}{repo_id}"


def upload_mode(repo: Repo, sha: str, file: dict[str, Any]) -> dict[str, Any]:
    """How a file is to be sent, and its object's name where it is there already.

    Raises:
        RefusedError: 400, the path or the sample is none.
    """
    check_path(file["path"])
    path, old = file["path"], repo.commits[sha].get(file["path"])
    sample = base64.b64decode(file["sample"], validate=True)
    lfs = is_lfs(path, sample) or file["size"] > MAX_REGULAR_BYTES
    answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
    if old is not None:
        answer["oid"] = hashlib.sha256(old).hexdigest() if lfs else blob_id(old)
    return answer


def check_path(path: str) -> None:
    """Refuse what is no path within a repository.

    Raises:
        RefusedError: 400.
    """
    if error := path_error(path):
        raise RefusedError(failure(400, None, error))


def checked_header(lines: list[dict[str, Any]], newest: str) -> dict[str, Any]:
    """The first line of a commit: what it is, and on top of what.

    Raises:
        RefusedError: 400 or 412.
    """
    header = lines[0].get("value", {}) if lines and lines[0].get("key") == "header" else {}
    if not isinstance(header.get("summary"), str) or not header["summary"].strip():
        message = "the first line must be a header with a summary"
        raise RefusedError(failure(400, None, message))
    parent = header.get("parentCommit", newest)
    if not re.fullmatch("[0-9a-f]{40}", parent):
        raise RefusedError(failure(400, None, '"parentCommit" must be a commit\'s full name'))
    if parent != newest:
        message = "A commit has happened since. Please refresh and try again."
        raise RefusedError(failure(412, None, message))
    return header


def check_card(changed: dict[str, bytes | str | None], kind: str) -> None:
    """Refuse a README.md that the Hub would not take.

    Raises:
        RefusedError: 400.
    """
    card = changed.get("README.md")
    if isinstance(card, bytes) and (errors := card_errors(card.decode(), kind)):
        message = "; ".join(errors).replace("\n", " ").encode("ascii", "replace").decode()
        raise RefusedError(failure(400, None, f"Invalid metadata in README.md: {message}"))


def changes(
    lines: list[dict[str, Any]], repo: Repo, tree: dict[str, bytes]
) -> dict[str, bytes | str | None]:
    """What the operations of a commit change, by path; None deletes.

    Raises:
        RefusedError: 400 or 404, an operation that is unknown or cannot be carried out.
    """
    changed: dict[str, bytes | str | None] = {}
    for line in lines:
        key, value = line["key"], line["value"]
        path = value["path"].rstrip("/") if key == "deletedFolder" else value["path"]
        check_path(path)
        if key == "file" and value["encoding"] == "base64":
            changed[path] = regular(path, base64.b64decode(value["content"], validate=True))
        elif key == "lfsFile":
            changed[path] = uploaded(repo, tree, value)
        elif key == "deletedFile" and path in tree:
            changed[path] = None
        elif key == "deletedFolder" and any(name.startswith(f"{path}/") for name in tree):
            changed |= {name: None for name in tree if name.startswith(f"{path}/")}
        elif key in ("deletedFile", "deletedFolder"):
            message = f"A file with this name doesn't exist: {path}"
            raise RefusedError(failure(404, "EntryNotFound", message))
        else:
            raise RefusedError(failure(400, None, f"{key} of {path} is refused"))
    return changed


def regular(path: str, content: bytes) -> bytes:
    """The content of a file that is sent within the commit.

    Raises:
        RefusedError: 400, it belongs into LFS.
    """
    if len(content) > MAX_REGULAR_BYTES:
        message = f"Your push was rejected because it contains files larger than 10 MiB: {path}"
        raise RefusedError(failure(400, None, message))
    if is_lfs("", content):
        message = f"Your push was rejected because it contains binary files: {path}"
        raise RefusedError(failure(400, None, message))
    return content


def uploaded(repo: Repo, tree: dict[str, bytes], value: dict[str, Any]) -> bytes:
    """The content that an LFS line names.

    Raises:
        RefusedError: 400, it was not uploaded to this repository, or has another size.
    """
    there = {hashlib.sha256(content).hexdigest(): content for content in tree.values()}
    content = repo.lfs.get(value["oid"], there.get(value["oid"]))
    if value["algo"] != "sha256" or content is None:
        message = f"LFS pointer of {value['path']} points to a file that does not exist"
        raise RefusedError(failure(400, None, message))
    if value.get("size", len(content)) != len(content):
        raise RefusedError(failure(400, None, f"LFS pointer of {value['path']} has a wrong size"))
    return content
