"""The allocator keeps what a step frees: the next step must not pay for its pages again."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trainer import allocator
from trainer.allocator import give_back, keep_freed_memory

SCRIPT = """
    import resource, sys
    from trainer.allocator import keep_freed_memory
    if sys.argv[1] == "keep" and not keep_freed_memory():
        sys.exit(77)
    import torch
    torch.empty(16_000_000).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(16_000_000).fill_(1.0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of freeing and taking 64 MB five times."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), how],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    if done.returncode == 77:
        pytest.skip("this C library cannot be told")
    return int(done.stdout)


def test_memory_that_is_taken_again_costs_no_page_faults() -> None:
    # 1 of 78,130; under memory pressure the kernel may split huge pages meanwhile.
    kept = min(faults("keep") for _ in range(3))
    assert faults("plain") > 10 * max(1, kept)


def test_a_library_that_cannot_be_told_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: object) -> object:
        raise OSError("no C library")

    monkeypatch.setattr(allocator.ctypes, "CDLL", missing)
    assert not keep_freed_memory()
    give_back()
