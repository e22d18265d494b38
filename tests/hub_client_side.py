"""`HubClient`: a process beside the tests that reads from the Hub emulator, one question at a time.

huggingface_hub reads `HF_ENDPOINT` and `HF_HUB_OFFLINE` once, at import; in a process of its own
the client gets the emulator's, whatever the rest of the suite has set. Questions and answers are
lines of JSON. The process also keeps the paths that it opened, for "never opened".
"""

import hashlib
import json
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class HubClient:
    """The parent's end of the pipe."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=env | {"PYTHONPATH": str(ROOT), "LRLAB_CACHE": str(folder / "cache")},
        )

    def ask(self, call: str, *args: object, **kwargs: object) -> dict[str, Any]:
        """The answer of one call, or `{"error": …, "message": …}`; `seconds` in both."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([call, args, kwargs]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


def dataset(dataset_id: str, limits: dict[str, int] | None = None) -> dict[str, Any]:
    """Load a dataset and describe it, with the SHA-1 of every picture as a pickled read gives."""
    from trainer.data.hub_dataset import load_hub_dataset
    from trainer.limits import Limits

    data = load_hub_dataset(
        dataset_id, valid_fraction=0.25, split_seed=1, limits=Limits(**(limits or {}))
    )
    splits = {}
    for split in data.splits:
        pictures = pickle.loads(pickle.dumps(split.pictures))  # noqa: S301 our own, just made
        splits[split.name] = [
            [p.name, data.class_names[p.label], hashlib.sha1(p.read()).hexdigest(), p.stamp]
            for p in pictures
        ]
    return {
        "classes": data.class_names,
        "splits": splits,
        "skipped": [[skipped.name, skipped.reason] for skipped in data.skipped],
        "revision": data.provenance.revision,
        "rule": data.provenance.split_rule,
        "licence": data.provenance.licence,
        "id": data.provenance.dataset_id,
        "kind": data.provenance.kind,
    }


def progress(dataset_id: str, stop_after: int) -> dict[str, Any]:
    """Load a dataset through its generator of events; closed after so many that tell of bytes."""
    from trainer.config import config_for
    from trainer.events import Progress
    from trainer.opening import open_data

    told: list[list[int]] = []
    events = open_data(dataset_id, config_for())
    for event in events:
        assert isinstance(event, Progress)
        if event.total > 1:
            told.append([event.done, event.total])
        if len(told) == stop_after:
            events.close()
    return {"told": told}


def search(kind: str, text: str, limit: int = 8) -> dict[str, Any]:
    """Search, and tell which heavy modules that imported."""
    from trainer.hub import search_datasets, search_models

    found = (search_datasets if kind == "datasets" else search_models)(text, limit)
    heavy = ["torch", "datasets", "huggingface_hub", "pyarrow", "gradio"]
    return {
        "ids": [hit.id for hit in found],
        "downloads": [hit.downloads for hit in found],
        "imported": [name for name in heavy if name in sys.modules],
    }


def reachable() -> dict[str, Any]:
    """Whether the Hub answers."""
    from trainer.hub import reachable

    return {"reachable": reachable()}


def model(repo_id: str, limits: dict[str, int] | None = None) -> dict[str, Any]:
    """Download a model, load it, and say what came and how it answers a picture."""
    import torch

    from trainer.export import load_model
    from trainer.limits import Limits
    from trainer.pull import pull, read_source

    notes: list[str] = []
    folder = pull(repo_id, limits=Limits(**(limits or {})), on_note=notes.append)
    loaded, source = load_model(folder), read_source(folder)
    with torch.inference_mode():
        logits = loaded.model(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64))
    return {
        "sha": folder.name,
        "folder": str(folder),
        "files": sorted(path.name for path in folder.iterdir() if path.is_file()),
        "classes": loaded.class_names,
        "architecture": loaded.model_name,
        "preprocess": loaded.preprocess.to_timm(),
        "logits": logits[0].tolist(),
        "source": asdict(source) if source else None,
        "notes": notes,
    }


def train(dataset_id: str, model_name: str, folder: str, kind: str = "train") -> dict[str, Any]:
    """Record a run that starts from a model of the Hub; its events' types and the new model."""
    from trainer.config import config_for
    from trainer.events import Started
    from trainer.export import load_model
    from trainer.features import body_digest
    from trainer.jobs import Job
    from trainer.runner.folder import create_run, record

    config = config_for(
        model_name=model_name,
        device="cpu",
        precision="fp32",
        lr=0.01,
        freeze_epochs=1,
        epochs=0,
        unfreeze="never",
        batch_size=8,
        verify=False,
    )
    job, place = Job(kind=kind, config=config, dataset=dataset_id), Path(folder)
    events = list(record(create_run(place.parent, job, owner="ada", run_id=place.name)))
    started = [event for event in events if isinstance(event, Started)]
    answer: dict[str, Any] = {
        "events": [type(event).__name__ for event in events],
        "started": [event.model_name for event in started],
        "sizes": [event.image_size for event in started],
        "ended": str(events[-1]),
    }
    if answer["events"][-1] == "Done":
        loaded = load_model(Path(folder) / "model")
        answer |= {"classes": loaded.class_names, "body": body_digest(loaded.model)}
        answer |= {"mean": loaded.preprocess.mean, "architecture": loaded.model_name}
    return answer


def upload(folder: str, dataset_id: str, token: str) -> dict[str, Any]:
    """Push a folder as a dataset in one commit, as `push` does; nothing new makes no commit."""
    from huggingface_hub import HfApi

    # huggingface_hub 2.4 sends a file in a way that httpx2 calls old.
    warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
    api = HfApi(token=token)
    api.create_repo(dataset_id, repo_type="dataset", private=False, exist_ok=True)
    done = api.upload_folder(repo_id=dataset_id, repo_type="dataset", folder_path=folder)
    return {"oid": done.oid}


def load_with_datasets(source: str) -> dict[str, Any]:
    """What `datasets.load_dataset` makes of a folder or an id: features, labels and pixels."""
    import datasets

    datasets.disable_progress_bars()
    loaded: Any = datasets.load_dataset(source)
    splits = {}
    for name, split in loaded.items():
        splits[name] = [
            [row["label"], hashlib.sha1(row["image"].convert("RGB").tobytes()).hexdigest()]
            for row in split
        ]
    label = loaded["train"].features["label"]
    return {
        "splits": splits,
        "names": label.names,
        "features": {name: type(f).__name__ for name, f in loaded["train"].features.items()},
        "modes": [row["image"].mode for row in loaded["train"]],
    }


def opened(part: str) -> dict[str, Any]:
    """The opened paths that contain a text."""
    return {"paths": [path for path in OPENED if part in path]}


OPENED: list[str] = []
CALLS: dict[str, Callable[..., dict[str, Any]]] = {
    call.__name__: call
    for call in (
        *(dataset, progress, search, reachable, model, train),
        *(upload, load_with_datasets, opened),
    )
}


def _keep_opened(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        OPENED.append(str(args[0]))


def _serve() -> None:
    sys.addaudithook(_keep_opened)
    for line in sys.stdin:
        call, args, kwargs = json.loads(line)
        start = time.monotonic()
        try:
            answer: dict[str, Any] = dict(CALLS[call](*args, **kwargs))
        except Exception as error:  # noqa: BLE001 a test judges which error it is
            answer = {"error": type(error).__name__, "message": str(error)}
        answer["seconds"] = time.monotonic() - start
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
