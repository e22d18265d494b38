"""The card's front matter: what the Hub reads, written by huggingface_hub's own classes."""

import re

from trainer.publish.facts import RunFacts
from trainer.publish.markup import plain

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def front_matter(facts: RunFacts, repo_id: str | None) -> str:
    """YAML, without the lines of dashes around it."""
    # Small, but it waits for its first use: the settings of huggingface_hub are read at import.
    from huggingface_hub.repocard_data import EvalResult, ModelCardData

    started, result = facts.started, facts.evaluated
    on_hub = started is not None and started.dataset_kind == "hub"
    dataset = plain(started.dataset) if started else ""
    base = facts.base_model if facts.pretrained else ""
    measured = []
    if result is not None and dataset:
        found = [("accuracy", "Accuracy", result.accuracy), ("f1", "Macro F1", result.macro_f1)]
        measured = [
            EvalResult(
                task_type="image-classification",
                task_name="Image Classification",
                dataset_type=_dataset_type(facts),
                dataset_name=dataset,
                dataset_split="validation" if result.split == "valid" else result.split,
                dataset_revision=(started.dataset_revision if started else "") or None,
                metric_type=kind,
                metric_name=name,
                metric_value=round(value, 4),
                metric_args={"average": "macro"} if kind == "f1" else None,
            )
            for kind, name, value in found
            if value is not None
        ]
    card = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "lr-lab"],
        base_model=base or None,
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if on_hub and _HUB_ID.fullmatch(dataset) else None,
        metrics=["accuracy", "f1"] if measured else None,
        model_name=(repo_id or f"{facts.model_name} on {dataset}") if measured else None,
        eval_results=measured or None,
        **facts.licence,
    )
    return card.to_yaml()


def _dataset_type(facts: RunFacts) -> str:
    """The Hub's id of the dataset, or what kind it is where it is not on the Hub."""
    assert facts.started is not None
    kind = facts.started.dataset_kind
    return plain(facts.started.dataset) if kind in ("hub", "builtin") else "imagefolder"
