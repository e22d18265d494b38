"""Drafts of cards: what the Hub is asked before a training, and that it is the cards' own words."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub_cards import card_errors
from hub_emulator import HubEmulator
from hub_faults import Faults
from hub_tokens import TOKEN
from push_client import ROOT
from test_layers import HEAVY
from trainer.config import config_for
from trainer.events import Preflight, Started
from trainer.jobs import Job
from trainer.publish.carry_out import KIND_OF
from trainer.publish.drafts import draft
from trainer.runner.journal import append_event

REPO = "ada/pets"
KINDS = {"model": "models", "space": "spaces", "dataset": "datasets"}
PARTS = tuple(KIND_OF)
HOSTILE = (
    "---",
    "{{7*7}}",
    "a: !!python/x [",
    "'\"; -->",
    "null",
    "x" * 300,
    "a\n---\nsdk: docker",
)


def asked(dataset: str = "", model: str = "", **settings: Any) -> Job:
    config = config_for(**settings)
    return Job(kind="preflight", config=config, dataset=dataset, model=model, repo_id=REPO)


def front(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.removeprefix("---\n").split("\n---\n")[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "job",
    [
        asked(),
        asked("digits"),
        asked("ada/cats@main", model_name="hf-hub:grace/base@main"),
        asked("/home/ada/my pets.zip", model_name="resnet18.a1_in1k"),
        asked("./a: [b", pretrained=False),
    ],
    ids=["nothing known", "digits", "from the Hub", "a zip", "odd"],
)
def test_what_is_known_before_a_training_makes_a_card_that_the_hub_takes(
    kind: str, job: Job
) -> None:
    assert card_errors(draft(job, kind, REPO), KINDS[kind]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_classes_stay_names_in_a_draft(kind: str, tmp_path: Path) -> None:
    append_event(tmp_path, Started(kind="train", dataset=HOSTILE[-1], class_names=HOSTILE))
    card = draft(asked(model=str(tmp_path)), kind, REPO)
    assert card_errors(card, KINDS[kind]) == []
    assert front(card).get("sdk", "static") == "static"


def test_a_draft_names_the_weights_and_the_pictures_that_were_chosen() -> None:
    found = front(
        draft(asked("hf://datasets/ada/cats", model_name="hf-hub:eve/x@v1"), "model", REPO)
    )
    assert (found["base_model"], found["datasets"]) == ("eve/x", ["ada/cats"])
    assert found["license"] == "unknown"
    found = front(draft(asked("digits", model_name="resnet18.a1_in1k"), "model", REPO))
    assert (found["base_model"], found["license"]) == ("timm/resnet18.a1_in1k", "apache-2.0")
    assert found["model-index"][0]["results"][0]["dataset"]["name"] == "digits"
    assert not {"base_model", "license"} & set(front(draft(asked(pretrained=False), "model", REPO)))


_ASK = f"""
import json, sys
from dataclasses import asdict
from pathlib import Path
from trainer.jobs import execute, job_from_dict
job = job_from_dict(json.loads(sys.argv[1]))
for event in execute(job, Path(), token={TOKEN!r}):
    print(json.dumps(asdict(event)))
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


@pytest.fixture
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.users[TOKEN] = "ada"
        yield hub


def ask(hub: HubEmulator, folder: Path, job: Job) -> tuple[list[Preflight], set[str]]:
    """What a process that only asks finds, and the packages that it imported for it."""
    out = subprocess.run(
        [sys.executable, "-c", _ASK, json.dumps(asdict(job))],
        cwd=ROOT,
        env=hub.client_env(folder / "home"),
        check=True,
        capture_output=True,
        text=True,
    )
    *events, packages = map(json.loads, out.stdout.splitlines())
    found = [Preflight(**event) for event in events if "findings" in event]
    return found, set(packages)


def test_the_cards_of_every_part_are_judged_before_anything_is_made(
    hub: HubEmulator, tmp_path: Path
) -> None:
    job = Job(kind="preflight", config=config_for(), dataset="digits", repo_id=REPO, parts=PARTS)
    found, packages = ask(hub, tmp_path, job)
    assert [(each.kind, each.ok) for each in found] == [
        ("model", True),
        ("space", True),
        ("dataset", True),
    ]
    assert {each.findings[-1][1] for each in found} == {"its card is one that the Hub takes."}
    judged = [json.loads(seen.body) for seen in hub.requests if seen.path == "/api/validate-yaml"]
    assert [each["repoType"] for each in judged] == ["model", "space", "dataset"]
    assert not packages & HEAVY
    assert not hub.repos


def test_a_card_that_the_hub_refuses_is_a_problem_that_is_found_in_advance(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.faults = Faults(status=400, only="/api/validate-yaml")
    job = Job(kind="preflight", config=config_for(), repo_id=REPO, parts=PARTS)
    for each in ask(hub, tmp_path, job)[0]:
        assert not each.ok
        assert [level for level, _ in each.findings][-2:] == ["ok", "problem"]
