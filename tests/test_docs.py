"""The README against the code: front matter, reference parts, commands, links, variables."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from reference import ROOT, with_reference
from trainer.__main__ import parser
from trainer.limits import Limits

README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT_MATTER = yaml.safe_load(README.split("---\n")[1])
VALID_KEYS = {
    "title",
    "emoji",
    "colorFrom",
    "colorTo",
    "sdk",
    "sdk_version",
    "python_version",
    "app_file",
    "short_description",
    "tags",
    "models",
    "datasets",
    "license",
    "pinned",
    "hf_oauth",
    "hf_oauth_scopes",
    "preload_from_hub",
    "startup_duration_timeout",
    "suggested_hardware",
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def code() -> str:
    files = [ROOT / "app.py", *(ROOT / "trainer").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_the_front_matter_holds_only_keys_that_a_space_knows() -> None:
    assert set(FRONT_MATTER) <= VALID_KEYS
    assert {FRONT_MATTER["colorFrom"], FRONT_MATTER["colorTo"]} <= COLOURS
    assert len(FRONT_MATTER["short_description"]) <= 60
    assert (ROOT / FRONT_MATTER["app_file"]).is_file()


def test_the_space_gets_the_pinned_gradio() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^gradio(?:\[\w+\])?==(\S+)", requirements, re.MULTILINE)
    assert pinned is not None
    assert str(FRONT_MATTER["sdk_version"]) == pinned[1]


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert names
    assert all(re.match(r"[\w.\[\]-]+==[\d.]+(\s+#.*)?$", line) for line in names)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the tree is git's list of files")
def test_options_and_file_tree_are_those_of_the_code() -> None:
    assert with_reference(README) == README, "run: make docs"


def test_the_commands_are_the_parsers_commands() -> None:
    named = set(re.findall(r"^\| `python -m trainer ([\w-]+)", README, re.MULTILINE))
    choices = next(a for a in parser()._actions if a.dest == "command").choices
    assert choices is not None
    assert named == set(choices)


def test_the_command_lines_shown_are_understood() -> None:
    lines = re.findall(r"^python -m trainer (.+)$", README, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        assert parser().parse_args(shlex.split(line)).command


def test_the_options_named_in_the_command_table_exist() -> None:
    for command, rest in re.findall(r"^\| `python -m trainer (\w+).*?\|(.*)\|$", README, re.M):
        known = next(a for a in parser()._actions if a.dest == "command").choices
        assert isinstance(known, dict)
        known_options = known[command].format_help()
        for option in re.findall(r"`(--[\w-]+)`", rest):
            assert option in known_options, f"{command} has no {option}"


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)`|^make (\w+)", README, re.MULTILINE)):
        name = "".join(target)
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_every_environment_variable_named_is_read_by_the_code() -> None:
    limits = {f"LRLAB_{name.upper()}" for name in Limits.__dataclass_fields__}
    source = code()
    for name in set(re.findall(r"\b(?:LRLAB|XDG)_[A-Z_]+\b", README)):
        assert name in limits or name in source, name


def test_every_link_inside_the_project_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    missing = [link for link in links if not (ROOT / Path(link)).exists()]
    assert missing == []


def test_screenshots_are_small() -> None:
    large = [p.name for p in (ROOT / "docs/shots").glob("*.png") if p.stat().st_size > 250_000]
    assert large == []
