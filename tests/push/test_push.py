"""`push`: the command line in a process of its own, against the Hub emulator."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from safetensors.numpy import load, save

from hub_emulator import HubEmulator, unused_endpoint
from hub_faults import Faults
from hub_repos import Repo
from hub_tokens import TOKEN, Token
from push_client import ROOT

FILES = {"README.md", "config.json", "model.safetensors"}


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of the model folder that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def test_a_pushed_model_is_private_whole_and_verified(hub, client, model):
    (model / ".hidden").write_text("not for the Hub")
    (model / ".cache").mkdir()
    (model / ".cache" / "model.pt").write_text("hidden, so neither published nor refused")
    (model / "model.onnx").write_bytes(b"no export: it is made anew")
    before = len(hub.requests)
    answer = client.push(model, "ada/squares")
    repo = hub.repos["models", "ada/squares"]
    assert answer == {
        "code": 0,
        "event": "pushed",
        "url": f"{hub.endpoint}/ada/squares",
        "verified": True,
        "kind": "model",
        "commit": repo.refs["main"],
        "changed": True,
        "differs": "",
        "num_compared": 0,
    }
    pushed = repo.commits[repo.refs["main"]]
    assert repo.private
    assert len(repo.commits) == 2  # the Hub's own first one, and ours
    assert set(pushed) == {*FILES, "model.onnx", ".gitattributes", "lrlab.json"}
    kept = {"config.json", "model.safetensors", "model.onnx"}
    assert all(pushed[name] == (model / name).read_bytes() for name in kept)
    assert b"hf-hub:ada/squares" in pushed["README.md"]
    marker = json.loads(pushed["lrlab.json"])
    assert marker["repo"] == "ada/squares"
    assert marker["sha256"] == {
        name: hashlib.sha256(pushed[name]).hexdigest() for name in {*FILES, "model.onnx"}
    }
    for place in (sys.prefix, sys.base_prefix, str(ROOT), str(Path.home())):
        assert not [name for name, content in pushed.items() if place.encode() in content]
    requests = hub.requests[before:]
    assert {seen.authorization for seen in requests if seen.host.startswith("localhost")} == {None}
    sha = repo.refs["main"]
    fetched = [seen.path for seen in requests if seen.method == "GET"]
    weights = hashlib.sha256(pushed["model.safetensors"]).hexdigest()
    assert f"/ada/squares/resolve/{sha}/config.json" in fetched
    assert f"/lfs/models/ada/squares/{weights}" in fetched


def test_a_run_folder_is_pushed_publicly_when_asked(hub, client, trained):
    answer = client.push(trained.parent, "ada/open", "--public")
    assert (answer["code"], answer["verified"]) == (0, True)
    assert answer["num_compared"] > 0
    repo = hub.repos["models", "ada/open"]
    assert not repo.private
    assert {"plots/curves.png", "plots/confusion.png"} <= set(repo.commits[repo.refs["main"]])


def test_the_saved_login_is_used(hub, client, model, tmp_path):
    login = client.folder / "home" / "token"
    login.parent.mkdir(exist_ok=True)
    login.write_text("hf_savedLoginOfBob")
    hub.users["hf_savedLoginOfBob"] = "bob"
    try:
        answer = client.push(model, "bob/squares", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
    finally:
        login.unlink()
    assert (answer["code"], answer["verified"]) == (0, True)


def test_the_same_files_again_make_no_commit_and_changed_ones_make_one(hub, client, model):
    client.push(model, "ada/again")
    again = client.push(model, "ada/again")
    repo = hub.repos["models", "ada/again"]
    assert (again["verified"], len(repo.commits)) == (True, 2)
    (model / "README.md").write_text("A card without front matter.\n")
    changed = client.push(model, "ada/again")
    assert (changed["verified"], len(repo.commits)) == (True, 3)
    assert repo.commits[repo.refs["main"]]["README.md"] == b"A card without front matter.\n"


def test_files_of_an_earlier_push_go_and_those_of_others_stay(hub, client, model):
    (model / "notes.txt").write_text("an early note")
    client.push(model, "ada/tidy")
    repo = hub.repos["models", "ada/tidy"]
    repo.commit({"theirs.txt": "added on the page"})
    (model / "notes.txt").unlink()
    assert client.push(model, "ada/tidy")["verified"] is True
    files = repo.commits[repo.refs["main"]]
    assert "notes.txt" not in files and "theirs.txt" in files


@pytest.mark.parametrize(
    "marker",
    [
        json.dumps({"repo": "ada/other", "sha256": {"theirs.txt": ""}}),
        json.dumps({"repo": "ada/marked", "sha256": {".gitattributes": ""}}),
        json.dumps({"sha256": {"theirs.txt": ""}}),
        json.dumps({"repo": "ada/marked", "sha256": 3}),
        json.dumps(["theirs.txt"]),
        json.dumps({"repo": "ada/marked", "sha256": {"theirs.txt": " " * 2_000_000}}),
        "[" * 100_000,
        "no JSON",
    ],
    ids=["a copy of another", "git's own", "no name", "number", "list", "huge", "deep", "text"],
)
def test_a_marker_that_is_not_this_repositorys_removes_nothing(hub, client, model, marker):
    repo = hub.model("ada/marked", {"theirs.txt": "kept", "lrlab.json": marker}, private=True)
    repo.commit({".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
    assert client.push(model, "ada/marked")["verified"] is True
    assert {"theirs.txt", ".gitattributes"} <= set(repo.commits[repo.refs["main"]])


def test_a_repository_that_was_not_published_from_here_is_left_alone(hub, client, model):
    repo = hub.model("ada/thesis", {"thesis.pdf": "two years"}, private=True)
    answer = client.push(model, "ada/thesis")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "thesis.pdf" in answer["message"] and "another name" in answer["message"]
    assert len(repo.commits) == 1


def test_an_empty_repository_made_by_hand_is_used(hub, client, model):
    hub.model("ada/made-by-hand", {"README.md": "soon", ".gitattributes": ""}, private=True)
    assert client.push(model, "ada/made-by-hand")["verified"] is True


def test_a_readme_that_somebody_has_written_is_left_alone(hub, client, model):
    repo = hub.model("ada/described", {"README.md": "", ".gitattributes": ""}, private=True)
    repo.commit({"README.md": "A page of thoughts."})
    answer = client.push(model, "ada/described")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "it holds README.md. Choose another name" in answer["message"]
    assert len(repo.commits) == 2


def test_a_hub_that_refuses_for_a_moment_is_asked_again(hub, client, model):
    hub.faults = Faults(status=503, only="/commit/main", times=1)
    answer = client.push(model, "ada/patient")
    assert (answer["code"], answer["verified"]) == (0, True)
    assert len(hub.repos["models", "ada/patient"].commits) == 2


def test_a_hub_that_asks_for_an_hour_is_not_waited_for(hub, client, model):
    hub.faults = Faults(status=429, headers={"Retry-After": "3600"}, only="/commit/main")
    answer = client.push(model, "ada/later")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "It asks to wait 1 h" in answer["message"] and "push again" in answer["message"]


def test_preflight_names_every_problem_and_makes_nothing(hub, client):
    asked = ["preflight", "ada/free", "--json"]
    free = client.ask("command", asked, HF_TOKEN=TOKEN)
    assert (free["code"], json.loads(free["out"].splitlines()[-1])["ok"]) == (0, True)
    hub.model("ada/taken", {"thesis.pdf": "two years"}, private=True)
    for repo_id, words in (("ada/taken", "was not published from here"), ("bob/x", "may not")):
        answer = client.ask("command", ["preflight", repo_id, "--json"], HF_TOKEN=TOKEN)
        found = json.loads(answer["out"].splitlines()[-1])
        assert (answer["code"], found["ok"]) == (2, False)
        assert [words in said for level, said in found["findings"] if level == "problem"] == [True]
    assert ("models", "ada/free") not in hub.repos


def test_a_fine_grained_token_is_asked_what_it_may_write_to(hub, client):
    everywhere = {"user/ada": ("repo.content.read", "repo.write")}
    reads = {"user/ada": ("repo.content.read",), "model/ada/mine": ("repo.write",)}
    hub.users["hf_fineEverywhere"] = Token(user="ada", role="fineGrained", permissions=everywhere)
    hub.users["hf_fineMine"] = Token(user="ada", role="fineGrained", permissions=reads)
    for token, name, code in (
        ("hf_fineEverywhere", "ada/any", 0),
        ("hf_fineMine", "ada/mine", 0),
        ("hf_fineMine", "ada/other", 2),
    ):
        answer = client.ask("command", ["preflight", name, "--json"], HF_TOKEN=token)
        found = json.loads(answer["out"].splitlines()[-1])
        assert (answer["code"], found["ok"]) == (code, not code), answer["out"]
        if code:
            assert "may not write to ada/other: it is a fine-grained one" in str(found["findings"])


def test_a_training_that_is_to_be_pushed_asks_first(hub, client, trained):
    squares = str(trained.parents[1] / "squares")
    settings = "--model-name test_resnet --no-pretrained --epochs 1 --image-size 32 --lr 0.01"
    options = [*settings.split(), "--batch-size", "8", "--json"]
    refused = [*options, "--push-to", "bob/x", "--output-dir", str(client.folder / "refused")]
    answer = client.ask("command", ["train", squares, *refused], HF_TOKEN=TOKEN)
    assert answer["code"] == 2
    assert not (client.folder / "refused").exists()
    hub.faults = Faults(status=400, only="/api/validate-yaml")
    refused = [*options, "--push-to", "ada/card", "--output-dir", str(client.folder / "card")]
    answer = client.ask("command", ["train", squares, *refused], HF_TOKEN=TOKEN)
    assert answer["code"] == 2
    assert not (client.folder / "card").exists()
    hub.faults = Faults()
    taken = [*options, "--push-to", "ada/asked", "--output-dir", str(client.folder / "asked")]
    answer = client.ask("command", ["train", squares, *taken], HF_TOKEN=TOKEN)
    events = [json.loads(line)["event"] for line in answer["out"].splitlines()]
    assert (answer["code"], events[-1]) == (0, "pushed"), answer["out"]
    assert events.index("preflight") < events.index("started") < events.index("done")
    answer = client.ask("command", ["train", squares, *taken, "--resume"], HF_TOKEN=TOKEN)
    events = [json.loads(line)["event"] for line in answer["out"].splitlines()]
    assert (answer["code"], events[-1]) == (0, "pushed"), answer["out"]


@pytest.mark.parametrize("login", ["", "hf_two words"], ids=["none", "no token"])
def test_a_login_that_cannot_be_one_is_not_quoted_and_the_hub_not_asked(hub, client, model, login):
    before = len(hub.requests)
    answer = client.push(model, "ada/nobody", HF_TOKEN=login)
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "hf auth login" in answer["message"]
    assert not login or login not in json.dumps(answer)
    assert len(hub.requests) == before


def test_a_token_that_the_hub_does_not_know_is_refused_in_words(hub, client, model):
    answer = client.push(model, "ada/unknown", HF_TOKEN="hf_expiredToken")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "status 401" in answer["message"] and "hf auth login" in answer["message"]
    assert ("models", "ada/unknown") not in hub.repos


def test_a_foreign_namespace_is_refused_in_words(hub, client, model):
    answer = client.push(model, "grace/squares")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "ada may not write to grace" in answer["message"]
    assert ("models", "grace/squares") not in hub.repos


def test_a_public_repository_of_somebody_else_stays_as_it_is(hub, client, model):
    repo = hub.model("grace/theirs", {"README.md": "hers"})
    answer = client.push(model, "grace/theirs", "--public")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert len(repo.commits) == 1


@pytest.mark.parametrize("public", [True, False])
def test_a_repository_that_is_not_as_visible_as_asked_is_left_alone(hub, client, model, public):
    repo = hub.model(f"ada/visible-{public}".lower(), {"README.md": "old"}, private=not public)
    answer = client.push(model, repo.repo_id, *([] if public else ["--public"]))
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert ("is public" if public else "is private") in answer["message"]
    assert len(repo.commits) == 1


@pytest.mark.parametrize("name", ["pytorch_model.bin", "deep/weights.PT", "a.pth", "b.pkl"])
def test_a_folder_with_a_pickle_is_refused_before_the_hub_is_asked(hub, client, model, name):
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"\x80\x04.")
    before = len(hub.requests)
    answer = client.push(model, "ada/pickle")
    assert (answer["code"], answer["error"]) == (2, "ModelError")
    assert name in answer["message"]
    assert len(hub.requests) == before


def test_a_link_to_a_file_outside_of_the_folder_is_refused(hub, client, model, tmp_path):
    (tmp_path / "id_ed25519").write_text("a private key")
    (model / "notes.txt").symlink_to(tmp_path / "id_ed25519")
    answer = client.push(model, "ada/linked")
    assert (answer["code"], answer["error"]) == (2, "ModelError")
    assert "notes.txt, a link" in answer["message"]
    assert ("models", "ada/linked") not in hub.repos


def test_a_link_to_another_folder_is_not_followed(hub, client, model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "id_ed25519").write_text("a private key")
    (model / "notes").symlink_to(tmp_path / "elsewhere")
    assert client.push(model, "ada/folder-link")["verified"] is True
    repo = hub.repos["models", "ada/folder-link"]
    assert not [name for name in repo.commits[repo.refs["main"]] if "notes" in name]


@pytest.mark.parametrize("repo_id", ["squares", "ada/a b", "ada/../x", "ada/x@main", "ada/x.git"])
def test_what_is_no_id_is_refused_before_the_hub_is_asked(hub, client, model, repo_id):
    before = len(hub.requests)
    answer = client.push(model, repo_id)
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "owner/name" in answer["message"]
    assert len(hub.requests) == before


def test_a_folder_without_a_model_is_refused_before_the_hub_is_asked(hub, client, model):
    (model / "model.safetensors").write_bytes(b"damaged")
    before = len(hub.requests)
    answer = client.push(model, "ada/damaged")
    assert (answer["code"], answer["error"]) == (2, "ModelError")
    assert len(hub.requests) == before


def test_a_card_that_is_not_yaml_is_refused_and_nothing_is_committed(hub, client, model):
    (model / "README.md").write_text("---\nlicense: [\n---\n")
    answer = client.push(model, "ada/card")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "README.md" in answer["message"]
    assert ("models", "ada/card") not in hub.repos


@pytest.mark.parametrize("status", [401, 403, 404, 409, 412, 413, 429, 500])
def test_a_refused_commit_is_said_in_words(hub, client, model, status):
    hub.faults = Faults(status=status, only="/commit/main")
    answer = client.push(model, "ada/refused")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert f"status {status}" in answer["message"]
    assert len(hub.repos["models", "ada/refused"].commits) == 1


def test_an_upload_that_the_storage_refuses_is_said_in_words(hub, client, model):
    config = json.loads((model / "config.json").read_text())
    weights = load((model / "model.safetensors").read_bytes())
    weights["fc.bias"] = weights["fc.bias"] + 1  # other weights than any that were sent before
    (model / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    assert config["architecture"] == "test_resnet"
    hub.faults = Faults(status=403, only="/lfs-upload/")
    answer = client.push(model, "ada/storage")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert "status 403" in answer["message"]
    assert len(hub.repos["models", "ada/storage"].commits) == 1


def test_an_answer_that_nobody_expects_is_traced_without_the_token(hub, client, model):
    hub.faults = Faults(status=200, only="/commit/main")
    answer = client.ask("command", ["push", str(model), "ada/strange"], HF_TOKEN=TOKEN)
    assert answer["code"] == 1
    assert "Traceback" in answer["err"]
    assert TOKEN not in answer["err"]


@pytest.mark.parametrize(
    "env", [{"HF_ENDPOINT": unused_endpoint()}, {"HF_HUB_OFFLINE": "1"}], ids=["down", "offline"]
)
def test_an_unreachable_hub_is_said_in_words(client, model, env):
    answer = client.push(model, "ada/squares", HF_TOKEN=TOKEN, **env)
    assert (answer["code"], answer["error"]) == (2, "HubError")


class Tampering(Repo):
    """A repository that keeps something else than what was sent."""

    change: Mapping[str, bytes] = {}

    def commit(self, files: Mapping[str, bytes | str | None], ref: str = "main") -> str:
        return super().commit({**files, **self.change} if files else {}, ref)


def tampering(hub: HubEmulator, repo_id: str, change: Mapping[str, bytes]) -> None:
    repo = Tampering(kind="models", repo_id=repo_id, private=True)
    repo.commit({})
    repo.change = change
    hub.repos["models", repo_id] = repo


def test_weights_that_come_back_changed_are_not_verified(hub, client, model):
    weights = load((model / "model.safetensors").read_bytes())
    weights["fc.weight"] = weights["fc.weight"] * 1.01
    tampering(hub, "ada/changed", {"model.safetensors": save(weights)})
    answer = client.push(model, "ada/changed")
    assert (answer["code"], answer["event"], answer["verified"]) == (0, "pushed", False)


def test_class_names_that_come_back_in_another_order_are_not_verified(hub, client, model):
    config = json.loads((model / "config.json").read_text())
    config["label_names"].reverse()
    tampering(hub, "ada/renamed", {"config.json": json.dumps(config).encode()})
    assert client.push(model, "ada/renamed")["verified"] is False


def test_weights_that_come_back_damaged_fail_with_the_address_of_what_was_pushed(
    hub, client, model
):
    tampering(hub, "ada/damaged", {"model.safetensors": b"damaged"})
    answer = client.push(model, "ada/damaged")
    assert (answer["code"], answer["error"]) == (2, "HubError")
    assert f"{hub.endpoint}/ada/damaged" in answer["message"]
