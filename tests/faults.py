"""Faults of the disk and sudden death, at the n-th file operation; for tests and benchmarks only.

What counts as an operation: opening a file to write, `os.write`, safetensors' writing, flushing,
renaming, making a folder, removing a tree.
"""

import builtins
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import safetensors.torch

import trainer.checkpoint
from trainer.disk import FULL


def die(name: str) -> None:
    """As a power cut: nothing is tidied up."""
    del name
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> Callable[[str], None]:
    """What raises the OSError with this errno."""

    def fail(name: str) -> None:
        if name == "rmtree" and number in FULL:
            return  # removing needs no room
        raise OSError(number, os.strerror(number), name)

    return fail


class Operations:
    """Counts operations; calls `happen` before (or after) those whose number is in `when`."""

    def __init__(
        self, happen: Callable[[str], None], when: range | frozenset[int], *, after: bool = False
    ) -> None:
        self.names: list[str] = []
        self._happen, self._when, self._after = happen, when, after

    def watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not set("wax+") & set(str(_mode(args, kwargs))):
                return real(*args, **kwargs)
            self.names.append(name)
            hit = len(self.names) - 1 in self._when
            if hit and not self._after:
                try:
                    self._happen(name)
                except OSError:
                    if kwargs.get("ignore_errors"):
                        return None  # nothing was removed
                    raise
            found = real(*args, **kwargs)
            if hit and self._after:
                self._happen(name)
            return found

        return call


def _mode(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return kwargs.get("mode", args[1] if len(args) > 1 else "r")


PLACES: tuple[tuple[Any, str, str], ...] = (
    (builtins, "open", "open"),
    (io, "open", "open"),
    (os, "write", "write"),
    (os, "fsync", "fsync"),
    (os, "replace", "replace"),
    (os, "rename", "rename"),
    (os, "mkdir", "mkdir"),
    (shutil, "rmtree", "rmtree"),
    (safetensors.torch, "save_file", "save_file"),
)
assert trainer.checkpoint.safetensors.torch is safetensors.torch  # so that its calls are seen


@contextmanager
def faults(operations: Operations) -> Iterator[Operations]:
    """Let what happens inside run into the faults."""
    real = [getattr(module, name) for module, name, _ in PLACES]
    try:
        for (module, name, word), function in zip(PLACES, real, strict=True):
            setattr(module, name, operations.watched(word, function))
        yield operations
    finally:
        for (module, name, _), function in zip(PLACES, real, strict=True):
            setattr(module, name, function)
