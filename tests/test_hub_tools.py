"""Tools of other people, as anybody has them, list and download a model from the Hub emulator.

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
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_emulator import HubEmulator, Seen

TESTS = Path(__file__).parent
HF = Path(sys.executable).with_name("hf")
TOKEN = "hf_canaryTokenOfAda"
REPO = "ada/squares"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "config.json": b'{"label_names": ["warm", "cold"]}',
    "model.safetensors": bytes(range(256)) * 8_000,  # 2 MB: JavaScript streams it in ranges
    "more/notes \u00e9.txt": "In a folder, with a name to quote: \u00e9".encode(),
}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(page_size=2) as hub:
        hub.users[TOKEN] = "ada"
        hub.organizations["ada"] = {"lab": "write"}
        hub.model(REPO, FILES, private=True)
        hub.model("ada/open", {"a.txt": "a"}, downloads=7)
        yield hub


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


def test_the_hf_command_line_lists_models_and_their_files(hub, tmp_path):
    models = json.loads(hf(hub, tmp_path, "models", "ls", "--author", "ada", "--format", "json"))
    assert [model["id"] for model in models] == ["ada/open"]
    files = json.loads(hf(hub, tmp_path, "models", "ls", REPO, "-R", "--format", "json"))
    sizes = {file["path"]: file["size"] for file in files if "blob_id" in file}
    assert sizes == {name: len(content) for name, content in FILES.items()}


def test_the_hf_command_line_downloads_a_model_whole(hub, tmp_path):
    before = len(hub.requests)
    hf(hub, tmp_path, "download", REPO, "--local-dir", "got")
    got = {
        path.relative_to(tmp_path / "got").as_posix(): path.read_bytes()
        for path in (tmp_path / "got").rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }
    assert {name: hashlib.sha256(content).hexdigest() for name, content in got.items()} == HASHES
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


def test_a_client_in_javascript_lists_and_downloads_a_model_whole(hub, node, tmp_path):
    before = len(hub.requests)
    # Older versions of Node try only the first address of a name, and the emulator has IPv4's.
    script = ["--dns-result-order=ipv4first", str(TESTS / "hub_client.mjs")]
    command = [node, *script, hub.endpoint, REPO, TOKEN]
    told = json.loads(answer_of(command, tmp_path, hub.client_env(tmp_path)))
    assert (told["name"], told["role"], told["missing"]) == ("ada", "write", None)
    assert {name: file["sha256"] for name, file in told["files"].items()} == HASHES
    assert {name: file["size"] for name, file in told["files"].items()} == {
        name: len(content) for name, content in FILES.items()
    }
    large = "model.safetensors"
    assert {name: file["lfs"] for name, file in told["files"].items() if file["lfs"]} == {
        large: HASHES[large]
    }
    assert len(to_storage(hub.requests[before:])) > 1


def test_the_locked_packages_name_no_registry():
    locked = json.loads((TESTS / "package-lock.json").read_text())["packages"]
    asked = json.loads((TESTS / "package.json").read_text())["dependencies"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert not [name for name, entry in locked.items() if "resolved" in entry]
