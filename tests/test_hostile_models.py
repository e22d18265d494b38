"""Hostile and unsuitable model repositories: no code runs, and little is downloaded to say no."""

import hashlib
import json
import os
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from hub_client_side import HubClient
from hub_emulator import HubEmulator
from tiny_models import CLASSES, tiny_config, tiny_repo, tiny_weights, with_header

ONE_MB = 1_000_000
CANARY = Path("canary-that-code-ran")
"""Made in the client's folder by any code of a repository that runs."""


class Evil:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {CANARY}",)


PICKLE = pickle.dumps(Evil())
CODE = f"__import__('os').system('touch {CANARY}')"


def changed(name: str, value: torch.Tensor | None) -> bytes:
    """The tiny weights with one tensor replaced, or taken out."""
    weights = tiny_weights() | ({name: value} if value is not None else {})
    if value is None:
        del weights[name]
    return save(weights)


def preprocessing(**values: Any) -> dict[str, Any]:
    return {**tiny_config()["pretrained_cfg"], **values}


def named(architecture: str, **changes: Any) -> dict[str, bytes | str]:
    return tiny_repo(architecture=architecture, **changes)


def first_tensor(**changes: Any) -> dict[str, bytes | str]:
    """The tiny model with a header of one tensor, which says of itself what is given."""
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}
    return tiny_repo(with_header(json.dumps({"conv1.0.weight": entry}).encode()))


def only(config: str, weights: bytes | None = None) -> dict[str, bytes | str]:
    return {**tiny_repo(weights), "config.json": config}


LONG = json.dumps({"a": {"shape": [1], "dtype": "F32", "data_offsets": [0, 4]}, "b": "x" * ONE_MB})

REFUSED: dict[str, tuple[dict[str, bytes | str], str]] = {
    "no-config": ({"model.safetensors": b"x"}, "has no config.json"),
    "config-is-no-json": (only("{" * 20_000), "config.json that is not JSON"),
    "config-is-deep": (only("[" * 50_000 + "]" * 50_000), "config.json that is not JSON"),
    "config-is-a-list": (only("[1]"), "not a JSON object"),
    "config-is-huge": (only('{"a": "' + "x" * 2_000_000 + '"}'), "the limit is 2 MB"),
    "transformers-only": (
        tiny_repo(architecture=None, architectures=["ResNetForImageClassification"]),
        "made for transformers (ResNetForImageClassification)",
    ),
    "no-architecture": (tiny_repo(architecture=None), "names no architecture"),
    "renamed": (named("resnet18d1"), "no model named 'resnet18d1'. Did you mean resnet"),
    "a-path": (named("local-dir:/etc"), "no model named 'local-dir:/etc'"),
    "no-name": (tiny_repo(architecture=["test_resnet"]), "an architecture that is not a name"),
    "vision-transformer": (named("test_vit"), "not a convolutional network: it attends"),
    "swin": (named("swin_tiny_patch4_window7_224"), "not a convolutional network: it attends"),
    "hybrid": (named("mobilevit_xxs"), "not a convolutional network: it attends"),
    "pickle-only": (
        {"config.json": json.dumps(tiny_config()), "pytorch_model.bin": PICKLE},
        "pytorch_model.bin, a pickle, which may run any code",
    ),
    "shards": (
        {"config.json": "{}", "model-00001-of-00002.safetensors": b"x"},
        "lie in several files",
    ),
    "too-large-by-name": (named("convnext_xxlarge"), "843 million parameters; the limit is 150"),
    "too-large-by-args": (
        named("resnet50", model_args={"num_classes": 1_000_000}, label_names=None),
        "million parameters; the limit is 150 million",
    ),
    "too-many-classes": (tiny_repo(model_args={"num_classes": 10**18}), "num_classes 10000"),
    "args-that-load": (tiny_repo(model_args={"checkpoint_path": "x.pth"}), "checkpoint_path='x"),
    "args-that-widen": (tiny_repo(model_args={"channels": [9999] * 4}), "channels=[9999"),
    "args-with-code": (tiny_repo(model_args={"act_layer": CODE}), "that this app does not accept"),
    "args-unknown-word": (tiny_repo(model_args={"act_layer": "nonsense"}), "cannot be built"),
    "args-of-one-channel": (tiny_repo(model_args={"in_chans": 1}), "in_chans 1"),
    "args-are-a-list": (tiny_repo(model_args=["x"]), "model_args that are not a JSON object"),
    "labels-too-few": (tiny_repo(label_names=["red"]), "1 label_names for 3 classes"),
    "labels-are-numbers": (tiny_repo(label_names=[1, 2, 3]), "not texts of up to 300"),
    "labels-are-long": (tiny_repo(label_names=["a", "b", "c" * 301]), "not texts of up to 300"),
    "labels-out-of-range": (tiny_repo(label_names={"7": "x"}), "does not have"),
    "labels-of-5000-digits": (tiny_repo(label_names={"1" * 5000: "x"}), "does not have"),
    "labels-are-a-text": (tiny_repo(label_names="red"), "label_names that are not a list"),
    "input-is-huge": (
        tiny_repo(pretrained_cfg=preprocessing(input_size=[3, 10**6, 10**6])),
        "input_size 1000000",
    ),
    "std-is-zero": (tiny_repo(pretrained_cfg=preprocessing(std=[0, 0, 0])), "std [0, 0, 0]"),
    "mean-is-nan": (tiny_repo(pretrained_cfg=preprocessing(mean=[float("nan")] * 3)), "mean [nan"),
    "mean-has-400-digits": (
        tiny_repo(pretrained_cfg=preprocessing(mean=[10**400, 0, 0])),
        "mean [1000000",
    ),
    "crop-has-400-digits": (
        tiny_repo(pretrained_cfg=preprocessing(crop_pct=10**400)),
        "crop_pct 1000000",
    ),
    "args-of-400-digits": (tiny_repo(model_args={"drop_rate": 10**400}), "drop_rate=1000000"),
    "no-safetensors": (tiny_repo(b"\x80\x02evil"), "does not begin with a list of tensors"),
    "header-is-huge": (tiny_repo(struct.pack("<Q", 2**60) + b"{}"), "does not begin with a list"),
    "header-is-long": (tiny_repo(with_header(LONG.encode())), "does not begin with a list"),
    "header-is-no-json": (tiny_repo(with_header(b"{" * 100)), "does not begin with a list"),
    "header-begins-at-400-digits": (
        first_tensor(data_offsets=[10**400, 1.5]),
        "does not begin with a list",
    ),
    "header-ends-at-4300-digits": (
        first_tensor(shape=[10**4300 // 4 - 1], data_offsets=[0, 10**4300 - 4]),
        "does not begin with a list",
    ),
    "header-of-200000-sides": (
        first_tensor(shape=[0] * 200_000, data_offsets=[0, 0]),
        "does not begin with a list",
    ),
    "cut-off": (tiny_repo(save(tiny_weights())[:-9]), "it is cut off or damaged"),
    "another-shape": (
        tiny_repo(changed("layer1.0.conv1.weight", torch.zeros(1, 2))),
        "layer1.0.conv1.weight is 1×2 and should be",
    ),
    "other-classes": (tiny_repo(save(tiny_weights(num_classes=5))), "should be 3"),
    "a-tensor-missing": (tiny_repo(changed("bn1.weight", None)), "do not fit"),
    "another-model": (
        tiny_repo(save(tiny_weights(model_name="test_byobnet"))),
        "may hold another model",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        for name, (files, _) in REFUSED.items():
            hub.model(f"eve/{name}", files)
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    folder = tmp_path_factory.mktemp("hub")
    with HubClient(hub.client_env(folder / "home"), folder) as client:
        yield client
    assert list(folder.rglob(str(CANARY))) == []


def downloaded(hub: HubEmulator, since: int) -> int:
    """Bytes of all answers to GET requests."""
    return sum(seen.num_bytes for seen in hub.requests[since:] if seen.method == "GET")


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_words_before_its_weights_are_downloaded(
    name: str, hub: HubEmulator, client: HubClient
) -> None:
    before = len(hub.requests)
    answer = client.ask("model", f"eve/{name}")
    assert answer.get("error") == "ModelError", answer
    assert REFUSED[name][1] in answer["message"]
    assert len(answer["message"]) < 700
    assert downloaded(hub, before) < ONE_MB
    assert answer["seconds"] < 30


def test_a_good_model_is_more_than_a_megabyte_so_that_the_limit_means_something(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.model("ada/good", tiny_repo())
    before = len(hub.requests)
    answer = client.ask("model", "ada/good")
    assert answer.get("classes") == list(CLASSES), answer
    assert downloaded(hub, before) > ONE_MB


def test_weights_that_are_too_large_for_the_limits_are_refused_by_the_list(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.model("eve/large", tiny_repo())
    before = len(hub.requests)
    answer = client.ask("model", "eve/large", {"max_parameters": 300_000})
    assert "the limit is 1.2 MB" in answer["message"], answer
    assert not [seen for seen in hub.requests[before:] if "/resolve/" in seen.path]


def test_an_evil_pickle_beside_good_weights_is_left_where_it_is(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.model("eve/both", {**tiny_repo(), "pytorch_model.bin": PICKLE, "model.pth": PICKLE})
    before = len(hub.requests)
    assert client.ask("model", "eve/both").get("classes") == list(CLASSES)
    fetched = [seen.path for seen in hub.requests[before:] if "/resolve/" in seen.path]
    assert {path.rpartition("/")[2] for path in fetched} == {"config.json", "model.safetensors"}


def test_a_config_that_names_other_places_to_load_from_is_not_followed(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.model("eve/elsewhere-target", {"pytorch_model.bin": PICKLE})
    places = {
        "url": f"{hub.endpoint}/evil.pth",
        "file": "/etc/passwd",
        "hf_hub_id": "eve/elsewhere-target",
        "custom_load": True,
        "source": "url",
        "state_dict": {"fc.weight": [[1.0]]},
        "classifier": "conv1",
        "architecture": "swin_tiny_patch4_window7_224",
    }
    hub.model("eve/elsewhere", tiny_repo(pretrained_cfg=preprocessing(**places)))
    before = len(hub.requests)
    answer = client.ask("model", "eve/elsewhere")
    assert answer.get("classes") == list(CLASSES), answer
    assert answer["architecture"] == "test_resnet"
    assert not [s for s in hub.requests[before:] if "evil" in s.path or "target" in s.path]
    assert client.ask("opened", "/etc/passwd")["paths"] == []


def test_weights_with_nan_are_refused_when_they_are_loaded(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.model("eve/nan", tiny_repo(changed("fc.bias", torch.tensor([0.0, float("nan"), 1.0]))))
    answer = client.ask("model", "eve/nan")
    assert answer.get("error") == "ModelError"
    assert "numbers that are not finite" in answer["message"]


def test_other_bytes_than_the_hub_lists_are_not_used_and_not_kept(
    hub: HubEmulator, client: HubClient
) -> None:
    files = tiny_repo()
    repo = hub.model("eve/swapped", files)
    good, other = files["model.safetensors"], save(tiny_weights(seed=1))
    assert isinstance(good, bytes)
    assert len(good) == len(other)
    oid = hashlib.sha256(good).hexdigest()
    repo.tampered[oid] = other
    answer = client.ask("model", "eve/swapped")
    assert answer.get("error") == "HubError", answer
    assert oid[:12] in answer["message"]
    assert hashlib.sha256(other).hexdigest()[:12] in answer["message"]
    repo.tampered.clear()
    assert client.ask("model", "eve/swapped").get("classes") == list(CLASSES)


@pytest.mark.parametrize(
    ("state", "says"),
    [({"gated": True}, "is gated"), ({"private": True}, "not on the Hub, or it is private")],
)
def test_a_closed_model_is_said_to_be_closed(
    hub: HubEmulator, client: HubClient, state: dict[str, bool], says: str
) -> None:
    hub.model(f"eve/{next(iter(state))}", tiny_repo(), **state)
    before = len(hub.requests)
    answer = client.ask("model", f"eve/{next(iter(state))}")
    assert answer.get("error") == "HubError"
    assert says in answer["message"]
    assert downloaded(hub, before) < ONE_MB


def test_nothing_was_asked_of_the_hub_that_it_does_not_have(hub: HubEmulator) -> None:
    assert hub.unknown == []
