"""Which folders hold the class folders of train, valid and test.

A class may itself be called "train" (a vehicle) or "test": a folder of that name is a split only
where it holds folders, or where nothing but such names is there.
"""

from pathlib import Path

from trainer.data.names import is_picture_name
from trainer.data.tree import Tree
from trainer.errors import DatasetError

_ROLES = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip


def find_layout(tree: Tree) -> dict[str, Path]:
    """The folder of class folders for each of `train`, `valid` and `test` that is there.

    `train` always is; it is the whole tree where nothing is split.

    Raises:
        DatasetError: there are no folders, no train folder, or two folders for one split.
    """
    top, folders = _top(tree)
    roles = _roles(folders)
    others = [folder for folder in folders if _role(folder) is None]
    if not roles or (others and not _holds_only_folders(tree, roles.get("train"))):
        return {"train": top}
    if "train" not in roles:
        raise DatasetError(
            f"{tree.title!r} has a folder {next(iter(roles.values())).name!r} but no folder "
            "'train'. Name the folder with the training pictures 'train'."
        )
    for folder in others:
        tree.skip(folder, "is beside the train, valid and test folders")
    return roles


def _top(tree: Tree) -> tuple[Path, list[Path]]:
    """The first folder downwards with more to choose from than one wrapping folder."""
    top = tree.root
    files, folders = tree.entries(top)
    while len(folders) == 1 and not _role(folders[0]) and _holds_only_folders(tree, folders[0]):
        tree.skip_loose(files)
        top = folders[0]
        files, folders = tree.entries(top)
    num_pictures = tree.skip_loose(files)
    if folders:
        return top, folders
    if num_pictures:
        raise DatasetError(
            f"{tree.title!r} holds {num_pictures} pictures but no class folders. Put the pictures "
            "of each class into a folder that is named after the class, for example 'cats' and "
            "'dogs'."
        )
    seen = f"{len(files)} files, none of them a picture" if files else "nothing"
    raise DatasetError(
        f"{tree.title!r} holds {seen}. It takes a folder for each class with its pictures in it."
    )


def _role(folder: Path) -> str | None:
    return _ROLES.get(folder.name.casefold())


def _roles(folders: list[Path]) -> dict[str, Path]:
    roles: dict[str, Path] = {}
    for folder in folders:
        role = _role(folder)
        if role and role in roles:
            raise DatasetError(
                f"The folders {roles[role].name!r} and {folder.name!r} both mean {role!r}. "
                "Keep one of them."
            )
        if role:
            roles[role] = folder
    return roles


def _holds_only_folders(tree: Tree, folder: Path | None) -> bool:
    if folder is None:
        return False
    files, folders = tree.entries(folder)
    return bool(folders) and not any(is_picture_name(path.name) for path in files)
