"""The configurations of `lr_regret`, each with the truth: accuracy at every rate of a grid."""

import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import common  # noqa: F401 it makes the trainer importable
from trainer.allocator import keep_freed_memory

keep_freed_memory()  # as in a run, and before torch makes a tensor

from trainer.config import Config, config_for  # noqa: E402
from trainer.data import Data, Split  # noqa: E402
from trainer.errors import ConfigError  # noqa: E402
from trainer.events import EpochDone, Event, SweepStep, Tried  # noqa: E402
from trainer.fit import fit  # noqa: E402
from trainer.head_trials import train_heads  # noqa: E402
from trainer.learner import Learner, ensure_features, prepare  # noqa: E402
from trainer.opening import usable_data  # noqa: E402
from trainer.plan import Phase, default_lr, plan  # noqa: E402
from trainer.sweep import rate_from, sweep  # noqa: E402
from trainer.work import view_for  # noqa: E402

T = TypeVar("T")
SEEDS = {"head": (1, 2, 3), "full": (1,), "scratch": (1, 2)}
GRIDS = {
    ("head", "adamw"): np.arange(-6, 1.1, 0.5),
    ("head", "sgd"): np.arange(-4.5, 2.6, 0.5),
    ("full", "adamw"): np.arange(-5, -0.9, 0.5),
    ("full", "sgd"): np.arange(-4, 0.1, 0.5),
    ("scratch", "adamw"): np.arange(-4, -0.9, 0.5),
    ("scratch", "sgd"): np.arange(-2.5, 0.6, 0.5),
}
"""Base-10 logarithms of the rates tried, by what is trained and the optimizer."""


@dataclass(frozen=True, slots=True)
class Case:
    dataset: str
    """A folder's name, or `digits`."""
    model: str
    what: str
    """`head` of a pretrained body, `full` (all layers after the head) or `scratch`."""
    optimizer: str
    variant: str = ""
    """`noise`: a fifth of the training labels wrong; `few`: 50 training pictures."""

    @property
    def name(self) -> str:
        words = (self.dataset, self.model, self.what, self.optimizer, self.variant)
        return " ".join(word for word in words if word)

    @property
    def seen(self) -> bool:
        """Whether rules and constants were chosen on it; the other half was not looked at."""
        return self.dataset in ("digits", "pizza_steak_sushi")


def cases() -> list[Case]:
    """All of them, the quick ones first."""
    datasets = ("digits", "cats_vs_dogs", "pizza_steak_sushi", "flowers5")
    optimizers = ("adamw", "sgd")
    lites = tuple(f"tf_efficientnet_lite{size}" for size in range(3))
    heads = [
        Case(dataset, model, "head", optimizer)
        for model in lites
        for dataset in datasets
        for optimizer in optimizers
    ]
    hard = [
        Case(dataset, lites[0], "head", optimizer, variant)
        for variant in ("noise", "few")
        for dataset in datasets
        for optimizer in optimizers
    ]
    # pizza_steak_sushi has 75 validation pictures: too few to tell nets near chance apart.
    nets = [("test_resnet", dataset) for dataset in ("digits", "cats_vs_dogs", "flowers5")]
    nets += [("test_efficientnet", "digits"), ("test_efficientnet", "cats_vs_dogs")]
    nets += [("resnet10t", "digits")]
    scratch = [
        Case(dataset, model, "scratch", optimizer)
        for model, dataset in nets
        for optimizer in optimizers
    ]
    full = [
        Case(dataset, lites[0], "full", optimizer)
        for dataset in datasets
        for optimizer in optimizers
    ]
    return heads + hard + scratch + full


def config_of(case: Case) -> Config:
    """What the case trains, without a rate."""
    if case.what == "head":
        return config_for(model_name=case.model, optimizer=case.optimizer, unfreeze="never")
    if case.what == "full":
        return config_for(
            model_name=case.model,
            optimizer=case.optimizer,
            unfreeze="always",
            image_size=64 if case.dataset == "digits" else 96,
            epochs=2,
        )
    return config_for(
        model_name=case.model,
        optimizer=case.optimizer,
        pretrained=False,
        image_size=32 if case.dataset == "digits" else 48,
        batch_size=64,
        epochs=5,
    )


def measure(case: Case, root: Path, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """The truth of a case, its sweeps and what ours suggests, as plain values.

    Args:
        case: what is trained.
        root: the folder of the photo datasets.
        known: an earlier measurement, whose truth is taken over.
    """
    config = config_of(case)
    data = changed(load(case, root, config), case)
    learner = run(prepare(data, config, kind="train"))
    if case.what != "scratch":
        run(ensure_features(learner))
    if case.what == "full":
        run(_head_first(learner))
    phase = plan(learner.config)[0]
    truth = {
        "num_train": len(data.train),
        "num_valid": len(data.valid),
        "num_classes": len(data.class_names),
    }
    if known is None:
        truth |= true_accuracies(learner, phase, case)
    else:
        truth |= {name: known[name] for name in ("lrs", "accuracies", "training_seconds")}
    return {**asdict(case), "seen": case.seen, **truth, **suggested(learner, phase)}


def true_accuracies(learner: Learner, phase: Phase, case: Case) -> dict[str, Any]:
    """The grid of rates, the accuracy of each seed at each, and the seconds of one training."""
    lrs = [float(10**x) for x in GRIDS[case.what, case.optimizer]]
    began = time.perf_counter()
    if case.what == "head":
        accuracies = true_heads(learner, phase, lrs)
    else:
        seeds = SEEDS[case.what]
        accuracies = [[true_fit(learner, lr, seed) for seed in seeds] for lr in lrs]
    seconds = (time.perf_counter() - began) / sum(map(len, accuracies))
    return {"lrs": lrs, "accuracies": accuracies, "training_seconds": round(seconds, 2)}


def suggested(learner: Learner, phase: Phase) -> dict[str, Any]:
    """What a sweep says: the first repeat's raw curve, for the peers, and our suggestion."""
    began = time.perf_counter()
    events, swept = collect(sweep(learner, phase))
    seconds = time.perf_counter() - began
    steps = [event for event in events if isinstance(event, SweepStep)]
    first = [step for step in steps if step.repeat == 0]
    tried = next((event for event in events if isinstance(event, Tried)), None)
    return {
        "tried": asdict(tried) if tried else None,
        "curve_lrs": [step.lr for step in first],
        "curve_losses": [step.loss for step in first],
        "num_planned": learner.config.num_steps + 1,
        "suggested_lr": swept.suggested_lr,
        "trained_lr": rate_from(swept, default_lr(phase, learner.config))[0],
        "reason": swept.reason,
        "sweep_seconds": round(seconds, 2),
    }


def true_heads(learner: Learner, phase: Phase, lrs: Sequence[float]) -> list[list[float]]:
    """Validation accuracy of the head trained at each rate, for each seed."""
    everything, seeds = np.arange(learner.num_train), SEEDS["head"]
    parts = [everything] * len(seeds)
    stack, _ = run(train_heads(learner, phase, lrs, parts, seeds))
    assert learner.features is not None
    judged = [
        stack.judge(number, learner.features.valid, learner.valid_labels)[0].mean(1)
        for number in range(len(parts))
    ]
    return np.stack(judged, 1).tolist()


def true_fit(learner: Learner, lr: float, seed: int) -> float:
    """Validation accuracy after the last epoch of a training at the rate; 0 where it broke."""
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    rates = {"lr": lr} if not learner.config.pretrained else {"unfrozen_lr": lr}
    config = learner.config
    learner.config = replace(config, seed=seed, **rates)
    with tempfile.TemporaryDirectory() as folder:
        try:
            events, _ = collect(fit(learner, Path(folder), should_stop=lambda: False))
            epochs = [event for event in events if isinstance(event, EpochDone)]
            accuracy = epochs[-1].valid_accuracy
        except ConfigError:  # the loss was no number
            accuracy = 0.0
    learner.config = config
    learner.model.load_state_dict(before)
    return accuracy


def _head_first(learner: Learner) -> Generator[Event, None, None]:
    """Train the head, so that what follows begins with all layers."""
    config = learner.config
    learner.config = replace(config, unfreeze="never", lr=1e-2)
    if config.optimizer == "sgd":
        learner.config = replace(learner.config, lr=1e-1)
    with tempfile.TemporaryDirectory() as folder:
        yield from fit(learner, Path(folder), should_stop=lambda: False)
    learner.config = replace(config, freeze_epochs=0)


def load(case: Case, root: Path, config: Config) -> Data:
    """The case's pictures, decoded for its model."""
    dataset = case.dataset if case.dataset == "digits" else str(root / case.dataset)
    return run(usable_data(dataset, config, view_for(config)))


def changed(data: Data, case: Case) -> Data:
    """With wrong labels, or with few pictures, as the case says."""
    rng = np.random.default_rng(7)
    pictures = list(data.train.pictures)
    if case.variant == "noise":
        for index in rng.permutation(len(pictures))[: len(pictures) // 5]:
            wrong = (pictures[index].label + rng.integers(1, len(data.class_names))) % len(
                data.class_names
            )
            pictures[index] = replace(pictures[index], label=int(wrong))
    if case.variant == "few":
        labels = np.array([picture.label for picture in pictures])
        order = rng.permutation(len(pictures))
        order = order[np.argsort(labels[order], kind="stable")]
        some = order[np.linspace(0, len(order) - 1, 50).astype(int)]
        pictures = [pictures[index] for index in sorted(some)]
    return replace(data, train=Split("train", tuple(pictures)))


def run(events: Generator[Event, None, T]) -> T:
    """What a generator of events returns."""
    return collect(events)[1]


def collect(events: Generator[Event, None, T]) -> tuple[list[Event], T]:
    """Every event, and what the generator returns."""
    found: list[Event] = []
    while True:
        try:
            found.append(next(events))
        except StopIteration as end:
            return found, end.value
