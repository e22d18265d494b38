"""The model card: what it says, that it validates, that its code runs, and that names stay text."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from PIL import Image

from hub_cards import LICENSES, card_errors
from hub_emulator import HubEmulator
from pictures import png
from trainer.__main__ import parser
from trainer.classifier import open_classifier
from trainer.cli import given_settings
from trainer.config import config_for
from trainer.events import (
    Done,
    EpochDone,
    Evaluated,
    Event,
    Note,
    PhaseStarted,
    Started,
    Swept,
    Tried,
)
from trainer.jobs import Job, execute
from trainer.metrics import evaluated
from trainer.predict import predict
from trainer.publish.card import card_text, write_card
from trainer.publish.card_check import MAX_CARD_BYTES, card_problems
from trainer.publish.facts import FoundRate, RunFacts, run_facts, run_folder_of
from trainer.publish.front_matter import front_matter
from trainer.publish.licence import HUB_LICENCES, hub_licence
from trainer.publish.markup import fenced, plain, text
from trainer.publish.own_card import is_own_card
from trainer.publish.plots import draw_plots, plots_of
from trainer.publish.sections import body
from trainer.runner.folder import create_run, record
from trainer.runner.journal import append_event
from trainer.transforms import Preprocess

REPO = "ada/squares"
TIME = r"(\d+ min ?)?([\d.]+ s)?"
LOOK = Preprocess(
    image_size=32,
    crop_pct=0.875,
    crop_mode="center",
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
SHA = "0123456789abcdef0123456789abcdef01234567"
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}}{% raw %}",
    "---",
    "- a list",
    "# a heading",
    "1. a list",
    "| a | b |",
    "`code` ```` fence",
    "[link](https://evil.example) ![](https://evil.example/x.png)",
    "https://evil.example www.evil.example ada@evil.example",
    "**bold** _it_ ~~gone~~ $\\frac{1}{0}$ $x",
    "name: !!python/object/apply:os.system ['id']",
    "&amp; &lt;b&gt; &#60;script&#62;",
    "a\nb\r\n\n---\n\nc",
    "abc\u202etxt.exe\u2066\u200b\x00\x1b[31m",
    "x" * 300,
    "'\"; -->",
    "</details></summary><!--",
    "\\",
    "",
)


def sample_facts(
    names: tuple[str, ...] = ("cat", "dog", "owl"),
    dataset: str = "pets",
    *,
    kind: str = "folder",
    findings: tuple[str, ...] = (),
    **settings: Any,
) -> RunFacts:
    """A finished run with a sweep and two phases, as the journal would tell it."""
    rng = np.random.default_rng(0)
    count = len(names)
    labels = np.arange(max(60, 2 * count)) % count
    logits = rng.normal(0, 1, (len(labels), count)) + 3 * np.eye(count)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    files = tuple(f"{dataset}/{index}.png" for index in range(len(labels)))
    result = evaluated(probs, labels, files, names, split="valid", seconds=0.1)
    started = Started(
        kind="train",
        model_name="resnet18",
        dataset=dataset,
        num_train=9 * count,
        num_valid=len(labels),
        num_test=7,
        class_names=names,
        train_counts=(9,) * count,
        num_skipped=2,
        dataset_kind=kind,
        dataset_revision=SHA if kind == "hub" else "",
        split_rule="20 % of the pictures, stratified, seed 42",
        dataset_licence="cc-by-4.0",
        hardware="Imaginary 9000, 2 of 4 cores",
        versions={"torch": "2.11.0"},
    )
    lrs = tuple(np.geomspace(1e-6, 1, 30).tolist())
    losses = tuple(1 + (np.log10(lr) + 2.5) ** 2 / 10 for lr in lrs)
    swept = Swept(
        lrs=lrs,
        losses=losses,
        smooth_losses=losses[:-2],
        band_low=losses[:-3],
        band_high=losses[:-3],
        suggestions={},
        suggested_lr=3e-3,
        usable=(1e-3, 1e-2),
        reason="3e-3 is the middle.",
        seconds=4.2,
    )
    phases = tuple(_phase(name, 10 * number) for number, name in enumerate(("head", "all")))
    shares = (0.8, 0.9, 0.85, 0.95)
    epochs = tuple(_epoch(number, share) for number, share in enumerate(shares))
    return RunFacts(
        model_name="resnet18",
        class_names=names,
        preprocess=LOOK,
        base_model="timm/resnet18.a1_in1k",
        base_licence="apache-2.0",
        config=config_for(model_name="resnet18", **settings),
        started=started,
        rates=(FoundRate(swept=swept, tried=_tried(), phase=phases[0]),),
        phases=phases,
        epochs=epochs,
        findings=findings,
        evaluated=result,
        done=_done(),
    )


def _phase(name: str, first: int) -> PhaseStarted:
    return PhaseStarted(
        phase=name,
        title=f"Train {name}",
        why="",
        first_step=first,
        num_steps=10,
        total_steps=20,
        epochs=2,
        frozen=name == "head",
        lr=3e-3,
    )


def _epoch(number: int, accuracy: float) -> EpochDone:
    return EpochDone(
        step=5 * number + 5,
        phase=("head", "all")[number // 2],
        epoch=number % 2,
        epochs=2,
        train_loss=1 / (number + 1),
        valid_loss=1.1 / (number + 1),
        valid_accuracy=accuracy,
        best=True,
        seconds=1.0,
    )


def _tried() -> Tried:
    return Tried(
        what="whole trainings",
        lrs=(1e-4, 1e-3, 1e-2),
        accuracies=(0.5, 0.9, 0.8),
        errors=(0.01, 0.01, 0.01),
        losses=(1.0, 0.3, 0.5),
        num_held_out=50,
        seconds=1.0,
    )


def _done() -> Done:
    return Done(
        valid_accuracy=0.95,
        valid_loss=0.3,
        num_valid=60,
        num_train=27,
        lr=3e-3,
        model_dir="model",
        seconds=13.9,
        num_correct=57,
        best_epoch="Train all, epoch 2",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny model that was trained on coloured squares, with its ONNX."""
    folder = tmp_path_factory.mktemp("card")
    for number in range(40):
        path = folder / "squares" / ("warm", "cold")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        color = (200, number * 4, 0) if number % 2 == 0 else (0, number * 4, 200)
        path.write_bytes(png(color, (8, 8)))
    (folder / "squares" / "warm" / "broken.png").write_bytes(b"no picture")
    config = config_for(
        model_name="test_resnet",
        pretrained=False,
        epochs=2,
        image_size=32,
        batch_size=8,
        num_steps=12,
        repeats=2,
        verify=False,
        device="cpu",
    )
    job = Job(kind="train", config=config, dataset=str(folder / "squares"))
    *_, done = record(create_run(folder, job, owner="test", run_id="run"))
    assert isinstance(done, Done), done
    list(execute(Job(kind="export", config=config, model=str(folder / "run")), folder))
    return folder / "run"


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A copy of the run folder that a test may change."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def front(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))


def headings(card: str) -> list[str]:
    return re.findall(r"^## (.+)$", card, re.MULTILINE)


class Page(HTMLParser):
    """Tags with their addresses, and the text, of a page."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        known = dict(attrs)
        assert not {name for name in known if name.startswith("on")}
        self.addresses += [known[name] or "" for name in ("href", "src") if name in known]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_training_leaves_a_card_without_plots_that_tells_of_the_whole_run(run: Path) -> None:
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert is_own_card(card)
    assert "plots/" not in card
    assert headings(card) == [
        "Use it",
        "How good it is",
        "Limits",
        "Pictures",
        "Training",
        "Made again",
        "Footprint",
        "Licence",
    ]
    assert "Nothing is known" not in card
    assert "found by an LR sweep" in card
    assert "1 file or row was left out" in card
    assert re.search(rf"Trained in \*\*{TIME}\*\* on \S.*cores?, {TIME} of that", card)
    assert "20 % of the pictures, stratified, seed 42" in card


def test_the_card_says_nothing_of_where_the_files_lay(run: Path) -> None:
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert str(run.parent) not in card
    assert "train squares " in card


def test_the_hubs_own_reader_finds_the_figures_of_the_run(copied: Path) -> None:
    write_card(copied / "model", copied, repo_id=REPO)
    card = (copied / "model" / "README.md").read_text(encoding="utf-8")
    assert card_problems(card) == []
    assert card_errors(card) == []
    data = ModelCard(card).data
    facts = run_facts(copied / "model", copied)
    assert facts.evaluated is not None
    found = {result.metric_type: result for result in data["eval_results"]}
    assert found["accuracy"].metric_value == round(facts.evaluated.accuracy, 4)
    assert found["f1"].metric_value == round(facts.evaluated.macro_f1 or 0, 4)
    assert {result.dataset_split for result in found.values()} == {"validation"}
    assert (data["library_name"], data["pipeline_tag"]) == ("timm", "image-classification")
    assert "datasets" not in data.to_dict()
    assert "base_model" not in data.to_dict()


def test_the_same_run_gives_the_same_bytes(copied: Path) -> None:
    model = copied / "model"

    def written(repo_id: str) -> dict[str, bytes]:
        assert write_card(model, copied, repo_id=repo_id)
        paths = [model / "README.md", *sorted((model / "plots").iterdir())]
        return {path.name: path.read_bytes() for path in paths}

    first, again, other = written(REPO), written(REPO), written("ada/other")
    assert first == again
    assert {name for name in first if first[name] != other[name]} == {"README.md"}


def test_the_plots_are_small_pictures_that_the_card_shows_with_words(copied: Path) -> None:
    model = copied / "model"
    write_card(model, copied)
    card = (model / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", card)
    files = {path.relative_to(model).as_posix() for path in model.glob("plots/*")}
    assert set(shown) == files and len(shown) == len(files)
    assert files == {
        f"plots/{name}.png" for name in ("sweep", "curves", "confusion", "calibration")
    }
    for name in files:
        assert (model / name).stat().st_size < 60_000
        with Image.open(model / name) as image:
            assert image.info.keys() <= {"dpi"}
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
            assert len(np.unique(pixels, axis=0)) > 8, "an empty picture"


def test_a_plot_that_is_no_longer_drawn_goes_and_other_files_stay(copied: Path) -> None:
    model = copied / "model"
    (model / "plots").mkdir()
    (model / "plots" / "sweep-7.png").write_bytes(b"of an earlier card")
    (model / "plots" / "notes.txt").write_text("mine")
    draw_plots(run_facts(model, None), model)
    assert [path.name for path in (model / "plots").iterdir()] == ["notes.txt"]


def test_a_card_that_somebody_changed_is_left_as_it_is(copied: Path) -> None:
    path = copied / "model" / "README.md"
    mine = path.read_text(encoding="utf-8").replace("## Limits", "## My limits")
    path.write_text(mine, encoding="utf-8")
    assert not write_card(copied / "model", copied, repo_id=REPO)
    assert path.read_text(encoding="utf-8") == mine
    assert not (copied / "model" / "plots").exists()
    path.write_text("A card of my own.\n")
    assert not write_card(copied / "model", copied)


def test_a_card_whose_line_ends_git_has_changed_is_still_our_own(copied: Path) -> None:
    path = copied / "model" / "README.md"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8", newline="\r\n")
    assert write_card(copied / "model", copied)
    assert b"\r" not in path.read_bytes()


def test_a_model_without_a_journal_gets_a_valid_card_that_says_what_is_unknown(
    copied: Path,
) -> None:
    (copied / "model" / "README.md").unlink()
    write_card(copied / "model", None)
    card = (copied / "model" / "README.md").read_text(encoding="utf-8")
    assert card_problems(card) == []
    assert card.count("Nothing is known of this") == 5
    assert front(card)["license"] == "unknown"
    assert {"base_model", "model-index", "metrics"}.isdisjoint(front(card))
    assert "warm, cold" in card or "cold, warm" in card


def test_the_run_of_a_model_is_the_training_whose_folder_it_lies_in(run: Path) -> None:
    assert run_folder_of(run / "model") == run.resolve()
    assert run_folder_of(run) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_text_and_does_nothing(name: str) -> None:
    tame = sample_facts(("cat", "dog", "owl"), "pets", findings=("Something.",))
    facts = sample_facts((name, "dog", "owl"), name, findings=(f"Class {name} is odd.",))
    for repo_id in (None, REPO):
        card = card_text(facts, repo_id)
        assert card_problems(card) == []
        assert is_own_card(card)
        page = Page(card.split("\n---\n", 1)[1])
        expected = Page(card_text(tame, repo_id).split("\n---\n", 1)[1])
        assert page.tags == expected.tags
        assert page.addresses == expected.addresses
        shown = " ".join(page.text.split())
        assert plain(name) in shown
        assert "{{49}}" not in shown and "\u202e" not in card and "\x00" not in card
        if plain(name):
            figures = front(card)["model-index"][0]["results"][0]
            assert figures["dataset"]["name"] == plain(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_line_of_text_wherever_it_stands(name: str) -> None:
    for markdown in (f"{text(name)}\n", f"| a |\n| --- |\n| {text(name)} |\n", f"- {text(name)}\n"):
        page = Page(markdown)
        frame = {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
        assert set(page.tags) <= frame and len(page.tags) <= 7
        assert plain(name) in " ".join(page.text.split())
    assert len(plain(name)) <= 80


def test_an_address_is_not_made_into_a_link() -> None:
    linking = MarkdownIt("commonmark")
    shown = linking.render(text("https://evil.example www.evil.example"))
    assert "https://" in shown  # the reader sees it
    assert "https://" not in text("https://evil.example")  # no renderer does
    assert "www." not in text("www.evil.example")


def test_ordinary_names_stay_readable_in_the_source() -> None:
    assert text("cats-and-dogs, 93.4 % (best)") == "cats-and-dogs, 93.4 % (best)"


def test_a_fence_is_longer_than_what_it_holds() -> None:
    page = Page(fenced("echo '```'\n````\n<b>", "sh"))
    assert page.tags == ["pre", "code"]
    assert page.text.strip() == "echo '```'\n````\n<b>"


def test_a_thousand_long_classes_fit_in_a_card() -> None:
    names = tuple(f"{index}<|`{'&' * 300}" for index in range(1000))
    card = card_text(sample_facts(names, "x" * 300, findings=("&" * 5000,) * 6))
    assert len(card.encode()) < MAX_CARD_BYTES
    assert card_problems(card) == []
    assert "The 50 worst of 1,000 classes" in card
    assert "confusion.png" not in card


def test_the_worst_class_stands_first_and_mistakes_are_counted() -> None:
    labels = np.repeat(np.arange(3), 10)
    probs = np.full((30, 3), 0.1)
    preds = labels.copy()
    preds[10:14] = 2  # four of class 1 are taken for class 2
    probs[np.arange(30), preds] = 0.8
    names = ("cat", "dog", "owl")
    result = evaluated(probs, labels, ("",) * 30, names, split="valid", seconds=0.0)
    card = card_text(replace(sample_facts(names), evaluated=result))
    rows = re.findall(r"^\| (cat|dog|owl) \| 10 \|.*$", card, re.MULTILINE)
    assert rows == ["dog", "owl", "cat"]
    assert "| dog | 10 | 100.0 % | 60.0 % | 75.0 % |" in card
    assert "| dog | owl | 4 |" in card
    assert "26 of 30" in card


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {"license": "apache-2.0", "base_model": "timm/resnet18.a1_in1k"}),
        (
            {"base_licence": "dinov3-license"},
            {
                "license": "other",
                "license_name": "dinov3-license",
                "license_link": "https://huggingface.co/timm/resnet18.a1_in1k",
                "base_model": "timm/resnet18.a1_in1k",
            },
        ),
        ({"base_licence": ""}, {"license": "unknown", "base_model": "timm/resnet18.a1_in1k"}),
        ({"config": None}, {"license": "unknown"}),
        ({"config": config_for(pretrained=False)}, {}),
    ],
)
def test_the_licence_is_the_base_models_and_nothing_is_made_up(
    facts: dict[str, Any], expected: dict[str, str]
) -> None:
    found = yaml.safe_load(front_matter(replace(sample_facts(), **facts), None))
    names = ("license", "license_name", "license_link", "base_model")
    assert {name: found[name] for name in names if name in found} == expected


def test_a_licence_is_called_by_the_hubs_own_name_where_it_has_one() -> None:
    assert {"unknown", "other", *HUB_LICENCES} == set(LICENSES)
    for name in HUB_LICENCES:
        assert hub_licence(name) == {"license": name}


def test_a_dataset_of_the_hub_is_named_with_its_revision() -> None:
    facts = sample_facts(dataset="ada/pets", kind="hub")
    card = card_text(facts)
    assert front(card)["datasets"] == ["ada/pets"]
    assert front(card)["model-index"][0]["results"][0]["dataset"] == {
        "name": "ada/pets",
        "type": "ada/pets",
        "split": "validation",
        "revision": SHA,
    }
    assert "(https://huggingface.co/datasets/ada/pets), revision `" + SHA in card


@pytest.mark.parametrize("settings", [{}, {"seed": 7, "split_seed": 8, "lr": 0.01}])
def test_the_command_makes_the_same_run_from_seed_and_revision(settings: dict[str, Any]) -> None:
    facts = sample_facts(dataset="ada/pets", kind="hub", **settings)
    command = re.findall(r"```sh\n(.+)\n```", card_text(facts))
    assert len(command) == 1
    words = shlex.split(command[0])
    assert words[:3] == ["python", "-m", "trainer"]
    assert {"--seed", "--split-seed"} < set(words)
    arguments = parser().parse_args(words[3:])
    assert arguments.dataset == f"ada/pets@{SHA}"
    assert facts.config is not None
    again = replace(facts.config, unfreeze="always")  # as it turned out
    assert config_for(**given_settings(arguments)) == again


@pytest.mark.parametrize(
    ("settings", "phases", "ended", "unfreeze"),
    [
        ({}, ("head", "all"), True, "always"),
        ({}, ("head",), True, "never"),
        ({}, ("head",), False, "auto"),  # what would have come, nobody knows
        ({"unfreeze": "never"}, ("head",), True, "never"),
        ({"pretrained": False}, ("all",), True, "auto"),  # it decides nothing there
    ],
)
def test_the_command_trains_all_layers_where_the_run_did(
    settings: dict[str, Any], phases: tuple[str, ...], ended: bool, unfreeze: str
) -> None:
    facts = sample_facts(**settings)
    took = tuple(phase for phase in facts.phases if phase.phase in phases)
    facts = replace(facts, phases=took, done=facts.done if ended else None)
    (command,) = re.findall(r"```sh\n(.+)\n```", card_text(facts))
    given = given_settings(parser().parse_args(shlex.split(command)[3:]))
    assert config_for(**given).unfreeze == unfreeze


def test_a_dataset_that_looks_like_an_option_is_named_as_a_folder() -> None:
    (command,) = re.findall(r"```sh\n(.+)\n```", card_text(sample_facts(dataset="--lr")))
    assert parser().parse_args(shlex.split(command)[3:]).dataset == "./--lr"


def test_limits_are_drawn_from_the_facts() -> None:
    names = ("cat", "dog", "owl", "yak", "emu", "gnu", "koi")
    card = card_text(sample_facts(names, findings=("3 validation pictures are identical.",)))
    limits = card.split("## Limits")[1].split("\n## ")[0]
    assert "knows its 7 classes and nothing else" in limits
    assert "the 95 % interval (Wilson) is" in limits
    chosen = "the epoch whose weights were kept and whether all layers train, so"
    assert f"also chose {chosen}" in limits
    assert "The dataset's 7 test pictures were not used." in limits
    assert "Fewer than 10 training pictures: cat, dog" in limits
    assert "Fewer than 10 validation pictures: " in limits
    assert "expected calibration error, 15 bins" in limits
    assert "32 × 32 pixels" in limits
    assert "3 validation pictures are identical" in limits


def test_a_rate_that_was_given_is_not_said_to_be_swept() -> None:
    card = card_text(replace(sample_facts(lr=0.01), rates=()))
    assert "The learning rate, 1e-2, was given: this run swept none." in card
    assert "sweep.png" not in card


def test_a_resumed_run_counts_each_epoch_once_and_its_sessions(copied: Path) -> None:
    before = run_facts(copied / "model", copied)
    assert before.started is not None
    append_event(copied, before.started)
    for epoch in before.epochs:
        append_event(copied, replace(epoch, train_loss=0.125))
    after = run_facts(copied / "model", copied)
    assert len(after.epochs) == len(before.epochs) == 2
    assert {epoch.train_loss for epoch in after.epochs} == {0.125}
    assert "in 2 sessions" in body(after, None, ())


def test_the_journal_of_an_earlier_version_still_makes_a_card(copied: Path) -> None:
    later = {
        "started": {"train_counts", "hardware", "versions", "dataset_kind", "split_rule"},
        "evaluated": {"f1", "macro_f1", "calibration", "calibration_error"},
    }
    path = copied / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(
            json.dumps({k: v for k, v in line.items() if k not in later.get(line["event"], ())})
            + "\n"
            for line in lines
        )
    )
    assert write_card(copied / "model", copied)
    card = (copied / "model" / "README.md").read_text(encoding="utf-8")
    assert card_problems(card) == []
    assert "calibration.png" not in card
    assert [m["type"] for m in front(card)["model-index"][0]["results"][0]["metrics"]] == [
        "accuracy"
    ]


@pytest.mark.parametrize(
    ("card", "word"),
    [
        ("---\n- a list\n---\n", "mapping"),
        ("---\nlicense: [\n---\n", "not YAML"),
        ("---\nlicense: mit\n", "does not end"),
        ("---\nmodel-index: 3\n---\n", "model-index"),
        ("---\nmodel-index:\n- name: a\n  results:\n  - task: {}\n---\n", "model-index"),
        ("x" * (MAX_CARD_BYTES + 1), "limit"),
    ],
)
def test_what_the_hub_would_not_take_is_said_in_words(card: str, word: str) -> None:
    problems = card_problems(card)
    assert len(problems) == 1
    assert word in problems[0]


@pytest.mark.parametrize("card", ["no front matter", "---\nlicense: mit\n---\ntext", ""])
def test_a_card_of_somebody_elses_is_taken_if_the_hub_takes_it(card: str) -> None:
    assert card_problems(card) == []


@pytest.mark.parametrize(
    "names",
    [
        HOSTILE[:10],
        HOSTILE[10:],
        ("猫", "犬", "🦉"),
        tuple(f"class {index}" for index in range(30)),
    ],
)
def test_every_plot_can_be_drawn_with_any_names(names: tuple[str, ...], tmp_path: Path) -> None:
    drawn = draw_plots(sample_facts(names), tmp_path)
    assert len(drawn) == 4
    assert all((tmp_path / plot.name).stat().st_size < 60_000 for plot in drawn)


def test_losses_that_are_not_finite_can_be_drawn(tmp_path: Path) -> None:
    facts = sample_facts()
    bad = float("nan")
    swept = replace(facts.rates[0].swept, losses=(bad,) * 30, smooth_losses=(), band_low=())
    epochs = (replace(facts.epochs[0], train_loss=bad, valid_loss=bad),)
    rates = (FoundRate(swept=swept), FoundRate(swept=swept, phase=facts.phases[1]))
    drawn = draw_plots(replace(facts, rates=rates, epochs=epochs), tmp_path)
    assert [plot.name for plot in drawn[:3]] == [
        "plots/sweep.png",
        "plots/sweep-2.png",
        "plots/curves.png",
    ]


def test_many_classes_get_no_matrix_that_nobody_could_read() -> None:
    names = tuple(map(str, range(31)))
    assert "plots/confusion.png" not in [plot.name for plot in plots_of(sample_facts(names))]


_RUN_BLOCKS = """
import contextlib, io, json, sys
answers = []
for code in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    answers.append(out.getvalue())
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def emulator(run: Path) -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        model = run / "model"
        names = ("config.json", "model.safetensors", "model.onnx")
        hub.model(REPO, {name: (model / name).read_bytes() for name in names})
        yield hub


def run_blocks(codes: list[str], folder: Path, env: Mapping[str, str]) -> list[str]:
    """What each block of code prints, in one process that knows nothing of this project."""
    out = subprocess.run(
        [sys.executable, "-c", _RUN_BLOCKS],
        input=json.dumps(codes),
        cwd=folder,
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stderr[-3000:]
    return json.loads(out.stdout.splitlines()[-1])


def test_the_lines_that_use_the_model_run_and_agree_with_our_own_answer(
    copied: Path, emulator: HubEmulator, tmp_path: Path
) -> None:
    model = copied / "model"
    rng = np.random.default_rng(3)
    ramp = np.linspace(0, 160, 97)[None, :, None] * np.array([1.0, 0.3, 0.2])
    pixels = ramp + rng.uniform(0, 60, (61, 97, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(model / "picture.jpg", quality=95)
    classifier = open_classifier(model, config_for(device="cpu"))
    answer = next(predict(classifier, [("a", (model / "picture.jpg").read_bytes)], top=1))
    label, prob = answer.probs[0]
    env = emulator.client_env(tmp_path / "home", OMP_NUM_THREADS="1")
    env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    facts = run_facts(model, copied)
    codes = []
    for repo_id in (None, REPO):
        codes += re.findall(r"```python\n(.+?)\n```", card_text(facts, repo_id), re.DOTALL)
    assert len(codes) == 6
    assert all(len(line) <= 100 for code in codes for line in code.splitlines())
    answers = run_blocks(codes, model, env)
    for timm_says, transformers_says, onnx_says in (answers[:3], answers[3:]):
        said, sure = timm_says.split()
        assert (said, float(sure)) == (label, pytest.approx(prob, abs=1e-4))
        found = re.search(r"'label': '(\w+)', 'score': ([\d.]+)", transformers_says)
        assert found is not None
        assert (found[1], float(found[2])) == (label, pytest.approx(prob, abs=1e-4))
        assert onnx_says.split()[0] == label


def test_the_onnx_lines_see_the_picture_as_the_model_was_trained_to() -> None:
    """Their resizing and cropping against timm's own transform, on shapes that round either way."""
    facts = replace(sample_facts(), has_onnx=True)
    code = re.findall(r"```python\n(.+?)\n```", card_text(facts), re.DOTALL)[2]
    code = code[code.index("shape =") : code.index("logits =")]
    for size in ((32, 32), (97, 61), (61, 97), (33, 500), (35, 36)):
        rng = np.random.default_rng(size[0])
        image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8))
        values: dict[str, Any] = {"image": image, "Image": Image, "np": np}
        exec(code, values)
        expected = LOOK.normalize_array(LOOK.view(image)[None])
        assert np.abs(values["images"] - expected).max() < 1e-6


def test_the_events_of_a_training_name_hardware_versions_and_provenance(run: Path) -> None:
    facts = run_facts(run / "model", run)
    started = facts.started
    assert started is not None
    assert (started.dataset_kind, started.dataset) == ("folder", "squares")
    assert sum(started.train_counts) == started.num_train
    assert re.search(r"\S, \d+ of \d+ cores?$", started.hardware)
    assert {"lr-lab", "python", "torch", "timm"} <= set(started.versions)
    assert facts.augmentation.startswith("Augmentation ")
    assert any("cannot be decoded and are left out." in finding for finding in facts.findings)


def test_the_names_of_a_persons_pictures_stay_out_of_the_card(run: Path) -> None:
    assert "broken.png" in (run / "events.jsonl").read_text("utf-8")
    assert "broken" not in body(run_facts(run / "model", run), None, ())


def test_the_ending_that_is_not_in_the_journal_yet_is_told_too(run: Path) -> None:
    ending: tuple[Event, ...] = (replace(_done(), seconds=77.0),)
    assert "**1 min 17 s**" in body(run_facts(run / "model", run, ending=ending), None, ())


def test_nothing_of_the_environment_gets_into_a_card(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canaryTokenOfAda")
    assert write_card(copied / "model", copied)
    card = (copied / "model" / "README.md").read_text(encoding="utf-8")
    assert "canary" not in card
    assert os.uname().nodename not in card


def test_the_figures_of_another_split_are_called_by_its_name() -> None:
    facts = sample_facts()
    assert isinstance(facts.evaluated, Evaluated)
    card = card_text(replace(facts, evaluated=replace(facts.evaluated, split="test")))
    assert "| Test pictures | 60 |" in card
    assert "also chose the epoch" not in card


def test_a_note_about_something_else_is_no_finding(copied: Path) -> None:
    append_event(copied, Note(text="Sweeping in 40 steps."))
    findings = run_facts(copied / "model", copied).findings
    assert not [finding for finding in findings if "Sweeping" in finding]
