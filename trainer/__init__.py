"""The core of LR Lab: data, models, sweep, fit, evaluate, predict. It never imports gradio."""

import os

__version__ = "0.1.0"

# Before anything imports huggingface_hub, which reads it once: the client for Xet storage knows
# none of our limits on time, retries and stops. Without it files go over plain HTTP.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
