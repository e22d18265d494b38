"""The core of LR Lab: data, models, sweep, fit, evaluate, predict. It never imports gradio."""

__version__ = "0.1.0"
