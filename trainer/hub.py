"""Reading from the Hugging Face Hub for people: search, a sign of life, and a model's files.

Cheap to import: search and probe use the standard library alone, so that a page that offers them
starts at once. No token is ever sent.

Not covered: writing (the push is elsewhere), and what a model's files may be; `trainer.pull`
judges that.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from trainer.errors import HubError
from trainer.hub_client import endpoint, offline, parse_hub_name, reachable

__all__ = ["Found", "reachable", "search_datasets", "search_models"]

SEARCH_SECONDS = 5.0
"""Longest wait for a search; it is not tried again, since a person types on."""

_MAX_ANSWER_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One hit of a search."""

    id: str
    """`owner/name`."""
    downloads: int
    """In the last 30 days, as the Hub counts them."""
    likes: int
    updated: str
    """Date of the last change, `2026-01-31`; empty where unknown."""


def search_datasets(text: str, limit: int = 8) -> tuple[Found, ...]:
    """Find public image classification datasets whose id holds the text, most downloads first.

    Where none carries that task, any dataset with pictures is shown: many owners name no task.

    Raises:
        HubError: the Hub is unreachable or refused.
    """
    for tag in ("task_categories:image-classification", "modality:image"):
        found = _search("datasets", text, limit, [("filter", tag)])
        if found:
            return found
    return ()


def search_models(text: str, limit: int = 8) -> tuple[Found, ...]:
    """Find public timm image classifiers with safetensors, most downloads first.

    Raises:
        HubError: the Hub is unreachable or refused.
    """
    tags = [("filter", "timm"), ("filter", "safetensors"), ("pipeline_tag", "image-classification")]
    return _search("models", text, limit, tags)


def _search(kind: str, text: str, limit: int, tags: list[tuple[str, str]]) -> tuple[Found, ...]:
    # By hand and not with HfApi: that one waits 23 s where the Hub answers 500 or 429.
    if offline():
        raise HubError("HF_HUB_OFFLINE is set, so the Hugging Face Hub is not searched.")
    query = [("search", text.strip()[:100]), ("sort", "downloads"), ("limit", str(4 * limit))]
    address = f"{endpoint()}/api/{kind}?{urllib.parse.urlencode(query + tags)}"
    if not address.startswith(("https://", "http://")):
        raise HubError(f"HF_ENDPOINT is {endpoint()!r}; it must be an http or https address.")
    try:
        with urllib.request.urlopen(address, timeout=SEARCH_SECONDS) as answer:
            entries = json.loads(answer.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        error.close()
        raise HubError(
            f"The Hugging Face Hub refused the search with status {error.code}. Try again in a "
            "few minutes, or type the whole id."
        ) from error
    except (OSError, ValueError) as error:
        raise HubError(
            f"The Hugging Face Hub ({endpoint()}) does not answer. Check the network; folders, "
            "zips and the built-in digits work without it."
        ) from error
    hits = [_found(entry) for entry in entries if isinstance(entry, dict)]
    return tuple(hit for hit in hits if hit is not None)[:limit]


def _found(entry: dict[str, Any]) -> Found | None:
    """A hit that can be used: with an id as we take them, and not gated."""
    repo_id = str(entry.get("id", ""))
    if parse_hub_name(repo_id) is None or entry.get("gated") or entry.get("private"):
        return None
    return Found(
        id=repo_id,
        downloads=int(entry.get("downloads") or 0),
        likes=int(entry.get("likes") or 0),
        updated=str(entry.get("lastModified") or "")[:10],
    )
