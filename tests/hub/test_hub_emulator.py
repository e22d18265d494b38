"""The Hub emulator takes and refuses commits, content, names and kinds as the Hub does."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_api_client import ADA, lines, post, put, text_file
from hub_emulator import HubEmulator
from hub_naming import id_error, path_error


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(part_bytes=100_000) as hub:
        hub.users[ADA] = "ada"
        yield hub


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


# Spaces


def test_a_space_is_created_with_an_sdk_and_its_files_come_back(hub, client, tmp_path):
    made = client.ask("create", "ada/demo", repo_type="space", space_sdk="static")
    assert made["url"] == f"{hub.endpoint}/spaces/ada/demo"
    files = {
        "README.md": "---\nsdk: static\n---\n",
        "index.html": "<p>",
        "model.onnx": "weights" * 30_000,
    }
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
