"""The card's front matter: what the Hub reads, written by huggingface_hub's own classes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.publish.markup import plain

if TYPE_CHECKING:  # it imports torch and timm, and a card is drafted without them
    from trainer.publish.facts import RunFacts

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """What the front matter tells of a model."""

    model_name: str
    licence: Mapping[str, Any]
    """The lines on it."""
    base_model: str = ""
    """The Hub id of the weights that the training began from; empty: none, or not known."""
    dataset: str = ""
    """As people call it; empty: not known."""
    dataset_kind: str = ""
    dataset_revision: str = ""
    split: str = "valid"
    accuracy: float | None = None
    macro_f1: float | None = None


def front_matter(facts: "RunFacts", repo_id: str | None) -> str:
    """That of a model of which so much is known."""
    started, result = facts.started, facts.evaluated
    front = Front(
        model_name=facts.model_name,
        licence=facts.licence,
        base_model=facts.base_model if facts.pretrained else "",
        dataset=started.dataset if started else "",
        dataset_kind=started.dataset_kind if started else "",
        dataset_revision=started.dataset_revision if started else "",
        split=result.split if result else "valid",
        accuracy=result.accuracy if result else None,
        macro_f1=result.macro_f1 if result else None,
    )
    return front_yaml(front, repo_id)


def front_yaml(front: Front, repo_id: str | None) -> str:
    """YAML, without the lines of dashes around it."""
    # Small, but it waits for its first use: the settings of huggingface_hub are read at import.
    from huggingface_hub.repocard_data import EvalResult, ModelCardData

    dataset = plain(front.dataset)
    on_hub = front.dataset_kind == "hub" and _HUB_ID.fullmatch(dataset)
    found = [("accuracy", "Accuracy", front.accuracy), ("f1", "Macro F1", front.macro_f1)]
    measured = [
        EvalResult(
            task_type="image-classification",
            task_name="Image Classification",
            dataset_type=dataset if front.dataset_kind in ("hub", "builtin") else "imagefolder",
            dataset_name=dataset,
            dataset_split="validation" if front.split == "valid" else front.split,
            dataset_revision=front.dataset_revision or None,
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 4),
            metric_args={"average": "macro"} if kind == "f1" else None,
        )
        for kind, name, value in found
        if value is not None and dataset
    ]
    card = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "lr-lab"],
        base_model=front.base_model or None,
        base_model_relation="finetune" if front.base_model else None,
        datasets=[dataset] if on_hub else None,
        metrics=["accuracy", "f1"] if measured else None,
        model_name=(repo_id or f"{front.model_name} on {dataset}") if measured else None,
        eval_results=measured or None,
        **front.licence,
    )
    return card.to_yaml()
