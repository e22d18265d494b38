"""The Hub emulator judges a card as the Hub does, before and at the commit."""

import json
from pathlib import Path

import pytest

from hub_api_client import base64_of, lines, post, text_file
from hub_cards import card_errors, card_warnings

SPACE_CARD = "---\ntitle: A\nemoji: 🐈\ncolorFrom: red\ncolorTo: gray\nsdk: static\n---\n"
INDEX = {
    "name": "squares",
    "results": [
        {
            "task": {"type": "image-classification"},
            "dataset": {"type": "imagefolder", "name": "squares"},
            "metrics": [{"type": "accuracy", "value": 0.9}],
        }
    ],
}
WITHOUT_A_NAME = {**INDEX, "results": [{**INDEX["results"][0], "dataset": {"type": "x"}}]}


@pytest.mark.parametrize(
    ("front", "fine"),
    [
        ("license: mit", True),
        ("- a list", False),
        ("license: [", False),
        ("license: mit\nlicense: mit", False),
        ("license: MIT", False),
        ("license: [mit, apache-2.0]", True),
        ("license: [mit, mine]", False),
        ("license: other\nlicense_name: mine", True),
        ("license: other", False),
        ("license: unknown", True),
        ("base_model: timm/resnet18.a1_in1k", True),
        ("base_model: gpt2", True),
        ("base_model: [a/b, c/d]", True),
        ("base_model: a b", False),
        ("base_model: null", False),
        ("base_model: https://x.org/a/b", False),
        ("datasets: [ada/squares]", True),
        ("datasets:\n- null", False),
        ("pipeline_tag: image-classification", True),
        ("pipeline_tag: image-classifying", False),
        ("tags: [timm]", True),
        ("tags: timm", False),
        (f"model-index: {json.dumps([INDEX])}", True),
        (f"model-index: {json.dumps(INDEX)}", False),
        (f"model-index: {json.dumps([{'name': 'squares'}])}", False),
        (f"model-index: {json.dumps([WITHOUT_A_NAME])}", False),
    ],
)
def test_a_models_card_is_judged_before_and_at_the_commit(hub, client, front, fine):
    repo = hub.model("ada/card", {"a.txt": "a"})
    card = f"---\n{front}\n---\ntext"
    done = client.ask("commit", "ada/card", {"README.md": card})
    assert ("oid" in done) == fine
    assert fine or "Invalid metadata in README.md" in done["message"]
    body = lines(text_file("README.md", base64_of(card)))
    assert post(hub, "/api/models/ada/card/commit/main", body)[0] == (200 if fine else 400)
    assert len(repo.commits) == (3 if fine else 1)


@pytest.mark.parametrize(
    ("card", "fine"), [("no front matter", True), ("", True), ("---\nlicense: mit\n", False)]
)
def test_front_matter_may_be_missing_but_not_open(card, fine):
    assert (card_errors(card) == []) == fine
    assert bool(card_warnings(card)) == fine


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sdk: static", "sdk: streamlit"),
        ("sdk: static\n", ""),
        ("colorFrom: red", "colorFrom: orange"),
        ("colorTo: gray", "colorTo: grey"),
        ("emoji: 🐈", "emoji: cat"),
        ("title: A", f"title: A\nshort_description: {'a' * 61}"),
        ("title: A", "title: A\nhf_oauth_scopes: contribute-repos"),
        ("title: A", "title: A\nhf_oauth_scopes: [contribute]"),
        ("title: A", "title: 3"),
        ("---\n", ""),
    ],
)
def test_a_spaces_card_is_judged(hub, client, old, new):
    repo = hub.repo("spaces", "ada/space-card", sdk="static")
    repo.commit({})
    refused = client.ask(
        "commit", repo.repo_id, {"README.md": SPACE_CARD.replace(old, new)}, repo_type="space"
    )
    assert "Invalid metadata" in refused["message"]
    fine = SPACE_CARD.replace("title: A", f"title: A\nshort_description: {'a' * 60}")
    fine = fine.replace("sdk:", "hf_oauth: true\nhf_oauth_scopes: [contribute-repos]\nsdk:")
    assert "oid" in client.ask("commit", repo.repo_id, {"README.md": fine}, repo_type="space")


def test_the_projects_own_page_is_a_card_that_the_hub_takes():
    page = Path(__file__).parents[2] / "README.md"
    assert card_errors(page.read_text(encoding="utf-8"), "spaces") == []
