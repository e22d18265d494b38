"""The LFS routes of the Hub emulator: which content is missing, its upload, its verification.

The upload goes to another host name, by a signed address, without a login: whole, or in parts
where the content is larger than a part and the client offers `multipart`.

Not covered: xet, downloads over LFS' own protocol.
"""

import hashlib
import re
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from hub_repos import Repo
from hub_routes import RefusedError, check_signed, failure, signature
from hub_write_routes import Writer


class Uploads:
    """Answers questions about LFS content of one emulator, and takes it in."""

    def __init__(self, writer: Writer, storage: str, part_bytes: int) -> None:
        self.writer = writer
        self.storage = storage
        self.part_bytes = part_bytes
        self.parts: dict[tuple[str, str, int], bytes] = {}
        """Repository, SHA-256 of the whole and number to content."""

    async def batch(self, request: Request, kind: str, repo_id: str) -> Response:
        """What is to be sent where."""
        asked = await request.json()
        repo, _newest = self.writer.repo(request, kind, repo_id)
        if asked.get("operation") != "upload" or asked.get("hash_algo", "sha256") != "sha256":
            return failure(400, None, "only uploads with sha256")
        in_parts = "multipart" in asked.get("transfers", [])
        objects = [self.instruction(request, repo, entry, in_parts) for entry in asked["objects"]]
        return JSONResponse({"transfer": "basic", "objects": objects})

    def instruction(
        self, request: Request, repo: Repo, entry: dict[str, Any], in_parts: bool
    ) -> dict[str, Any]:
        """One object of the answer, with actions where its content is missing."""
        oid, size = entry["oid"], entry["size"]
        answer = {"oid": oid, "size": size}
        if not re.fullmatch("[0-9a-f]{64}", oid) or not isinstance(size, int) or size < 1:
            return answer | {"error": {"code": 422, "message": "no such object can be"}}
        if oid in repo.lfs:
            return answer
        where = f"{self.storage}/lfs-upload/{repo.kind}/{repo.repo_id}/{oid}"
        signed = f"X-Amz-Signature={signature(oid)}"
        hub = f"http://{request.headers['host']}{request.url.path.removesuffix('/batch')}"
        upload: dict[str, Any] = {"href": f"{where}?{signed}", "header": {}}
        if in_parts and size > self.part_bytes:
            count = -(-size // self.part_bytes)
            urls = {f"{n:05}": f"{where}?partNumber={n}&{signed}" for n in range(1, count + 1)}
            header = {"chunk_size": str(self.part_bytes), **urls}
            upload = {"href": f"{hub}/complete?{signed}", "header": header}
        verify = {"href": f"{hub}/verify", "header": {}}
        return answer | {"actions": {"upload": upload, "verify": verify}}

    async def complete(self, request: Request, kind: str, repo_id: str) -> Response:
        """Put the parts of an upload together."""
        asked = await request.json()
        oid = asked["oid"]
        check_signed(request, oid)
        pieces = []
        for part in asked["parts"]:
            piece = self.parts.get((f"{kind}/{repo_id}", oid, part["partNumber"]))
            if piece is None or part["etag"].strip('"') != hashlib.md5(piece).hexdigest():
                return failure(400, None, f"part {part['partNumber']} is not there")
            pieces.append(piece)
        return self.keep(kind, repo_id, oid, b"".join(pieces))

    def keep(self, kind: str, repo_id: str, oid: str, content: bytes) -> Response:
        """Keep content under its name, if it is its name."""
        if hashlib.sha256(content).hexdigest() != oid:
            return failure(400, None, "the content does not have this SHA-256")
        self.writer.finder.repos[kind, repo_id].lfs[oid] = content
        return Response()

    async def verify(self, request: Request, kind: str, repo_id: str) -> Response:
        """Whether an upload came to be."""
        asked = await request.json()
        repo, _newest = self.writer.repo(request, kind, repo_id)
        if len(repo.lfs.get(asked["oid"], b"")) != asked["size"]:
            return failure(404, None, "the object is not there, or has another size")
        return Response()


def upload_routes(writer: Writer, storage: str, part_bytes: int) -> APIRouter:
    """The questions to the Hub, and the uploads to the storage."""
    routes, uploads = APIRouter(), Uploads(writer, storage, part_bytes)
    calls = {"batch": uploads.batch, "complete": uploads.complete, "verify": uploads.verify}

    @routes.post("/{prefix}/{owner}/{name}.git/info/lfs/objects/{call}")
    async def other(request: Request, prefix: str, owner: str, name: str, call: str) -> Response:
        return await ask(request, prefix, f"{owner}/{name}", call)

    @routes.post("/{owner}/{name}.git/info/lfs/objects/{call}")
    async def model(request: Request, owner: str, name: str, call: str) -> Response:
        return await ask(request, "models", f"{owner}/{name}", call)

    async def ask(request: Request, kind: str, repo_id: str, call: str) -> Response:
        if call not in calls:
            raise RefusedError(failure(404, None, f"no such LFS call: {call}"))
        return await calls[call](request, kind, repo_id)

    @routes.put("/lfs-upload/{kind}/{owner}/{name}/{oid}")
    async def upload(request: Request, kind: str, owner: str, name: str, oid: str) -> Response:
        check_signed(request, oid)
        content, number = await request.body(), request.query_params.get("partNumber")
        if number is None:
            return uploads.keep(kind, f"{owner}/{name}", oid, content)
        uploads.parts[f"{kind}/{owner}/{name}", oid, int(number)] = content
        return Response(headers={"ETag": f'"{hashlib.md5(content).hexdigest()}"'})

    return routes
