"""`Job`: what somebody asks for, as plain values, and `execute`, which carries it out.

The worker process and the command line run the same jobs, so that both do the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.config import Config, config_for
from trainer.errors import ConfigError
from trainer.events import Event, Stopped
from trainer.stopping import StopRequested

Work = Callable[["Job", Path, Callable[[], bool]], Iterator[Event]]
PUBLISHING = ("preflight", "publish", "push", "push-demo", "push-data")
"""Jobs that need a login; they run in a process of their own."""
KINDS = ("check", "estimate", "sweep", "train", "evaluate", "predict", "export", *PUBLISHING)


THUMBNAILS = "thumbnails"
"""Where a prediction leaves them, in its run folder; whoever asked for them removes them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    kind: str
    """One of KINDS."""
    config: Config
    dataset: str = ""
    model: str = ""
    """A run folder, a model folder or a Hub id."""
    images: tuple[str, ...] = ()
    """Paths of pictures to predict."""
    split: str = "valid"
    top: int = 5
    thumbnails: bool = False
    """Predict: leave a small copy of each picture in the run folder."""
    resume: bool = False
    """Go on from the run folder's checkpoint."""
    at_once: int | None = None
    """Images of a training step that fit into memory together, as far as that is known."""
    repo_id: str = ""
    """`owner/name` on the Hub to publish in; with `own_namespace`, a name alone will do."""
    public: bool = False
    own_namespace: bool = False
    """Publish in no namespace but the login's own."""
    parts: tuple[str, ...] = ("push",)
    """What `publish` carries out and `preflight` asks for: push, push-demo, push-data."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.json`."""
        return asdict(self)


def job_from_dict(values: Mapping[str, Any]) -> Job:
    """The job that `to_dict` gave.

    Raises:
        ConfigError: it is not one.
    """
    try:
        fields = {**values, "config": config_for(**values["config"])}
        lists = {name: tuple(values[name]) for name in ("images", "parts") if name in values}
        return Job(**{**fields, **lists})
    except (KeyError, TypeError) as error:
        raise ConfigError("the saved run cannot be read; start a new one.") from error


def execute(
    job: Job, folder: Path, *, should_stop: Callable[[], bool] = lambda: False, token: str = ""
) -> Iterator[Event]:
    """Carry out a job in its run folder.

    Args:
        job: what is asked for.
        folder: its run folder.
        should_stop: asked after each event.
        token: whose publication it is; empty: the login of this machine.

    Yields:
        Its events; the last one says how it ended, Stopped if it was asked to.

    Raises:
        UserError: what the person can mend.
    """
    try:
        yield from _work(job, token)(job, folder, should_stop)
    except StopRequested:
        yield _stopped(folder)


def _work(job: Job, token: str) -> Work:
    """What carries out a job; imported here, because both need `Job`."""
    if job.kind in PUBLISHING:
        from trainer.publish.carry_out import carry_out

        return lambda job, _folder, should_stop: carry_out(job, token, should_stop)
    from trainer.work import WORK

    return WORK[job.kind]


def _stopped(folder: Path) -> Stopped:
    """A stop outside the training's steps: before them, or while the model is measured."""
    checkpoint = max((path.name for path in folder.glob("ckpt-*")), default="")
    message = "Stopped before training began; nothing was lost."
    if checkpoint:
        message = "Stopped; it can go on from its last checkpoint."
    return Stopped(step=0, total_steps=0, checkpoint=checkpoint, message=message)
