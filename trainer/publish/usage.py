"""How a published model is used: a few lines each for timm, transformers and ONNX Runtime.

Without a repository's name they load the folder that the card lies in.
"""

import json
import math

from trainer.publish.facts import RunFacts
from trainer.publish.markup import fenced
from trainer.transforms import Preprocess

_FILTERS = {"bicubic": "BICUBIC", "bilinear": "BILINEAR"}
"""timm's names of interpolations, and Pillow's."""


def usage(facts: RunFacts, repo_id: str | None) -> str:
    """The section's text."""
    parts = [
        f"{'' if repo_id else 'In this folder, with a picture beside it. '}With [timm](https://github.com/huggingface/pytorch-image-models):",
        fenced(_timm(repo_id), "python"),
        "With [transformers](https://huggingface.co/docs/transformers):",
        fenced(_transformers(repo_id), "python"),
    ]
    code = _onnx(facts, repo_id)
    if code:
        parts += [
            "With [ONNX Runtime](https://onnxruntime.ai), Pillow and NumPy, without PyTorch:",
            fenced(code, "python"),
        ]
    elif not facts.has_onnx:
        parts.append(
            "For [ONNX Runtime](https://onnxruntime.ai) there is no file here; "
            "`python -m trainer export MODEL` of LR Lab makes one and checks it."
        )
    return "\n\n".join(parts)


def _timm(repo_id: str | None) -> str:
    name = json.dumps(f"hf-hub:{repo_id}" if repo_id else "local-dir:.")
    return f"""import timm
from PIL import Image

model = timm.create_model({name}, pretrained=True).eval()
look = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
probs = model(look(Image.open("picture.jpg").convert("RGB"))[None]).softmax(-1)[0]
print(model.pretrained_cfg["label_names"][probs.argmax()], float(probs.max()))"""


def _transformers(repo_id: str | None) -> str:
    return f"""from transformers import pipeline

classify = pipeline("image-classification", model={json.dumps(repo_id or ".")})
print(classify("picture.jpg"))"""


def _onnx(facts: RunFacts, repo_id: str | None) -> str:
    """Empty where there is no ONNX file, or its preprocessing takes more than a few lines."""
    look = facts.preprocess
    plain = look.crop_mode == "center" and look.interpolation in _FILTERS
    if not (facts.has_onnx and plain):
        return ""
    if repo_id:
        get = (
            "from huggingface_hub import hf_hub_download as get",
            f'files = [get({json.dumps(repo_id)}, name) for name in ("config.json", "model.onnx")]',
        )
    else:
        get = ("", 'files = ["config.json", "model.onnx"]')
    return _onnx_code(look, *get)


def _onnx_code(look: Preprocess, get: str, files: str) -> str:
    """timm's evaluation transform in Pillow and NumPy: resize, crop the centre, scale."""
    size, side = look.image_size, math.floor(look.image_size / look.crop_pct)
    mean, std = ([float(f"{value:.6g}") for value in values] for values in (look.mean, look.std))
    lines = f"""import json
import numpy as np
import onnxruntime
{get}
from PIL import Image

{files}
image = Image.open("picture.jpg").convert("RGB")
shape = [{side} * length // min(image.size) for length in image.size]
left, top = [round((length - {size}) / 2) for length in shape]
image = image.resize(shape, Image.{_FILTERS[look.interpolation]})
image = image.crop((left, top, left + {size}, top + {size}))
pixels = (np.asarray(image, np.float32) / 255 - {mean}) / {std}
images = pixels.astype(np.float32).transpose(2, 0, 1)[None]
logits = onnxruntime.InferenceSession(files[1]).run(None, {{"images": images}})[0][0]
print(json.load(open(files[0]))["label_names"][logits.argmax()])"""
    return lines.replace("onnxruntime\n\n", "onnxruntime\n")
