"""The Hub emulator takes what the Hub takes and refuses what it refuses, seen by its own client.

The file is also that client: a process that carries out huggingface_hub's calls, because that
library reads the emulator's address at import.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from hub_cards import card_errors, card_warnings
from hub_emulator import HubEmulator
from hub_faults import Fault, Faults, rate_limit
from hub_naming import id_error, path_error
from hub_tokens import Token

ADA = "hf_canaryTokenOfAda"
SPACE_CARD = "---\ntitle: A\nemoji: 🐈\ncolorFrom: red\ncolorTo: gray\nsdk: static\n---\n"


class Client:
    """The parent's end of the pipe to the process with huggingface_hub."""

    def __init__(self, hub: HubEmulator, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=hub.client_env(folder / "home", HF_HUB_DISABLE_IMPLICIT_TOKEN="1"),
        )

    def ask(self, call: str, *args: object, token: str | None = ADA, **options: object) -> Any:
        """What the call gives; a refusal is a dict with `error`, `status` and `message`."""
        assert self._process.stdin and self._process.stdout
        given = {"token": token or False, **options}
        self._process.stdin.write(json.dumps([call, args, given]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


def commit(repo_id: str, files: dict[str, str | None], **options: Any) -> dict[str, Any]:
    """A commit of texts; None deletes."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    operations = [
        CommitOperationDelete(path) if text is None else CommitOperationAdd(path, text.encode())
        for path, text in files.items()
    ]
    given = {"commit_message": "a change", **options}
    return {"oid": HfApi().create_commit(repo_id, operations, **given).oid}


def create(repo_id: str, **options: Any) -> dict[str, Any]:
    """A new repository."""
    from huggingface_hub import HfApi

    return {"url": str(HfApi().create_repo(repo_id, **options))}


def plain(call: str, *args: Any, **options: Any) -> Any:
    """Any other method of `HfApi`."""
    from huggingface_hub import HfApi

    answer = getattr(HfApi(), call)(*args, **options)
    if isinstance(answer, list):
        return [vars(entry) for entry in answer]
    return answer if isinstance(answer, str | dict) else vars(answer)


def serve() -> None:
    """Answer the lines of standard input."""
    from huggingface_hub import errors

    answers = sys.stdout
    for line in sys.stdin:
        call, args, options = json.loads(line)
        try:
            found = {"commit": commit, "create": create, "plain": plain}[call](*args, **options)
        except errors.HfHubHTTPError as error:
            status, said = error.response.status_code, f"{error} {error.server_message}"
            found = {"error": type(error).__name__, "status": status, "message": said}
        except Exception as error:  # noqa: BLE001 a test judges which error it is
            found = {"error": type(error).__name__, "status": 0, "message": str(error)}
        answers.write(json.dumps(found, default=str) + "\n")
        answers.flush()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(part_bytes=100_000) as hub:
        hub.users[ADA] = "ada"
        hub.users["read"] = Token(user="ada", role="read")
        hub.users["expired"] = Token(user="ada", expired=True)
        hub.users["fine"] = Token(
            user="ada",
            role="fineGrained",
            permissions={"model/ada/fine": ("repo.content.read", "repo.write")},
        )
        for scope in ("contribute-repos", "write-repos", "read-repos"):
            hub.users[scope] = Token(user="ada", role="oauth", scopes=("openid", scope))
        hub.users["no scope"] = Token(user="ada", role="oauth", scopes=("openid", "profile"))
        hub.users["bob"] = "bob"
        hub.organizations["ada"] = {"lab": "write", "club": "read", "team": "contributor"}
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(hub, tmp_path_factory.mktemp("client"))
    yield client
    client.close()


@pytest.fixture(autouse=True)
def no_faults(hub: HubEmulator) -> Iterator[None]:
    yield
    hub.faults = Faults()
    assert not [path for path in hub.unknown if "agent-harnesses" not in path]


def put(hub: HubEmulator, path: str, body: bytes, **headers: str) -> int:
    """The status of an upload to the storage."""
    request = urllib.request.Request(
        f"{hub.storage}{path}", data=body, method="PUT", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except HTTPError as refused:
        refused.close()
        return refused.code


def post(hub: HubEmulator, path: str, body: bytes, token: str = ADA) -> tuple[int, str]:
    """The status and the text of a raw call, which huggingface_hub would not make."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{hub.endpoint}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def lines(*operations: tuple[str, dict[str, Any]], summary: str = "x", **header: str) -> bytes:
    """The body of a commit."""
    first = {"key": "header", "value": {"summary": summary, **header}}
    rest = [{"key": key, "value": value} for key, value in operations]
    return "\n".join(json.dumps(line) for line in (first, *rest)).encode()


def text_file(path: str, content: bytes = b"dA==") -> tuple[str, dict[str, Any]]:
    return "file", {"path": path, "encoding": "base64", "content": content.decode()}


# Commits


def test_it_commits_only_on_top_of_the_newest_commit(hub, client):
    repo = hub.model("ada/notes", {"a.txt": "a", "folder/b.txt": "b"})
    old = repo.refs["main"]
    done = client.ask("commit", "ada/notes", {"a.txt": "2"}, parent_commit=old)
    assert done == {"oid": repo.refs["main"]}
    assert client.ask("commit", "ada/notes", {"a.txt": "3"}, parent_commit=old)["status"] == 412
    gone = client.ask("commit", "ada/notes", {"folder/": None})
    assert repo.commits[gone["oid"]] == {"a.txt": b"2"}


def test_it_keeps_who_said_what_of_each_commit(hub, client):
    assert client.ask("create", "ada/log")["url"] == f"{hub.endpoint}/ada/log"
    client.ask("commit", "ada/log", {"a": "1"}, commit_message="One", commit_description="More.")
    found = client.ask("plain", "list_repo_commits", "ada/log")
    assert [(one["title"], one["message"], one["authors"]) for one in found] == [
        ("One", "More.", ["ada"]),
        ("initial commit", "", ["ada"]),
    ]


def test_a_commit_without_a_change_is_a_commit_and_its_client_skips_it(hub, client):
    repo = hub.model("ada/empty", {"a.txt": "t"})
    assert client.ask("commit", "ada/empty", {"a.txt": "t"}) == {"oid": repo.refs["main"]}
    assert len(repo.commits) == 1
    assert post(hub, "/api/models/ada/empty/commit/main", lines())[0] == 200
    assert len(repo.commits) == 2


@pytest.mark.parametrize(
    ("operations", "header", "status"),
    [
        ([text_file("a.txt")], {}, 200),
        ([text_file("a.txt")], {"summary": " "}, 400),
        ([text_file("a.txt")], {"parentCommit": "main"}, 400),
        ([text_file("a.txt")], {"parentCommit": "0" * 40}, 412),
        ([text_file("../a.txt")], {}, 400),
        ([text_file("/a.txt")], {}, 400),
        ([text_file(".git/config")], {}, 400),
        ([text_file("a.bin", b"AAAA")], {}, 400),
        ([text_file("a.txt", b"no base64")], {}, 400),
        ([("lfsFile", {"path": "a", "algo": "sha256", "oid": "0" * 64, "size": 3})], {}, 400),
        ([("deletedFile", {"path": "missing"})], {}, 404),
        ([("renamedFile", {"path": "a.txt"})], {}, 400),
    ],
)
def test_it_looks_at_every_line_of_a_commit(hub, operations, header, status):
    repo = hub.model("ada/raw", {"b.txt": "b"})
    body = lines(*operations, **header)
    assert post(hub, "/api/models/ada/raw/commit/main", body)[0] == status
    assert len(repo.commits) == (2 if status == 200 else 1)


def test_a_regular_file_has_at_most_ten_mebibytes(hub):
    repo = hub.model("ada/sizes", {})
    for size, status in ((10 * 2**20 // 3 * 3, 200), (10 * 2**20 + 3, 400)):
        body = lines(text_file("a.txt", b"YWFh" * (size // 3)))
        assert post(hub, "/api/models/ada/sizes/commit/main", body)[0] == status
    assert len(repo.commits) == 2


def test_what_is_no_json_is_refused(hub):
    hub.model("ada/json", {})
    assert post(hub, "/api/models/ada/json/commit/main", b"{")[0] == 400


def test_a_pull_request_is_refused(hub, client):
    repo = hub.model("ada/pull", {"a.txt": "a"})
    assert client.ask("commit", "ada/pull", {"a.txt": "2"}, create_pr=True)["status"] == 403
    assert len(repo.commits) == 1


def test_there_is_only_the_main_branch_to_commit_to(hub, client):
    hub.model("ada/branch", {"a.txt": "a"})
    refused = client.ask("commit", "ada/branch", {"a.txt": "2"}, revision="other")
    assert (refused["error"], refused["status"]) == ("RevisionNotFoundError", 404)


# Large files


def test_a_large_file_is_uploaded_and_verified_and_downloaded_whole(hub, client, tmp_path):
    client.ask("create", "ada/large")
    content = "weights" * 50_000  # 350 kB: four parts
    before = len(hub.requests)
    client.ask("commit", "ada/large", {"model.safetensors": content, "small.bin": "b"})
    oid = hashlib.sha256(content.encode()).hexdigest()
    repo = hub.repos["models", "ada/large"]
    assert set(repo.lfs) == {oid, hashlib.sha256(b"b").hexdigest()}
    asked = [(seen.method, seen.path, seen.query[:12]) for seen in hub.requests[before:]]
    parts = [query for _, path, query in asked if path.endswith(f"/{oid}")]
    assert sorted(parts) == [f"partNumber={number}" for number in range(1, 5)]
    calls = [path.split("/")[-1] for _, path, _ in asked if ".git/info/lfs" in path]
    assert calls.count("verify") == 2 and calls.count("complete") == 1
    folder = str(tmp_path)
    got = client.ask("plain", "hf_hub_download", "ada/large", "model.safetensors", local_dir=folder)
    assert Path(got).read_text() == content
    assert [seen.authorization for seen in hub.requests if seen.host.startswith("localhost")]
    assert not [
        seen for seen in hub.requests if seen.host.startswith("localhost") and seen.authorization
    ]


def test_the_storage_takes_only_signed_content_that_is_what_its_name_says(hub):
    hub.model("ada/storage", {})
    oid = hashlib.sha256(b"this").hexdigest()
    body = json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": 4}]}).encode()
    answer = json.loads(post(hub, "/ada/storage.git/info/lfs/objects/batch", body)[1])
    upload = answer["objects"][0]["actions"]["upload"]["href"].removeprefix(hub.storage)
    assert put(hub, upload.split("?")[0], b"this") == 403
    assert put(hub, upload, b"that") == 400
    assert put(hub, upload, b"this", Authorization=f"Bearer {ADA}") == 400
    assert put(hub, upload, b"this") == 200


def test_content_that_one_repository_has_is_uploaded_to_another_again(hub, client):
    for name in ("ada/first", "ada/second"):
        client.ask("create", name)
        before = len(hub.requests)
        client.ask("commit", name, {"a.bin": "the same"})
        assert [seen.path for seen in hub.requests[before:] if "/lfs-upload/" in seen.path]


# Names and paths


@pytest.mark.parametrize(
    ("repo_id", "fine"),
    [
        ("ada/squares-2_b.c", True),
        ("ada/" + "a" * 96, True),
        ("ada/" + "a" * 97, False),
        ("ada/a b", False),
        ("ada/é", False),
        ("ada/-a", False),
        ("ada/a.", False),
        ("ada/a--b", False),
        ("ada/a..b", False),
        ("ada/a.git", False),
        ("ada/a.ipynb", False),
        ("ada/b/c", False),
        ("ada/", False),
    ],
)
def test_it_creates_only_what_has_a_name(hub, repo_id, fine):
    owner, _, name = repo_id.partition("/")
    body = json.dumps({"name": name, "organization": owner}).encode()
    assert post(hub, "/api/repos/create", body)[0] == (200 if fine else 400)
    assert (("models", repo_id) in hub.repos) == fine
    assert (id_error(repo_id) is None) == fine


def test_a_name_that_is_taken_is_taken(hub, client):
    assert "url" in client.ask("create", "ada/taken")
    assert client.ask("create", "ada/taken")["status"] == 409
    assert "url" in client.ask("create", "ada/taken", exist_ok=True)


@pytest.mark.parametrize(
    ("path", "fine"),
    [("a.txt", True), (".gitattributes", True), ("a/.GIT/b", False), ("a//b", False)]
    + [(path, False) for path in ("", "/a", "a/", "./a", "a/../b", "a\\b", "a\nb")],
)
def test_a_path_stays_within_its_repository(path, fine):
    assert (path_error(path) is None) == fine


# Logins


def test_nobody_writes_without_a_login_or_elsewhere(hub, client):
    hub.model("grace/notes", {"a.txt": "a"})
    files = {"a.txt": "2"}
    assert client.ask("commit", "grace/notes", files, token=None)["status"] == 401
    assert client.ask("commit", "grace/notes", files, token="hf_unknown")["status"] == 401
    assert client.ask("commit", "grace/notes", files)["status"] == 403
    assert client.ask("create", "grace/new")["status"] == 403
    assert client.ask("create", "nowhere", token="hf_unknown")["status"] == 401


def test_a_login_that_expired_or_is_unknown_may_not_even_read(hub, client):
    hub.model("grace/open", {"a.txt": "a"})
    for token, said in (("expired", "is expired"), ("hf_unknown", "Invalid")):
        refused = client.ask("plain", "model_info", "grace/open", token=token)
        assert refused["status"] == 401 and said in refused["message"]
    assert client.ask("plain", "model_info", "grace/open", token=None)["id"] == "grace/open"


def test_a_private_repository_is_only_there_for_those_who_may_see_it(hub, client):
    hub.model("ada/secret", {"a.txt": "a"}, private=True)
    seen = {
        token: client.ask("plain", "model_info", "ada/secret", token=token).get("status", 200)
        for token in (ADA, "read", "read-repos", "write-repos", "no scope", "bob", None)
    }
    assert seen == {
        ADA: 200,
        "read": 200,
        "read-repos": 200,
        "write-repos": 200,
        "no scope": 404,
        "bob": 404,
        None: 401,
    }


@pytest.mark.parametrize(
    ("token", "creates", "writes"),
    [
        (ADA, True, True),
        ("read", False, False),
        ("fine", False, False),
        ("contribute-repos", True, False),
        ("write-repos", False, True),
        ("read-repos", False, False),
        ("no scope", False, False),
    ],
)
def test_a_login_may_what_its_role_or_its_scopes_say(hub, client, token, creates, writes):
    name = f"ada/by-{token.lower().replace(' ', '-').replace('_', '-')}"
    made = client.ask("create", name, token=token)
    assert made.get("status", 200) == (200 if creates else 403)
    hub.model("ada/older", {"a.txt": "a"})
    done = client.ask("commit", "ada/older", {"a.txt": "2"}, token=token)
    assert done.get("status", 200) == (200 if writes else 403)


def test_an_app_that_contributes_writes_to_what_it_created_and_nothing_else(hub, client):
    client.ask("create", "ada/mine", token="contribute-repos", private=True)
    client.ask("create", "ada/not-mine")
    for name, status in (("ada/mine", 200), ("ada/not-mine", 403)):
        done = client.ask("commit", name, {"a.txt": "2"}, token="contribute-repos")
        assert done.get("status", 200) == status
    assert client.ask("create", "lab/mine", token="contribute-repos")["status"] == 403
    hub.users["other app"] = Token(
        user="ada", role="oauth", scopes=("contribute-repos",), app="another"
    )
    assert client.ask("plain", "model_info", "ada/mine", token="other app")["status"] == 404


def test_a_fine_grained_token_writes_where_it_says(hub, client):
    for name, status in (("ada/fine", 200), ("ada/coarse", 403)):
        hub.model(name, {"a.txt": "a"})
        done = client.ask("commit", name, {"a.txt": "2"}, token="fine")
        assert done.get("status", 200) == status


@pytest.mark.parametrize(
    ("owner", "creates", "writes"),
    [("lab", True, True), ("team", True, False), ("club", False, False)],
)
def test_an_organization_gives_rights_by_role(hub, client, owner, creates, writes):
    made = client.ask("create", f"{owner}/own")
    assert made.get("status", 200) == (200 if creates else 403)
    if creates:
        assert "oid" in client.ask("commit", f"{owner}/own", {"a.txt": "2"})
    hub.model(f"{owner}/theirs", {"a.txt": "a"}, creator="grace")
    done = client.ask("commit", f"{owner}/theirs", {"a.txt": "2"})
    assert done.get("status", 200) == (200 if writes else 403)


def test_it_says_who_a_login_is(hub, client):
    me = client.ask("plain", "whoami")
    assert (me["type"], me["name"], me["email"]) == ("user", "ada", "ada@example.org")
    roles = {org["name"]: org["roleInOrg"] for org in me["orgs"]}
    assert roles == {"lab": "write", "club": "read", "team": "contributor"}
    assert me["auth"]["type"] == "access_token"
    assert me["auth"]["accessToken"]["role"] == "write"
    fine = client.ask("plain", "whoami", token="fine")["auth"]["accessToken"]
    assert fine["role"] == "fineGrained"
    assert fine["fineGrained"]["scoped"][0]["entity"]["name"] == "ada/fine"
    assert fine["fineGrained"]["scoped"][0]["permissions"] == ["repo.content.read", "repo.write"]
    app = client.ask("plain", "whoami", token="contribute-repos")
    assert app["auth"]["type"] == "oauth" and "accessToken" not in app["auth"]
    assert app["email"] is None
    assert client.ask("plain", "whoami", token="expired")["status"] == 401


# Spaces


def test_a_space_is_created_with_an_sdk_and_its_files_come_back(hub, client, tmp_path):
    made = client.ask("create", "ada/demo", repo_type="space", space_sdk="static")
    assert made["url"] == f"{hub.endpoint}/spaces/ada/demo"
    files = {"README.md": SPACE_CARD, "index.html": "<p>", "model.onnx": "weights" * 30_000}
    done = client.ask("commit", "ada/demo", files, repo_type="space")
    info = client.ask("plain", "space_info", "ada/demo")
    assert (info["sdk"], info["sha"]) == ("static", done["oid"])
    for name, content in files.items():
        got = client.ask(
            "plain",
            "hf_hub_download",
            "ada/demo",
            name,
            repo_type="space",
            local_dir=str(tmp_path),
        )
        assert Path(got).read_text() == content


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"type": "space", "sdk": "gradio"}, 200),
        ({"type": "space", "sdk": "docker"}, 200),
        ({"type": "space"}, 400),
        ({"type": "space", "sdk": "flask"}, 400),
        ({"type": "model", "sdk": "gradio"}, 400),
        ({"type": "dataset"}, 200),
        ({"type": "bucket"}, 400),
        ({"visibility": "hidden"}, 400),
    ],
)
def test_a_repository_is_of_a_kind_that_there_is(hub, asked, status):
    name = f"kind-{'-'.join(asked.values())}"
    body = json.dumps({"name": name, **asked}).encode()
    assert post(hub, "/api/repos/create", body)[0] == status


# Cards

INDEX = {
    "name": "squares",
    "results": [
        {
            "task": {"type": "image-classification"},
            "dataset": {"type": "imagefolder", "name": "squares"},
            "metrics": [{"type": "accuracy", "value": 0.9}],
        }
    ],
}
WITHOUT_A_NAME = {**INDEX, "results": [{**INDEX["results"][0], "dataset": {"type": "x"}}]}


@pytest.mark.parametrize(
    ("front", "fine"),
    [
        ("license: mit", True),
        ("- a list", False),
        ("license: [", False),
        ("license: mit\nlicense: mit", False),
        ("license: MIT", False),
        ("license: [mit, apache-2.0]", True),
        ("license: [mit, mine]", False),
        ("license: other\nlicense_name: mine", True),
        ("license: other", False),
        ("license: unknown", True),
        ("base_model: timm/resnet18.a1_in1k", True),
        ("base_model: gpt2", True),
        ("base_model: [a/b, c/d]", True),
        ("base_model: a b", False),
        ("base_model: null", False),
        ("base_model: https://x.org/a/b", False),
        ("datasets: [ada/squares]", True),
        ("datasets:\n- null", False),
        ("pipeline_tag: image-classification", True),
        ("pipeline_tag: image-classifying", False),
        ("tags: [timm]", True),
        ("tags: timm", False),
        (f"model-index: {json.dumps([INDEX])}", True),
        (f"model-index: {json.dumps(INDEX)}", False),
        (f"model-index: {json.dumps([{'name': 'squares'}])}", False),
        (f"model-index: {json.dumps([WITHOUT_A_NAME])}", False),
    ],
)
def test_a_models_card_is_judged_before_and_at_the_commit(hub, client, front, fine):
    repo = hub.model("ada/card", {"a.txt": "a"})
    card = f"---\n{front}\n---\ntext"
    done = client.ask("commit", "ada/card", {"README.md": card})
    assert ("oid" in done) == fine
    assert fine or "Invalid metadata in README.md" in done["message"]
    body = lines(text_file("README.md", base64_of(card)))
    assert post(hub, "/api/models/ada/card/commit/main", body)[0] == (200 if fine else 400)
    assert len(repo.commits) == (3 if fine else 1)


def base64_of(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("card", "fine"), [("no front matter", True), ("", True), ("---\nlicense: mit\n", False)]
)
def test_front_matter_may_be_missing_but_not_open(card, fine):
    assert (card_errors(card) == []) == fine
    assert bool(card_warnings(card)) == fine


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sdk: static", "sdk: streamlit"),
        ("sdk: static\n", ""),
        ("colorFrom: red", "colorFrom: orange"),
        ("colorTo: gray", "colorTo: grey"),
        ("emoji: 🐈", "emoji: cat"),
        ("title: A", f"title: A\nshort_description: {'a' * 61}"),
        ("title: A", "title: A\nhf_oauth_scopes: contribute-repos"),
        ("title: A", "title: A\nhf_oauth_scopes: [contribute]"),
        ("title: A", "title: 3"),
        ("---\n", ""),
    ],
)
def test_a_spaces_card_is_judged(hub, client, old, new):
    repo = hub.repo("spaces", "ada/space-card", sdk="static")
    repo.commit({})
    refused = client.ask(
        "commit", repo.repo_id, {"README.md": SPACE_CARD.replace(old, new)}, repo_type="space"
    )
    assert "Invalid metadata" in refused["message"]
    fine = SPACE_CARD.replace("title: A", f"title: A\nshort_description: {'a' * 60}")
    fine = fine.replace("sdk:", "hf_oauth: true\nhf_oauth_scopes: [contribute-repos]\nsdk:")
    assert "oid" in client.ask("commit", repo.repo_id, {"README.md": fine}, repo_type="space")


def test_the_projects_own_page_is_a_card_that_the_hub_takes():
    page = Path(__file__).parents[1] / "README.md"
    assert card_errors(page.read_text(encoding="utf-8"), "spaces") == []


# Faults


def test_a_rate_limit_is_said_as_the_hub_says_it(hub, client):
    hub.model("ada/limited", {"a.txt": "a"})
    hub.faults = Faults(script=[Fault(status=429, headers=rate_limit(55))])
    refused = client.ask("plain", "model_info", "ada/limited")
    assert refused["status"] == 429
    assert "'api' rate limit" in refused["message"] and "after 55 seconds" in refused["message"]
    assert "0/500 requests remaining in current 300s" in refused["message"]
    assert client.ask("plain", "model_info", "ada/limited")["id"] == "ada/limited"


def test_a_script_counts_and_chooses_its_requests(hub):
    hub.model("ada/script", {"a.txt": "a"})
    path = "/ada/script/resolve/main/a.txt"
    hub.faults = Faults(
        script=[
            Fault(status=503, only="a.txt", method="GET", skip=1, times=2, body="soon"),
            Fault(status=500, only="b.txt"),
        ]
    )
    assert [get(hub, path)[0] for _ in range(5)] == [200, 503, 503, 200, 200]


def get(hub: HubEmulator, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{hub.endpoint}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def test_a_reset_connection_is_reset_and_nothing_is_done(hub, capfd):
    repo = hub.model("ada/reset", {"a.txt": "a"})
    body = lines(text_file("a.txt", b"YWFh" * 500_000))
    hub.faults = Faults(script=[Fault(kind="reset", only="/commit/", after_bytes=100_000)])
    before = len(hub.requests)
    with pytest.raises((ConnectionResetError, BrokenPipeError, URLError)):
        post(hub, "/api/models/ada/reset/commit/main", body)
    assert len(repo.commits) == 1
    (broken,) = hub.requests[before:]
    assert broken.status == 0 and 100_000 <= len(broken.body) < len(body)
    assert post(hub, "/api/models/ada/reset/commit/main", body)[0] == 200
    assert capfd.readouterr().err == ""


def test_an_answer_is_lost_after_the_commit(hub, capfd):
    repo = hub.model("ada/lost", {"a.txt": "a"})
    hub.faults = Faults(script=[Fault(kind="lost", only="/commit/")])
    with pytest.raises(ConnectionResetError):
        post(hub, "/api/models/ada/lost/commit/main", lines(text_file("a.txt")))
    assert len(repo.commits) == 2
    assert hub.requests[-1].status == 0
    assert capfd.readouterr().err == ""


def test_a_download_breaks_off_or_comes_wrong(hub, capfd):
    hub.model("ada/broken", {"a.txt": "abcd"})
    path = "/ada/broken/resolve/main/a.txt"
    hub.faults = Faults(script=[Fault(kind="truncated"), Fault(kind="wrong")])
    with pytest.raises(IncompleteRead) as half:
        get(hub, path)
    assert half.value.partial == b"ab"
    assert get(hub, path) == (200, b"abce")
    assert get(hub, path) == (200, b"abcd")
    assert capfd.readouterr().err == ""


def test_somebody_else_is_quicker(hub):
    repo = hub.model("ada/meanwhile", {"a.txt": "a"})
    body = lines(text_file("a.txt"), parentCommit=repo.refs["main"])
    hub.faults = Faults(
        script=[
            Fault(
                kind="meanwhile",
                only="/commit/",
                act=lambda: repo.commit({"b.txt": "b"}),
                seconds=1,
            )
        ]
    )
    start = time.monotonic()
    assert post(hub, "/api/models/ada/meanwhile/commit/main", body)[0] == 412
    assert time.monotonic() - start >= 1
    assert len(repo.commits) == 2


def test_the_record_keeps_headers_bodies_and_times(hub):
    asked = b'{"content": "x", "repoType": "model"}'
    assert post(hub, "/api/validate-yaml", asked, token="hf_unknown")[0] == 401
    assert post(hub, "/api/validate-yaml", asked)[0] == 200
    seen = hub.requests[-1]
    assert (seen.method, seen.path, seen.status) == ("POST", "/api/validate-yaml", 200)
    assert seen.headers["authorization"] == f"Bearer {ADA}"
    assert json.loads(seen.body)["content"] == "x"
    assert time.monotonic() - seen.at < 5


if __name__ == "__main__":
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    serve()
