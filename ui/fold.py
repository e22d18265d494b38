"""`Fold`: what the events of one run add up to, as the page shows it. Pure; grows by `add`.

A fold holds no more than the page draws, so that a long run does not make a slow page.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from trainer.events import (
    Checked,
    Done,
    EpochDone,
    Evaluated,
    Event,
    Failed,
    Note,
    PhaseStarted,
    Predicted,
    Preflight,
    Progress,
    Pushed,
    Raced,
    Started,
    Step,
    Stopped,
    SweepStep,
    Swept,
    Tried,
)

MAX_STEPS = 600
"""Training steps kept for the chart; beyond, every other one is dropped."""


@dataclass(slots=True)
class Fold:
    started: Started | None = None
    notes: list[str] = field(default_factory=list)
    waiting: Progress | None = None
    """The wait that is going on, if the last event was one."""
    sweep_steps: list[SweepStep] = field(default_factory=list)
    swept: Swept | None = None
    tried: Tried | None = None
    raced: Raced | None = None
    phases: list[PhaseStarted] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    last_step: Step | None = None
    received: int = 0
    """Steps that the journal held."""
    stride: int = 1
    """One in so many of them is kept."""
    epochs: list[EpochDone] = field(default_factory=list)
    evaluated: Evaluated | None = None
    done: Done | None = None
    stopped: Stopped | None = None
    failed: Failed | None = None
    checked: Checked | None = None
    predictions: list[Predicted] = field(default_factory=list)
    preflights: list[Preflight] = field(default_factory=list)
    pushed: list[Pushed] = field(default_factory=list)
    offset: int = 0
    """Bytes of the journal read so far."""
    status: str = ""
    """The run's status when it was last drawn."""
    picked: float | None = None
    """The rate that the visitor clicked on the sweep's curve."""

    @property
    def ended(self) -> bool:
        """Whether the journal says how the run ended."""
        return bool(self.done or self.stopped or self.failed)

    def add(self, events: Iterable[Event]) -> None:
        """Take in the next events."""
        for event in events:
            self.waiting = event if isinstance(event, Progress) else None
            self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case Started():
                self._restart(event)
            case Note():
                self.notes.append(event.text)
            case SweepStep():
                if event.step == 1:
                    self.sweep_steps, self.swept, self.tried, self.raced = [], None, None, None
                self.sweep_steps.append(event)
            case Swept():
                self.swept = event
            case Tried():
                self.tried = event
            case Raced():
                self.raced = event
            case PhaseStarted():
                self.phases.append(event)
            case Step():
                self._add_step(event)
            case EpochDone():
                self.epochs.append(event)
            case _:
                self._add_result(event)

    def _add_result(self, event: Event) -> None:
        match event:
            case Evaluated():
                self.evaluated = event
            case Done():
                self.done = event
            case Stopped():
                self.stopped = event
            case Failed():
                self.failed = event
            case Checked():
                self.checked = event
            case Predicted():
                self.predictions.append(event)
            case Preflight():
                self.preflights.append(event)
            case Pushed():
                self.pushed.append(event)
            case _:
                pass

    def _restart(self, event: Started) -> None:
        """A run begins, or goes on after a stop: its end is no longer its end."""
        self.started, self.stopped, self.failed = event, None, None

    def _add_step(self, step: Step) -> None:
        """Keep the chart's steps few, and in order where a resumed run goes back a little."""
        self.last_step = step
        if self.steps and step.step <= self.steps[-1].step:
            self.steps = [kept for kept in self.steps if kept.step < step.step]
            self.epochs = [kept for kept in self.epochs if kept.step < step.step]
        if self.received % self.stride == 0:  # not by its number: the journal holds every so many
            self.steps.append(step)
        self.received += 1
        if len(self.steps) > MAX_STEPS:
            self.steps, self.stride = self.steps[::2], self.stride * 2
