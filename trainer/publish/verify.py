"""After a publication: whether the model that the Hub sends back answers as the one here does."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainer.agreement import MAX_GAP, fixed_images, gap, logits_of
from trainer.data.picture import decode
from trainer.data.sheet import evenly, read_sheet
from trainer.errors import HubError, ModelError
from trainer.export import CONFIG, WEIGHTS, LoadedModel, load_model
from trainer.hub_client import quiet_progress
from trainer.publish.commit import NOT_YET
from trainer.publish.patience import once_more
from trainer.publish.target import Target
from trainer.transforms import to_batch

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAX_COMPARED = 8
_NUM_RANDOM = 4
"""Random images beside the pictures: they reach parts of a network that photos do not."""


def load_back(api: "HfApi", target: Target, commit: str, token: str) -> LoadedModel:
    """The model as the Hub sends it, from nobody's cache.

    Raises:
        HubError: it does not come, or what comes is no model.
    """
    with tempfile.TemporaryDirectory(prefix="lrlab-push-") as name:
        folder = Path(name) / target.repo_id.partition("/")[2]
        for path in (CONFIG, WEIGHTS):
            once_more(
                lambda path=path: api.hf_hub_download(
                    target.repo_id,
                    path,
                    revision=commit,
                    local_dir=folder,
                    token=token,
                    tqdm_class=quiet_progress(),
                ),
                after=NOT_YET,
            )
        try:
            return load_model(folder)
        except ModelError as error:
            raise HubError(f"What the Hub sends back is not a model. {error}") from error


def pictures_for(loaded: LoadedModel, run_folder: Path | None) -> Sequence[Tensor]:
    """A few of the run's validation pictures as the model sees them, `[1, 3, S, S]` each."""
    rows = read_sheet(run_folder / "examples") if run_folder else []
    views = [
        loaded.preprocess.view(decode(path.read_bytes()))
        for path, _, _ in evenly(rows, MAX_COMPARED)
        if path.is_file()
    ]
    return [loaded.preprocess.normalize(to_batch(view[None])) for view in views]


def difference(local: LoadedModel, remote: LoadedModel, pictures: Sequence[Tensor]) -> str:
    """What is not the same in two models, in words; empty where they agree within `MAX_GAP`."""
    if local.class_names != remote.class_names:
        return "the class names are not the same, or not in the same order"
    if local.preprocess != remote.preprocess:
        return "the pictures are prepared differently: size, crop, mean or standard deviation"
    images = torch.cat([*pictures, fixed_images(local, _NUM_RANDOM)])
    found = gap(logits_of(remote, images), logits_of(local, images))
    if found <= MAX_GAP:
        return ""
    return f"the answers to {len(images)} pictures differ by up to {found:.2g} in probability"
