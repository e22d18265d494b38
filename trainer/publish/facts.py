"""`RunFacts`: what is known of a model, from its folder and from the journal of its run.

A model folder without a journal is a model too: what nobody wrote down stays unknown.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm

from trainer.config import Config, config_for
from trainer.errors import ConfigError, ModelError
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
from trainer.hub_client import HUB_PREFIX
from trainer.publish.licence import model_licence
from trainer.runner.folder import read_folder
from trainer.runner.journal import read_events
from trainer.transforms import Preprocess, preprocess_for


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRate:
    """A sweep, what checked it, and the rate that was then taken."""

    swept: Swept
    tried: Tried | None = None
    phase: PhaseStarted | None = None
    """None: the run ended before it trained."""

    @property
    def lr(self) -> float | None:
        """The rate that was trained with."""
        return self.phase.lr if self.phase else self.swept.suggested_lr


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """Everything that a card is made of; None and empty mean unknown."""

    model_name: str
    class_names: tuple[str, ...]
    preprocess: Preprocess
    base_model: str = ""
    """The Hub id of timm's own weights; empty where there is none."""
    base_licence: str = ""
    """As timm states it for those weights."""
    has_onnx: bool = False
    config: Config | None = None
    started: Started | None = None
    num_sessions: int = 1
    """More than one where the training was stopped and went on."""
    rates: tuple[FoundRate, ...] = ()
    phases: tuple[PhaseStarted, ...] = ()
    epochs: tuple[EpochDone, ...] = ()
    """In the order of their steps."""
    findings: tuple[str, ...] = ()
    """What the check of the pictures warned of, without the names of pictures."""
    augmentation: str = ""
    """Which changes were made to training pictures, and why those."""
    evaluated: Evaluated | None = None
    done: Done | None = None

    @property
    def pretrained(self) -> bool | None:
        """Whether the training began from timm's weights; None: unknown."""
        return self.config.pretrained if self.config else None

    @property
    def licence(self) -> dict[str, Any]:
        """The lines of front matter on it."""
        return model_licence(
            pretrained=self.pretrained,
            base_model=self.base_model,
            base_licence=self.base_licence,
        )


@dataclass(slots=True)
class _Story:
    """The journal while it is read."""

    started: Started | None = None
    num_sessions: int = 0
    swept: dict[int, FoundRate] = field(default_factory=dict)
    """By the first step of the phase that it was for; -1: no phase followed yet."""
    tried: Tried | None = None
    phases: dict[int, PhaseStarted] = field(default_factory=dict)
    epochs: dict[int, EpochDone] = field(default_factory=dict)
    """By step: a resumed run takes some again."""
    findings: dict[str, None] = field(default_factory=dict)
    augmentation: str = ""
    evaluated: Evaluated | None = None
    done: Done | None = None

    def add(self, event: Event) -> None:
        match event:
            case Started():
                self.started = event
                self.num_sessions += 1
            case Note() if event.about == "data":
                self.findings[event.nameless] = None
            case Note() if event.about == "augmentation":
                self.augmentation = event.text
            case Tried():
                self.tried = event
            case Swept():
                self.swept[-1] = FoundRate(swept=event, tried=self.tried)
                self.tried = None
            case PhaseStarted():
                self.phases[event.first_step] = event
                if -1 in self.swept:
                    rate = replace(self.swept.pop(-1), phase=event)
                    self.swept[event.first_step] = rate
            case EpochDone():
                self.epochs[event.step] = event
            case Evaluated():
                self.evaluated = event
            case Done():
                self.done = event
            case _:
                pass


def run_facts(
    model_folder: Path, run_folder: Path | None, *, ending: Iterable[Event] = ()
) -> RunFacts:
    """Read what is known of an exported model.

    Args:
        model_folder: what `export_model` wrote.
        run_folder: with `run.json` and `events.jsonl`; None: nothing is known of the training.
        ending: events that the journal does not hold yet.

    Raises:
        ModelError: the model folder's `config.json` cannot be read.
    """
    facts = _model_facts(model_folder)
    if run_folder is None:
        return facts
    story = _Story()
    for event in [*read_events(run_folder)[0], *ending]:
        story.add(event)
    config = _config_of(run_folder)
    if config is not None and config.model_name.startswith(HUB_PREFIX):
        # Where config.json names timm's weights it was written by an earlier version: not theirs.
        licence = "" if facts.base_model else facts.base_licence
        facts = replace(facts, base_model=_base(config.model_name)[0], base_licence=licence)
        if story.started is not None:  # it names the commit that the branch was then
            config = replace(config, model_name=story.started.model_name)
    return replace(
        facts,
        config=config,
        started=story.started,
        num_sessions=max(1, story.num_sessions),
        rates=tuple(story.swept.values()),
        phases=tuple(story.phases.values()),
        epochs=tuple(sorted(story.epochs.values(), key=lambda epoch: epoch.step)),
        findings=tuple(story.findings),
        augmentation=story.augmentation,
        evaluated=story.evaluated,
        done=story.done,
    )


def run_folder_of(model_folder: Path) -> Path | None:
    """The run folder that a model folder lies in, where that is known."""
    folder = model_folder.resolve().parent
    run = read_folder(folder)
    return folder if run is not None and run.kind == "train" else None


def _model_facts(folder: Path) -> RunFacts:
    """What the model folder itself says."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_name = str(values["architecture"])
        pretrained_cfg = dict(values.get("pretrained_cfg") or {})
        preprocess = preprocess_for(pretrained_cfg)
        class_names = _class_names(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"The config.json of {folder.name} cannot be read, so there is nothing to write a card "
            "of. Choose a run that has finished, or a model folder."
        ) from error
    tag = str(pretrained_cfg.get("tag") or "")
    stated = str(pretrained_cfg.get("license") or "")  # without a tag the weights were not timm's
    base_model, base_licence = _base(f"{model_name}.{tag}") if tag else ("", stated)
    return RunFacts(
        model_name=model_name,
        class_names=class_names,
        preprocess=preprocess,
        base_model=base_model,
        base_licence=base_licence,
        has_onnx=(folder / "model.onnx").is_file(),
    )


def _class_names(values: dict[str, Any]) -> tuple[str, ...]:
    """As `export_model` wrote them; numbers where there are none."""
    names, count = values.get("label_names"), int(values["num_classes"])
    if isinstance(names, list) and len(names) == count:
        return tuple(map(str, names))
    return tuple(map(str, range(count)))


def _base(name: str) -> tuple[str, str]:
    """The Hub id of the weights that a training began with, and their licence where it is known."""
    if name.startswith(HUB_PREFIX):
        return name.removeprefix(HUB_PREFIX).partition("@")[0], ""
    try:
        known = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that timm does not know
        known = None
    if known is None or not known.hf_hub_id:
        return "", ""
    return known.hf_hub_id, known.license or ""


def _config_of(run_folder: Path) -> Config | None:
    run = read_folder(run_folder)
    try:
        return config_for(**run.job["config"]) if run else None
    except (ConfigError, KeyError, TypeError):  # another version's, or damaged
        return None
