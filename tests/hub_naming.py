"""What the Hub emulator takes as the name of a repository and as the path of a file in it.

The names: `huggingface_hub.utils.validate_repo_id`, whose text says which rules the Hub has. They
are written again here, so that a client is not judged by its own code.
"""

import re

MAX_NAME = 96
_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def id_error(repo_id: str) -> str | None:
    """What is wrong with `owner/name`; None: nothing."""
    parts = repo_id.split("/")
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        return f"Invalid repo name: {repo_id} - only regular characters and '-', '_', '.' accepted"
    if "--" in repo_id or ".." in repo_id:
        return f"Invalid repo name: {repo_id} - cannot have -- or .."
    if len(parts[1]) > MAX_NAME:
        return f"Invalid repo name: {repo_id} - at most {MAX_NAME} characters"
    if repo_id.endswith((".git", ".ipynb")):
        return f"Invalid repo name: {repo_id} - cannot end with .git or .ipynb"
    return None


def path_error(path: str) -> str | None:
    """What is wrong with a file's path: relative, no way out, nothing of git's own."""
    parts = path.split("/")
    if _CONTROL.search(path) or "\\" in path or any(part in ("", ".", "..") for part in parts):
        return f"Invalid path: {path!r} must be relative, without empty parts, . and .."
    if any(part.lower() == ".git" for part in parts):
        return f"Invalid path: {path!r} lies in .git"
    return None
