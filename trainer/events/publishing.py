"""Events of publishing: what the Hub would take, and what it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """Files were published, read back from the Hub and compared."""

    url: str
    verified: bool
    kind: str = "model"
    """`model`, `dataset` or `space`."""
    commit: str = ""
    changed: bool = True
    """Whether a commit was made; False where the Hub held the same files already."""
    differs: str = ""
    """What is not the same on the Hub, in words; empty where it is verified."""
    num_compared: int = 0
    """Pictures whose probabilities were compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """Whether a publication would be taken; asked before anything is made or trained."""

    ok: bool
    repo_id: str
    user: str
    """Whose login it is; empty where the Hub does not know it."""
    kind: str = "model"
    """`model`, `dataset` or `space`."""
    findings: tuple[tuple[str, str], ...]
    """`ok` or `problem`, and what was found, in words."""
