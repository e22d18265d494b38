"""Tools of other people, as anybody has them, list and download what our push made.

`hf`, the command line of huggingface_hub, and `@huggingface/hub` for JavaScript, which is installed
below tests/ on the first run. Node with npm is needed: where it is missing the JavaScript test is
skipped, but never in CI.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hub_emulator import HubEmulator, Seen
from hub_tokens import TOKEN
from tiny_models import tiny_repo

TESTS = Path(__file__).parent
HF = Path(sys.executable).with_name("hf")
REPO = "ada/squares"
NOTES = "more/notes \u00e9.txt"  # in a folder, with a name to quote


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubEmulator]:
    """A Hub with a private model that was pushed from here, and one for everybody."""
    folder = tmp_path_factory.mktemp("tools")
    with HubEmulator(page_size=2) as hub:
        hub.users[TOKEN] = "ada"
        hub.organizations["ada"] = {"lab": "write"}
        model = folder / "model"
        for name, content in {**tiny_repo(), NOTES: "Of a summer \u00e9."}.items():
            path = model / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        own = {"HF_TOKEN": TOKEN, "PYTHONPATH": str(TESTS.parent), "LRLAB_CACHE": str(folder)}
        env = hub.client_env(folder / "home", **own)
        command = [sys.executable, "-m", "trainer", "push", str(model), REPO, "--json"]
        told = json.loads(answer_of(command, folder, env).splitlines()[-1])
        assert told["verified"] is True
        hub.model("ada/open", {"a.txt": "a"}, downloads=7)
        yield hub


@pytest.fixture(scope="module")
def files(hub: HubEmulator) -> dict[str, bytes]:
    """What the push made, by name."""
    made = list(hub.repos["models", REPO].commits.values())[-1]
    ours = {"README.md", "config.json", "lrlab.json", "model.onnx", "model.safetensors", NOTES}
    assert ours <= made.keys()
    return dict(made)


def sha256(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def answer_of(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """What a tool prints; a failure shows all that it said."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hf(hub: HubEmulator, folder: Path, *command: str) -> str:
    """What `hf` prints, logged in as Ada."""
    env = hub.client_env(folder / "home", HF_TOKEN=TOKEN, HF_HUB_DISABLE_UPDATE_CHECK="1")
    return answer_of([str(HF), *command], folder, env)


def to_storage(requests: list[Seen]) -> list[Seen]:
    """The requests to the other host name; each without the login."""
    found = [seen for seen in requests if seen.host.startswith("localhost")]
    assert {seen.authorization for seen in found} <= {None}
    return found


def test_the_hf_command_line_knows_who_it_is(hub, tmp_path):
    told = json.loads(hf(hub, tmp_path, "auth", "whoami", "--format", "json"))
    assert (told["user"], told["orgs"]) == ("ada", "lab")


def test_the_hf_command_line_lists_models_and_their_files(hub, files, tmp_path):
    models = json.loads(hf(hub, tmp_path, "models", "ls", "--author", "ada", "--format", "json"))
    assert [model["id"] for model in models] == ["ada/open"]
    listed = json.loads(hf(hub, tmp_path, "models", "ls", REPO, "-R", "--format", "json"))
    sizes = {file["path"]: file["size"] for file in listed if "blob_id" in file}
    assert sizes == {name: len(content) for name, content in files.items()}


def test_the_hf_command_line_downloads_a_model_whole(hub, files, tmp_path):
    before = len(hub.requests)
    hf(hub, tmp_path, "download", REPO, "--local-dir", "got")
    got = {
        path.relative_to(tmp_path / "got").as_posix(): path.read_bytes()
        for path in (tmp_path / "got").rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }
    assert sha256(got) == sha256(files)
    assert to_storage(hub.requests[before:])


@pytest.fixture(scope="module")
def node() -> str:
    """Node's program, with the packages of package-lock.json installed below tests/."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not (found and npm):
        if os.environ.get("CI"):
            pytest.fail("CI needs node and npm: .ci/run installs them")
        pytest.skip("node and npm are not installed (Debian: nodejs npm)")
    asked, done = TESTS / "package-lock.json", TESTS / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < asked.stat().st_mtime:
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        answer_of(command, TESTS, dict(os.environ))
    return found


def test_a_client_in_javascript_lists_and_downloads_a_model_whole(hub, files, node, tmp_path):
    before = len(hub.requests)
    # Older versions of Node try only the first address of a name, and the emulator has IPv4's.
    script = ["--dns-result-order=ipv4first", str(TESTS / "hub_client.mjs")]
    command = [node, *script, hub.endpoint, REPO, TOKEN]
    told = json.loads(answer_of(command, tmp_path, hub.client_env(tmp_path)))
    assert (told["name"], told["role"], told["missing"]) == ("ada", "write", None)
    assert {name: file["sha256"] for name, file in told["files"].items()} == sha256(files)
    assert {name: file["size"] for name, file in told["files"].items()} == {
        name: len(content) for name, content in files.items()
    }
    large = {name: file["lfs"] for name, file in told["files"].items() if file["lfs"]}
    assert {"model.onnx", "model.safetensors"} <= large.keys()
    assert large == {name: sha256(files)[name] for name in large}
    assert len(to_storage(hub.requests[before:])) > 1


def test_the_locked_packages_name_no_registry():
    locked = json.loads((TESTS / "package-lock.json").read_text())["packages"]
    asked = json.loads((TESTS / "package.json").read_text())["dependencies"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert not [name for name, entry in locked.items() if "resolved" in entry]
