"""The cache folder: where it is, and how a file gets into it whole or not at all."""

import json
import os
import secrets
from pathlib import Path
from typing import Any


def cache_root() -> Path:
    """The folder for caches: `$LRLAB_CACHE`, else `$XDG_CACHE_HOME/lrlab`, else `~/.cache/lrlab`.

    It is not made here; whoever writes makes what is needed.
    """
    own = os.environ.get("LRLAB_CACHE")
    if own:
        return Path(own).expanduser()
    # The XDG specification says that a relative path there is invalid and to be ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = shared if shared.is_absolute() else Path.home() / ".cache"
    return base / "lrlab"


def temporary_sibling(path: Path) -> Path:
    """A name beside `path` that no other process uses, to be moved over `path` when complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(path)
    try:
        temporary.write_text(json.dumps(value), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
