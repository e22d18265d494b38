"""`push-demo` and `push-data`: the command lines against the Hub emulator."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub_faults import Faults
from hub_repos import Repo
from trainer.jobs import job_from_dict
from trainer.publish.demo import PAGE
from trainer.publish.drafts import draft

SEEDED = {
    ".gitattributes": "",
    "README.md": "---\nsdk: static\n---\n",
    "index.html": "<p>a welcome</p>",
    "style.css": "p {}",
}
"""What a static Space holds that has just been made."""


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run folder that a test may change."""
    return Path(shutil.copytree(trained.parent, tmp_path / "run"))


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


def from_the_hub(run: Path, licence: str) -> None:
    """Make a run say that it began from somebody's weights under a licence, or under none."""
    began = json.loads((run / "run.json").read_text())
    began["job"]["config"] |= {"pretrained": True, "model_name": "hf-hub:grace/base"}
    (run / "run.json").write_text(json.dumps(began))
    config = json.loads((run / "model" / "config.json").read_text())
    config["pretrained_cfg"].pop("tag", None)
    config["pretrained_cfg"]["license"] = licence
    (run / "model" / "config.json").write_text(json.dumps(config))


def front(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.removeprefix("---\n").split("\n---\n")[0])


def licence_of(repo: Repo) -> dict[str, str]:
    """What a card's front matter says of it."""
    values = front(newest(repo)["README.md"].decode())
    return {name: value for name, value in values.items() if name.startswith("license")}


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("", {"license": "unknown"}),
        ("cc-by-nc-sa-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("apple-amlr", {"license": "apple-amlr"}),
        (
            "dinov3-license",
            {
                "license": "other",
                "license_name": "dinov3-license",
                "license_link": "https://huggingface.co/grace/base",
            },
        ),
    ],
)
def test_a_demo_page_has_the_licence_of_its_model(hub, client, run, stated, told):
    from_the_hub(run, stated)
    repo_id = f"ada/licence-{stated or 'none'}"
    for command in ("push", "push-demo"):
        answer = client.run(command, run, repo_id)
        assert (answer["code"], answer.get("verified")) == (0, True), answer
    assert licence_of(hub.repos["models", repo_id]) == told
    assert licence_of(hub.repos["spaces", repo_id]) == told


def test_what_began_from_random_weights_inherits_no_licence(hub, client, run):
    for command in ("push", "push-demo"):
        answer = client.run(command, run, "ada/random")
        assert (answer["code"], answer.get("verified")) == (0, True), answer
    assert licence_of(hub.repos["models", "ada/random"]) == {}
    assert licence_of(hub.repos["spaces", "ada/random"]) == {}


def test_the_built_in_digits_can_be_published(hub, client):
    answer = client.run("push-data", "digits", "ada/digits")
    assert (answer["code"], answer.get("verified")) == (0, True), answer
    repo = hub.repos["datasets", "ada/digits"]
    assert licence_of(repo) == {"license": "cc-by-4.0"}
    assert 'load_dataset("ada/digits")' in newest(repo)["README.md"].decode()


def test_what_is_asked_in_advance_is_what_the_cards_say_in_the_end(hub, client, run):
    squares = client.folder / "squares"
    from_the_hub(run, "")
    client.run("push", run, "ada/drafted")
    client.run("push-demo", run, "ada/drafted")
    client.run("push-data", squares, "ada/drafted")
    began = job_from_dict(json.loads((run / "run.json").read_text())["job"])
    job = replace(began, kind="preflight", model=str(run))
    for kind, repos in (("model", "models"), ("space", "spaces"), ("dataset", "datasets")):
        told = front(newest(hub.repos[repos, "ada/drafted"])["README.md"].decode())
        for asked in (job, replace(job, model="")):  # after the training, and before it
            drafted = front(draft(asked, kind, "ada/drafted"))
            assert drafted.keys() == told.keys()
            same = {name for name in told if drafted[name] == told[name]}
            measured = {"model-index", "dataset_info", "size_categories", "configs"}
            measured |= {"short_description"} if not asked.model else set()
            assert told.keys() - same <= measured
            if kind == "model":
                drafted, told_index = drafted["model-index"], told["model-index"]
                for index in (drafted, told_index):
                    for metric in index[0]["results"][0]["metrics"]:
                        metric.pop("value", None)
                assert drafted == told_index
