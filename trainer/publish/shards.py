"""`Shards`: the Parquet files of one split, with pictures and class names as `datasets` has them.

Written row group by row group, so that memory holds one group however many pictures there are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

GROUP_ROWS = 100
"""Rows that are read together; the Hub's viewer asks for about as many at once."""
GROUP_BYTES = 32_000_000
"""Pictures' bytes that are held in memory before a group is written."""

_CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
"""Cuts where the content says so, as `datasets` does: a later push sends only what is new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenSplit:
    """One split as it was written."""

    name: str
    """`train`, `validation` or `test`."""
    counts: tuple[int, ...]
    """Pictures of each class."""
    num_bytes: int
    """Of the pictures."""
    file_bytes: int
    """Of the Parquet files."""
    num_shards: int

    @property
    def num_pictures(self) -> int:
        return sum(self.counts)


class Shards:
    """Takes rows one by one; the files get their names at the end, when their number is known."""

    def __init__(
        self, folder: Path, name: str, class_names: tuple[str, ...], shard_bytes: int
    ) -> None:
        self._folder, self._name, self._shard_bytes = folder, name, shard_bytes
        self._schema = _schema(class_names)
        self._counts = [0] * len(class_names)
        self._rows: list[dict[str, Any]] = []
        self._group_bytes = self._in_shard = self._num_bytes = 0
        self._paths: list[Path] = []
        self._writer: ParquetWriter | None = None

    def add(self, picture: bytes, suffix: str, label: int) -> None:
        """Append a row; the picture's name is its number."""
        if self._in_shard and self._in_shard + len(picture) > self._shard_bytes:
            self.close()
        path = f"{self._name}-{sum(self._counts):06d}.{suffix}"
        self._rows.append({"image": {"bytes": picture, "path": path}, "label": label})
        self._counts[label] += 1
        self._group_bytes += len(picture)
        self._in_shard += len(picture)
        self._num_bytes += len(picture)
        if len(self._rows) == GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._flush()

    def finish(self) -> WrittenSplit:
        """Close the last file and name them all."""
        self.close()
        count = len(self._paths)
        for number, path in enumerate(self._paths):
            path.rename(self._folder / f"{self._name}-{number:05d}-of-{count:05d}.parquet")
        files = self._folder.glob(f"{self._name}-*.parquet")
        return WrittenSplit(
            name=self._name,
            counts=tuple(self._counts),
            num_bytes=self._num_bytes,
            file_bytes=sum(path.stat().st_size for path in files),
            num_shards=count,
        )

    def close(self) -> None:
        """End the current file; the next row begins another one."""
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()
        self._writer, self._in_shard = None, 0

    def _flush(self) -> None:
        import pyarrow as pa  # half a second, only needed to publish

        if self._writer is None:
            self._paths.append(self._folder / f".{self._name}-{len(self._paths)}")
            self._writer = _open(self._paths[-1], self._schema)
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._group_bytes = [], 0


def _open(path: Path, schema: "pyarrow.Schema") -> "ParquetWriter":
    from pyarrow.parquet import ParquetWriter

    # Pictures are packed already, a dictionary of them helps nobody, and statistics would hold
    # the smallest and the largest of them whole.
    options: dict[str, Any] = {
        "compression": "none",
        "use_dictionary": False,
        "write_statistics": ["label"],
        "write_page_index": True,
        "use_content_defined_chunking": _CHUNKING,
    }
    return ParquetWriter(path, schema, **options)


def _schema(class_names: tuple[str, ...]) -> "pyarrow.Schema":
    """The columns, with the note by which `datasets` knows pictures and class names."""
    import pyarrow as pa

    label = {"names": list(class_names), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    note = json.dumps({"info": {"features": features}})
    return pa.schema([("image", image), ("label", pa.int64())], {"huggingface": note})
