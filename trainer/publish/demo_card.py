"""The demo's README.md: the front matter that configures a Static Space, and what it is."""

import json
from collections.abc import Mapping

from trainer.hub_client import endpoint


def demo_card(repo_id: str, title: str, num_classes: int, licence: Mapping[str, str]) -> str:
    """The text.

    Args:
        repo_id: the model's checked id.
        title: one clean line of text.
        num_classes: told in the short description.
        licence: the lines on it, as the model's own card has them.
    """
    front = {
        "title": title,
        "emoji": "🔎",
        "colorFrom": "green",
        "colorTo": "gray",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        **licence,
        "models": [repo_id],
        "short_description": f"Tells {num_classes:,} classes of pictures apart, in your browser",
    }
    # A JSON value is a YAML value, however hostile the text in it.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    return f"""---
{chr(10).join(lines)}
---

A picture classifier that runs in the visitor's browser: no picture leaves the device, and the Space
needs no server. The model is [{repo_id}]({endpoint()}/{repo_id}), as `model.onnx`.

To look at it on your own machine: `python -m http.server` in this folder, then open
http://localhost:8000.

`ort/` holds ONNX Runtime Web (MIT licence, Microsoft), unchanged; `ort/vendored.json` names its
version.
"""
