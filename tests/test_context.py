"""What a visitor's words mean to the app."""

from dataclasses import replace
from pathlib import Path

from tiny import tiny_config
from trainer.events import Checked
from trainer.jobs import Job
from trainer.runner import Runner
from trainer.runner.folder import create_run, write_run
from trainer.runner.journal import append_event
from ui.context import Context
from ui.visit import Visit

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_what_is_swept_and_trained_is_the_commit_that_was_checked(tmp_path: Path) -> None:
    """Its owner may change a dataset between the look at it and the training."""
    context = Context(Runner(tmp_path / "runs"))
    for dataset, revision, expected in (
        ("hf://datasets/ada/pets", SHA, f"hf://datasets/ada/pets@{SHA}"),
        ("hf://datasets/ada/pets@main", SHA, f"hf://datasets/ada/pets@{SHA}"),
        ("digits", "", "digits"),
    ):
        job = Job(kind="check", config=tiny_config(), dataset=dataset)
        run = create_run(context.runner.root, job, owner="ada")
        append_event(Path(run.folder), Checked(summary={}, revision=revision))
        write_run(replace(run, status="done"))
        visit = Visit(visitor="ada").with_run("check", run.run_id)
        assert context.dataset(visit) == expected
        training = Job(kind="train", config=tiny_config(), dataset=expected)
        title = create_run(context.runner.root, training, owner="ada").title
        assert title == ("digits" if dataset == "digits" else "ada/pets")
