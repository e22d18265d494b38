"""Ids and file choices of the Hub: pure functions, no server."""

import pytest

from trainer.data.hub_files import choose_parquet, picture_paths
from trainer.hub_client import endpoint, parse_hub_name, reachable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada/pets", ("ada/pets", None)),
        ("ada/pets-v1.2_b@v1.0", ("ada/pets-v1.2_b", "v1.0")),
        ("a/b@refs/convert/parquet", ("a/b", "refs/convert/parquet")),
    ],
)
def test_an_id_is_taken_apart(text, expected):
    assert parse_hub_name(text) == expected


@pytest.mark.parametrize(
    "text",
    ["pets", "a/b/c", "../b", "a/..", "a/b@..", "a/b@x//y", "/a/b", "a/b/", "a b/c", "a/b\n",
     ".a/b", "a--b/c", "a/b@@c", "a/b@", "hf://a/b", "ａda/b", "a/b.", "a" * 97 + "/b",
     "a/b?x=1", "a/b%2e"],
)  # fmt: skip
def test_anything_else_is_no_id(text):
    assert parse_hub_name(text) is None


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["data/train-00000-of-00001-ab12.parquet"], ["train"]),
        (["data/random-00000-of-00001.parquet"], ["random"]),
        (["train/a.parquet", "test/b.parquet"], ["test", "train"]),
        (["my_val_1.parquet", "my_train_1.parquet", "readme.parquet"], ["train", "val"]),
        (["pets.parquet"], ["train"]),
        (["c/partial-train/0000.parquet", "c/test/0000.parquet"], ["partial-train", "test"]),
    ],
)
def test_splits_are_read_from_the_paths(paths, splits):
    choice = choose_parquet(paths, {})
    assert choice is not None
    assert sorted(choice.files) == splits


def test_shards_keep_the_order_of_their_numbers():
    paths = [f"train/{number}.parquet" for number in (10, 9, 1)]
    choice = choose_parquet(paths, {})
    assert choice is not None
    assert choice.files["train"] == ("train/1.parquet", "train/9.parquet", "train/10.parquet")


@pytest.mark.parametrize(
    "data_files",
    ["d/*.parquet", ["d/*.parquet"], {"train": "d/*"}, [{"split": "train", "path": ["d/**"]}],
     "**/a.parquet"],
)  # fmt: skip
def test_a_card_may_name_its_files_in_several_ways(data_files):
    card = {"configs": {"config_name": "c", "data_files": data_files}}
    choice = choose_parquet(["d/a.parquet", "e/b.parquet"], card)
    assert choice is not None
    assert dict(choice.files) == {"train": ("d/a.parquet",)}


def test_the_hubs_export_is_read_from_the_default_configuration():
    paths = ["a/train/0000.parquet", "default/train/0000.parquet", "default/train/0001.parquet"]
    choice = choose_parquet(paths, {})
    assert choice is not None
    assert (choice.config, choice.num_configs) == ("default", 2)
    assert len(choice.files["train"]) == 2


def test_hidden_pictures_are_none_of_the_dataset():
    assert picture_paths(["b/10.PNG", "b/9.jpg", ".git/x.png", "README.md"]) == [
        "b/9.jpg",
        "b/10.PNG",
    ]


def test_the_address_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    assert endpoint() == "http://127.0.0.1:9"
    monkeypatch.delenv("HF_ENDPOINT")
    assert endpoint() == "https://huggingface.co"


def test_an_address_that_is_no_web_address_is_unreachable(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert not reachable(0.5)
