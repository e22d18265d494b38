"""`draft`: the first lines of a card, as far as they are known before anything is trained or made.

The Hub judges them in advance, so that hours of work do not end with a card that it refuses.

Not covered: what only the training tells; the card itself is judged once more before it is sent.
"""

from pathlib import Path

from trainer.config import Config
from trainer.data.load import hub_name
from trainer.data.names import title_of
from trainer.events import Started
from trainer.hub_client import HUB_PREFIX
from trainer.jobs import Job
from trainer.menu import menu_model
from trainer.publish.dataset_card import dataset_front
from trainer.publish.demo_card import demo_card
from trainer.publish.front_matter import Front, front_yaml
from trainer.publish.licence import hub_licence, model_licence
from trainer.publish.shards import WrittenSplit
from trainer.runner.journal import read_events

_NUM_CLASSES = 1000
"""Where nobody knows them yet: as many as a lot of models have."""


def draft(job: Job, kind: str, repo_id: str) -> str:
    """A README.md without its text.

    Args:
        job: its `model` is the run that is to be published, or nothing before a training; then its
            config and its dataset are those of that training.
        kind: `model`, `space` or `dataset`.
        repo_id: `owner/name` on the Hub.
    """
    began = _began(job)
    base_model, base_licence = _base(job.config)
    pretrained = job.config.pretrained
    licence = model_licence(pretrained=pretrained, base_model=base_model, base_licence=base_licence)
    if kind == "space":
        num_classes = len(began.class_names) or _NUM_CLASSES
        return demo_card(repo_id, repo_id.partition("/")[2], num_classes, licence)
    if kind == "dataset":
        return _between_dashes(_dataset_front(began))
    front = Front(
        model_name=job.config.model_name,
        licence=licence,
        base_model=base_model,
        dataset=began.dataset,
        dataset_kind=began.dataset_kind,
        dataset_revision=began.dataset_revision,
        accuracy=0.0,
        macro_f1=0.0,
    )
    return _between_dashes(front_yaml(front, repo_id))


def _between_dashes(front: str) -> str:
    return f"---\n{front}\n---\n"


def _dataset_front(began: Started) -> str:
    split = WrittenSplit(name="train", counts=(), num_bytes=0, file_bytes=0, num_shards=1)
    licence = hub_licence(began.dataset_licence)
    return dataset_front(began.class_names, title=began.dataset, licence=licence, splits=(split,))


def _began(job: Job) -> Started:
    """How the run began, or would begin."""
    for event in read_events(Path(job.model))[0] if job.model else ():
        if isinstance(event, Started):
            return event
    named = hub_name(job.dataset)
    if named is not None:
        return Started(kind="train", dataset=named.repo_id, dataset_kind="hub")
    kind = "builtin" if job.dataset == "digits" else "folder"
    return Started(kind="train", dataset=title_of(job.dataset), dataset_kind=kind)


def _base(config: Config) -> tuple[str, str]:
    """The Hub id of the weights that a training begins with, and their licence; empty where only
    timm or the Hub would know."""
    name = config.model_name
    if not config.pretrained:
        return "", ""
    if name.startswith(HUB_PREFIX):
        return name.removeprefix(HUB_PREFIX).partition("@")[0], ""
    menu = menu_model(name)
    return f"timm/{name}" if "." in name else "", menu.licence if menu else ""
