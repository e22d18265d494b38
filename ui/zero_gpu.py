"""ZeroGPU: what a Space on such hardware must have to start at all.

The platform ends a Space in which no function is marked for the GPU. The `spaces` package comes
with the platform and is needed nowhere else.

Not covered: training on the GPU. It is lent to a marked call in a forked process for a minute or
so; trainings here belong to a worker process, and run on the Space's CPU cores.
"""

import importlib
import os


def mark_for_gpu() -> bool:
    """Mark a function for the GPU where the platform asks for one; whether it does."""
    if not os.environ.get("SPACES_ZERO_GPU"):
        return False
    spaces = importlib.import_module("spaces")
    spaces.GPU(duration=1)(_nothing)
    return True


def _nothing() -> None:
    """What is marked; nobody calls it."""
