"""The sentences drawn from a check: what was seen, what it means, what to do.

Pure: a function from the facts to findings, so that wording changes need no new decoding.
"""

from collections.abc import Iterator

from trainer.data.report import Check, Finding, Twin
from trainer.figures import percent

TINY_SIDE = 32
"""Pixels; a short side below it counts as tiny. The smallest input timm's CNNs are used with."""

FAILED_SHARE = 0.05
"""Above this share of undecodable pictures something is wrong with the dataset as a whole: nothing
is trained on it."""

IMBALANCE = 3.0
"""Largest over smallest class from which on the accuracy alone misleads."""

FEW_TRAIN = 10
"""Training pictures of a class below which the result depends on which ones they are."""

FEW_VALID = 50
"""Validation pictures below which one picture more or less moves the accuracy by over 2 points."""


def findings(check: Check) -> tuple[Finding, ...]:
    """All findings, errors first, then warnings, then information."""
    found = [
        _summary(check),
        *_empty_classes(check),
        *_failed(check),
        *_left_out(check),
        *_leaked(check),
        *_contradictory(check),
        *_repeated(check),
        *_balance(check),
        *_few(check),
        *_tiny(check),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.level]))


def _summary(check: Check) -> Finding:
    words = {"train": "training", "valid": "validation", "test": "test"}
    parts = [f"{sum(counts):,} {words[split]}" for split, counts in check.counts]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]])
    return Finding("info", f"{listed} pictures in {len(check.class_names)} classes.")


def _empty_classes(check: Check) -> Iterator[Finding]:
    for split, counts in check.counts:
        empty = [n for n, c in zip(check.class_names, counts, strict=True) if c == 0]
        if not empty:
            continue
        if split == "train" or not any(counts):
            text = f"{_names(empty)} without a usable picture in {split}. Add some, or remove it."
            yield Finding("error", text)
        else:
            text = f"{_names(empty)} without a picture in {split}: the accuracy there says nothing "
            yield Finding("warning", text + "about it. Add some pictures of it.")


def _failed(check: Check) -> Iterator[Finding]:
    if check.failed_share > FAILED_SHARE:
        yield Finding("error", too_many_failed(check))
    elif check.failed:
        first = check.failed[0]
        named = f"; the first is {first.name}, which {first.reason}"
        yield Finding("warning", f"{_undecoded(check)} and are left out{named}.", named)


def too_many_failed(check: Check) -> str:
    """Why nothing is trained on pictures of which so many are damaged, and what to do."""
    named = ", ".join(f"{each.name} ({each.reason})" for each in check.failed[:3])
    more = ", …" if len(check.failed) > 3 else ""
    return (
        f"{_undecoded(check)}, more than {percent(FAILED_SHARE, 0)}: {named}{more}. Something "
        "is wrong with the files as a whole. Replace them or take them out, or choose another "
        "dataset."
    )


def _undecoded(check: Check) -> str:
    num = len(check.failed)
    total = check.num_pictures + num
    return f"{num:,} of {total:,} pictures ({percent(check.failed_share)}) cannot be decoded"


def _left_out(check: Check) -> Iterator[Finding]:
    num = len(check.skipped) - len(check.failed)
    if num:
        first = check.skipped[0]
        what = "file or row is" if num == 1 else "files or rows are"
        named = f"; the first is {first.name}, which {first.reason}"
        yield Finding("info", f"{num:,} {what} not used{named}.", named)


def _leaked(check: Check) -> Iterator[Finding]:
    groups = check.leaked
    if groups:
        num = sum(twin.split != "train" for group in groups for twin in group)
        what = "validation or test picture is" if num == 1 else "validation or test pictures are"
        named = f" ({_example(groups)})"
        text = (
            f"{num:,} {what} identical to training pictures{named}. The accuracy will look better "
            "than it is: remove one of each pair."
        )
        yield Finding("warning", text, named)


def _contradictory(check: Check) -> Iterator[Finding]:
    groups = check.contradictory
    if groups:
        labels = sorted({twin.label for twin in groups[0]})
        names = " and ".join(repr(check.class_names[label]) for label in labels)
        what = "picture has" if len(groups) == 1 else "pictures have"
        named = f" ({_example(groups)}: {names})"
        text = f"{len(groups):,} {what} more than one label{named}. Keep the right one."
        yield Finding("warning", text, named)


def _repeated(check: Check) -> Iterator[Finding]:
    # Copies across splits are what `_leaked` tells; here only copies within one split.
    extra = 0
    groups = []
    for group in check.identical:
        splits = [twin.split for twin in group]
        copies = len(splits) - len(set(splits))
        extra += copies
        if copies:
            groups.append(group)
    if extra:
        what = "picture is a copy of another" if extra == 1 else "pictures are copies of others"
        named = f" ({_example(tuple(groups))})"
        text = (
            f"{extra:,} {what} in the same split{named}. They count more than once; remove them if "
            "that is not meant."
        )
        yield Finding("info", text, named)


def _balance(check: Check) -> Iterator[Finding]:
    if check.imbalance < IMBALANCE:
        return
    train = check.counts[0][1]
    largest = check.class_names[train.index(max(train))]
    smallest = check.class_names[train.index(min(train))]
    text = (
        f"Class {largest!r} has {check.imbalance:.1f} times the training pictures of {smallest!r} "
        f"({max(train):,} and {min(train):,}). Always answering {largest!r} is already right for "
        f"{percent(max(train) / sum(train), 0)} of them: look at the accuracy of each class, or "
        f"add pictures of {smallest!r}."
    )
    yield Finding("warning", text)


def _few(check: Check) -> Iterator[Finding]:
    train, valid = check.counts[0][1], check.counts[1][1]
    few = [n for n, c in zip(check.class_names, train, strict=True) if 0 < c < FEW_TRAIN]
    if few:
        text = f"{_names(few)} with fewer than {FEW_TRAIN} training pictures. Add more if you can."
        yield Finding("warning", text)
    if 0 < sum(valid) < FEW_VALID:
        text = (
            f"Only {sum(valid)} validation pictures: each moves the accuracy by "
            f"{percent(1 / sum(valid))}. Small differences between runs mean nothing."
        )
        yield Finding("warning", text)


def _tiny(check: Check) -> Iterator[Finding]:
    if check.tiny_share > 0:
        text = (
            f"{percent(check.tiny_share, 0)} of the pictures are under {TINY_SIDE} pixels on the "
            "short side and will be enlarged; a smaller image size trains faster and loses nothing."
        )
        yield Finding("info", text)


def _names(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    return f"{len(names)} class{'es' if len(names) > 1 else ''} ({shown})"


def _example(groups: tuple[tuple[Twin, ...], ...]) -> str:
    group = groups[0]
    return f"{group[0].name} = {group[-1].name}"
