"""Which column of a table holds the pictures and which the labels, from names and types alone.

Three sources, the best first: the features that `datasets` writes into a parquet file, those on
the dataset's card, and the Arrow types with the columns' names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow

_IMAGE_NAMES = ("image", "img", "picture", "photo", "pixel_values", "jpg", "png", "image_bytes")
_LABEL_NAMES = (
    "label", "labels", "class", "classes", "target", "targets", "category", "fine_label",
    "class_name", "label_name", "class_label", "class_id", "label_id", "y", "species", "breed",
)  # fmt: skip


MAX_LABEL_LENGTH = 200
"""Characters of a class's name, which is shown and written wherever there are results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The two columns that are read; all others are left in the file."""

    image: str
    label: str
    class_names: tuple[str, ...] | None
    """The names that whole-number labels stand for; None: the labels are the names."""


def find_columns(
    schema: "pyarrow.Schema",
    card_features: Any,
    *,
    title: str,
    num_distinct: Callable[[str], int | None],
) -> Columns:
    """Choose the image and the label column.

    Args:
        schema: of the first parquet file.
        card_features: `features` of the card's `dataset_info`, or nothing.
        title: what messages call the dataset.
        num_distinct: counts a column's different values; None where it can be no label (too
            many, or each only once). Asked only where names and types do not tell.

    Raises:
        DatasetError: there is no such column, and the message lists those that are there; or a
            class has an overlong name.
    """
    if len(set(schema.names)) < len(schema.names):
        raise DatasetError(f"The dataset {title} has two columns of one name: {_listed(schema)}.")
    features = _card_features(card_features) | _file_features(schema)
    image = _image_column(schema, features)
    if image is None:
        raise DatasetError(
            f"The dataset {title} has no column with pictures; its columns are "
            f"{_listed(schema)}. Choose a dataset for image classification."
        )
    label = _label_column(schema, features, num_distinct)
    if label is None:
        raise DatasetError(
            f"The dataset {title} has no column with one label a picture; its columns are "
            f"{_listed(schema)}. A label is a class, a text or a whole number."
        )
    names = _class_names(features.get(label))
    if names is not None and not _is_integer(schema.field(label).type):
        names = None
    _refuse_long_names(names or (), title)
    return Columns(image=image, label=label, class_names=names)


def _refuse_long_names(names: tuple[str, ...], title: str) -> None:
    longest = max(map(len, names), default=0)
    if longest > MAX_LABEL_LENGTH:
        raise DatasetError(
            f"The dataset {title} has a class name of {longest:,} characters; the limit is "
            f"{MAX_LABEL_LENGTH}. Choose another dataset, or tell its owner."
        )


def _image_column(schema: "pyarrow.Schema", features: Mapping[str, Any]) -> str | None:
    usable = [field.name for field in schema if _holds_bytes(field.type)]
    for name in usable:
        if _type_name(features.get(name)) == "Image":
            return name
    by_name = [name for wanted in _IMAGE_NAMES for name in usable if name.lower() == wanted]
    structs = [name for name in usable if schema.field(name).type.num_fields]
    return next(iter(by_name + structs), None)


def _label_column(
    schema: "pyarrow.Schema",
    features: Mapping[str, Any],
    num_distinct: Callable[[str], int | None],
) -> str | None:
    usable = [field.name for field in schema if _is_label_type(field.type)]
    classes = [name for name in usable if _class_names(features.get(name)) is not None]
    by_name = [name for wanted in _LABEL_NAMES for name in usable if name.lower() == wanted]
    if classes:
        return next((name for name in by_name if name in classes), classes[0])
    if by_name:
        return by_name[0]
    few = [name for name in usable if num_distinct(name) is not None]
    return few[0] if len(few) == 1 else None


def _holds_bytes(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as is_  # half a second, only needed for a Hub dataset

    if is_.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def _is_binary(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as is_

    return is_.is_binary(kind) or is_.is_large_binary(kind)


def _is_integer(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as is_

    return is_.is_integer(kind)


def _is_label_type(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as is_

    if is_.is_dictionary(kind):
        kind = kind.value_type
    return is_.is_integer(kind) or is_.is_string(kind) or is_.is_large_string(kind)


def _file_features(schema: "pyarrow.Schema") -> dict[str, Any]:
    """The features that `datasets` wrote into the file: `{"label": {"_type": "ClassLabel", …}}`."""
    written = (schema.metadata or {}).get(b"huggingface", b"")
    try:
        features = json.loads(written)["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _card_features(features: Any) -> dict[str, Any]:
    """A card's features in the form of a file's.

    On a card they are a list: `- name: label` with
    `dtype: {class_label: {names: {"0": cats, "1": dogs}}}`, or `dtype: image`.
    """
    found: dict[str, Any] = {}
    entries: list[Any] = features if isinstance(features, list) else []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            continue
        kind = entry.get("dtype")
        if kind == "image":
            found[entry["name"]] = {"_type": "Image"}
        elif isinstance(kind, dict) and isinstance(kind.get("class_label"), dict):
            names = kind["class_label"].get("names")
            if isinstance(names, dict):
                names = [names.get(str(index)) for index in range(len(names))]
            found[entry["name"]] = {"_type": "ClassLabel", "names": names}
    return found


def _type_name(feature: Any) -> str | None:
    return feature.get("_type") if isinstance(feature, dict) else None


def _class_names(feature: Any) -> tuple[str, ...] | None:
    """The names of a ClassLabel, or None for anything else and for damaged ones."""
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        return None
    return tuple(names) if names and len(set(names)) == len(names) else None


def _listed(schema: "pyarrow.Schema") -> str:
    shown = [f"{field.name} ({_short(field.type)})" for field in list(schema)[:12]]
    more = len(schema) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "none"


def _short(kind: "pyarrow.DataType") -> str:
    text = str(kind)
    return text if len(text) <= 30 else text[:29] + "…"
