"""Which files of a Hub dataset hold which split: from the card's `configs`, else from the paths.

Only names from the repository's own listing can come out: what a card asks for (a path on this
machine, a URL, `../..`) is compared with that listing and opened nowhere.

Not covered: scripts, webdataset tars, zips, csv and json; `refuse_format` says what to do instead.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from trainer.data.names import is_picture_name, natural_key
from trainer.errors import DatasetError

_ROLES = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_SHARD = re.compile(r"([A-Za-z0-9_.]+?)-[0-9]{5}-of-[0-9]{5}(?:-[0-9a-f]+)?\.parquet")
_MAX_PATTERNS = 200
_EXPORTED = re.compile(r"[0-9]{4,}\.parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The configuration that is read, and its parquet files by split."""

    config: str | None
    """The configuration's name where the dataset has named ones."""
    num_configs: int
    files: Mapping[str, tuple[str, ...]]
    """Split name, as the dataset has it -> paths, in natural order."""


def role(split: str) -> str | None:
    """`train`, `valid` or `test` for a split's name; None for any other name."""
    return _ROLES.get(split.lower().removeprefix("partial-"))


def choose_parquet(paths: Iterable[str], card: Mapping[str, Any]) -> Choice | None:
    """Find the parquet files of the default configuration, else of the first one.

    Args:
        paths: every file of the repository.
        card: the card's YAML block, as the Hub parsed it.

    Returns:
        None where the repository holds no parquet file.

    Raises:
        DatasetError: the card's configuration names no file that is there.
    """
    parquet = sorted((path for path in paths if path.endswith(".parquet")), key=natural_key)
    if not parquet:
        return None
    configs = [entry for entry in _dicts(card.get("configs")) if entry.get("data_files")]
    if configs:
        return _from_card(parquet, configs)
    if all(_is_export(path) for path in parquet):
        return _from_export(parquet)
    return Choice(config=None, num_configs=1, files=_by_path(parquet))


def card_config(card: Mapping[str, Any], config: str | None) -> Mapping[str, Any]:
    """What the card's `dataset_info` says of a configuration (features, splits); may be empty."""
    known = _dicts(card.get("dataset_info"))
    for entry in known:
        if entry.get("config_name", "default") == (config or "default"):
            return entry
    return known[0] if len(known) == 1 else {}


def picture_paths(paths: Iterable[str]) -> list[str]:
    """The picture files of a repository, without hidden ones, in natural order."""
    found = [
        path
        for path in paths
        if is_picture_name(path) and not any(part.startswith(".") for part in path.split("/"))
    ]
    return sorted(found, key=natural_key)


def refuse_format(title: str, paths: Sequence[str]) -> DatasetError:
    """The error for a repository with neither parquet files nor pictures."""
    suffixes = {PurePosixPath(path).suffix.lower() for path in paths}
    data = sorted(suffixes - {"", ".md", ".gitattributes", ".txt"})
    if not data:
        return DatasetError(f"The dataset {title} is empty: it holds no data files.")
    if ".py" in data and len(data) == 1:
        return DatasetError(
            f"The dataset {title} is made by a script, and a stranger's script is never run here. "
            f"Try {title.split('@')[0]}@refs/convert/parquet, which the Hub makes of many datasets."
        )
    return DatasetError(
        f"The dataset {title} holds {', '.join(data)} files; only parquet files and folders of "
        f"pictures are read. Try {title.split('@')[0]}@refs/convert/parquet, which the Hub makes "
        "of many datasets, or download its zip and give that."
    )


def _dicts(value: object) -> list[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _from_card(parquet: list[str], configs: list[Mapping[str, Any]]) -> Choice:
    named_default = [entry for entry in configs if entry.get("config_name") == "default"]
    flagged = [entry for entry in configs if entry.get("default") is True]
    chosen = (flagged or named_default or configs)[0]
    name = str(chosen.get("config_name", "default"))
    files = {}
    for split, patterns in _patterns(chosen["data_files"]).items():
        matched = tuple(path for path in parquet if any(_matches(path, p) for p in patterns))
        if matched:
            files[split] = matched
    if not files:
        raise DatasetError(
            f"The card's configuration {name!r} names no parquet file of its repository. Try "
            "another dataset, or tell its owner."
        )
    return Choice(config=name, num_configs=len(configs), files=files)


def _patterns(data_files: object) -> dict[str, list[str]]:
    """The four ways in which a card may write `data_files`, as split -> patterns."""
    if isinstance(data_files, Mapping):
        return {str(split): _texts(value) for split, value in data_files.items()}
    entries = _dicts(data_files)
    if entries:
        return {str(entry.get("split", "train")): _texts(entry.get("path")) for entry in entries}
    return {"train": _texts(data_files)}


def _texts(value: object) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [text for text in entries if isinstance(text, str)][:_MAX_PATTERNS]


def _matches(path: str, pattern: str) -> bool:
    """Shell patterns as `datasets` has them: `*` stops at a slash, `**` does not."""
    if "**" in pattern:
        return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def _is_export(path: str) -> bool:
    """`config/split/0000.parquet`, as in the Hub's own `refs/convert/parquet`."""
    parts = path.split("/")
    return len(parts) == 3 and _EXPORTED.fullmatch(parts[2]) is not None


def _from_export(parquet: list[str]) -> Choice:
    configs = sorted({path.split("/")[0] for path in parquet})
    name = "default" if "default" in configs else configs[0]
    files: dict[str, tuple[str, ...]] = {}
    for path in parquet:
        config, split, _ = path.split("/")
        if config == name:
            files[split] = (*files.get(split, ()), path)
    return Choice(config=name, num_configs=len(configs), files=files)


def _by_path(parquet: list[str]) -> dict[str, tuple[str, ...]]:
    """Splits from names: `data/train-00000-of-00002.parquet`, `test/x.parquet`, `a_val.parquet`."""
    files: dict[str, tuple[str, ...]] = {}
    for path in parquet:
        split = _split_of(path)
        if split:
            files[split] = (*files.get(split, ()), path)
    return files or {"train": tuple(parquet)}


def _split_of(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    shard = _SHARD.fullmatch(name)
    if shard:
        return shard[1]
    for text in (name.removesuffix(".parquet"), *reversed(folder.split("/"))):
        words = [word for word in re.split(r"[-._ 0-9]+", text.lower()) if word in _ROLES]
        if words:
            return words[0]
    return None
