"""Datasets of the Hub, read from the emulator by a client process that holds a canary token."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from hub_client_side import HubClient
from hub_emulator import HubEmulator, unused_endpoint
from hub_faults import Fault
from hub_tables import IMAGE, cells, class_label, parquet, parquet_of, png, two_classes
from tiny_models import tiny_repo
from trainer.data.hub_columns import Columns
from trainer.data.hub_rows import open_parquet, unpacked_bytes
from trainer.data.hub_tables import _refuse_too_much
from trainer.errors import DatasetError
from trainer.limits import Limits

CANARY = "hf_canaryTokenThatMustNeverTravel"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator(page_size=10) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, folder: Path) -> Iterator[HubClient]:
    env = hub.client_env(folder / "home", HF_TOKEN=CANARY)
    with HubClient(env, folder) as client:
        yield client


def labels_of(answer: dict, split: str) -> Counter:
    return Counter(label for _name, label, _sha, _stamp in answer["splits"][split])


def test_class_labels_give_the_names_and_the_bytes_are_those_of_the_rows(hub, client):
    card = "---\nlicense: cc-by-4.0\n---\n"
    files = {
        "README.md": card,
        "data/train-00000-of-00002.parquet": two_classes(10),
        "data/train-00001-of-00002.parquet": two_classes(10, start=10),
        "data/validation-00000-of-00001.parquet": two_classes(6, start=20),
        "data/test-00000-of-00001.parquet": two_classes(4, start=26),
    }
    repo = hub.dataset("ada/pets", files)
    answer = client.ask("dataset", "ada/pets")
    sha = repo.refs["main"]
    assert answer["classes"] == ["cats", "dogs"]
    assert {name: len(rows) for name, rows in answer["splits"].items()} == {
        "train": 20,
        "valid": 6,
        "test": 4,
    }
    expected = [
        [f"train[{i}]", ["cats", "dogs"][i % 2], hashlib.sha1(png(i)).hexdigest()]
        for i in range(20)
    ]
    assert [row[:3] for row in answer["splits"]["train"]] == expected
    assert answer["splits"]["valid"][3][3] == f"{sha}:validation[3]"
    assert (answer["revision"], answer["licence"], answer["id"]) == (sha, "cc-by-4.0", "ada/pets")
    assert answer["rule"] == "the dataset's own train and valid"


def test_a_download_tells_how_far_it_is_and_ends_where_somebody_stops_it(hub, client):
    files = {f"train/{name}/{i}.png": png(i) for name in ("cats", "dogs") for i in range(60)}
    files["README.md"] = b"---\nlicense: mit\n---\n"
    num_bytes = sum(len(content) for path, content in files.items() if path.endswith("png"))
    hub.dataset("ada/slow", files)
    hub.faults.script = [Fault(kind="delay", only="ada/slow/resolve", seconds=0.1, times=None)]
    before = len(hub.requests)
    stopped = client.ask("progress", "ada/slow", 1)["told"]
    hub.faults.script = []
    fetched = len({seen.path for seen in hub.requests[before:] if seen.path.endswith(".png")})
    assert [total for _, total in stopped] == [num_bytes]
    assert 0 < fetched < 120
    whole = client.ask("progress", "ada/slow", 1000)["told"]
    assert whole == sorted(whole)
    assert all(0 < done <= total < num_bytes for done, total in whole)  # the rest was here already


def test_a_second_load_asks_for_no_file_again(hub, client):
    hub.dataset("ada/again", {"train.parquet": two_classes()})
    first = client.ask("dataset", "ada/again")
    before = len(hub.requests)
    second = client.ask("dataset", "ada/again")
    assert second["splits"] == first["splits"]
    assert not [seen.path for seen in hub.requests[before:] if "/resolve/" in seen.path]


def test_text_labels_become_classes_in_natural_order(hub, client):
    labels = ["class 10", "class 2", "class 1"] * 5
    hub.dataset("ada/text", {"train.parquet": two_classes(labels=labels)})
    answer = client.ask("dataset", "ada/text")
    assert answer["classes"] == ["class 1", "class 2", "class 10"]
    everything = labels_of(answer, "train") + labels_of(answer, "valid")
    assert everything == {"class 1": 5, "class 2": 5, "class 10": 5}
    assert min(labels_of(answer, "valid").values()) == 1
    assert "stratified" in answer["rule"]


def test_whole_number_labels_become_classes_in_the_order_of_numbers(hub, client):
    hub.dataset("ada/numbers", {"train.parquet": two_classes(labels=[10, 9, 100] * 4)})
    answer = client.ask("dataset", "ada/numbers")
    assert answer["classes"] == ["9", "10", "100"]
    assert {row[0]: row[1] for row in answer["splits"]["train"]}["train[0]"] == "10"


def test_a_column_img_and_a_plain_binary_column_are_pictures_too(hub, client):
    hub.dataset("ada/img", {"train.parquet": two_classes(image="img")})
    plain = parquet({"id": list(range(8)), "img": [png(i) for i in range(8)], "label": [0, 1] * 4})
    hub.dataset("ada/binary", {"train.parquet": plain})
    assert client.ask("dataset", "ada/img")["classes"] == ["cats", "dogs"]
    assert client.ask("dataset", "ada/binary")["classes"] == ["0", "1"]


def test_class_names_come_from_the_card_where_the_file_has_none(hub, client):
    card = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: breed_of_pet
    dtype:
      class_label:
        names:
          '0': cat
          '1': dog
---
"""
    table = parquet({"image": cells(0, 8), "weight": [7] * 8, "breed_of_pet": [1, 0] * 4})
    hub.dataset("ada/card", {"README.md": card, "train.parquet": table})
    answer = client.ask("dataset", "ada/card")
    assert answer["classes"] == ["cat", "dog"]
    assert labels_of(answer, "train") + labels_of(answer, "valid") == {"cat": 4, "dog": 4}


def test_the_only_column_with_few_values_is_the_label(hub, client):
    table = {"image": cells(0, 12), "file": [f"f{i}" for i in range(12)], "mood": ["a", "b"] * 6}
    hub.dataset("ada/mood", {"train.parquet": parquet(table)})
    assert client.ask("dataset", "ada/mood")["classes"] == ["a", "b"]


def test_a_single_test_split_is_split_into_train_and_valid(hub, client):
    hub.dataset("ada/only-test", {"data/test-00000-of-00001.parquet": two_classes(16)})
    answer = client.ask("dataset", "ada/only-test")
    assert {name: len(rows) for name, rows in answer["splits"].items()} == {"train": 12, "valid": 4}
    assert answer["rule"].endswith("of 'test'")


def test_the_default_configuration_is_read_and_named(hub, client):
    card = """---
configs:
- config_name: large
  data_files: large/*.parquet
- config_name: small
  default: true
  data_files:
  - split: train
    path: small/train*
  - split: extra
    path: small/extra*
---
"""
    files = {
        "README.md": card,
        "large/x.parquet": two_classes(40),
        "small/train.parquet": two_classes(12),
        "small/extra.parquet": two_classes(4),
    }
    hub.dataset("ada/configs", files)
    answer = client.ask("dataset", "ada/configs")
    assert sum(map(len, answer["splits"].values())) == 12
    assert "configuration 'small' of 2" in answer["rule"]
    assert "not used: extra" in answer["rule"]


def test_an_imagefolder_repository_is_read_like_a_folder(hub, client):
    files = {f"data/train/{kind}/{i}.png": png(i) for i in range(6) for kind in ("cats", "dogs")}
    files |= {f"data/val/{kind}/{i}.png": png(i) for i in range(2) for kind in ("cats", "dogs")}
    repo = hub.dataset("ada/folders", files | {"README.md": "# Pets"})
    answer = client.ask("dataset", "ada/folders")
    assert answer["classes"] == ["cats", "dogs"]
    assert {name: len(rows) for name, rows in answer["splits"].items()} == {"train": 12, "valid": 4}
    first = answer["splits"]["train"][0]
    assert first[2] == hashlib.sha1(png(0)).hexdigest()
    assert first[3].startswith(repo.refs["main"])
    assert (answer["kind"], answer["id"]) == ("hub", "ada/folders")


def test_pictures_in_hidden_folders_are_neither_counted_nor_downloaded(hub, client):
    files = {f"{kind}/{i}.png": png(i) for i in range(6) for kind in ("cats", "dogs")}
    large = png(1) + b"\0" * 5_000_000
    hidden = {".x/1.png": large, "cats/.y/2.png": large, "cats/.z.png": large, "a\\b.png": large}
    hub.dataset("eve/hidden", files | hidden)
    before = len(hub.requests)
    answer = client.ask("dataset", "eve/hidden", {"max_unpacked_bytes": 1_000_000})
    assert sum(map(len, answer["splits"].values())) == 12
    asked = [seen.path for seen in hub.requests[before:] if "/resolve/" in seen.path]
    assert len(asked) >= 12
    assert [path for path in asked if "/." in path or "%5C" in path or "\\" in path] == []


def test_a_revision_stays_what_it_was_when_the_dataset_changes(hub, client):
    repo = hub.dataset("ada/moving", {"train.parquet": two_classes(8)})
    old = repo.refs["main"]
    new = repo.commit({"train.parquet": two_classes(12, start=50)})
    pinned = client.ask("dataset", f"ada/moving@{old}")
    newest = client.ask("dataset", "ada/moving@main")
    shas = {row[2] for split in pinned["splits"].values() for row in split}
    assert shas == {hashlib.sha1(png(number)).hexdigest() for number in range(8)}
    assert sum(map(len, newest["splits"].values())) == 12
    assert (pinned["revision"], newest["revision"]) == (old, new)


def test_files_are_asked_for_by_commit_and_never_by_branch(hub, client):
    hub.dataset("ada/by-commit", {"train.parquet": two_classes(8)})
    hub.dataset("ada/by-commit2", {"train/a/1.png": png(1), "train/b/2.png": png(2)})
    before = len(hub.requests)
    client.ask("dataset", "ada/by-commit")
    client.ask("dataset", "ada/by-commit2")
    asked = [seen.path for seen in hub.requests[before:] if "/resolve/" in seen.path]
    assert asked
    assert all(re.search(r"/resolve/[0-9a-f]{40}/", path) for path in asked)


def test_the_hubs_own_parquet_branch_can_be_named(hub, client):
    repo = hub.dataset("ada/script", {"script.py": "print('never run')"})
    repo.commit({"script.py": None, "default/train/0000.parquet": two_classes(8)}, ref="x")
    repo.refs["refs/convert/parquet"] = repo.refs.pop("x")
    refused = client.ask("dataset", "ada/script")
    assert refused["error"] == "DatasetError"
    assert "script" in refused["message"]
    assert "@refs/convert/parquet" in refused["message"]
    assert client.ask("dataset", "ada/script@refs/convert/parquet")["classes"] == ["cats", "dogs"]


def test_a_few_labels_out_of_range_are_skipped_and_many_end_it(hub, client):
    features = {"image": IMAGE, "label": class_label("cats", "dogs")}
    few, many = [index % 2 for index in range(38)] + [7, -1], [0, 1, -1, -1]
    hub.dataset(
        "ada/few", {"train.parquet": parquet({"image": cells(0, 40), "label": few}, features)}
    )
    hub.dataset(
        "ada/many", {"train.parquet": parquet({"image": cells(0, 4), "label": many}, features)}
    )
    answer = client.ask("dataset", "ada/few")
    assert sum(map(len, answer["splits"].values())) == 38
    assert answer["skipped"] == [
        ["train[38]", "has label 7, but there are only the classes 0 to 1"],
        ["train[39]", "has label -1, but there are only the classes 0 to 1"],
    ]
    refused = client.ask("dataset", "ada/many")
    assert refused["error"] == "DatasetError"
    assert "2 cannot be used, more than 5 %" in refused["message"]


def test_labels_of_another_kind_in_a_later_file_are_said_in_words(hub, client):
    later = [["cats", "dogs"], ["1" * 5_000, "2" * 5_000], [0.5, float("nan")]]
    for number, labels in enumerate(later):
        files = {"train-00000-of-00002.parquet": two_classes(8)}
        files["train-00001-of-00002.parquet"] = two_classes(labels=labels * 20)
        hub.dataset(f"eve/mixed{number}", files)
        refused = client.ask("dataset", f"eve/mixed{number}")
        assert refused["error"] == "DatasetError", refused
        assert "40 cannot be used, more than 5 %" in refused["message"]
        assert len(refused["message"]) < 300


def test_texts_that_are_not_utf_8_are_said_in_words(hub, client):
    raw = pa.array([b"a\xff", b"b\xff"] * 4)
    odd = pa.StringArray.from_buffers(len(raw), *raw.buffers()[1:])
    images = pa.array([png(number) for number in range(8)])
    tables = {
        "label": {"image": images, "label": odd},
        "mood": {"image": images, "mood": odd},
        "path": {
            "image": pa.StructArray.from_arrays([images, odd], ["bytes", "path"]),
            "label": [0, 1] * 4,
        },
    }
    for name, table in tables.items():
        hub.dataset(f"eve/odd-{name}", {"train.parquet": parquet(table)})
        refused = client.ask("dataset", f"eve/odd-{name}")
        assert refused["error"] == "DatasetError", refused
        assert "is damaged" in refused["message"]


@pytest.mark.parametrize("place", ["file", "card"])
def test_a_class_name_is_no_longer_than_a_text_label_may_be(hub, client, place):
    def files(name: str) -> dict[str, bytes | str]:
        features = {"image": IMAGE, "label": class_label(name, "dog")}
        table = {"image": cells(0, 8), "label": [0, 1] * 4}
        names = f"names: {{'0': {name}, '1': dog}}"
        card = f"dataset_info: {{features: [{{name: label, dtype: {{class_label: {{{names}}}}}}}]}}"
        if place == "file":
            return {"train.parquet": parquet(table, features)}
        return {"README.md": f"---\n{card}\n---\n", "train.parquet": parquet(table)}

    hub.dataset(f"eve/fits-{place}", files("a" * 200))
    assert client.ask("dataset", f"eve/fits-{place}")["classes"] == ["a" * 200, "dog"]
    hub.dataset(f"eve/long-{place}", files("a" * 100_000))
    refused = client.ask("dataset", f"eve/long-{place}")
    assert refused.get("error") == "DatasetError"
    assert "a class name of 100,000 characters; the limit is 200" in refused["message"]


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("mit", "mit"),
        ("[mit, cc-by-4.0]", "mit, cc-by-4.0"),
        ("[mit, 5, {a: b}]", "mit"),
        ("{a: b}", None),
        ("5", None),
        ("[]", None),
    ],
)
def test_a_licence_is_the_words_of_the_card_or_none(hub, client, request, stated, licence):
    repo_id = f"eve/licence{request.node.callspec.indices['stated']}"
    card = f"---\nlicense: {stated}\n---\n"
    hub.dataset(repo_id, {"README.md": card, "train.parquet": two_classes()})
    assert client.ask("dataset", repo_id)["licence"] == licence


def test_a_test_split_without_labels_is_left_out(hub, client):
    unlabelled = two_classes(labels=[-1] * 8)
    files = {"train.parquet": two_classes(8), "test.parquet": unlabelled}
    hub.dataset("ada/contest", files)
    answer = client.ask("dataset", "ada/contest")
    assert set(answer["splits"]) == {"train", "valid"}
    assert "'test' left out" in answer["rule"]


def test_rows_that_name_a_file_are_never_opened(hub, client, folder):
    canary = folder / "canary.png"
    canary.write_bytes(png(1))
    named = [
        {"bytes": None, "path": str(canary)},
        {"bytes": None, "path": f"{hub.endpoint}/canary.png"},
        {"bytes": None, "path": "hf://datasets/ada/secret/canary.png"},
    ]
    rows = {"image": cells(0, 77) + named, "label": [0, 1] * 40}
    hub.dataset("eve/paths", {"train.parquet": parquet(rows, {"image": IMAGE})})
    answer = client.ask("dataset", "eve/paths")
    assert [name for name, _reason in answer["skipped"]] == [f"train[{i}]" for i in (77, 78, 79)]
    assert "never opened" in answer["skipped"][0][1]
    assert client.ask("opened", "canary")["paths"] == []
    assert not [seen.path for seen in hub.requests if "canary" in seen.path]


def test_a_card_that_names_files_of_this_machine_reads_none(hub, client, folder):
    secret = folder / "secret.parquet"
    secret.write_bytes(two_classes())
    for number, path in enumerate((str(secret), "../secret.parquet", f"{hub.endpoint}/s.parquet")):
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {path}\n---\n"
        hub.dataset(f"eve/card{number}", {"README.md": card, "a.parquet": two_classes()})
        refused = client.ask("dataset", f"eve/card{number}")
        assert "names no parquet file" in refused["message"]
    assert client.ask("opened", "secret.parquet")["paths"] == []


def test_a_local_folder_named_like_the_id_is_not_read(hub, client, folder):
    local = folder / "ada" / "shadow"
    local.mkdir(parents=True)
    (local / "train.parquet").write_bytes(two_classes(labels=["wrong", "wronger"] * 4))
    hub.dataset("ada/shadow", {"train.parquet": two_classes(8)})
    assert client.ask("dataset", "ada/shadow")["classes"] == ["cats", "dogs"]


def test_a_file_that_unpacks_to_gigabytes_is_refused_early(hub, client):
    indices = pa.array([0] * 4000, pa.int32())
    image = pa.DictionaryArray.from_arrays(indices, pa.array([b"\0" * 1_000_000]))
    table = pa.table({"image": image, "label": [0, 1] * 2000})
    bomb = parquet_of(table, compression="zstd", store_schema=False)
    assert len(bomb) < 100_000
    hub.dataset("eve/bomb", {"train.parquet": bomb})
    refused = client.ask("dataset", "eve/bomb", {"max_unpacked_bytes": 50_000_000})
    assert refused["error"] == "DatasetError"
    assert "unpacks to more than 50 MB" in refused["message"]
    assert refused["seconds"] < 5


def test_what_packs_well_without_a_dictionary_is_refused_before_a_row_is_unpacked(tmp_path):
    images = [b"\0" * 400_000] * 40
    cells = [{"bytes": image, "path": None} for image in images]
    table = pa.table({"my.image": cells, "label": [0, 1] * 20, "my.image_mask": images})
    path = tmp_path / "bomb.parquet"
    path.write_bytes(parquet_of(table, compression="zstd", use_dictionary=["label"]))
    assert path.stat().st_size < 100_000
    columns = Columns(image="my.image", label="label", class_names=None)
    with open_parquet(path, "bomb") as file:
        assert 16_000_000 <= unpacked_bytes(file, columns) < 16_100_000  # the mask is not read
    repo: Any = SimpleNamespace(title="'eve/bomb'")
    _refuse_too_much(repo, [path], columns, Limits(max_unpacked_bytes=17_000_000))
    with pytest.raises(DatasetError, match="'eve/bomb' unpacks to more than 15 MB"):
        _refuse_too_much(repo, [path], columns, Limits(max_unpacked_bytes=15_000_000))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_pictures": 15}, "holds 16 pictures; the limit is 15"),
        ({"max_unpacked_bytes": 500}, "MB; the limit is"),
        ({"max_picture_bytes": 10}, "16 cannot be used"),
        ({"max_classes": 1}, "has 2 classes"),
    ],
)
def test_each_limit_is_kept(hub, client, limits, says):
    hub.dataset("ada/limits", {"train.parquet": two_classes(16)})
    refused = client.ask("dataset", "ada/limits", limits)
    assert refused["error"] == "DatasetError"
    assert says in refused["message"]


NO_IMAGE = parquet({"text": ["a", "b"], "label": [0, 1]})
NO_LABEL = parquet({"image": cells(0, 3), "weight": [0.5, 0.7, 0.1]}, {"image": IMAGE})
LISTS = parquet({"image": cells(0, 2), "labels": [[0, 1], [1]]}, {"image": IMAGE})
ONE_CLASS = two_classes(labels=["cat"] * 8)
NO_ROWS = parquet_of(
    pa.Table.from_pylist([], pa.schema([("image", pa.binary()), ("label", "int64")]))
)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"train.parquet": NO_IMAGE}, "no column with pictures; its columns are text (string)"),
        ({"train.parquet": NO_LABEL}, "no column with one label a picture; its columns are image"),
        ({"train.parquet": LISTS}, "labels (list<"),
        ({"train.parquet": ONE_CLASS}, "a single class in 'train'"),
        ({"train.parquet": NO_ROWS}, "is empty"),
        ({"README.md": "# Nothing yet"}, "is empty"),
        ({"train.zip": b"PK"}, "holds .zip files"),
        ({"train.parquet": two_classes()[:-30]}, "is damaged"),
        ({"train.parquet": b"PAR1 and no more"}, "is damaged"),
        ({"cats/1.png": png(1), "cats/2.png": png(2)}, "class"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(hub, client, request, files, says):
    repo_id = f"ada/bad{request.node.callspec.indices['files']}"
    hub.dataset(repo_id, files)
    refused = client.ask("dataset", repo_id)
    assert refused["error"] == "DatasetError", refused
    assert says in refused["message"]
    assert repo_id in refused["message"]


@pytest.mark.parametrize("path", ["{}.parquet", "cats/{}.png"])
def test_a_file_with_a_name_of_thousands_of_digits_is_refused_in_words(hub, client, path):
    repo_id = f"eve/digits-{path[-3:]}"
    hub.dataset(repo_id, {path.format("1" * 5_000): two_classes(), "dogs/1.png": png(1)})
    refused = client.ask("dataset", repo_id)
    assert refused["error"] == "HubError", refused
    assert "could not be stored" in refused["message"]


def test_missing_private_and_gated_datasets_are_told_apart_from_a_dead_hub(hub, client):
    hub.dataset("ada/private", {"train.parquet": two_classes()}, private=True)
    hub.dataset("ada/gated", {"train.parquet": two_classes()}, gated=True)
    hub.dataset("ada/open", {"train.parquet": two_classes()})
    expected = {
        "ada/missing": "not on the Hub, or it is private",
        "ada/private": "not on the Hub, or it is private",
        "ada/gated": "is gated",
        "ada/open@nope": "no such revision",
    }
    for dataset_id, says in expected.items():
        refused = client.ask("dataset", dataset_id)
        assert refused["error"] == "HubError"
        assert says in refused["message"]
        assert refused["seconds"] < 3


@pytest.mark.parametrize(
    "dataset_id",
    ["../x", "/etc", "imagefolder", "a/b/c", "a b/c", "аda/pets", "a/b@", "a/b@../c", "a/..", ""],
)
def test_what_is_no_id_asks_nobody(hub, client, dataset_id):
    before = len(hub.requests)
    refused = client.ask("dataset", dataset_id)
    assert refused["error"] == "DatasetError"
    assert "owner/name" in refused["message"]
    assert len(hub.requests) == before


def test_a_hub_that_answers_500_or_429_says_so_at_once(hub, client):
    hub.dataset("ada/fault", {"train.parquet": two_classes()})
    for status in (500, 429):
        hub.faults.status, hub.faults.only = status, "/api/datasets/ada/fault"
        refused = client.ask("dataset", "ada/fault")
        hub.faults.status = None
        assert refused["error"] == "HubError"
        assert f"status {status}" in refused["message"]
        assert refused["seconds"] < 3


def test_a_hub_that_is_down_is_said_within_five_seconds(hub, tmp_path):
    env = hub.client_env(tmp_path / "home") | {"HF_ENDPOINT": unused_endpoint()}
    with HubClient(env, tmp_path) as client:
        refused = client.ask("dataset", "ada/pets")
        assert client.ask("reachable")["reachable"] is False
        searched = client.ask("search", "datasets", "pets")
    assert (refused["error"], searched["error"]) == ("HubError", "HubError")
    assert "does not answer" in refused["message"]
    assert refused["seconds"] < 5


def test_a_hub_that_hangs_is_given_up_after_three_seconds(hub, folder, tmp_path):
    env = hub.client_env(tmp_path / "home")
    hub.faults.delay_seconds, hub.faults.only = 6.0, "whoami"
    with HubClient(env, tmp_path) as client:
        refused = client.ask("dataset", "ada/pets")
    hub.faults.delay_seconds = 0.0
    assert "does not answer" in refused["message"]
    assert refused["seconds"] < 4.5


def test_offline_is_said_without_a_request(hub, tmp_path):
    before = len(hub.requests)
    with HubClient(hub.client_env(tmp_path / "home", HF_HUB_OFFLINE="1"), tmp_path) as client:
        refused = client.ask("dataset", "ada/pets")
    assert "HF_HUB_OFFLINE" in refused["message"]
    assert len(hub.requests) == before


def test_no_request_carried_a_token_and_none_was_unknown(hub, client):
    client.ask("dataset", "ada/pets")
    assert hub.requests
    assert [seen.path for seen in hub.requests if seen.authorization] == []
    assert hub.unknown == []


@pytest.mark.parametrize("kind", ["dataset", "model"])
@pytest.mark.parametrize(
    ("name", "card"), [("list", "- a\n- b"), ("argument", "ignore_metadata_errors: no")]
)
def test_a_card_that_the_client_cannot_read_is_refused_in_words(hub, client, kind, name, card):
    files = tiny_repo() if kind == "model" else {"train.parquet": two_classes()}
    files["README.md"] = f"---\n{card}\n---\n".encode()
    getattr(hub, kind)(f"eve/{name}", files)
    answer = client.ask(kind, f"eve/{name}")
    assert (answer["error"], answer["message"].split(" is not")[0]) == (
        "HubError",
        f"The card of the {kind} 'eve/{name}'",
    )
