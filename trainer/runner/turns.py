"""The order of the waiting runs: visitors take turns, and each visitor's runs stay in order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the queue."""

    folder: Path
    owner: str
    again: bool = False
    """It was running already: it does not queue a second time."""
    sender: str = ""
    """The address that asked for it, which is harder to choose than a name; empty where that does
    not count."""


def in_turn(waiting: Sequence[Waiting], last: str | None) -> list[Waiting]:
    """The runs in the order in which they will be carried out.

    Nobody starves: a visitor's first run keeps its place among the first runs of the others.

    Args:
        waiting: in the order they came.
        last: the owner of the run that is or was carried out last, who has had a turn.
    """
    turns = Counter([last] if last is not None else [])
    ranked = []
    for number, each in enumerate(waiting):
        ranked.append((-1 if each.again else turns[each.owner], number))
        turns[each.owner] += 1
    return [waiting[number] for _, number in sorted(ranked)]
