"""A folder of class folders, with or without train, valid and test folders around them.

    pets/cats/1.jpg, pets/dogs/2.jpg                     valid is split off
    pets/train/cats/1.jpg, pets/val/cats/2.jpg, …        the folders' own split
    pets/train/…, pets/test/…                            valid is split off from train

Folders within a class folder belong to the class. A single folder around it all is looked through.
"""

import unicodedata
from pathlib import Path

from trainer.data.dataset import Data, Picture, Provenance, Split
from trainer.data.layout import find_layout
from trainer.data.names import natural_key, printable
from trainer.data.split import split_off, split_rule
from trainer.data.tree import Tree
from trainer.errors import DatasetError
from trainer.limits import Limits

_Classes = dict[str, list[tuple[Path, str]]]
"""Class name -> its pictures, each with its stamp."""


def load_folder(
    path: Path, *, valid_fraction: float, split_seed: int, limits: Limits, title: str | None = None
) -> Data:
    """Read a folder of class folders; nothing is decoded.

    Args:
        path: the folder.
        valid_fraction: share of the training pictures that becomes `valid` where there is none.
        split_seed: seed of that split.
        limits: `max_pictures`, `max_classes` and `max_picture_bytes` are kept.
        title: what messages and the provenance call the folder; its name by default.

    Raises:
        DatasetError: the folder cannot be used; the message says what was seen and what to do.
        ConfigError: `valid_fraction` is not between 0 and 1.
    """
    tree = _open(path, title, limits)
    found = {role: _classes(tree, role, top, limits) for role, top in find_layout(tree).items()}
    _refuse_bad_classes(tree, found)
    class_names = tuple(found["train"])
    splits = {role: _pictures(tree, classes, class_names) for role, classes in found.items()}
    rule = "the folders' own train and valid"
    if not splits.get("valid"):
        rule = split_rule(valid_fraction, split_seed)
        splits["train"], splits["valid"] = split_off(
            splits["train"], class_names=class_names, valid_fraction=valid_fraction, seed=split_seed
        )
    test = splits.get("test")
    return Data(
        class_names=class_names,
        train=Split("train", splits["train"]),
        valid=Split("valid", splits["valid"]),
        test=Split("test", test) if test else None,
        provenance=Provenance(dataset_id=tree.title, kind="folder", split_rule=rule),
        skipped=tree.skipped,
    )


def _open(path: Path, title: str | None, limits: Limits) -> Tree:
    shown = printable(str(path))
    if not path.exists():
        raise DatasetError(f"The folder {shown!r} does not exist. Check the path.")
    if not path.is_dir():
        raise DatasetError(f"{shown!r} is a file, not a folder. Name the folder that holds it.")
    root = path.resolve()
    return Tree(root, title=title or printable(root.name) or "/", limits=limits)


def _classes(tree: Tree, role: str, top: Path, limits: Limits) -> _Classes:
    """Read the class folders of one split, in natural order of their names."""
    files, folders = tree.entries(top)
    num_loose = tree.skip_loose(files)
    if not folders and num_loose and role == "test":
        tree.skip(top, "holds pictures without class folders, so their classes are unknown")
        return {}
    if not folders and num_loose:
        raise DatasetError(
            f"The folder {top.name!r} holds {num_loose} pictures but no class folders. Put the "
            "pictures of each class into a folder that is named after the class."
        )
    if len(folders) > limits.max_classes:
        raise DatasetError(
            f"{tree.title!r} has {len(folders):,} class folders; the limit is "
            f"{limits.max_classes:,}. Choose the folder that holds the class folders."
        )
    classes: _Classes = {}
    for folder in folders:
        name = printable(unicodedata.normalize("NFC", folder.name))
        twin = next((other for other in classes if other.casefold() == name.casefold()), None)
        if twin is not None:
            raise DatasetError(
                f"The class folders {twin!r} and {name!r} differ only in upper and lower case. "
                "Rename one of them, or put their pictures into one folder."
            )
        classes[name] = tree.pictures(folder)
    return dict(sorted(classes.items(), key=lambda item: natural_key(item[0])))


def _refuse_bad_classes(tree: Tree, found: dict[str, _Classes]) -> None:
    train = found["train"]
    empty = [name for name, pictures in train.items() if not pictures]
    if not any(train.values()):
        raise DatasetError(
            f"{tree.title!r} holds no pictures to train on; {_seen(tree)}. Pictures are JPEG, "
            "PNG, WebP, GIF, BMP, TIFF or PPM files."
        )
    if empty:
        raise DatasetError(
            f"Class {empty[0]!r} of {tree.title!r} has no usable picture; {_seen(tree)}. "
            "Add pictures to its folder, or remove the folder."
        )
    if len(train) == 1:
        raise DatasetError(
            f"{tree.title!r} has only one class, {next(iter(train))!r}; it takes at least two. "
            "Put the pictures of each class into a folder of its own."
        )
    for role, classes in found.items():
        for name, pictures in classes.items():
            if pictures and name not in train:
                raise DatasetError(_unknown_class(role, name, train))


def _unknown_class(role: str, name: str, train: _Classes) -> str:
    known = ", ".join(repr(each) for each in list(train)[:8]) + (", …" if len(train) > 8 else "")
    return (
        f"Class {name!r} is in {role} but not in train, where the classes are {known}. Names must "
        "match to the letter: rename the folder, or add the class to train."
    )


def _seen(tree: Tree) -> str:
    skipped = tree.skipped
    if not skipped:
        return "the folder is empty"
    return f"{len(skipped)} were left out, among them {skipped[0].name} ({skipped[0].reason})"


def _pictures(tree: Tree, classes: _Classes, class_names: tuple[str, ...]) -> tuple[Picture, ...]:
    label_of = {name: label for label, name in enumerate(class_names)}
    pictures = [
        Picture(tree.name(path), label_of[name], path.read_bytes, stamp)
        for name, found in classes.items()
        if found
        for path, stamp in found
    ]
    return tuple(sorted(pictures, key=lambda picture: picture.name))
