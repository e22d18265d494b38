"""What the Publish tab says of the Hub's answers."""

import re
from pathlib import Path

from trainer.config import config_for
from trainer.events import Preflight
from trainer.jobs import Job
from trainer.runner.folder import create_run
from ui.fold import Fold
from ui.publish_view import findings_html

LOGIN, OURS = ("ok", "Signed in as ada, who may write."), ("ok", "ada/pets is yours to write to.")
FREE = ("ok", "the name is free.")


def lines(tmp_path: Path, *parts: Preflight) -> list[str]:
    """The list's lines as they are read out."""
    run = create_run(tmp_path, Job(kind="preflight", config=config_for()), owner="ada")
    fold = Fold()
    fold.add(parts)
    found = re.findall(r'aria-label="(\w+)">.</b> (.*?)</li>', findings_html(run, fold))
    return [": ".join(line) for line in found]


def part(kind: str, *findings: tuple[str, str]) -> Preflight:
    fine = all(level == "ok" for level, _ in findings)
    return Preflight(ok=fine, repo_id="ada/pets", user="ada", kind=kind, findings=findings)


def test_the_login_is_said_once_and_each_repository_by_its_name(tmp_path: Path) -> None:
    said = lines(tmp_path, part("model", LOGIN, OURS, FREE), part("space", LOGIN, OURS, FREE))
    assert said == [
        f"fine: {LOGIN[1]}",
        f"fine: {OURS[1]}",
        f"fine: Model: {FREE[1]}",
        f"fine: Demo page: {FREE[1]}",
    ]


def test_a_problem_of_a_later_part_alone_is_shown(tmp_path: Path) -> None:
    """A token may write to one repository and not to the other."""
    refused = ("problem", "This token may not write to space ada/pets.")
    said = lines(tmp_path, part("model", LOGIN, OURS, FREE), part("space", LOGIN, refused))
    assert said[-1] == f"problem: Demo page: {refused[1]}"
    assert len(said) == 4
