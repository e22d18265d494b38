"""Parquet tables of a Hub dataset as `Data`: which splits, which classes, which rows are used.

Not covered: several labels a picture, and any configuration but the default or the first.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainer.data.dataset import Data, Picture, Provenance, Skipped, Split
from trainer.data.hub_columns import MAX_LABEL_LENGTH, Columns, find_columns
from trainer.data.hub_files import Choice, card_config, role
from trainer.data.hub_repo import HubRepo
from trainer.data.hub_rows import (
    ROWS_VERSION,
    RowFile,
    count_distinct,
    open_parquet,
    too_large,
    unpacked_bytes,
    write_rows,
)
from trainer.data.names import natural_key, printable
from trainer.data.room import ensure_room
from trainer.data.split import split_off, split_rule
from trainer.errors import DatasetError
from trainer.figures import percent
from trainer.limits import Limits

MAX_BAD_SHARE = 0.05
"""Larger shares of unusable rows are a broken dataset, not a few bad pictures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """One split as it was read: its name there, and what each row is."""

    split: str
    file: RowFile
    labels: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    """Why a row is not used, its label included; None where it is."""

    @property
    def num_used(self) -> int:
        return self.reasons.count(None)


def load_tables(
    repo: HubRepo, choice: Choice, valid_fraction: float, split_seed: int, limits: Limits
) -> Data:
    """Read parquet files: choose splits and columns, copy the rows, name the classes, split.

    Raises:
        DatasetError: no usable columns, too many bad rows, one class, too large, damaged.
        HubError: a download was refused or broke off.
    """
    chosen = _choose_splits(choice.files)
    paths = [path for split in chosen.values() for path in choice.files[split]]
    repo.refuse_too_large(paths, limits)
    columns = _columns(repo, choice, chosen, limits)
    sources = repo.download(paths)
    _refuse_too_much(repo, list(sources.values()), columns, limits)
    rows = {}
    for kind, split in chosen.items():
        files = [sources[path] for path in choice.files[split]]
        target = _target(repo, choice, split, columns, limits)
        if not target.exists():
            num_bytes = sum(repo.sizes[path] for path in choice.files[split])
            ensure_room(num_bytes, f"a copy of the dataset {repo.title}", limits)
            write_rows(files, columns, target, title=repo.title, limits=limits)
        rows[kind] = _judge(split, RowFile(target), columns.class_names)
    rows, notes = _drop_unlabelled(rows)
    _refuse_bad_rows(repo.title, rows)
    class_names = columns.class_names or _names(rows)
    _refuse_bad_classes(repo.title, class_names, rows["train"], limits)
    unused = sorted(set(choice.files) - set(chosen.values()))
    notes += [f"not used: {', '.join(unused)}"] if unused else []
    if choice.config and choice.num_configs > 1:
        notes.append(f"configuration {choice.config!r} of {choice.num_configs}")
    return _assemble(rows, class_names, columns, repo.sha, (valid_fraction, split_seed), notes)


def _choose_splits(splits: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Role -> split's name. The first that fits wins; without `train` another takes its place."""
    chosen: dict[str, str] = {}
    for split in splits:
        kind = role(split)
        if kind:
            chosen.setdefault(kind, split)
    if "train" not in chosen:
        others = [split for split in splits if split not in chosen.values()]
        kind = "valid" if "valid" in chosen else "test"
        chosen["train"] = others[0] if others else chosen.pop(kind)
    return {kind: chosen[kind] for kind in ("train", "valid", "test") if kind in chosen}


def _columns(repo: HubRepo, choice: Choice, chosen: Mapping[str, str], limits: Limits) -> Columns:
    """Look at one small file first, so that a dataset of another kind costs no large download."""
    smallest = min(choice.files[chosen["train"]], key=lambda path: repo.sizes[path])
    with open_parquet(repo.download([smallest])[smallest], repo.title) as file:
        return find_columns(
            file.schema_arrow,
            card_config(repo.card, choice.config).get("features"),
            title=repo.title,
            num_distinct=lambda column: count_distinct(
                file, column, limits.max_classes, title=repo.title
            ),
        )


def _refuse_too_much(
    repo: HubRepo, files: Sequence[Path], columns: Columns, limits: Limits
) -> None:
    """Judge the footers, before a row is unpacked."""
    num_rows = num_bytes = 0
    for path in files:
        with open_parquet(path, repo.title) as file:
            num_rows += file.metadata.num_rows
            num_bytes += unpacked_bytes(file, columns)
    if num_rows > limits.max_pictures:
        raise repo.too_many(num_rows, limits)
    if num_bytes > limits.max_unpacked_bytes:
        raise too_large(repo.title, limits)
    if num_rows == 0:
        raise DatasetError(f"The dataset {repo.title} is empty: its tables hold no rows.")


def _target(repo: HubRepo, choice: Choice, split: str, columns: Columns, limits: Limits) -> Path:
    """Where a split's copy lies: the name holds whatever its content depends on."""
    parts = [ROWS_VERSION, choice.config, split, choice.files[split], columns.image, columns.label]
    parts += [limits.max_picture_bytes]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return repo.folder / f"rows-{key}.arrow"


def _judge(split: str, file: RowFile, class_names: tuple[str, ...] | None) -> _Rows:
    """Find each row's label and why it is not used, if it is not."""
    labels = tuple(file.labels())
    numbers = None if class_names is None else {str(number) for number in range(len(class_names))}
    reasons = tuple(
        reason or _label_reason(label, numbers)
        for label, reason in zip(labels, file.reasons(), strict=True)
    )
    return _Rows(split=split, file=file, labels=labels, reasons=reasons)


def _label_reason(label: str | None, numbers: Set[str] | None) -> str | None:
    """Why a label is not used; `numbers` are those of the classes, where the names are known.

    Compared as text, for where one file holds numbers another may hold anything.
    """
    if label is None or not label.strip():
        return "has no label"
    if len(label) > MAX_LABEL_LENGTH:
        return f"has a label of more than {MAX_LABEL_LENGTH} characters"
    if numbers is not None and label not in numbers:
        shown = printable(label)
        return f"has label {shown}, but there are only the classes 0 to {len(numbers) - 1}"
    return None


def _drop_unlabelled(rows: dict[str, _Rows]) -> tuple[dict[str, _Rows], list[str]]:
    """Leave out a valid or test split without a single label, as competitions have them."""
    empty = [kind for kind in rows if kind != "train" and rows[kind].num_used == 0]
    notes = [f"{rows[kind].split!r} left out, since none of its rows can be used" for kind in empty]
    return {kind: rows[kind] for kind in rows if kind not in empty}, notes


def _refuse_bad_rows(title: str, rows: Mapping[str, _Rows]) -> None:
    num_rows = sum(len(part.reasons) for part in rows.values())
    bad = Counter(reason for part in rows.values() for reason in part.reasons if reason)
    if bad.total() > MAX_BAD_SHARE * num_rows:
        reason, count = bad.most_common(1)[0]
        raise DatasetError(
            f"Of the {num_rows:,} rows of the dataset {title}, {bad.total():,} cannot be used, "
            f"more than {percent(MAX_BAD_SHARE, 0)}. The most frequent reason, {count:,} times: a "
            f"row {reason}. Choose another dataset."
        )


def _names(rows: Mapping[str, _Rows]) -> tuple[str, ...]:
    used = {
        label
        for part in rows.values()
        for label, reason in zip(part.labels, part.reasons, strict=True)
        if label is not None and reason is None
    }
    return tuple(sorted(used, key=natural_key))


def _refuse_bad_classes(
    title: str, class_names: Sequence[str], train: _Rows, limits: Limits
) -> None:
    if len(class_names) > limits.max_classes:
        raise DatasetError(
            f"The dataset {title} has {len(class_names):,} classes; the limit is "
            f"{limits.max_classes:,}. Its labels may be descriptions rather than classes."
        )
    present = {label for label, bad in zip(train.labels, train.reasons, strict=True) if bad is None}
    if len(present) < 2:
        raise DatasetError(
            f"The dataset {title} has a single class in {train.split!r}; telling classes apart "
            "takes two. Choose another dataset."
        )


def _assemble(
    rows: Mapping[str, _Rows],
    class_names: tuple[str, ...],
    columns: Columns,
    sha: str,
    split_by: tuple[float, int],
    notes: Sequence[str],
) -> Data:
    """Make the pictures, split where there is no `valid`, and say how it was done."""
    numbers = {name: index for index, name in enumerate(class_names)}
    pictures = {
        kind: _pictures(part, None if columns.class_names else numbers, sha)
        for kind, part in rows.items()
    }
    class_names = tuple(printable(name) for name in class_names)
    rule = "the dataset's own train and valid"
    if "valid" not in pictures:
        fraction, seed = split_by
        pictures["train"], pictures["valid"] = split_off(
            pictures["train"], class_names=class_names, valid_fraction=fraction, seed=seed
        )
        rule = f"{split_rule(fraction, seed)}, of {rows['train'].split!r}"
    test = pictures.get("test")
    return Data(
        class_names=class_names,
        train=Split("train", pictures["train"]),
        valid=Split("valid", pictures["valid"]),
        test=Split("test", test) if test else None,
        provenance=Provenance(dataset_id="", kind="hub", split_rule="; ".join([rule, *notes])),
        skipped=tuple(
            Skipped(f"{part.split}[{row}]", reason)
            for part in rows.values()
            for row, reason in enumerate(part.reasons)
            if reason
        ),
    )


def _pictures(rows: _Rows, numbers: Mapping[str, int] | None, sha: str) -> tuple[Picture, ...]:
    split = printable(rows.split)
    return tuple(
        Picture(
            name=f"{split}[{row}]",
            label=int(label) if numbers is None else numbers[label],
            read=partial(rows.file.read, row),
            stamp=f"{sha}:{rows.split}[{row}]",
        )
        for row, (label, bad) in enumerate(zip(rows.labels, rows.reasons, strict=True))
        if label is not None and bad is None
    )
