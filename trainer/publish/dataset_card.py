"""The dataset card: what the pictures are, how they were split and cleaned, how to load them.

Class names and the title are anybody's words: in the front matter they go through a YAML writer,
in the text every character that Markdown or HTML could take for its own is escaped.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.data import Data
from trainer.publish.licence import hub_licence
from trainer.publish.shards import WrittenSplit

_MAX_TITLE = 100
_MAX_CLASSES_SHOWN = 200
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))

_HOW = {
    "unchanged": "{} as they came: they held nothing but pixels",
    "cleaned": "{} with the metadata taken out (EXIF with place and time, XMP, comments, colour "
    "profiles, thumbnails) and the packed pixels untouched; of EXIF a JPEG keeps the orientation "
    "alone",
    "repacked": "{} stored anew as PNG, upright and without loss, because their format or their "
    "metadata allowed no other way",
    "lossy": "{} stored anew as JPEG of quality 95, because a PNG would be too large",
}


def dataset_card(
    data: Data,
    *,
    title: str,
    repo_id: str | None,
    splits: Sequence[WrittenSplit],
    how: Mapping[str, int],
) -> str:
    """The README.md of a dataset.

    Args:
        data: what was written.
        title: what people call it, in any words.
        repo_id: `owner/name` on the Hub, for the lines that load it; None: the folder itself.
        splits: as they were written.
        how: pictures by what was done to them, in the words of `Bare.how`.
    """
    title = _one_line(title)
    body = "\n\n".join(
        [
            f"# {escape(title)}",
            f"{sum(split.num_pictures for split in splits):,} pictures in "
            f"{len(data.class_names):,} classes, for image classification.",
            "## Classes\n\n" + _table(data.class_names, splits),
            "## How it was made\n\n" + "\n".join(f"- {line}" for line in _made(data, how)),
            _loading(repo_id),
            "## Limits\n\n" + "\n".join(f"- {line}" for line in _limits(data)),
        ]
    )
    where = data.provenance
    page = f"https://huggingface.co/datasets/{where.dataset_id}" if where.kind == "hub" else ""
    licence = hub_licence(where.licence or "", page)
    front = dataset_front(data.class_names, title=title, licence=licence, splits=splits)
    return f"---\n{front}\n---\n\n{body}\n"


def dataset_front(
    class_names: Sequence[str],
    *,
    title: str,
    licence: Mapping[str, str],
    splits: Sequence[WrittenSplit],
) -> str:
    """The front matter: YAML, without the lines of dashes around it.

    Args:
        class_names: in the order of their labels.
        title: what people call the dataset, in any words.
        licence: the lines on it.
        splits: as they were written.
    """
    from huggingface_hub import DatasetCardData  # half a second, only needed to publish

    values = {**licence, **_front_matter(class_names, _one_line(title), splits)}
    return DatasetCardData(**values).to_yaml(line_break="\n")


def _one_line(title: str) -> str:
    return " ".join(title.split())[:_MAX_TITLE] or "Pictures"


def _loading(repo_id: str | None) -> str:
    return f"""## Loading it

```python
from datasets import load_dataset

dataset = load_dataset({json.dumps(repo_id or ".")})
picture, label = dataset["train"][0]["image"], dataset["train"][0]["label"]
class_name = dataset["train"].features["label"].int2str(label)
```"""


def escape(text: str) -> str:
    """The text on one line, in which no character is Markdown's, HTML's or a table's."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]()#+!|~$.:@-])", r"\\\1", line)
    # A backslash does not keep the Hub from linking an address or a mention.
    return line.replace(r"\:", "&#58;").replace(r"\@", "&#64;")


def _front_matter(
    class_names: Sequence[str], title: str, splits: Sequence[WrittenSplit]
) -> dict[str, Any]:
    total = sum(split.num_pictures for split in splits)
    names = {str(number): name for number, name in enumerate(class_names)}
    return {
        "task_categories": ["image-classification"],
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>1M")],
        "pretty_name": title,
        "dataset_info": {
            "features": [
                {"name": "image", "dtype": "image"},
                {"name": "label", "dtype": {"class_label": {"names": names}}},
            ],
            "splits": [
                {"name": s.name, "num_bytes": s.num_bytes, "num_examples": s.num_pictures}
                for s in splits
            ],
            "download_size": sum(split.file_bytes for split in splits),
            "dataset_size": sum(split.num_bytes for split in splits),
        },
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s.name, "path": f"data/{s.name}-*"} for s in splits],
            }
        ],
    }


def _table(class_names: Sequence[str], splits: Sequence[WrittenSplit]) -> str:
    """Pictures of each class in each split."""
    rows = [
        ["class", *(split.name for split in splits)],
        ["---", *("---:" for _ in splits)],
        *(
            [escape(name), *(f"{split.counts[number]:,}" for split in splits)]
            for number, name in enumerate(class_names[:_MAX_CLASSES_SHOWN])
        ),
    ]
    more = len(class_names) - _MAX_CLASSES_SHOWN
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + (f"\n\n… and {more:,} more classes." if more > 0 else "")


def _made(data: Data, how: Mapping[str, int]) -> list[str]:
    where = data.provenance
    lines = []
    if where.kind == "hub" and where.revision:
        source = f"{escape(where.dataset_id)}, revision {escape(where.revision)}"
        lines.append(f"Taken from the dataset {source} of the Hugging Face Hub.")
    if where.split_rule:
        lines.append(f"Split: {escape(where.split_rule)}.")
    left_out = len(data.skipped)
    if left_out:
        lines.append(f"Left out because they could not be read or used: {left_out:,}.")
    done = [_HOW[word].format(f"{how[word]:,}") for word in _HOW if how.get(word)]
    lines.append("Pictures: " + "; ".join(done) + ".")
    lines.append("The names of the files are numbers; the pictures' own names are not published.")
    return lines


def _limits(data: Data) -> list[str]:
    stated = data.provenance.licence
    licence = "Nobody stated under which licence the pictures are; ask before using them."
    if stated:
        licence = f"Licence, as the source states it: {escape(stated)}."
    return [
        licence,
        "The labels are as they were given; nobody looked at them again.",
        "What a picture shows was not looked at either: people and places in it are as they were.",
    ]
