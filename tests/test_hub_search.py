"""Search, the probe and a model's two files, asked from the Hub emulator by a client process."""

from collections.abc import Iterator

import pytest

from hub_client_side import HubClient
from hub_emulator import HubEmulator
from tiny_models import tiny_repo

PICTURES = ("task_categories:image-classification", "modality:image")
TIMM = ("timm", "safetensors")
CANARY = "hf_canaryTokenThatMustNeverTravel"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        for number in range(12):
            tags = PICTURES if number else ()
            hub.dataset(f"ada/pets{number}", {"a": b""}, tags=tags, downloads=number)
        hub.dataset("ada/gated-pets", {"a": b""}, tags=PICTURES, downloads=99, gated=True)
        hub.dataset("ada/mushrooms", {"a": b""}, tags=("modality:image",))
        files = {"config.json": "{}", "model.safetensors": b"weights"}
        task = "image-classification"
        hub.model("timm/resnet18", files, tags=TIMM, pipeline_tag=task, downloads=3)
        hub.model("timm/resnet-pickle", files, tags=("timm",), pipeline_tag=task, downloads=9)
        hub.model("ada/resnet-text", files, tags=TIMM, pipeline_tag="text-generation")
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    folder = tmp_path_factory.mktemp("hub")
    with HubClient(hub.client_env(folder / "home", HF_TOKEN=CANARY), folder) as client:
        yield client


def test_datasets_are_found_by_text_with_the_most_downloads_first(client):
    found = client.ask("search", "datasets", "pets")
    assert found["ids"] == [f"ada/pets{number}" for number in range(11, 3, -1)]
    assert found["downloads"][:2] == [11, 10]


def test_searching_imports_nothing_heavy(client):
    assert client.ask("search", "datasets", "pets")["imported"] == []


def test_where_no_dataset_names_the_task_those_with_pictures_are_shown(client):
    assert client.ask("search", "datasets", "mushroom")["ids"] == ["ada/mushrooms"]
    assert client.ask("search", "datasets", "no such thing")["ids"] == []


def test_models_are_timm_image_classifiers_with_safetensors(client):
    assert client.ask("search", "models", "resnet")["ids"] == ["timm/resnet18"]


def test_a_refused_search_is_said_and_not_tried_again(hub, client):
    hub.faults.status = 500
    before = len(hub.requests)
    refused = client.ask("search", "models", "resnet")
    hub.faults.status = None
    assert refused["error"] == "HubError"
    assert "status 500" in refused["message"]
    assert len(hub.requests) - before == 1


def test_the_hub_is_reachable_and_asked_once_in_ten_seconds(hub, client):
    client.ask("reachable")
    before = len(hub.requests)
    assert [client.ask("reachable")["reachable"] for _ in range(5)] == [True] * 5
    assert len(hub.requests) - before <= 1


def test_a_model_comes_as_its_config_and_its_safetensors_alone(hub, client):
    repo = hub.model("ada/model", {**tiny_repo(), "pytorch_model.bin": b"evil pickle"})
    first = repo.refs["main"]
    repo.commit({"config.json": "{}"})
    answer = client.ask("model", f"ada/model@{first}")
    assert answer.get("sha") == first, answer
    assert answer["files"] == ["config.json", "model.safetensors", "source.json"]


@pytest.mark.parametrize(
    ("files", "limits", "says"),
    [
        ({"config.json": "{}", "pytorch_model.bin": b"x"}, {}, "pytorch_model.bin, a pickle"),
        ({"model.safetensors": b"x"}, {}, "has no config.json"),
        ({"README.md": "# x"}, {}, "has no config.json and no model.safetensors"),
        (
            {"config.json": "{}", "model.safetensors": b"x" * 5000},
            {"max_parameters": 1000},
            "the limit is",
        ),
        ({"config.json": " " * 2_000_001, "model.safetensors": b"x"}, {}, "config.json that is"),
    ],
)
def test_an_unsafe_model_is_refused_before_any_download(hub, client, request, files, limits, says):
    repo_id = f"eve/model{request.node.callspec.indices['files']}"
    hub.model(repo_id, files)
    before = len(hub.requests)
    refused = client.ask("model", repo_id, limits)
    assert refused["error"] == "ModelError", refused
    assert says in refused["message"]
    assert not [seen.path for seen in hub.requests[before:] if "/resolve/" in seen.path]


def test_a_missing_and_a_gated_model_and_a_bad_id_are_told_apart(hub, client):
    hub.model("ada/gated", {"config.json": "{}", "model.safetensors": b"x"}, gated=True)
    assert "not on the Hub" in client.ask("model", "ada/none")["message"]
    assert "is gated" in client.ask("model", "ada/gated")["message"]
    assert client.ask("model", "../../etc")["error"] == "ModelError"


def test_no_request_carried_a_token_and_none_was_unknown(hub, client):
    client.ask("search", "models", "resnet")
    assert hub.requests
    assert [seen.path for seen in hub.requests if seen.authorization] == []
    assert hub.unknown == []
