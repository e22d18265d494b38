"""Starting from a model of the Hub: its body and preprocessing, pinned to a commit, kept whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save

from hub_client_side import HubClient
from hub_emulator import HubEmulator
from pictures import fill, png
from tiny_models import CLASSES, tiny_repo, tiny_weights
from trainer.export import load_model
from trainer.features import body_digest
from trainer.publish.facts import run_facts

MEAN = [0.4, 0.5, 0.6]


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.model("ada/base", tiny_repo())
        yield hub


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def client(hub: HubEmulator, home: Path) -> Iterator[HubClient]:
    with HubClient(hub.client_env(home / "home"), home) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(home: Path) -> str:
    """Twenty pictures of two classes that the base has never heard of."""
    files = {
        f"{name}/{n}.png": png((10 * n, 60 + 90 * k, 5 * k), (70, 70))
        for k, name in enumerate(("moth", "newt"))
        for n in range(10)
    }
    return str(fill(home / "pictures", files))


def requests(hub: HubEmulator, since: int) -> list[str]:
    return [seen.path for seen in hub.requests[since:] if "whoami" not in seen.path]


def test_a_training_takes_the_body_and_the_preprocessing_and_leaves_the_classes(
    hub: HubEmulator, client: HubClient, home: Path, pictures: str
) -> None:
    repo = hub.repos["models", "ada/base"]
    done = client.ask("train", pictures, "hf-hub:ada/base", str(home / "run"))
    assert done.get("events", [])[-1:] == ["Done"], done
    assert done["classes"] == ["moth", "newt"]
    assert done["architecture"] == "test_resnet"
    assert done["mean"] == MEAN
    assert done["sizes"] == [64]
    assert done["started"] == [f"hf-hub:ada/base@{repo.refs['main']}"]
    base = client.ask("model", "ada/base")
    assert done["body"] == body_digest(load_model(Path(base["folder"])).model)
    config = json.loads((home / "run" / "model" / "config.json").read_text())
    assert config["architecture"] == "test_resnet"
    card = (home / "run" / "model" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["base_model"] == "ada/base"
    assert repo.refs["main"] in card


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", ""])
def test_the_licence_is_that_of_the_weights_it_began_from(
    licence: str, hub: HubEmulator, client: HubClient, home: Path, pictures: str
) -> None:
    """Not that of timm's own weights for the architecture."""
    name = "nc" if licence else "unstated"
    text = f"---\nlicense: {licence}\n---\n" if licence else "# Mine\n"
    hub.model(f"eve/{name}", tiny_repo() | {"README.md": text})
    done = client.ask("train", pictures, f"hf-hub:eve/{name}", str(home / f"run-{name}"))
    assert done.get("events", [])[-1:] == ["Done"], done
    folder = home / f"run-{name}" / "model"
    kept = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    assert (kept.get("license", ""), "tag" in kept) == (licence, False)
    front = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert (front["license"], front["base_model"]) == (licence or "unknown", f"eve/{name}")
    assert run_facts(folder, folder.parent).licence == {"license": licence or "unknown"}


def test_a_sweep_and_an_estimate_start_from_it_too(
    client: HubClient, home: Path, pictures: str
) -> None:
    for kind, last in (("sweep", "Swept"), ("estimate", "Planned"), ("check", "Checked")):
        done = client.ask("train", pictures, "hf-hub:ada/base", str(home / kind), kind)
        assert done.get("events", [])[-1:] == [last], done


def test_what_was_trained_from_it_can_be_pulled_and_trained_again(
    hub: HubEmulator, client: HubClient, home: Path, pictures: str
) -> None:
    first = client.ask("train", pictures, "hf-hub:ada/base", str(home / "first"))
    files = {path.name: path.read_bytes() for path in (home / "first" / "model").iterdir()}
    hub.model("ada/child", files)
    again = client.ask("train", pictures, "hf-hub:ada/child", str(home / "again"))
    assert again.get("body") == first["body"], again
    pulled = client.ask("model", "ada/child")
    assert pulled["classes"] == ["moth", "newt"]


def test_a_revision_is_pinned_though_the_branch_moves_on(
    hub: HubEmulator, client: HubClient, home: Path, pictures: str
) -> None:
    repo = hub.model("ada/moving", tiny_repo())
    old = repo.refs["main"]
    repo.commit(tiny_repo(save(tiny_weights(seed=1))))
    new = repo.refs["main"]
    answers = {name: client.ask("model", f"ada/moving@{name}") for name in (old, "main")}
    assert answers[old]["source"]["revision"] == old
    assert answers["main"]["source"]["revision"] == new
    assert answers[old]["logits"] != answers["main"]["logits"]
    done = client.ask("train", pictures, f"hf-hub:ada/moving@{old}", str(home / "old"))
    assert done.get("started") == [f"hf-hub:ada/moving@{old}"], done
    assert done["body"] == body_digest(load_model(Path(answers[old]["folder"])).model)


def test_a_commit_that_is_here_asks_nothing_of_the_hub(hub: HubEmulator, client: HubClient) -> None:
    sha = hub.repos["models", "ada/base"].refs["main"]
    first = client.ask("model", f"ada/base@{sha}")
    before = len(hub.requests)
    second = client.ask("model", f"ada/base@{sha}")
    assert second.get("logits") == first["logits"], second
    assert requests(hub, before) == []
    assert second["source"] == {
        "repo_id": "ada/base",
        "revision": sha,
        "config_sha256": first["source"]["config_sha256"],
        "weights_sha256": first["source"]["weights_sha256"],
        "licence": "cc-by-4.0",
    }


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_kept_file_that_changed_is_said_and_fetched_again(
    hub: HubEmulator, client: HubClient, name: str
) -> None:
    hub.model("ada/kept", tiny_repo())
    first = client.ask("model", "ada/kept")
    assert first.get("notes") == [], first
    path = Path(first["folder"]) / name
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(bytes(content))
    sha = hub.repos["models", "ada/kept"].refs["main"]
    second = client.ask("model", f"ada/kept@{sha}")
    assert second.get("logits") == first["logits"], second
    assert second["notes"] == [
        f"The kept {name} of ada/kept changed since the download, so the model is downloaded again."
    ]


CLASSES_21K = 21_843


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, list(CLASSES)),
        ({"label_names": None}, ["0", "1", "2"]),
        ({"label_names": {"0": "a", "2": "<b>"}}, ["a", "1", "<b>"]),
        ({"label_names": ["a\nb", "c", "d"]}, ["a\\nb", "c", "d"]),
        ({"model_args": {"num_classes": 3, "drop_rate": 0.1, "global_pool": "avg"}}, list(CLASSES)),
    ],
)
def test_class_names_are_as_the_config_has_them(
    hub: HubEmulator, client: HubClient, changes: dict[str, Any], expected: list[str], request: Any
) -> None:
    repo_id = f"ada/named{request.node.callspec.indices['changes']}"
    hub.model(repo_id, tiny_repo(**changes))
    assert client.ask("model", repo_id).get("classes") == expected


def test_a_model_with_the_classes_of_imagenet_21k_is_taken(
    hub: HubEmulator, client: HubClient
) -> None:
    weights = save(tiny_weights(num_classes=CLASSES_21K))
    hub.model("ada/large", tiny_repo(weights, num_classes=CLASSES_21K, label_names=None))
    answer = client.ask("model", "ada/large")
    assert len(answer.get("classes", ())) == CLASSES_21K, answer.get("message")


def test_timms_first_format_and_old_and_half_precision_weights_are_taken(
    hub: HubEmulator, client: HubClient
) -> None:
    kept = {k: v for k, v in tiny_weights().items() if not k.endswith("num_batches_tracked")}
    half = {name: value.to(torch.float16) for name, value in kept.items()}
    flat = {"architecture": "test_resnet", "num_classes": 3, "labels": list(CLASSES), "mean": MEAN}
    files = {"config.json": json.dumps(flat), "model.safetensors": save(half)}
    hub.model("ada/flat", files)
    answer = client.ask("model", "ada/flat")
    assert answer.get("classes") == list(CLASSES), answer
    assert answer["preprocess"]["mean"] == MEAN
    exact = client.ask("model", "ada/base")["logits"]
    assert answer["logits"] == pytest.approx(exact, abs=0.05)


def test_no_request_carried_a_token_and_none_was_unknown(hub: HubEmulator) -> None:
    assert [seen.path for seen in hub.requests if seen.authorization] == []
    assert hub.unknown == []
