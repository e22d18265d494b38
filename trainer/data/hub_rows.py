"""`RowFile`: the pictures of one split in an Arrow file, copied from parquet under limits.

The copy is made because a parquet file can only be read in order, and training reads at random.
It holds bytes and labels alone. A row that names a file instead of holding it is never opened:
the name may lead to a file of this machine or to a private address.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.cache import temporary_sibling
from trainer.data.hub_columns import Columns
from trainer.data.names import megabytes
from trainer.errors import DatasetError
from trainer.limits import Limits

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

ROWS_VERSION = 1
"""Part of every file's name; raised when the same parquet would give other rows."""

_BATCH_ROWS = 32
_BATCH_BYTES = 512_000_000
_PLAIN = frozenset({"PLAIN", "RLE", "BIT_PACKED"})


class RowFile:
    """One written file, mapped into memory: reading is cheap, lazy and safe from any thread.

    It pickles as its path, so that a worker process maps the same file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # half a second, only needed for a Hub dataset

        self.path = path
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def __reduce__(self) -> tuple[type["RowFile"], tuple[Path]]:
        return RowFile, (self.path,)

    def __len__(self) -> int:
        return self._table.num_rows

    def read(self, row: int) -> bytes:
        """The encoded bytes of a row's picture.

        Raises:
            OSError: the row holds no picture.
        """
        content = self._table["bytes"][row].as_py()
        if content is None:
            raise OSError(f"row {row} of {self.path.name} holds no picture")
        return content

    def labels(self) -> list[str | None]:
        """Each row's label as text: the number of a class, or its name."""
        return self._table["label"].to_pylist()

    def reasons(self) -> list[str | None]:
        """Why a row's picture cannot be used; None where it can."""
        return self._table["reason"].to_pylist()


def open_parquet(path: Path, title: str) -> "ParquetFile":
    """Open a parquet file; its footer alone is read.

    Raises:
        DatasetError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=1 << 20)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(title, error) from error


def unpacked_bytes(file: "ParquetFile", columns: Columns) -> int:
    """Bytes of the two columns once unpacked, a dictionary counted once, as the footer says."""
    wanted = (columns.image, columns.label)
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    parts = (group.column(index) for group in groups for index in range(group.num_columns))
    return sum(
        part.total_uncompressed_size for part in parts if _is_of(part.path_in_schema, wanted)
    )


def _is_of(path: str, columns: Sequence[str]) -> bool:
    """Whether a leaf of the schema belongs to one of the columns: `image.bytes` to `image`."""
    return any(path == name or path.startswith(f"{name}.") for name in columns)


def count_distinct(file: "ParquetFile", column: str, max_classes: int, *, title: str) -> int | None:
    """How many values a column has; None where it is no label (too many, one, all different).

    Raises:
        DatasetError: the file is damaged.
    """
    seen: set[Any] = set()
    num_rows = 0
    for batch in _sound(file, [column], _batch_rows(file, [column]) * 32, title):
        seen.update(batch.column(0).to_pylist())
        num_rows += len(batch)
        if len(seen) > max_classes:
            return None
    return len(seen) if 1 < len(seen) < num_rows else None


def write_rows(
    sources: Sequence[Path], columns: Columns, target: Path, *, title: str, limits: Limits
) -> None:
    """Copy the two columns of parquet files into one Arrow file, whole or not at all.

    Raises:
        DatasetError: a file is damaged or lacks a column, or the pictures pass
            `max_unpacked_bytes` once unpacked.
    """
    import pyarrow as pa

    names = ("bytes", pa.binary()), ("label", pa.string()), ("reason", pa.string())
    schema = pa.schema(names)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(target)
    num_bytes = 0
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for source in sources:
                for batch in _batches(source, columns, title):
                    rows = _usable(batch, columns, limits)
                    num_bytes += rows.nbytes
                    if num_bytes > limits.max_unpacked_bytes:
                        raise too_large(title, limits)
                    writer.write_batch(rows.cast(schema))
        temporary.replace(target)
    except pa.ArrowException as error:
        raise _damaged(title, error) from error
    except OSError as error:
        raise DatasetError(
            f"The dataset {title} cannot be kept ({error.strerror or error}). "
            "Free some space, or set LRLAB_CACHE to another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _batches(source: Path, columns: Columns, title: str) -> Iterator["pyarrow.RecordBatch"]:
    file = open_parquet(source, title)
    wanted = [columns.image, columns.label]
    missing = [name for name in wanted if name not in file.schema_arrow.names]
    if missing:
        raise DatasetError(
            f"The dataset {title} has files with different columns: one lacks {missing[0]!r}."
        )
    yield from _sound(file, wanted, _batch_rows(file, wanted), title)


def _sound(
    file: "ParquetFile", columns: list[str], num_rows: int, title: str
) -> Iterator["pyarrow.RecordBatch"]:
    """Rows that were checked to be what their types say: parquet takes any bytes for a text."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=num_rows, columns=columns):
            batch.validate(full=True)
            yield batch
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise _damaged(title, error) from error


def _batch_rows(file: "ParquetFile", wanted: Sequence[str]) -> int:
    """How many rows may be unpacked at once.

    A column with a dictionary repeats a cell at no cost, so that a file of kilobytes unpacks to
    gigabytes. No cell is larger than its column's dictionary and data, which the footer gives;
    without a dictionary all cells together are not.
    """
    largest = 1
    for group in range(file.metadata.num_row_groups):
        parts = file.metadata.row_group(group)
        for index in range(parts.num_columns):
            part = parts.column(index)
            if _is_of(part.path_in_schema, wanted):
                shared = not _PLAIN.issuperset(part.encodings)
                size = part.total_uncompressed_size
                largest = max(largest, size if shared else size // _BATCH_ROWS)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // largest))


def _usable(
    batch: "pyarrow.RecordBatch", columns: Columns, limits: Limits
) -> "pyarrow.RecordBatch":
    """Bytes, label and reason of each row; the bytes only where the picture may be used."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells, label = batch.column(columns.image), batch.column(columns.label)
    paths: list[Any] = [None] * len(batch)
    if pa.types.is_struct(cells.type):
        index = cells.type.get_field_index
        parts = cells.flatten()  # unlike field(), a cell that is none gives parts that are none
        if index("path") >= 0:
            paths = parts[index("path")].to_pylist()
        cells = parts[index("bytes")]
    if pa.types.is_dictionary(label.type):
        label = label.dictionary_decode()
    lengths = pc.call_function("binary_length", [cells]).to_pylist()
    reasons = [_reason(size, path, limits) for size, path in zip(lengths, paths, strict=True)]
    usable = pa.array([reason is None for reason in reasons])
    kept = pc.call_function("if_else", [usable, cells, pa.scalar(None, cells.type)])
    return pa.record_batch(
        [kept.cast(pa.binary()), label.cast(pa.string()), pa.array(reasons, pa.string())],
        names=["bytes", "label", "reason"],
    )


def _reason(size: int | None, path: object, limits: Limits) -> str | None:
    if size is None and path:
        return "names a file instead of holding the picture; such files are never opened"
    if not size:
        return "is empty"
    if size > limits.max_picture_bytes:
        limit = megabytes(limits.max_picture_bytes)
        return f"is too large ({megabytes(size)}; the limit is {limit})"
    return None


def too_large(title: str, limits: Limits) -> DatasetError:
    """The error for rows that unpack to more than is allowed."""
    return DatasetError(
        f"The dataset {title} unpacks to more than {megabytes(limits.max_unpacked_bytes)}. Choose "
        "a smaller one."
    )


def _damaged(title: str, error: BaseException) -> DatasetError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return DatasetError(
        f"A parquet file of the dataset {title} is damaged ({reason}). Tell its owner, or choose "
        "another dataset."
    )
