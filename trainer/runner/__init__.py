"""Runs: their folders, their queue and the worker processes that carry them out; no gradio."""

from trainer.runner.folder import Run
from trainer.runner.runner import Runner

__all__ = ["Run", "Runner"]
