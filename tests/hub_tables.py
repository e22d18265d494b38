"""Small picture tables for the Hub tests: parquet as `datasets` writes it, and as others do."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = {"_type": "Image"}


def png(number: int) -> bytes:
    """A tiny picture, another one for each number."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(stream, "PNG")
    return stream.getvalue()


def class_label(*names: str) -> dict[str, Any]:
    """The feature of whole-number labels that stand for names."""
    return {"_type": "ClassLabel", "names": list(names)}


def cells(start: int, count: int) -> list[dict[str, Any]]:
    """Picture cells as `datasets` stores them: the bytes, and a path that nobody may open."""
    return [
        {"bytes": png(number), "path": f"{number}.png"} for number in range(start, start + count)
    ]


def parquet(columns: dict[str, Any], features: dict[str, Any] | None = None) -> bytes:
    """A parquet file; with features it says so to `datasets` as that library does."""
    table = pa.table(columns)
    if features:
        written = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        table = table.replace_schema_metadata(written)
    return parquet_of(table)


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    """A table as a parquet file's bytes."""
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def two_classes(
    count: int = 16, *, start: int = 0, image: str = "image", labels: Sequence[Any] | None = None
) -> bytes:
    """Pictures with ClassLabel cats and dogs in turn, or with given labels."""
    if labels is not None:
        return parquet({image: cells(start, len(labels)), "label": labels}, {image: IMAGE})
    features = {image: IMAGE, "label": class_label("cats", "dogs")}
    numbers = [index % 2 for index in range(count)]
    return parquet({image: cells(start, count), "label": numbers}, features)
