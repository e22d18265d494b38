"""The exported model folder: what timm, transformers and our own `predict` load.

`model.safetensors` and `config.json` in timm's Hub format, with the class names and the very
preprocessing of the training. Loads with `timm.create_model("local-dir:…", pretrained=True)`.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from timm.models import save_for_hf

from trainer.errors import ModelError
from trainer.model import TimmModel, channels_last, classifier_of, create, head_of
from trainer.start import Start, start_of
from trainer.transforms import Preprocess, preprocess_for
from trainer.weights import CONFIG, WEIGHTS, open_model

__all__ = ["CONFIG", "WEIGHTS", "LoadedModel", "export_model", "load_model"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An exported model, ready to look at pictures, in float32 and evaluation mode."""

    model: TimmModel
    preprocess: Preprocess
    class_names: tuple[str, ...]
    model_name: str
    """timm's name of the architecture."""


def export_model(
    model: TimmModel,
    model_name: str,
    class_names: tuple[str, ...],
    preprocess: Preprocess,
    folder: Path,
    *,
    pretrained: bool,
) -> Path:
    """Fold the head into timm's own classifier and write the model folder.

    The folder is written beside and renamed, so a folder that exists is complete. It names timm's
    architecture, also where the run started from a model of the Hub; and the weights that the
    training began from, unless it began from random ones.
    """
    start = start_of(model_name)
    exported = create(start.architecture, **start.args, num_classes=len(class_names))
    name, layer = classifier_of(exported)
    prefix = next(key for key, module in model.named_modules() if module is head_of(model))
    state = {
        key: value.cpu()
        for key, value in model.state_dict().items()
        if not key.startswith(f"{prefix}.")
    }
    weight, bias = head_of(model).folded()
    state[f"{name}.weight"] = weight.cpu().view_as(layer.weight)
    state[f"{name}.bias"] = bias.cpu()
    exported.load_state_dict({key: value.contiguous() for key, value in state.items()})
    making = folder.with_name(f".making-{folder.name}-{os.getpid()}")
    names = list(class_names)
    try:
        save_for_hf(
            exported,
            str(making),
            model_config={"label_names": names},
            safe_serialization=True,
            data_config=preprocess.to_timm(),
        )
        _mend_config(making / CONFIG, start, pretrained=pretrained)
        (making / WEIGHTS).chmod(0o644)  # safetensors makes it unreadable for others
        shutil.rmtree(folder, ignore_errors=True)  # a resumed run that had ended
        making.replace(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def load_model(folder: Path) -> LoadedModel:
    """Load an exported model folder.

    Raises:
        ModelError: files are missing or damaged, or it is not a model of pictures with labels.
    """
    missing = [name for name in (WEIGHTS, CONFIG) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder.name} holds no {' and no '.join(missing)}, so it is not an exported model. "
            "Choose a run that has finished, or a model folder."
        )
    try:
        model, config = open_model(folder, f"model in {folder.name}")
    except OSError as error:
        raise ModelError(f"The model in {folder.name} cannot be loaded: {error}") from error
    model = channels_last(model.eval())
    preprocess = preprocess_for(model.pretrained_cfg)
    return LoadedModel(model, preprocess, config.class_names, config.architecture)


def _mend_config(path: Path, start: Start, *, pretrained: bool) -> None:
    """Take out `model_args.num_classes`: transformers 5.23 would be given it twice. And what timm
    says of its own weights, where the training began from others or from none."""
    config = json.loads(path.read_text())
    config.get("model_args", {}).pop("num_classes", None)
    if not config.get("model_args"):
        config.pop("model_args", None)
    if start.source is not None or not pretrained:
        for name in ("tag", "license", "origin_url", "paper_ids", "paper_name", "description"):
            config["pretrained_cfg"].pop(name, None)
        if pretrained and start.source is not None and start.source.licence:
            config["pretrained_cfg"]["license"] = start.source.licence
    path.write_text(json.dumps(config, indent=2) + "\n")
