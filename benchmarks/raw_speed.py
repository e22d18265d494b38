"""The floor: the model alone, on tensors in memory, in the best of its settings.

python benchmarks/raw_speed.py forward|training MODEL   prints images a second, as JSON
"""

import json
import statistics
import sys
import time

import common  # noqa: F401 it makes the trainer importable
from trainer.allocator import keep_freed_memory

keep_freed_memory()  # as in a run, and before torch makes a tensor

import timm  # noqa: E402
import torch  # noqa: E402

BATCH, PASSES = 32, 9


def images_per_second(model_name: str, dtype: torch.dtype, *, last: bool, training: bool) -> float:
    """The median of some passes after the first, which also allocates."""
    layout = torch.channels_last if last else torch.contiguous_format
    model = timm.create_model(model_name).train(training).to(memory_format=layout)  # pyright: ignore[reportCallIssue, reportArgumentType]
    images = torch.randn(BATCH, 3, 224, 224).contiguous(memory_format=layout)
    labels = torch.zeros(BATCH, dtype=torch.int64)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    speeds: list[float] = []
    for _ in range(PASSES + 1):
        began = time.perf_counter()
        with (
            torch.set_grad_enabled(training),
            torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32),
        ):
            logits = model(images)
        if training:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()
        speeds.append(BATCH / (time.perf_counter() - began))
    return statistics.median(speeds[1:])


if __name__ == "__main__":
    training = sys.argv[1] == "training"
    found = {
        f"{name} {'channels-last' if last else 'channels-first'}": images_per_second(
            sys.argv[2], dtype, last=last, training=training
        )
        for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))
        for last in (True, False)
    }
    print(json.dumps({"best": max(found.values()), **found}))
