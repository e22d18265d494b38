"""The read routes of the Hub emulator: who am I, search, description, tree, files.

Not covered: writing; modules beside this one add routers with the same `Finder`.
"""

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from hub_repos import Repo, blob_id, history, info, is_lfs, listing, matches
from hub_tokens import Roles, Token, may_read, whoami


class RefusedError(Exception):
    """Carries an error answer out of `Finder.find`; the app sends it."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def failure(status: int, code: str | None, message: str) -> Response:
    """An error as the Hub words it: the code in a header, the message in header and body."""
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return JSONResponse({"error": message}, status, headers=headers)


class Finder:
    """Looks up logins and repositories, and refuses as the Hub does."""

    def __init__(
        self,
        repos: dict[tuple[str, str], Repo],
        users: Mapping[str, str | Token],
        organizations: Roles,
    ) -> None:
        self.repos = repos
        self.users = users
        self.organizations = organizations

    def token(self, request: Request) -> Token | None:
        """The login of a request; None for an anonymous one.

        Raises:
            RefusedError: 401, the Hub does not know it, or does no longer.
        """
        given = request.headers.get("authorization")
        if given is None:
            return None
        found = self.users.get(given.removeprefix("Bearer "))
        if found is None or not given.startswith("Bearer "):
            refusal = failure(401, None, "Invalid username or password.")
            refusal.headers["X-Error-Message"] = "Invalid credentials in Authorization header"
            raise RefusedError(refusal)
        token = Token(user=found) if isinstance(found, str) else found
        if token.expired:
            what = "OAuth token" if token.role == "oauth" else 'User Access Token "test"'
            raise RefusedError(failure(401, None, f"{what} is expired"))
        return token

    def find(self, request: Request, kind: str, repo_id: str, revision: str) -> tuple[Repo, str]:
        """The repository and the sha of the revision.

        Raises:
            RefusedError: 401 or 404 RepoNotFound (private ones too), 404 RevisionNotFound.
        """
        repo, token = self.repos.get((kind, repo_id)), self.token(request)
        if repo is None or not may_read(token, repo, self.organizations):
            message = "Repository not found"
            raise RefusedError(failure(404 if token else 401, "RepoNotFound", message))
        sha = repo.resolve(unquote(revision))
        if sha is None:
            raise RefusedError(failure(404, "RevisionNotFound", f"Invalid rev id: {revision}"))
        return repo, sha


def account_routes(finder: Finder) -> APIRouter:
    """Who am I, and the daily question of huggingface_hub that must be 404."""
    routes = APIRouter()

    @routes.api_route("/api/whoami-v2", methods=["GET", "HEAD"])
    def who_am_i(request: Request) -> Response:
        token = finder.token(request)
        if token is None:
            return failure(401, None, "Invalid username or password.")
        return JSONResponse(whoami(token, finder.organizations))

    @routes.get("/api/agent-harnesses")
    def agent_harnesses() -> Response:
        return failure(404, None, "Not found")

    return routes


def description_routes(finder: Finder, page_size: int) -> APIRouter:
    """Search, description, tree and commits of every kind of repository."""
    routes = APIRouter()

    @routes.get("/api/models")
    @routes.get("/api/datasets")
    @routes.get("/api/spaces")
    def search(request: Request) -> Response:
        kind = request.url.path.removeprefix("/api/")
        query = parse_qs(request.url.query)
        found = [
            repo for repo in finder.repos.values() if repo.kind == kind and matches(repo, query)
        ]
        order = query.get("sort", ["downloads"])[0]
        found.sort(key=lambda repo: getattr(repo, order, repo.downloads), reverse=True)
        page = found[: int(query.get("limit", ["100"])[0])]
        return JSONResponse([info(repo, repo.refs["main"], files=False) for repo in page])

    @routes.get("/api/{kind}/{owner}/{name}")
    @routes.get("/api/{kind}/{owner}/{name}/revision/{revision}")
    def describe(
        request: Request, kind: str, owner: str, name: str, revision: str = "main"
    ) -> Response:
        repo, sha = finder.find(request, kind, f"{owner}/{name}", revision)
        return JSONResponse(info(repo, sha, blobs="blobs" in request.query_params))

    @routes.get("/api/{kind}/{owner}/{name}/tree/{revision}")
    @routes.get("/api/{kind}/{owner}/{name}/tree/{revision}/{folder:path}")
    def tree(
        request: Request, kind: str, owner: str, name: str, revision: str, folder: str = ""
    ) -> Response:
        repo, sha = finder.find(request, kind, f"{owner}/{name}", revision)
        entries = listing(repo, sha, folder, request.query_params.get("recursive") == "true")
        if folder and not entries:
            return failure(404, "EntryNotFound", f"{folder} does not exist")
        start = int(request.query_params.get("cursor", "0"))
        end, headers = start + page_size, {}
        if end < len(entries):
            query = urlencode(dict(request.query_params) | {"cursor": end})
            # The path as it came, still quoted: a client follows this address verbatim.
            here = f"http://{request.headers['host']}{request.scope['raw_path'].decode()}"
            headers["Link"] = f'<{here}?{query}>; rel="next"'
        return JSONResponse(entries[start:end], headers=headers)

    @routes.get("/api/{kind}/{owner}/{name}/commits/{revision}")
    def commits(request: Request, kind: str, owner: str, name: str, revision: str) -> Response:
        repo, sha = finder.find(request, kind, f"{owner}/{name}", revision)
        return JSONResponse(history(repo, sha))

    return routes


def file_routes(finder: Finder, storage: str) -> APIRouter:
    """The files themselves: small ones at once, LFS ones by a redirect to another host name."""
    routes = APIRouter()

    @routes.api_route("/datasets/{owner}/{name}/resolve/{rev}/{path:path}", methods=["GET", "HEAD"])
    @routes.api_route("/spaces/{owner}/{name}/resolve/{rev}/{path:path}", methods=["GET", "HEAD"])
    def other_file(request: Request, owner: str, name: str, rev: str, path: str) -> Response:
        kind = request.url.path.split("/")[1]
        return resolve(request, kind, f"{owner}/{name}", rev, path)

    @routes.api_route("/{owner}/{name}/resolve/{rev}/{path:path}", methods=["GET", "HEAD"])
    def model_file(request: Request, owner: str, name: str, rev: str, path: str) -> Response:
        return resolve(request, "models", f"{owner}/{name}", rev, path)

    def resolve(request: Request, kind: str, repo_id: str, rev: str, path: str) -> Response:
        repo, sha = finder.find(request, kind, repo_id, rev)
        if repo.gated:
            status = 403 if finder.token(request) else 401
            return failure(status, "GatedRepo", f"Access to {kind} {repo_id} is restricted.")
        content = repo.commits[sha].get(unquote(path))
        if content is None:
            return failure(404, "EntryNotFound", f"{path} does not exist")
        headers = {"X-Repo-Commit": sha}
        if not is_lfs(path, content):
            headers["ETag"] = f'"{blob_id(content)}"'
            return send(content, request.headers.get("range"), headers)
        oid = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{oid}"'}
        stored_at = f"{storage}/lfs/{kind}/{repo_id}/{oid}?X-Amz-Signature={signature(oid)}"
        return RedirectResponse(stored_at, 302, headers=headers)

    @routes.api_route("/lfs/{kind}/{owner}/{name}/{oid}", methods=["GET", "HEAD"])
    def stored(request: Request, kind: str, owner: str, name: str, oid: str) -> Response:
        check_signed(request, oid)
        repo = finder.repos[kind, f"{owner}/{name}"]
        for files in repo.commits.values():
            for content in files.values():
                if hashlib.sha256(content).hexdigest() == oid:
                    content = repo.tampered.get(oid, content)
                    return send(content, request.headers.get("range"), {"ETag": f'"{oid}"'})
        return failure(404, "EntryNotFound", "no such object")

    return routes


def signature(oid: str) -> str:
    """What makes an address of the storage valid without a login."""
    return hashlib.sha256(f"signed {oid}".encode()).hexdigest()


def check_signed(request: Request, oid: str) -> None:
    """The storage's own check: a signed address, and no login of the Hub beside it.

    Raises:
        RefusedError: 400 or 403.
    """
    if request.headers.get("authorization"):
        raise RefusedError(failure(400, None, "Only one auth mechanism allowed"))
    if request.query_params.get("X-Amz-Signature") != signature(oid):
        raise RefusedError(failure(403, None, "SignatureDoesNotMatch"))


def send(content: bytes, byte_range: str | None, headers: dict[str, str]) -> Response:
    """The content or, for a Range request, its part with status 206."""
    headers = headers | {"Accept-Ranges": "bytes"}
    if not byte_range:
        return Response(content, headers=headers, media_type="application/octet-stream")
    first, last = byte_range.removeprefix("bytes=").split("-")
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last) if first and last else len(content) - 1, len(content) - 1)
    if start > end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    part = content[start : end + 1]
    return Response(part, 206, headers=headers, media_type="application/octet-stream")
