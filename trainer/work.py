"""What each kind of job does, as generators of events; the heavy imports are inside.

Not covered: publishing, which needs a login.
"""

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import Config, command_line, config_for
from trainer.data.load import pinned
from trainer.errors import HubError, ModelError
from trainer.events import Checked, Done, Evaluated, Event, Note, Planned, Progress
from trainer.figures import percent
from trainer.following import with_progress
from trainer.hub_client import HUB_PREFIX
from trainer.jobs import THUMBNAILS, Job, Work
from trainer.opening import checked_data, open_data, usable_data
from trainer.stopping import StopRequested, stoppable

if TYPE_CHECKING:  # torch and timm take ten seconds to import: only inside the functions
    from trainer.data import Data
    from trainer.data.decoded import DecodedSplit
    from trainer.export import LoadedModel
    from trainer.learner import Learner
    from trainer.opening import ViewOf


def _check(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.data.samples import samples
    from trainer.data.sheet import write_sheet

    began = time.perf_counter()
    try:
        config = yield from stoppable(_pinned(job.config), should_stop)
        view_of = view_for(config)
    except (ModelError, HubError):
        view_of = None  # the pictures can be looked at without a model
    data, checked = yield from stoppable(
        checked_data(job.dataset, job.config, view_of), should_stop
    )
    write_sheet(samples(data, per_class=6, total=24), folder / "sheet")
    yield Checked(
        summary=checked.to_dict(),
        seconds=time.perf_counter() - began,
        revision=data.provenance.revision or "",
    )


def _estimate(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """What a training would do, and how long a sweep and it would take."""
    from trainer.estimate import estimate
    from trainer.plan import num_steps, plan

    del folder
    job = replace(job, config=(yield from stoppable(_pinned(job.config), should_stop)))
    began = time.perf_counter()
    again = open_data(job.dataset, job.config)  # as the run will have to, imports included
    yield from stoppable(again, should_stop)
    opening = time.perf_counter() - began
    opened = usable_data(job.dataset, job.config, view_for(job.config))
    data = yield from stoppable(opened, should_stop)
    seconds = yield from stoppable(estimate(data, job.config, opening=opening), should_stop)
    phases, count = plan(job.config), len(data.train)
    yield Planned(
        phases=tuple(phase.title for phase in phases),
        total_steps=sum(num_steps(phase, job.config, count) for phase in phases),
        num_train=count,
        num_valid=len(data.valid),
        command=command_line(job.config, job.dataset),
        sweep_seconds=seconds.sweep,
        train_seconds=seconds.train,
        optional_seconds=seconds.optional,
    )


def _sweep(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.learner import prepare
    from trainer.plan import sweep_phase
    from trainer.sweep import sweep

    del folder
    job = replace(job, config=(yield from stoppable(_pinned(job.config), should_stop)))
    opened = usable_data(job.dataset, job.config, view_for(job.config))
    data = yield from stoppable(opened, should_stop)
    learner = yield from stoppable(prepare(data, job.config, kind="sweep"), should_stop)
    learner.at_once = job.at_once
    yield from stoppable(sweep(learner, sweep_phase(job.config), race=True), should_stop)


def _train(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.checkpoint import load_checkpoint, versions
    from trainer.data.samples import samples
    from trainer.data.sheet import write_sheet
    from trainer.fit import fit
    from trainer.learner import prepare
    from trainer.publish.card import write_card

    began = time.perf_counter()
    checkpoint = load_checkpoint(folder) if job.resume else None
    if checkpoint is not None:
        if checkpoint.skipped:
            yield Note(
                text=f"A damaged checkpoint was passed over: {'; '.join(checkpoint.skipped)}"
            )
        if checkpoint.versions != versions():
            yield Note(
                text="It was begun with other versions or on another processor: the run "
                "goes on in the same way, but not bit for bit."
            )
        dataset = pinned(job.dataset, checkpoint.state.get("revision"))
        job = replace(job, config=config_for(**checkpoint.state["config"]), dataset=dataset)
    job = replace(job, config=(yield from stoppable(_pinned(job.config), should_stop)))
    opened = usable_data(job.dataset, job.config, view_for(job.config))
    data = yield from stoppable(opened, should_stop)
    learner = yield from stoppable(prepare(data, job.config, kind="train"), should_stop)
    learner.at_once = job.at_once
    run = yield from fit(learner, folder, should_stop=should_stop, resume=checkpoint)
    if run is None:
        return
    write_sheet(
        samples(data, per_class=12, total=12, split="valid"), folder / "examples", whole=True
    )
    result = yield from stoppable(judged(learner, folder), should_stop)
    _write_worst(result, data, folder)
    done = Done(
        valid_accuracy=result.accuracy,
        valid_loss=result.loss,
        num_valid=result.num_images,
        num_train=learner.num_train,
        lr=run.at.first_lr or 0.0,
        model_dir=str(folder / "model"),
        seconds=time.perf_counter() - began + run.at.seconds,
        num_correct=round(result.accuracy * result.num_images),
        best_epoch=run.at.best_epoch,
    )
    # Its plots are drawn where it is published: importing matplotlib takes a second.
    write_card(folder / "model", folder, plots=False, ending=(done,))
    yield done


def _evaluate(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.export import load_model

    loaded = load_model((yield from _model_folder(job)))
    opened = usable_data(job.dataset, job.config, lambda _: loaded.preprocess)
    data = yield from stoppable(opened, should_stop)
    whole = _evaluation(loaded, data, job.config, job.split)
    result = yield from stoppable(whole, should_stop)
    _write_worst(result, data, folder)


def _predict(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.classifier import open_classifier
    from trainer.predict import predict, read_file

    classifier = open_classifier((yield from _model_folder(job)), job.config)
    images = [(name, read_file(Path(name))) for name in job.images]
    thumbnails = folder / THUMBNAILS if job.thumbnails else None
    if thumbnails is not None:
        thumbnails.mkdir(exist_ok=True)
    answers = predict(classifier, images, top=job.top, thumbnails=thumbnails)
    try:
        yield from stoppable(answers, should_stop)
    except StopRequested:  # nobody is there any more who would remove them
        shutil.rmtree(folder / THUMBNAILS, ignore_errors=True)
        raise


def _export(job: Job, folder: Path, should_stop: Callable[[], bool]) -> Iterator[Event]:
    from trainer.onnx_export import export_onnx

    del folder, should_stop
    yield export_onnx(model_folder(job.model))


def _model_folder(job: Job) -> Generator[Event, None, Path]:
    """`model_folder` of the job's model; yields what a person should know of its download."""
    notes: list[str] = []
    folder = model_folder(job.model, notes.append)
    yield from (Note(text=text) for text in notes)
    return folder


def model_folder(model: str, on_note: Callable[[str], None] = lambda _text: None) -> Path:
    """The folder of an exported model: a run's `model`, a model folder, or one from the Hub.

    `hf-hub:owner/name` (timm's notation) always means the Hub. `on_note` is told what a person
    should know of a download.

    Raises:
        ModelError: nothing there.
        HubError: the Hub is unreachable or refused.
    """
    repo_id = model.removeprefix(HUB_PREFIX)
    path = Path(model).expanduser()
    if repo_id == model:
        for folder in (path / "model", path):
            if (folder / "config.json").is_file():
                return folder
        if path.is_dir():
            raise ModelError(
                f"{path.name} holds no finished model. Choose a finished run, or resume it."
            )
    from trainer.pull import pull

    return pull(repo_id, on_note=on_note)


def _pinned(config: Config) -> Generator[Event, None, Config]:
    """The config whose model from the Hub, where it has one, is here and named by its commit."""
    if not config.model_name.startswith(HUB_PREFIX):
        return config
    from trainer.start import pinned

    title = config.model_name.removeprefix(HUB_PREFIX)
    text, notes = f"Fetching the model {title}", list[str]()
    yield Progress(text=text, done=0, total=1)
    config = yield from with_progress(text, lambda tell: pinned(config, notes.append, tell))
    yield from (Note(text=note) for note in notes)
    return config


def view_for(config: Config) -> "ViewOf":
    """How the config's model will see the pictures.

    Raises:
        ModelError: timm has no such model.
    """
    from trainer.image_size import choose_preprocess
    from trainer.start import check_architecture

    check_architecture(config.model_name)
    return lambda data: choose_preprocess(config, data)[0]


def judged(learner: "Learner", folder: Path) -> Generator[Event, None, Evaluated]:
    """Export what `fit` has trained, and look with it at the validation pictures.

    Args:
        learner: as `fit` left it at its end.
        folder: of the run; the model goes into its `model`.
    """
    from trainer.evaluate import evaluate_features
    from trainer.export import export_model, load_model
    from trainer.features import body_digest

    yield Progress(text="Saving the model", done=0, total=1)
    data, preprocess, config = learner.data, learner.preprocess, learner.config
    target = export_model(
        learner.model,
        config.model_name,
        data.class_names,
        preprocess,
        folder / "model",
        pretrained=config.pretrained,
    )
    loaded = load_model(target)
    if learner.features and learner.made and body_digest(loaded.model) == learner.made.body:
        result = evaluate_features(loaded, learner.features.valid, data, "valid")
        yield result
        return result
    # Open since the run began: hours later the cache may have dropped them, and the originals.
    images = learner.valid_images if loaded.preprocess == preprocess else None
    return (yield from _evaluation(loaded, data, config, "valid", images))


def _evaluation(
    loaded: "LoadedModel",
    data: "Data",
    config: Config,
    split: str,
    images: "DecodedSplit | None" = None,
) -> Generator[Event, None, Evaluated]:
    """Evaluate in float32."""
    from trainer.evaluate import evaluate
    from trainer.runtime import exact_runtime

    runtime = exact_runtime(config)
    loaded.model.to(runtime.device)
    return (yield from evaluate(loaded, data, split, runtime, images))


def _write_worst(result: Evaluated, data: "Data", folder: Path) -> None:
    """Thumbnails of the most confident mistakes, in the run folder's `worst`."""
    from trainer.data.sheet import write_sheet

    pictures = {
        p.name: p for part in data.splits if part.name == result.split for p in part.pictures
    }
    wrong = (
        (f"{true} → {pred} {percent(prob, 0)}", pictures[name])
        for name, true, pred, prob in result.worst
    )
    write_sheet(wrong, folder / "worst")


WORK: Mapping[str, Work] = {
    "check": _check,
    "estimate": _estimate,
    "sweep": _sweep,
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "export": _export,
}
"""The jobs that a worker carries out, by their kind."""
