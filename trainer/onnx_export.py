"""Export to ONNX, checked against PyTorch before it is believed."""

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from trainer.agreement import MAX_GAP, fixed_images, gap, logits_of
from trainer.errors import ModelError
from trainer.events import Exported
from trainer.export import LoadedModel, load_model

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ONNX = "model.onnx"
OPSET = 18
_CHECKED_BATCHES = (1, 5)
"""Sizes other than the traced one, so that a batch that is not free is found out."""


def export_onnx(folder: Path) -> Exported:
    """Write `model.onnx` into a model folder: `images` float32 `[N, 3, S, S]`, normalized, to
    `logits` `[N, num_classes]`; N is free.

    It is written beside, compared, and renamed: a `model.onnx` that is there answers like the
    model, and a failure leaves an older one as it was.

    Raises:
        ModelError: the model cannot be exported, its ONNX does not run or answers differently, or
            the folder cannot be written to.
    """
    loaded = load_model(folder)
    # Another process may be making one at the same moment.
    path, making = folder / ONNX, folder / f".making-{os.getpid()}-{ONNX}"
    try:
        _write(loaded, making)
        check_onnx(loaded, making)
        making.replace(path)
    except OSError as error:
        raise ModelError(
            f"model.onnx cannot be written into {folder.name}: {error.strerror or error}. Copy the "
            "folder to where there is room and you may write, and export that one."
        ) from error
    finally:
        making.unlink(missing_ok=True)
    return Exported(path=str(path))


def open_session(path: Path) -> "InferenceSession":
    """An ONNX file ready to run on the CPU.

    Its threads do not spin while they wait: a training beside it needs the cores.

    Raises:
        ModelError: ONNX Runtime cannot read it.
    """
    import onnxruntime  # only where an ONNX file is used

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ModelError(f"{path.name} cannot be opened: {_first_line(error)}") from error


def check_onnx(loaded: LoadedModel, path: Path) -> None:
    """Compare an ONNX file with its model on batches of several sizes.

    Raises:
        ModelError: it does not load, does not run on them, or answers differently.
    """
    gaps = []
    try:
        session = open_session(path)
        for count in _CHECKED_BATCHES:
            images = fixed_images(loaded, count)
            answer = np.asarray(session.run(["logits"], {"images": images.numpy()})[0])
            gaps.append(gap(torch.from_numpy(answer), logits_of(loaded, images)))
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ModelError(
            f"The exported ONNX of {loaded.model_name} does not run: {_first_line(error)}"
        ) from error
    found = float(np.max(gaps))  # NaN wins, and is no agreement
    if not found <= MAX_GAP:
        raise ModelError(
            f"The exported ONNX of {loaded.model_name} differs from the model by {found:.2g}; the "
            f"limit is {MAX_GAP:g}, so it is not kept."
        )


def _write(loaded: LoadedModel, path: Path) -> None:
    """Without the exporter's notes, which hold source lines and paths of this machine."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            program = torch.onnx.export(
                loaded.model,
                (fixed_images(loaded, 2),),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # it is where the export is dynamo's
            ClearMetadataAndDocStringPass()(program.model)
            program.save(path, external_data=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ModelError(
            f"{loaded.model_name} cannot be exported to ONNX: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    """What went wrong, without the exporter's pages of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
