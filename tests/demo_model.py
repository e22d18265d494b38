"""A model folder of the real EfficientNet-Lite 0 with its 1,000 ImageNet classes, for the demo."""

import json
from pathlib import Path

from timm.data.imagenet_info import ImageNetInfo
from timm.models import save_for_hf

from trainer.embedded import embedded_weights
from trainer.model import create

NAME = "tf_efficientnet_lite0"


def lite0_folder(folder: Path) -> Path:
    """Write the folder as `export_model` would, with ImageNet's own class names."""
    model = create(NAME)
    model.load_state_dict(dict(embedded_weights(NAME)))
    info = ImageNetInfo()
    names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
    save_for_hf(model, str(folder), model_config={"label_names": names}, safe_serialization=True)
    return folder


def set_preprocessing(folder: Path, **settings: object) -> None:
    """Change the preprocessing that a model folder names."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["pretrained_cfg"].update(settings)
    path.write_text(json.dumps(config))
