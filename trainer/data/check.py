"""Look at every picture of a dataset once, before anything is trained on it.

Every picture is decoded, because a damaged one shows itself only then; in the same pass it is
kept as the model will see it (`decoded`). The result is cached by the data's fingerprint.

Not covered: pictures that are alike but not identical to the pixel (resized, recompressed).
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median_low

import numpy as np

from trainer.data.cache import cache_root, read_json, write_json
from trainer.data.dataset import Data, Picture, Skipped, Split
from trainer.data.decoded import View, Writer, is_decoded, least_side
from trainer.data.findings import FAILED_SHARE, TINY_SIDE, findings, too_many_failed
from trainer.data.picture import decode, decode_with_size
from trainer.data.report import Check, Twin, fingerprint
from trainer.errors import DatasetError, PictureError
from trainer.limits import Limits

_MAX_WORKERS = 8
"""Threads; each holds one decoded picture, up to about 300 MB at the limit of 25 Mpx."""

_AT_ONCE = 128
"""Pictures handed to the threads together, so that what waits to be written stays small."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one picture showed; `reason` is empty where it decoded."""

    width: int = 0
    height: int = 0
    pixels: bytes = b""
    reason: str = ""
    unread: bool = False


def check(
    data: Data,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    limits: Limits | None = None,
    view: View | None = None,
) -> Check:
    """Decode every picture once and say what was seen.

    Args:
        data: the dataset.
        on_progress: is told (pictures done, pictures in all), in the calling thread; an exception
            from it stops the check. Not called where the cache has the answer.
        workers: threads that decode; one for each core, at most 8, by default.
        limits: `max_pixels`, `max_side` and `max_picture_bytes`; from the environment by default.
        view: how a model sees them: the pictures are decoded for it on the way.
    """
    limits = limits or Limits.from_env()
    key = fingerprint(data)
    path = _cache_path(key, limits)
    known = _cached(path, key)
    if known is None:
        looks = _look_at_all(data, limits, workers, view, on_progress)
        known = _facts(data, key, looks)
        if not any(look.unread for look in looks):
            # Without its cache the check is slower, not wrong: a full disk must not stop it.
            with suppress(OSError):
                write_json(path, known.to_dict())
    # What the source left out is not part of the fingerprint, and wording may have changed.
    known = replace(known, skipped=data.skipped + known.failed)
    return replace(known, findings=findings(known))


def usable(data: Data, check: Check) -> Data:
    """The data without the pictures that the check could not decode.

    Raises:
        DatasetError: that leaves a class without a picture in train, or in valid where it had one;
            or more than `FAILED_SHARE` are left out: the result would be of another dataset.
    """
    assert check.fingerprint == fingerprint(data), "this check is of other data"
    bad = {each.name for each in check.failed}
    train, valid = _without(data.train, bad), _without(data.valid, bad)
    for before, after in ((data.train, train), (data.valid, valid)):
        lost = set(before.labels) - set(after.labels)
        if lost:
            raise DatasetError(_lost_class(data, check, before, min(lost)))
    if check.failed_share > FAILED_SHARE:
        raise DatasetError(too_many_failed(check))
    test = _without(data.test, bad) if data.test else None
    return replace(data, train=train, valid=valid, test=test or None, skipped=check.skipped)


def _cache_path(key: str, limits: Limits) -> Path:
    rules = f"{key} {limits.max_pixels} {limits.max_side} {limits.max_picture_bytes}"
    return cache_root() / "checks" / f"{hashlib.sha256(rules.encode()).hexdigest()[:32]}.json"


def _cached(path: Path, key: str) -> Check | None:
    values = read_json(path)
    if values is None:
        return None
    try:
        known = Check.from_dict(values)
    except (KeyError, TypeError, ValueError):  # written by another version, or by somebody else
        return None
    return known if known.fingerprint == key else None


def _look_at_all(
    data: Data,
    limits: Limits,
    workers: int | None,
    view: View | None,
    on_progress: Callable[[int, int], None] | None,
) -> list[_Look]:
    """One look a picture, in the order of the splits."""
    total = sum(len(split) for split in data.splits)
    num_workers = workers or min(os.cpu_count() or 1, _MAX_WORKERS)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="check")
    looks: list[_Look] = []
    try:
        for split in data.splits:
            kept = None if view is None or is_decoded(split, view) else view
            in_full = view is None or least_side(split.name, view) is None
            look = partial(_look, limits=limits, view=view, keep=kept is not None, in_full=in_full)
            with _Keeper(split.name, kept) as keeper:
                for picture, seen, image in _looks(split, look, pool):
                    looks.append(seen)
                    if image is not None:
                        keeper.add(picture, image)
                    if on_progress is not None:
                        on_progress(len(looks), total)
                keeper.finish()
    finally:
        pool.shutdown(cancel_futures=True)
    return looks


class _Keeper:
    """Writes the decoded pictures where a view is given and the disk takes them.

    Without them a check is as true: a full disk must not stop it.
    """

    def __init__(self, split_name: str, view: View | None) -> None:
        self._stack = ExitStack()
        self._writer: Writer | None = None
        with suppress(OSError):
            if view:
                self._writer = self._stack.enter_context(Writer(split_name, view))

    def __enter__(self) -> "_Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, picture: Picture, image: np.ndarray) -> None:
        try:
            if self._writer is not None:
                self._writer.add(picture, image)
        except OSError:
            self._writer = None

    def finish(self) -> None:
        with suppress(OSError):
            if self._writer is not None:
                self._writer.finish()


def _looks(
    split: Split,
    look: Callable[[Picture], tuple[_Look, np.ndarray | None]],
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Picture, _Look, np.ndarray | None]]:
    """Each picture, what it showed, and as the model sees it."""
    for start in range(0, len(split), _AT_ONCE):
        some = split.pictures[start : start + _AT_ONCE]
        for picture, (seen, image) in zip(some, pool.map(look, some), strict=True):
            yield picture, seen, image


def _look(
    picture: Picture, *, limits: Limits, view: View | None, keep: bool, in_full: bool
) -> tuple[_Look, np.ndarray | None]:
    """What a picture showed, and as the model sees it where it is to be kept.

    The pixels that are compared are those of the faster decoding in every split, so that the same
    photo in two of them is found.
    """
    min_side = view.min_side if view else None
    try:
        data = picture.read()
        image, (width, height) = decode_with_size(data, limits=limits, min_side=min_side)
        pixels = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if keep and in_full and image.size != (width, height):
            image = decode(data, limits=limits)
    except PictureError as error:
        return _Look(reason=str(error)), None
    except OSError as error:
        return _Look(reason=f"cannot be read ({error.strerror or error})", unread=True), None
    return _Look(width, height, pixels), view.view(image) if view and keep else None


def _facts(data: Data, key: str, looks: Sequence[_Look]) -> Check:
    """Gather the looks into a check without findings."""
    counts: list[tuple[str, tuple[int, ...]]] = []
    failed: list[Skipped] = []
    same: dict[tuple[int, int, bytes], list[Twin]] = {}
    remaining = iter(looks)
    for split in data.splits:
        classes = [0] * len(data.class_names)
        for picture, look in zip(split.pictures, remaining, strict=False):
            if look.reason:
                failed.append(Skipped(picture.name, look.reason))
                continue
            classes[picture.label] += 1
            twin = Twin(split.name, picture.name, picture.label)
            same.setdefault((look.width, look.height, look.pixels), []).append(twin)
        counts.append((split.name, tuple(classes)))
    good = [look for look in looks if not look.reason]
    tiny = sum(min(look.width, look.height) < TINY_SIDE for look in good)
    return Check(
        fingerprint=key,
        class_names=data.class_names,
        counts=tuple(counts),
        widths=_spread([look.width for look in good]),
        heights=_spread([look.height for look in good]),
        tiny_share=tiny / len(good) if good else 0.0,
        failed=tuple(failed),
        skipped=tuple(failed),
        identical=tuple(tuple(group) for group in same.values() if len(group) > 1),
    )


def _spread(sides: list[int]) -> tuple[int, int, int]:
    return (min(sides), median_low(sides), max(sides)) if sides else (0, 0, 0)


def _without(split: Split, bad: set[str]) -> Split:
    return Split(split.name, tuple(p for p in split.pictures if p.name not in bad))


def _lost_class(data: Data, check: Check, split: Split, label: int) -> str:
    of_class = {p.name for p in split.pictures if p.label == label}
    first = next(each for each in check.failed if each.name in of_class)
    return (
        f"None of the {len(of_class)} pictures of class {data.class_names[label]!r} in "
        f"{split.name} can be decoded; the first is {first.name}, which {first.reason}. Replace "
        "them, or remove the class."
    )
