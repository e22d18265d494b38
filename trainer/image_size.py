"""How large the model sees the pictures: its own size, or less where the pictures are tiny."""

import io

import numpy as np
from PIL import Image

from trainer.config import Config
from trainer.data import Data, Split
from trainer.start import start_of
from trainer.transforms import Preprocess, preprocess_for

_LOOKED_AT = 32
"""Pictures whose headers are read."""


def choose_preprocess(config: Config, data: Data) -> tuple[Preprocess, str]:
    """The model's own preprocessing at the size for these pictures, and why that size.

    Args:
        config: its `model_name` and `image_size`.
        data: the pictures; only headers of a few are read.

    Returns:
        The preprocessing, and a sentence where it is not the model's own size nor the one asked
        for; else an empty text.
    """
    pretrained_cfg = start_of(config.model_name).pretrained_cfg
    own = preprocess_for(pretrained_cfg)
    if config.image_size:
        return preprocess_for(pretrained_cfg, config.image_size), ""
    side = _typical_side(data.train)
    if not side or side * 4 >= own.image_size or pretrained_cfg.get("fixed_input_size"):
        return own, ""
    size = max(64, side * 4 // 32 * 32)
    saved = own.image_size**2 / size**2
    text = (
        f"The pictures are about {side} pixels wide, so the model sees them at {size} px instead "
        f"of {own.image_size}: the same detail, {saved:.0f} times faster."
    )
    return preprocess_for(pretrained_cfg, size), text


def _typical_side(split: Split) -> int:
    """The median shorter side in pixels; 0 where no header can be read."""
    sides = []
    for picture in split.pictures[:: max(1, len(split) // _LOOKED_AT)]:
        try:
            with Image.open(io.BytesIO(picture.read())) as image:
                sides.append(min(image.size))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # the check will say what is wrong with it
    return int(np.median(sides)) if sides else 0
