"""What the peers' own code suggests on given sweeps, run in the peers' environment.

python benchmarks/peer_lr.py FILE   FILE holds [{"lrs", "losses", "num_planned"}, …], raw losses

Suggestions and their cuts are computed by fastai 2.8, Lightning 2.6, torch-lr-finder 0.2 and ignite
0.5 themselves; the running mean before them, where it cannot be had without a training loop, as
their callbacks compute it.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import torch
from fastai.callback.schedule import minimum, slide, steep, valley
from fastai.learner import AvgSmoothLoss
from ignite.handlers.lr_finder import FastaiLRFinder
from pytorch_lightning.tuner.lr_finder import _LRFinder
from torch_lr_finder import LRFinder


def fastai(lrs: list[float], losses: list[float], num_planned: int) -> dict[str, Any]:
    """The four rules, on the points that `Learner.lr_find` gives them."""
    mean = AvgSmoothLoss(beta=0.98)
    mean.reset()
    smooth = []
    for loss in losses:
        mean.accumulate(SimpleNamespace(loss=torch.tensor(loss), yb=()))
        smooth.append(float(mean.value))
    first = (num_planned - 1) // 10
    points = torch.tensor(lrs[first:-5]), torch.tensor(smooth[first:-5])
    rules = {"valley": valley, "slide": slide, "minimum": minimum, "steep": steep}
    return {
        name: answer(lambda rule=rule: rule(*points, num_planned - 1))
        for name, rule in rules.items()
    }


def lightning(lrs: list[float], losses: list[float], num_planned: int) -> float | None:
    """`Tuner.lr_find(...).suggestion()`, with the running mean of its callback."""
    mean, smooth = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = 0.98 * mean + 0.02 * loss
        smooth.append(mean / (1 - 0.98 ** (step + 1)))
    finder = _LRFinder("exponential", lrs[0], lrs[-1], num_planned)
    finder.results = {"lr": lrs, "loss": smooth}
    return finder.suggestion()


def torch_lr_finder(lrs: list[float], losses: list[float], num_planned: int) -> float | None:
    """`LRFinder.plot(suggest_lr=True)`."""
    layer = torch.nn.Linear(1, 1)
    finder = LRFinder(layer, torch.optim.SGD(layer.parameters(), lr=1e-7), torch.nn.MSELoss())
    finder.history = {"lr": lrs, "loss": _running(losses)}
    with contextlib.redirect_stdout(io.StringIO()):
        found = finder.plot(suggest_lr=True)
    mpl.pyplot.close("all")
    return found[1] if isinstance(found, tuple) else None


def ignite(lrs: list[float], losses: list[float], num_planned: int) -> float | None:
    """`FastaiLRFinder.lr_suggestion()`."""
    finder = FastaiLRFinder()
    finder._history = {"lr": lrs, "loss": _running(losses)}
    return finder.lr_suggestion()


def _running(losses: list[float]) -> list[float]:
    smooth = losses[:1]
    for loss in losses[1:]:
        smooth.append(0.05 * loss + 0.95 * smooth[-1])
    return smooth


def answer(rule: Callable[[], Any]) -> float | None:
    """What a rule says; none where it fails."""
    try:
        found = rule()
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return None
    found = found[0] if isinstance(found, tuple) else found
    return None if found is None else float(found)


def main() -> None:
    """One JSON line: for each curve what each rule says."""
    rows = []
    for curve in json.loads(Path(sys.argv[1]).read_text()):
        given = (curve["lrs"], curve["losses"], curve["num_planned"])
        row = {f"fastai {name}": lr for name, lr in fastai(*given).items()}
        for name, rule in (
            ("Lightning", lightning),
            ("torch-lr-finder", torch_lr_finder),
            ("ignite", ignite),
        ):
            row[name] = answer(lambda rule=rule, given=given: rule(*given))
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
