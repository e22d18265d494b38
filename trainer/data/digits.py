"""The built-in dataset: scikit-learn's 1,797 scanned digits, 8 by 8 pixels, no network needed.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository 1998, https://archive.ics.uci.edu/dataset/80; scikit-learn ships its test set.
"""

from functools import partial
from io import BytesIO

import numpy
from PIL import Image

from trainer.data.dataset import Data, Picture, Provenance, Split
from trainer.data.split import split_off, split_rule


def load_digits(*, valid_fraction: float, split_seed: int) -> Data:
    """The digits as grey 8 by 8 PNG pictures of classes `0` to `9`, split by the seed.

    Raises:
        ConfigError: `valid_fraction` is not between 0 and 1.
    """
    class_names = tuple("0123456789")
    train, valid = split_off(
        _pictures(), class_names=class_names, valid_fraction=valid_fraction, seed=split_seed
    )
    return Data(
        class_names=class_names,
        train=Split("train", train),
        valid=Split("valid", valid),
        provenance=Provenance(
            dataset_id="digits",
            kind="builtin",
            split_rule=split_rule(valid_fraction, split_seed),
            # scikit-learn's description states none; this is what the UCI repository states.
            licence="CC BY 4.0",
        ),
    )


def _pictures() -> list[Picture]:
    # scikit-learn takes about a second to import: only for whoever asks for the digits.
    from sklearn import datasets

    values, labels = datasets.load_digits(return_X_y=True)
    # [1797, 64] -> [1797, 8, 8], 0..16 -> 0..255
    grey = (numpy.asarray(values).reshape(-1, 8, 8) * (255 / 16)).round().astype("uint8")
    return [
        Picture(f"digits[{index:04d}]", int(label), partial(bytes, _png(pixels)), "sklearn-1")
        for index, (pixels, label) in enumerate(zip(grey, numpy.asarray(labels), strict=True))
    ]


def _png(pixels: numpy.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
