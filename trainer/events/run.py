"""Events of any run: it begins, says something, waits, stops, fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A run begins: what runs where, with the reason of each choice."""

    kind: str
    model_name: str = ""
    dataset: str = ""
    device: str = ""
    precision: str = ""
    reason: str = ""
    num_train: int = 0
    num_valid: int = 0
    class_names: tuple[str, ...] = ()
    num_parameters: int = 0
    image_size: int = 0
    num_test: int = 0
    train_counts: tuple[int, ...] = ()
    """Training pictures of each class."""
    num_skipped: int = 0
    """Files and rows that were left out: no pictures, damaged, too large."""
    dataset_kind: str = ""
    """`builtin`, `folder`, `zip` or `hub`."""
    dataset_revision: str = ""
    """Commit of a Hub dataset."""
    split_rule: str = ""
    """How train and valid were told apart, in words."""
    dataset_licence: str = ""
    """As the dataset states it; empty where it states none."""
    hardware: str = ""
    """The processor or GPU by its name, and how much of it was used."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and the libraries that compute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Something the person should know: a choice that was made and why."""

    text: str
    about: str = ""
    """`data`: what the check of the pictures warns of; `augmentation`: which, and why."""
    named: str = ""
    """The part of `text` that names pictures."""

    @property
    def nameless(self) -> str:
        """`text` as it may be published."""
        return self.text.replace(self.named, "", 1) if self.named else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A wait other than training steps: what is happening and how far it is."""

    text: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """The run was asked to stop; what it had reached is kept."""

    step: int
    total_steps: int
    checkpoint: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The run ended with an error; `error` is the class's name."""

    error: str
    message: str
