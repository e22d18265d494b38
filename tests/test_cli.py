"""The command line is a contract: last lines, exit codes, and what is printed where."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pictures import png
from tiny import stop_after, tiny_config, tiny_data
from trainer import probe
from trainer.__main__ import main
from trainer.cli import _same_dataset
from trainer.data import load_data
from trainer.errors import CheckpointError
from trainer.events import Done, Event, Note, Planned, Progress, Step, Stopped, Swept
from trainer.jobs import Job, execute
from trainer.printing import WordPrinter
from trainer.runner.folder import create_run, record
from trainer.sweep import rate_from

ROOT = Path(__file__).parents[1]
TINY = [
    *("--model-name", "test_resnet", "--no-pretrained", "--image-size", "32"),
    *("--batch-size", "64", "--device", "cpu", "--precision", "fp32"),
]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


def _run(*words: str) -> Answer:
    """One command in this process: most of a new one's time is importing PyTorch and timm."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return Answer(code, out.getvalue(), err.getvalue())


def _start(*words: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New runs go under runs/ of the working directory."""
    with contextlib.chdir(tmp_path_factory.mktemp("cli")):
        yield Path.cwd()


@pytest.fixture(scope="module")
def folder(workplace: Path) -> Path:
    """Class folders with the tiny pictures."""
    data = tiny_data(26, 9)
    for split, name in ((data.train, "train"), (data.valid, "valid")):
        for index, picture in enumerate(split.pictures):
            path = workplace / "pictures" / name / data.class_names[picture.label] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.read())
    return workplace / "pictures"


@pytest.fixture(scope="module")
def trained(workplace: Path) -> Answer:
    """Two quick epochs on the digits, in the run folder `digits-run`."""
    words = ["--epochs", "2", "--lr", "0.005", "--output-dir", "digits-run"]
    return _run("train", "digits", "--json", *TINY, *words)


def test_train_says_what_it_reached_and_where_the_model_is(
    trained: Answer, workplace: Path
) -> None:
    assert (trained.code, trained.err) == (0, "")
    done = trained.last
    assert done["event"] == "done"
    assert done.keys() >= {
        *("valid_accuracy", "valid_loss", "num_valid", "num_train"),
        *("lr", "model_dir", "seconds"),
    }
    assert done["num_train"] + done["num_valid"] == 1797
    assert done["valid_accuracy"] == done["num_correct"] / done["num_valid"]
    assert done["valid_accuracy"] > 0.5
    assert done["lr"] == 0.005
    assert Path(done["model_dir"]) == workplace / "digits-run" / "model"
    names = {path.name for path in Path(done["model_dir"]).iterdir()}
    assert names >= {"model.safetensors", "config.json", "README.md"}
    kinds = [event["event"] for event in trained.events]
    assert kinds.index("started") < kinds.index("phase") < kinds.index("step")
    epochs = [event for event in trained.events if event["event"] == "epoch"]
    assert max(event["valid_accuracy"] for event in epochs) == pytest.approx(
        done["valid_accuracy"], abs=0.006
    )


def test_the_journal_of_a_run_is_what_was_printed(trained: Answer, workplace: Path) -> None:
    assert (workplace / "digits-run" / "events.jsonl").read_text() == trained.out
    assert json.loads((workplace / "digits-run" / "run.json").read_text())["status"] == "done"


@pytest.fixture(scope="module")
def evaluated(trained: Answer) -> Answer:
    assert trained.code == 0
    return _run("evaluate", "digits-run", "digits", "--json", "--device", "cpu")


def test_evaluate_gives_the_same_figures_as_the_training(
    trained: Answer, evaluated: Answer
) -> None:
    assert (evaluated.code, evaluated.err) == (0, "")
    found = evaluated.last
    assert found["event"] == "evaluated"
    assert found["accuracy"] == trained.last["valid_accuracy"]
    assert found["loss"] == trained.last["valid_loss"]
    assert found["num_images"] == trained.last["num_valid"]
    assert found["class_names"] == list("0123456789")
    confusion = found["confusion"]
    assert sum(map(sum, confusion)) == found["num_images"]
    correct = sum(confusion[i][i] for i in range(10))
    assert correct / found["num_images"] == found["accuracy"]


def test_predict_on_the_validation_pictures_agrees_with_evaluate_exactly(
    evaluated: Answer, workplace: Path
) -> None:
    pictures = load_data("digits").valid.pictures
    paths = [workplace / f"{index:03d}.png" for index in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(picture.read())
    words = [str(path) for path in paths]
    answer = _run("predict", "digits-run", *words, "--top", "10", "--json", "--device", "cpu")
    assert answer.code == 0
    predicted = [event for event in answer.events if event["event"] == "prediction"]
    assert len(predicted) == len(answer.events) == len(pictures)
    assert [event["image"] for event in predicted] == words
    confusion = [[0] * 10 for _ in range(10)]
    for event, picture in zip(predicted, pictures, strict=True):
        probs = [prob for _, prob in event["probs"]]
        assert probs == sorted(probs, reverse=True)
        assert sum(probs) == pytest.approx(1, abs=1e-5)
        confusion[picture.label][int(event["probs"][0][0])] += 1
    assert confusion == evaluated.last["confusion"]


def test_sweep_ends_with_rates_losses_and_every_rule(folder: Path) -> None:
    words = ["--lr-min", "1e-5", "--lr-max", "1e-1", "--num-steps", "12", "--batch-size", "8"]
    answer = _run("sweep", str(folder), "--json", *TINY, *words)
    assert (answer.code, answer.err) == (0, "")
    swept = answer.last
    assert swept["event"] == "swept"
    assert len(swept["lrs"]) == len(swept["losses"]) <= 13
    assert swept["suggestions"].keys() == {
        *("valley", "slide", "minimum", "steep", "doubling", "torch_lr_finder", "ignite")
    }
    assert swept["suggested_lr"] is None or swept["suggested_lr"] > 0
    assert len(swept["reason"]) > 20
    steps = [event for event in answer.events if event["event"] == "sweep_step"]
    assert [event["lr"] for event in steps if event["repeat"] == 0] == swept["lrs"]


def test_check_ends_with_what_it_found(folder: Path) -> None:
    answer = _run("check", str(folder), "--json")
    assert (answer.code, answer.last["event"]) == (0, "checked")
    assert "findings" in answer.last["summary"]


def test_export_ends_with_the_path(trained: Answer) -> None:
    assert trained.code == 0
    answer = _run("export", "digits-run", "--format", "onnx", "--json")
    assert (answer.code, answer.last["event"]) == (0, "exported")
    assert Path(answer.last["path"]).stat().st_size > 100_000


def test_a_dry_run_says_what_would_be_done_and_does_nothing(workplace: Path) -> None:
    before = sorted(workplace.iterdir())
    for where in ([], ["--output-dir", "elsewhere"], ["--resume"]):
        words = ["--epochs", "3", "--seed", "5", *where, "--dry-run", "--json"]
        answer = _run("train", "digits", *TINY, *words)
        assert (answer.code, answer.last["event"]) == (0, "planned")
        assert answer.last["total_steps"] == 3 * 23
        assert "--seed 5" in answer.last["command"]
        assert answer.last["train_seconds"] > answer.last["sweep_seconds"] > 0
        assert len(answer.last["phases"]) == 1
        assert "step" not in {event["event"] for event in answer.events}
        assert sorted(workplace.iterdir()) == before


def test_a_dry_run_leaves_a_run_that_is_there_alone(trained: Answer, workplace: Path) -> None:
    assert trained.code == 0
    run = workplace / "digits-run"
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert _run("train", "digits", "--dry-run", "--output-dir", "digits-run").code == 0
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


FAILURES = [
    (["train", "not a dataset"], "DatasetError", "is not a dataset"),
    (["train", "/nowhere"], "DatasetError", "does not exist"),
    (["sweep", "digits", "--model-name", "resnet1"], "ModelError", "Did you mean resnet18"),
    (["train", "digits", "--model-name", "test_vit", "--no-pretrained"], "ModelError", "CNN"),
    (["train", "digits", "--epochs", "-1"], "ConfigError", "epochs is -1"),
    (["train", "digits", "--lr", "nan"], "ConfigError", "lr is nan"),
    (["train", "digits", "--resume"], "ConfigError", "--resume needs --output-dir"),
    (
        ["train", "digits", "--resume", "--output-dir", "none"],
        "ConfigError",
        "no training to resume",
    ),
    (["train", "digits", "--output-dir", "digits-run"], "ConfigError", "holds a run already"),
    (["evaluate", "pictures", "digits"], "ModelError", "no finished model"),
    (["evaluate", "digits-run", "digits", "--split", "test"], "DatasetError", "no test split"),
    (["evaluate", "digits-run", "pictures"], "DatasetError", "does not know blue, green, red"),
    (["predict", "digits-run", "a.png", "--top", "0"], "ConfigError", "--top must be"),
    (["predict", "not/there/at/all", "a.png"], "UserError", ""),
    (["export", "pictures"], "ModelError", "no finished model"),
    (["push", "pictures", "owner/name"], "ModelError", "no finished model"),
]


@pytest.mark.parametrize(("words", "error", "message"), FAILURES, ids=lambda v: str(v)[:40])
def test_what_the_user_can_fix_ends_with_exit_code_2_and_a_message(
    trained: Answer, folder: Path, words: list[str], error: str, message: str
) -> None:
    assert trained.code == 0
    assert folder.is_dir()
    answer = _run(*words, "--json")
    assert answer.code == 2
    failed = answer.last
    assert failed["event"] == "failed"
    assert error in (failed["error"], "UserError")
    assert message in failed["message"]
    assert len(failed["message"]) > 20
    assert "Traceback" not in answer.out + answer.err


def test_in_words_an_error_goes_to_standard_error_alone(trained: Answer) -> None:
    assert trained.code == 0
    answer = _run("train", "not a dataset")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("DatasetError: ")
    assert answer.err.count("\n") == 1


def test_in_words_the_reason_for_a_rate_is_given_once(folder: Path) -> None:
    words = ["--freeze-epochs", "0", "--epochs", "1", "--no-verify", "--num-steps", "30"]
    answer = _run("train", str(folder), *TINY, *words, "--repeats", "1", "--output-dir", "said")
    assert answer.code == 0
    (suggested,) = [each for each in answer.out.splitlines() if each.startswith("Suggested ")]
    reason = suggested.split(". ", 1)[1]
    assert len(reason) > 20
    assert answer.out.count(reason) == 1


def test_in_words_a_sweep_without_a_suggestion_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    swept = Swept(lrs=(), losses=(), suggestions={}, suggested_lr=None, reason="Only noise.")
    printer = WordPrinter()
    for event in (Note(text="Before."), swept, rate_from(swept, 1e-2)[1], Note(text="After.")):
        printer.show(event, Path())
    assert capsys.readouterr().out.splitlines() == [
        "  Before.",
        "Suggested learning rate: none. Only noise.",
        "  Training with 1e-2 instead.",
        "  After.",
    ]


def test_in_words_a_rate_lies_within_its_usable_range(capsys: pytest.CaptureFixture[str]) -> None:
    swept = Swept(
        lrs=(),
        losses=(),
        suggestions={},
        suggested_lr=5.864e-4,
        usable=(5.864e-4, 1.9e-3),
        reason="",
    )
    WordPrinter().show(swept, Path())
    assert "rate: 5.86e-4 (usable: 5.86e-4 to 1.9e-3)" in capsys.readouterr().out


def test_a_picture_that_cannot_be_read_is_answered_and_the_others_too(trained: Answer) -> None:
    assert trained.code == 0
    Path("good.png").write_bytes(png("red", (8, 8)))
    Path("bad.png").write_bytes(b"not a picture")
    answer = _run("predict", "digits-run", "bad.png", "none.png", "good.png", "--json")
    assert answer.code == 0
    bad, none, good = answer.events
    assert bad["error"]
    assert bad["probs"] == []
    assert none["error"] == "cannot be read"
    assert len(good["probs"]) == 5
    assert good["error"] == ""


def test_help_answers_in_under_a_second(workplace: Path) -> None:
    seconds = []
    for words in (["--help"], ["train", "--help"]):
        for _ in range(2):  # the better of two, so that another process does not decide
            began = time.perf_counter()
            process = _start(*words, cwd=workplace)
            out, err = process.communicate(timeout=30)
            seconds.append(time.perf_counter() - began)
            assert (process.returncode, err) == (0, "")
            assert "usage: python -m trainer" in out
    assert min(seconds[:2]) < 1
    assert min(seconds[2:]) < 1


def test_in_a_pipe_only_sentences_are_printed(trained: Answer, workplace: Path) -> None:
    assert trained.code == 0
    (workplace / "digit.png").write_bytes(load_data("digits").valid.pictures[0].read())
    process = _start("predict", "digits-run", "digit.png", "--top", "2", cwd=workplace)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.count("\n") == 1
    assert out.startswith("digit.png: ")
    assert out.count("%") == 2


def test_ctrl_c_leaves_a_checkpoint_and_resume_finishes(workplace: Path) -> None:
    words = ["train", "digits", *TINY, "--epochs", "3", "--lr", "0.005", "--json"]
    words += ["--output-dir", "stopped-run"]
    process = _start(*words, cwd=workplace)
    assert process.stdout is not None
    assert process.stderr is not None
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if lines[-1]["event"] == "step" and lines[-1]["step"] == 30:
            process.send_signal(signal.SIGINT)
            break
    lines += [json.loads(line) for line in process.stdout]
    err = process.stderr.read()
    assert process.wait(timeout=60) == 3
    process.stdout.close()
    process.stderr.close()
    assert err.strip() == "Stopping at the next step; press Ctrl-C again to end at once."
    stopped = lines[-1]
    assert (stopped["event"], stopped["total_steps"]) == ("stopped", 69)
    assert 30 <= stopped["step"] < 69
    assert (workplace / "stopped-run" / stopped["checkpoint"] / "manifest.json").is_file()
    answer = _run(*words, "--resume")
    assert (answer.code, answer.last["event"]) == (0, "done")
    steps = [event["step"] for event in answer.events if event["event"] == "step"]
    assert steps == list(range(stopped["step"] + 1, 70))
    assert json.loads((workplace / "stopped-run" / "run.json").read_text())["status"] == "done"
    journal = (workplace / "stopped-run" / "events.jsonl").read_text().splitlines()
    taken = [e["step"] for e in map(json.loads, journal) if e["event"] == "step"]
    assert taken == list(range(1, 70))


def test_resume_on_another_dataset_is_refused(trained: Answer, folder: Path) -> None:
    assert trained.code == 0
    answer = _run("train", str(folder), "--resume", "--output-dir", "digits-run", "--json")
    assert (answer.code, answer.last["error"]) == (2, "ConfigError")
    assert "trained on digits, not on" in answer.last["message"]
    assert json.loads(Path("digits-run/run.json").read_text())["status"] == "done"


def test_resume_keeps_the_settings_and_says_so(trained: Answer) -> None:
    assert trained.code == 0
    words = ["train", "digits", "--resume", "--output-dir", "digits-run", "--json"]
    answer = _run(*words, "--epochs", "3")
    assert (answer.code, answer.last["error"]) == (2, "ConfigError")
    assert "epochs is 2 there, not 3" in answer.last["message"]
    answer = _run(*words, "--epochs", "2", "--lr", "auto")
    assert "lr is 0.005 there, not auto" in answer.last["message"]
    assert json.loads(Path("digits-run/run.json").read_text())["job"]["config"]["epochs"] == 2


def test_a_run_without_a_checkpoint_is_begun_again_with_what_was_given(folder: Path) -> None:
    config = tiny_config(image_size=32, epochs=1, lr=100.0)
    job = Job(kind="train", config=config, dataset=str(folder))
    run = create_run(Path.cwd(), job, owner="cli", run_id="too-fast")
    assert isinstance(list(record(run, should_stop=stop_after(1)))[-1], Stopped)
    assert not list(Path("too-fast").glob("ckpt-*"))
    again = ["train", f"{folder}/", "--resume", "--output-dir", "too-fast", "--json"]
    answer = _run(*again, "--lr", "0.01")
    assert (answer.code, answer.last["event"], answer.last["lr"]) == (0, "done", 0.01)
    kept = json.loads(Path("too-fast/run.json").read_text())["job"]["config"]
    assert kept == {**config.to_dict(), "lr": 0.01}


def test_a_model_is_measured_on_pictures_that_it_has_not_learned_from(workplace: Path) -> None:
    options = [*TINY, "--epochs", "1", "--lr", "0.005", "--split-seed", "7"]
    options += ["--valid-fraction", "0.4", "--output-dir", "other-split"]
    trained = _run("train", "digits", "--json", *options)
    for model in ("other-split", "other-split/model"):
        found = _run("evaluate", model, "digits", "--json").last
        assert found["num_images"] == trained.last["num_valid"] == 719
        assert found["accuracy"] == trained.last["valid_accuracy"]
    asked = _run("evaluate", "other-split", "digits", "--valid-fraction", "0.2", "--json").last
    assert asked["num_images"] == 360


def _job(folder: Path, **settings: Any) -> Job:
    config = tiny_config(epochs=1, lr=0.01, valid_fraction=0.25)
    return Job(kind="train", config=config, dataset=str(folder), **settings)


def _train(folder: Path, run: Path, *, resume: bool = False) -> list[Event]:
    return list(execute(_job(folder, resume=resume), run))


def test_a_run_stopped_while_its_model_is_measured_finishes_when_resumed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both runs begin anew, and on a busy machine each would measure, and choose, for itself.
    monkeypatch.setattr(probe, "_alone", lambda *_seconds: True)
    events = _train(folder, tmp_path / "whole")
    assert isinstance(events[-1], Done)
    run = tmp_path / "run"
    seen = 0
    generator = execute(_job(folder), run, should_stop=lambda: seen > 0)
    found = []
    for event in generator:
        found.append(event)
        seen += isinstance(event, Progress) and event.text.startswith("Looking at the valid")
    assert isinstance(found[-1], Stopped)
    assert "before training" not in found[-1].message
    assert (run / "model" / "model.safetensors").is_file()
    again = _train(folder, run, resume=True)
    assert isinstance(again[-1], Done)
    assert again[-1].valid_accuracy == events[-1].valid_accuracy
    assert again[-1].valid_loss == events[-1].valid_loss


def test_a_run_stopped_before_its_first_checkpoint_can_be_taken_up_with_resume(
    folder: Path, workplace: Path
) -> None:
    run = workplace / "early"
    words = ["train", str(folder), *TINY, "--epochs", "1", "--lr", "0.01", "--json"]
    words += ["--batch-size", "8", "--output-dir", "early"]
    stopped = create_run(workplace, _job(folder), owner="cli", run_id="early")
    events = list(record(stopped, should_stop=stop_after(1)))
    assert isinstance(events[-1], Stopped)
    assert not list(run.glob("ckpt-*"))
    answer = _run(*words, "--resume")
    assert (answer.code, answer.last["event"]) == (0, "done")


def test_a_training_goes_on_with_its_own_pictures_alone(tmp_path: Path) -> None:
    """Other pictures are split otherwise: it would be validated on what it has learned from."""
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "pets" / name / f"{number}.png").write_bytes(png(number))
    run, job, events = tmp_path / "run", _job(tmp_path / "pets"), []
    for event in execute(job, run, should_stop=lambda: any(isinstance(e, Step) for e in events)):
        events.append(event)
    assert isinstance(events[-1], Stopped) and events[-1].checkpoint
    more = tmp_path / "pets" / "cats" / "more.png"
    more.write_bytes(png(99))
    with pytest.raises(CheckpointError, match="18 to train on and 7 to validate on, in 2 classes"):
        list(execute(replace(job, resume=True), run))
    (tmp_path / "pets" / "birds").mkdir()
    more.rename(tmp_path / "pets" / "birds" / "more.png")
    (tmp_path / "pets" / "birds" / "two.png").write_bytes(png(98))
    with pytest.raises(CheckpointError, match="in 3 classes"):
        list(execute(replace(job, resume=True), run))
    shutil.rmtree(tmp_path / "pets" / "birds")
    assert isinstance(list(execute(replace(job, resume=True), run))[-1], Done)


def test_a_long_training_does_not_need_what_the_cache_has_dropped_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for number in range(24):
            archive.writestr(f"{'cats' if number % 2 else 'dogs'}/{number}.png", png(number))
    for drop in (False, True):
        job = _job(tmp_path / "pets.zip")
        events = []
        for event in execute(job, tmp_path / f"run-{drop}"):
            events.append(event)
            if isinstance(event, Step) and event.step == 1:
                home = next((tmp_path / "cache" / "zips").iterdir())
                os.utime(home, (1e9, 1e9))
                if drop:
                    shutil.rmtree(home)
                    shutil.rmtree(tmp_path / "cache" / "decoded")
        assert isinstance(events[-1], Done)
        # While it trains it says at each checkpoint that it uses them.
        for home in (tmp_path / "cache" / "zips").iterdir():
            assert time.time() - home.stat().st_mtime < 60


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("digits", "digits", True),
        ("ada/pets", "hf://datasets/ada/pets", True),
        ("ada/pets@v1", "ada/pets", True),
        ("ada/pets@v1", "ada/pets@v1", True),
        ("ada/pets", "ada/pets@c0ffee", True),  # the commit that it had
        ("ada/pets", "ada/pets@v2", False),
        ("ada/pets@v1", "ada/pets@v2", False),
        ("ada/pets", "ada/cats", False),
        ("digits", "ada/pets", False),
        ("here/pets", "hf://datasets/here/pets", False),  # a folder of that name is another thing
        ("here/pets", "./here/pets", True),
        ("~nobody/pets", "~nobody/cats", False),
        ("x" * 5000, "\0", False),
    ],
)
def test_a_dataset_is_known_by_its_other_names(
    old: str, new: str, same: bool, workplace: Path
) -> None:
    (workplace / "here" / "pets").mkdir(parents=True, exist_ok=True)
    assert _same_dataset(old, new, commit="c0ffee") is same


def test_a_plan_names_a_command_that_means_the_same(folder: Path, tmp_path: Path) -> None:
    (planned,) = (
        event
        for event in execute(replace(_job(folder), kind="estimate"), tmp_path)
        if isinstance(event, Planned)
    )
    assert planned.num_train == 26
    assert planned.num_valid == 9
    assert planned.command.startswith(f"python -m trainer train {folder} ")
