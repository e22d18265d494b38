"""Many visitors predict while one trains: `python benchmarks/load.py [VISITORS] [REQUESTS]`.

By default 50 visitors with 10 pictures each, who think for 1 to 4 seconds between them; first with
nothing else to do, then while a training runs. Prints JSON: seconds from the upload to the answer,
errors, and how much of its speed the training keeps.
"""

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from PIL import Image

from app_server import AppServer
from visitor import Visitor

BRIEFLY = {"Recipe": "custom", "Head_epochs": 1, "All-layer_epochs": 1}
ALONE_SECONDS = 30.0
SETTLED_STEPS = 50
"""By then the head's epoch is over, and all layers train."""


def main(num_visitors: int, num_requests: int) -> None:
    """Train a model, load the app, print what was measured."""
    server = AppServer(Path(tempfile.mkdtemp())).wait()
    try:
        owner = Visitor(server.url)
        owner.do("page", "load")
        owner.do("Example datasets", "input", Example_datasets="digits")
        owner.follow_until("check", "10 classes", 300)
        owner.do("start-train", "click", **BRIEFLY)
        model = owner.follow_until("train", "validation pictures right", 900)
        idle = _load(server, model, num_visitors, num_requests)
        owner.do(
            "start-train",
            "click",
            **{**BRIEFLY, "All-layer_epochs": 1000, "Train_all_layers?": "always"},
        )
        run_id = owner.follow_until("train", "of ", 300)
        while _num_steps(server, run_id) < SETTLED_STEPS:
            time.sleep(0.5)
        alone = _steps_per_second(server, run_id, ALONE_SECONDS)
        began, steps = time.monotonic(), _num_steps(server, run_id)
        busy = _load(server, model, num_visitors, num_requests)
        loaded = (_num_steps(server, run_id) - steps) / (time.monotonic() - began)
        owner.do("stop", "click")
        told = {
            "visitors": num_visitors,
            "requests_each": num_requests,
            "idle": idle,
            "while_training": busy,
            "p95_ratio": round(busy["p95_seconds"] / max(idle["p95_seconds"], 1e-9), 2),
            "train_steps_per_second": {"alone": round(alone, 2), "loaded": round(loaded, 2)},
            "train_speed_kept": round(loaded / max(alone, 1e-9), 2),
        }
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    finally:
        server.stop()


def _load(server: AppServer, model: str, num_visitors: int, num_requests: int) -> dict[str, Any]:
    """All visitors at once, each in a thread; their waits and errors."""
    seconds: list[float] = []
    errors: list[str] = []
    threads = [
        threading.Thread(target=_visit, args=(server, model, seed, num_requests, seconds, errors))
        for seed in range(num_visitors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(seconds) or [float("nan")]
    return {
        "answered": len(seconds),
        "median_seconds": round(statistics.median(ordered), 3),
        "p95_seconds": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "errors": len(errors),
        "error_words": sorted(set(errors))[:5],
    }


def _visit(
    server: AppServer,
    model: str,
    seed: int,
    num_requests: int,
    seconds: list[float],
    errors: list[str],
) -> None:
    """One visitor: upload, predict, think, again."""
    rng = random.Random(seed)
    try:
        visitor = Visitor(server.url)
        visitor.do("page", "load")
    except Exception as error:  # noqa: BLE001 an error is what is counted here
        errors.append(f"the page: {error}"[:200])
        return
    with tempfile.TemporaryDirectory() as folder:
        for number in range(num_requests):
            time.sleep(rng.uniform(1, 4))
            path = Path(folder) / f"{number}.jpg"
            Image.effect_noise((320, 240), rng.uniform(10, 90)).convert("RGB").save(path)
            began = time.monotonic()
            try:
                image = visitor.upload(path)
                visitor.do(
                    "predict-image", "change", **{"predict-image": image, "predict-model": model}
                )
                seconds.append(time.monotonic() - began)
            except Exception as error:  # noqa: BLE001 an error is what is counted here
                errors.append(str(error)[:200])


def _steps_per_second(server: AppServer, run_id: str, seconds: float) -> float:
    before = _num_steps(server, run_id)
    time.sleep(seconds)
    return (_num_steps(server, run_id) - before) / seconds


def _num_steps(server: AppServer, run_id: str) -> int:
    journal = server.runs / run_id / "events.jsonl"
    events = map(json.loads, journal.read_text(encoding="utf-8").splitlines())
    return max((event["step"] for event in events if event["event"] == "step"), default=0)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [50, 10][len(numbers) :]))
