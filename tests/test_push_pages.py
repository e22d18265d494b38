"""`push-demo` and `push-data`: the command lines against the Hub emulator."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_emulator import HubEmulator
from hub_faults import Faults
from hub_repos import Repo
from push_client import TOKEN, Client, train_squares
from trainer.publish.demo import PAGE

SEEDED = {
    ".gitattributes": "",
    "README.md": "---\nsdk: static\n---\n",
    "index.html": "<p>a welcome</p>",
    "style.css": "p {}",
}
"""What a static Space holds that has just been made."""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.users[TOKEN] = "ada"
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("pages")
    client = Client(hub.client_env(folder / "home"), folder)
    yield client
    client.close()


@pytest.fixture(scope="module")
def trained(client: Client) -> Path:
    return train_squares(client)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run folder that a test may change."""
    return Path(shutil.copytree(trained.parent, tmp_path / "run"))


@pytest.fixture(autouse=True)
def no_faults(hub: HubEmulator) -> Iterator[None]:
    yield
    hub.faults = Faults()
    assert not [path for path in hub.unknown if "agent-harnesses" not in path]


def newest(repo: Repo) -> dict[str, bytes]:
    return repo.commits[repo.refs["main"]]


def test_a_new_demo_page_takes_the_place_of_the_hubs_own(hub, client, run):
    answer = client.run("push-demo", run, "ada/page")
    assert (answer["code"], answer.get("verified")) == (0, True), answer
    repo = hub.repos["spaces", "ada/page"]
    assert (repo.private, repo.sdk, len(repo.commits)) == (True, "static", 2)
    page = {p.relative_to(PAGE).as_posix(): p.read_bytes() for p in PAGE.rglob("*") if p.is_file()}
    files = newest(repo)
    made = {"README.md", "model.json", "model.onnx", "lrlab.json", ".gitattributes"}
    assert set(files) == page.keys() | made
    assert {name: files[name] for name in page} == page
    again = client.run("push-demo", run, "ada/page")
    assert (again["code"], again["verified"], again["changed"]) == (0, True, False)
    assert len(repo.commits) == 2


def test_a_small_site_of_somebodys_own_is_left_alone(hub, client, run):
    repo = hub.repo("spaces", "ada/site", private=True, sdk="static")
    repo.commit(SEEDED)
    repo.commit({"index.html": "<p>two evenings</p>"})
    answer = client.run("push-demo", run, "ada/site")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "was not published from here: it holds README.md, index.html, style" in answer["message"]
    assert len(repo.commits) == 2


def test_a_demo_page_whose_first_commit_failed_is_pushed_the_next_time(hub, client, run):
    hub.faults = Faults(status=403, only="/commit/main")
    refused = client.run("push-demo", run, "ada/later")
    assert (refused["code"], refused["error"]) == (2, "HubError")
    assert "status 403" in refused["message"]
    repo = hub.repos["spaces", "ada/later"]
    assert len(repo.commits) == 1
    hub.faults = Faults()
    answer = client.run("push-demo", run, "ada/later")
    assert (answer["code"], answer.get("verified")) == (0, True), answer
    assert len(repo.commits) == 2
