"""The model card beside exported weights: what it is, what it was trained on, how to load it.

Every value is written as text of its own; nothing a person typed becomes markup or code.
"""

import json
import re
from pathlib import Path

from trainer.config import Config, command_line
from trainer.data import Data
from trainer.hub_client import HUB_PREFIX


def card_text(config: Config, data: Data) -> str:
    """The README.md of an exported model."""
    where = data.provenance
    names = ", ".join(_escape(name) for name in data.class_names[:50])
    command = command_line(config, where.dataset_id).replace("`", "'")
    return f"""---
library_name: timm
pipeline_tag: image-classification
tags:
- image-classification
- timm
base_model: {json.dumps(_base_model(config.model_name))}
---

# {_escape(config.model_name)} fine-tuned on {_escape(where.dataset_id)}

A picture classifier with {len(data.class_names)} classes: {names}.

- Trained on {len(data.train)} pictures, checked on {len(data.valid)}; {_escape(where.split_rule)}.
- Dataset: {_escape(where.dataset_id)}{f", revision {where.revision}" if where.revision else ""}.
- Made again by: `{command}`

```python
import timm

model = timm.create_model("local-dir:PATH", pretrained=True).eval()
config = timm.data.resolve_model_data_config(model)
transform = timm.data.create_transform(**config, is_training=False)
```
"""


def write_card(folder: Path, config: Config, data: Data) -> None:
    """Write the card as README.md into a model folder."""
    (folder / "README.md").write_text(card_text(config, data), encoding="utf-8")


def _base_model(model_name: str) -> str:
    """The repository on the Hub whose weights the training began with."""
    if model_name.startswith(HUB_PREFIX):
        return model_name.removeprefix(HUB_PREFIX).partition("@")[0]
    return f"timm/{model_name}"


def _escape(text: str) -> str:
    """Markdown's own characters with a backslash, on one line."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$&-])", r"\\\1", " ".join(text.split()))
