"""Export to ONNX, checked against PyTorch before it is believed."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch

from trainer.errors import ModelError
from trainer.events import Exported
from trainer.export import load_model

OPSET = 18


def export_onnx(folder: Path) -> Exported:
    """Write `model.onnx` into a model folder: `images` float32 `[N, 3, S, S]`, normalized, to
    `logits` `[N, num_classes]`; N is free.

    Raises:
        ModelError: the model cannot be exported, or its ONNX answers differently.
    """
    import onnxruntime  # only for this command

    loaded = load_model(folder)
    size = loaded.preprocess.image_size
    example = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    path = folder / "model.onnx"
    making = folder / ".making-model.onnx"
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            torch.onnx.export(
                loaded.model,
                (example,),
                making,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ModelError(f"{loaded.model_name} cannot be exported to ONNX: {error}") from error
    session = onnxruntime.InferenceSession(making, providers=["CPUExecutionProvider"])
    answer = session.run(["logits"], {"images": example.numpy()})[0]
    with torch.inference_mode():
        truth = loaded.model(example).numpy()
    gap = float(np.abs(np.asarray(answer) - truth).max())
    if gap > 1e-3 * max(1.0, float(np.abs(truth).max())):
        making.unlink()
        raise ModelError(f"The exported ONNX differs from the model by {gap:.2g}; it is not kept.")
    making.replace(path)
    return Exported(path=str(path))
