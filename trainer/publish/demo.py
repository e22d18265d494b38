"""The free demo: the folder of a Static Space that runs an exported model in the browser.

Nothing that a person typed becomes markup, script or YAML syntax: the page's own files are copied
as they are, titles and class names go into `model.json`, and the page sets them as text.

Not covered: publishing the folder, and models above what a phone's browser can hold.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from trainer.data.picture import decode
from trainer.errors import ConfigError, ModelError, PictureError
from trainer.export import LoadedModel, load_model
from trainer.hub_client import endpoint, parse_hub_name
from trainer.onnx_export import ONNX, check_onnx, export_onnx
from trainer.publish.demo_card import demo_card
from trainer.publish.facts import run_facts, run_folder_of

PAGE = Path(__file__).parent / "page"
ABOUT, README, EXAMPLES = "model.json", "README.md", "examples"
RUNTIME = "ort/ort-wasm-simd-threaded.wasm.gz"
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
"""Ways of resizing that page/preprocess.js knows."""
MAX_EXAMPLES = 12
MAX_TITLE = 80
_EXAMPLE_SIDE, _EXAMPLE_QUALITY = 640, 88


def write_demo(
    model: Path, target: Path, *, repo_id: str, title: str, examples: Sequence[Path] = ()
) -> Path:
    """Write the Static Space of a model folder; `target` then holds nothing else.

    The folder is written beside and renamed, so a folder that exists is complete. Without a
    `model.onnx` one is exported into the model folder; one that is there must answer alike.

    Args:
        model: what `export_model` wrote.
        target: made, or replaced where it holds an earlier demo.
        repo_id: `owner/name` of the model on the Hub, which the page links to.
        title: the page's heading, at most `MAX_TITLE` characters of it.
        examples: at most `MAX_EXAMPLES` pictures to try; each becomes a small JPEG without EXIF,
            captioned with its folder's name where that is one of the classes.

    Raises:
        ConfigError: the id is none, there are too many examples, or `target` holds other files.
        ModelError: the folder holds no model that loads, or one that the page cannot run.
        PictureError: an example cannot be read.
    """
    _check_request(target, repo_id, examples)
    loaded = load_model(model)
    _check_preprocessing(loaded)
    if (model / ONNX).is_file():
        check_onnx(loaded, model / ONNX)
    else:
        export_onnx(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=target.parent) as folder:
        making = Path(folder) / target.name
        shutil.copytree(PAGE, making)
        shutil.copyfile(model / ONNX, making / ONNX)
        listed = _write_examples(examples, making, loaded.class_names)
        heading = _clean(title) or repo_id
        about = _about(loaded, making, repo_id) | {"title": heading, "examples": listed}
        (making / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        licence = run_facts(model, run_folder_of(model)).licence
        text = demo_card(repo_id, heading, len(loaded.class_names), licence)
        (making / README).write_text(text, encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        making.replace(target)
    return target


def _check_request(target: Path, repo_id: str, examples: Sequence[Path]) -> None:
    name = parse_hub_name(repo_id)
    if name is None or name.revision:
        raise ConfigError(
            f"{repo_id[:100]!r} is not the id of a model on the Hub. It looks like owner/name, in "
            "ASCII letters, digits and . _ -"
        )
    if len(examples) > MAX_EXAMPLES:
        raise ConfigError(
            f"{len(examples)} examples were given; the page shows at most {MAX_EXAMPLES}. "
            "Choose the ones that tell most."
        )
    if target.exists() and not _replaceable(target):
        raise ConfigError(
            f"{target} exists and holds something other than a demo, which would be lost. "
            "Choose a folder that does not exist yet."
        )


def _replaceable(target: Path) -> bool:
    """Whether it is a folder with nothing in it, or with a whole demo and nothing else."""
    if not target.is_dir() or target.is_symlink():
        return False
    here = {path.name for path in target.iterdir()}
    ours = {path.name for path in PAGE.iterdir()} | {ONNX, ABOUT, README}
    return not here or (ours <= here and here <= ours | {EXAMPLES})


def _check_preprocessing(loaded: LoadedModel) -> None:
    interpolation = loaded.preprocess.interpolation
    if interpolation not in INTERPOLATIONS:
        raise ModelError(
            f"{loaded.model_name} resizes pictures by {interpolation!r}, which the page cannot do. "
            f"It knows {', '.join(INTERPOLATIONS)}."
        )


def _about(loaded: LoadedModel, making: Path, repo_id: str) -> dict[str, object]:
    """What the page reads; sizes in bytes, for its progress bar."""
    return {
        "repo_id": repo_id,
        "hub_url": f"{endpoint()}/{repo_id}",
        "class_names": list(loaded.class_names),
        "preprocess": asdict(loaded.preprocess),
        "model_bytes": (making / ONNX).stat().st_size,
        "runtime_bytes": (making / RUNTIME).stat().st_size,
    }


def _write_examples(
    examples: Sequence[Path], making: Path, class_names: Sequence[str]
) -> list[dict[str, str]]:
    """Re-encode the examples; returns file and caption of each."""
    if examples:
        (making / EXAMPLES).mkdir()
    listed = []
    for number, path in enumerate(examples, start=1):
        try:
            image = decode(path.read_bytes())
        except (PictureError, OSError) as error:
            reason = str(error) if isinstance(error, PictureError) else "cannot be read"
            raise PictureError(f"The example {path.name} {reason}. Choose another one.") from error
        image.thumbnail((_EXAMPLE_SIDE, _EXAMPLE_SIDE), Image.Resampling.LANCZOS)
        file = f"{EXAMPLES}/example-{number}.jpg"
        image.save(making / file, "JPEG", quality=_EXAMPLE_QUALITY, optimize=True)
        folder = path.absolute().parent.name
        caption = folder if folder in class_names else f"Example {number}"
        listed.append({"file": file, "caption": caption})
    return listed


def _clean(title: str) -> str:
    """One line of printable characters, of bounded length."""
    printable = "".join(char for char in " ".join(title.split()) if char.isprintable())
    return printable[:MAX_TITLE].strip()
