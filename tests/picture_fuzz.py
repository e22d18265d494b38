"""Damaged pictures without end: run as a child, `python tests/picture_fuzz.py SECONDS SEED AT`.

Each input is one of the valid pictures of `hostile_pictures` with up to eight damages, and depends
on the seed and its number alone. Checksums of PNG chunks are made right again, so that the damage
reaches the decoder. Prints JSON; the number of the input that it is at stands in the file AT, for
the case that the process dies of it.
"""

import json
import os
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile_pictures import valid_pictures
from memory import peak_bytes
from trainer.data.picture import decode
from trainer.errors import PictureError
from trainer.limits import Limits

SLOW_SECONDS = 2.0
MAX_SEED_BYTES = 200_000
EDGES = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\1\0\0\0")


def _flip(rng: random.Random, data: bytearray, _other: bytes) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _edge(rng: random.Random, data: bytearray, _other: bytes) -> None:
    """A number at the edge of its range, where sizes and offsets stand."""
    at = rng.randrange(min(len(data), rng.choice((64, 1_000, len(data)))))
    value = rng.choice(EDGES)[: rng.choice((1, 2, 4))]
    data[at : at + len(value)] = value


def _cut(rng: random.Random, data: bytearray, _other: bytes) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(rng: random.Random, data: bytearray, _other: bytes) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 64)]


def _repeat(rng: random.Random, data: bytearray, _other: bytes) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.randint(1, 64)] * rng.choice((1, 2, 1_000))


def _splice(rng: random.Random, data: bytearray, other: bytes) -> None:
    at = rng.randrange(len(other))
    data[rng.randrange(len(data)) :] = other[at:]


Damage = Callable[[random.Random, bytearray, bytes], None]
DAMAGES: tuple[Damage, ...] = (_flip, _flip, _edge, _edge, _cut, _remove, _repeat, _splice)


def damaged(pictures: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """What it was made from, and the bytes."""
    rng = random.Random(f"{seed} {number}")
    (name, data), (_, other) = rng.choice(pictures), rng.choice(pictures)
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if changed:
            rng.choice(DAMAGES)(rng, changed, other)
    return name, _with_checksums(changed) if rng.random() < 0.8 else bytes(changed)


def _with_checksums(data: bytearray) -> bytes:
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(data)


def main(seconds: float, seed: int, at: Path) -> None:
    """Decode damaged pictures for so long, and say how they ended."""
    pictures = [each for each in valid_pictures() if len(each[1]) <= MAX_SEED_BYTES]
    limits = Limits()
    for _, data in pictures:
        decode(data, limits=limits)
    before, deadline, number = peak_bytes(), time.monotonic() + seconds, 0
    ended: Counter[str] = Counter()
    slow: list[tuple[int, str, float]] = []
    unnamed: list[tuple[int, str, str]] = []
    where = os.open(at, os.O_WRONLY | os.O_CREAT)
    while time.monotonic() < deadline:
        os.pwrite(where, f"{number}\n".encode(), 0)
        name, data = damaged(pictures, seed, number)
        began = time.process_time()
        try:
            ended[decode(data, limits=limits).mode] += 1
        except PictureError as error:
            ended["refused: " + " ".join(str(error).split()[:2])] += 1
        except Exception as error:  # noqa: BLE001 that is what is looked for
            unnamed.append((number, name, f"{type(error).__name__}: {error}"))
        spent = time.process_time() - began
        if spent > SLOW_SECONDS:
            slow.append((number, name, spent))
        number += 1
    grown = peak_bytes() - before
    told = {"number": number, "ended": ended, "slow": slow, "unnamed": unnamed, "grown": grown}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
