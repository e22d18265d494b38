"""What the jobs of publishing do: a question in advance, a model, its demo page, a dataset.

They run in a process of their own, the command line's or one that the app starts: a worker, which
runs what visitors send, holds no token.
"""

import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.events import Event, Progress
from trainer.publish.account import checked_token, machine_token
from trainer.publish.own_card import is_own_card
from trainer.publish.preflight import Wish
from trainer.stopping import stoppable

if TYPE_CHECKING:
    from trainer.jobs import Job
    from trainer.publish.publication import Publication
    from trainer.publish.target import Target

KIND_OF = {"push": "model", "push-demo": "space", "push-data": "dataset"}
"""What each part of a publication makes on the Hub."""


def carry_out(job: "Job", token: str, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Carry out a job of publishing.

    Args:
        job: its kind is one of `jobs.PUBLISHING`.
        token: whose publication it is; empty: the login of this machine.
        should_stop: asked after each event.

    Raises:
        UserError: what the person can mend.
    """
    parts = (job.kind,) if job.kind in KIND_OF else job.parts
    wishes = [
        Wish(repo_id=job.repo_id, kind=KIND_OF[part], public=job.public, own=job.own_namespace)
        for part in parts
    ]
    if job.model and job.kind != "preflight":
        _check_model(job.model)
    token = checked_token(token) if token else machine_token()
    for part, wish in zip(parts, wishes, strict=True):
        work = _ask if job.kind == "preflight" else _WORK[part]
        yield from stoppable(work(job, wish, token), should_stop)


def _check_model(model: str) -> None:
    """Before anybody is asked to log in.

    Raises:
        ModelError: there is none.
    """
    from trainer.work import model_folder

    model_folder(model)


def _ask(job: "Job", wish: Wish, token: str) -> Generator[Event, None, None]:
    from trainer.publish.publication import Publication

    yield Progress(text="Asking the Hub", done=0, total=1)
    yield Publication(wish, token).asked(partial(_card, job, wish.kind))


def _card(job: "Job", kind: str, repo_id: str) -> str:
    """The README.md that a publication would send, as far as it is known before it is made."""
    from trainer.publish.drafts import draft

    changed = _changed_card(job.model) if kind == "model" else None
    return draft(job, kind, repo_id) if changed is None else changed


def _changed_card(model: str) -> str | None:
    """The card of a run's model, or of a model folder, that somebody has changed by hand: it is
    published as it is."""
    for path in (Path(model, "model", "README.md"), Path(model, "README.md")):
        if model and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            return None if is_own_card(text) else text
    return None


def _model(job: "Job", wish: Wish, token: str) -> Generator[Event, None, None]:
    from trainer.publish.push import push
    from trainer.work import model_folder

    yield from push(model_folder(job.model), wish, token)


def _demo(job: "Job", wish: Wish, token: str) -> Generator[Event, None, None]:
    """A Static Space; it links to the model of the same name."""
    from trainer.publish.demo import write_demo
    from trainer.publish.examples import shareable_examples
    from trainer.publish.publication import Publication
    from trainer.work import model_folder

    folder = model_folder(job.model)
    publication = Publication(wish, token)
    found = publication.checked()
    yield found
    target = publication.target(found)
    yield Progress(text="Making the page", done=0, total=1)
    with tempfile.TemporaryDirectory(prefix="lrlab-demo-") as made:
        page, title = Path(made) / "page", target.repo_id.partition("/")[2]
        examples = shareable_examples(folder, Path(made) / "examples")
        write_demo(folder, page, repo_id=target.repo_id, title=title, examples=examples)
        yield from _whole_folder(publication, target, page, "Publish the demo page")


def _data(job: "Job", wish: Wish, token: str) -> Generator[Event, None, None]:
    """The pictures that a check finds usable, as Parquet."""
    from trainer.data.names import title_of
    from trainer.publish.parquet import write_checked_dataset
    from trainer.publish.publication import Publication

    publication = Publication(wish, token)
    found = publication.checked()
    yield found
    target = publication.target(found)
    with tempfile.TemporaryDirectory(prefix="lrlab-dataset-") as made:
        folder, title = Path(made) / "dataset", title_of(job.dataset)
        yield from write_checked_dataset(
            job.dataset, job.config, folder, title=title, repo_id=target.repo_id
        )
        yield from _whole_folder(publication, target, folder, "Publish the pictures")


def _whole_folder(
    publication: "Publication", target: "Target", folder: Path, message: str
) -> Generator[Event, None, None]:
    """Put every file of a folder that was made for it into one commit, and compare the hashes."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    publication.check_card(target, files["README.md"].read_text(encoding="utf-8"))
    done = yield from publication.send(target, files, message)
    yield Progress(text="Comparing with the Hub", done=0, total=1)
    yield publication.pushed(target, done, publication.altered(target, done, files), 0)


_WORK = {"push": _model, "push-demo": _demo, "push-data": _data}
