"""The probe: which arithmetic is fastest for a model on this machine, measured once and kept.

No one setting is best for all: on two Zen 4 cores training resnet18 is twice as fast in bf16,
mobilenetv3_small_100 a third slower (docs/LOG.md). Each choice is tried in turn with the best of
the ones before it; ties keep the first. A GPU is not probed: bf16 and channels-last win there.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from trainer.config import Config
from trainer.data.cache import cache_root, read_json, write_json
from trainer.memory import is_out_of_memory
from trainer.model import TimmModel, body_features, set_mode
from trainer.restored import restored
from trainer.runtime import Runtime, has_bf16, runtime_from

VERSION = 3
GAIN = 1.05
"""How much faster a setting must be to displace the one before it: less is noise."""
IMAGES = 16
"""Images of 224 px in one timed pass, unless more at once are tried; more where they are small."""

ALONE = 0.7
"""Share of its threads' time that a measurement must get to be believed later: 0.9 was seen on
idle cores, 0.5 with as many other busy processes as cores."""

HOPELESS = 1.25
"""How much slower than the best a first pass must be to need no second one."""


def known_probe(
    config: Config,
    runtime: Runtime,
    image_size: int,
    *,
    training: bool,
    at_once: int | None = None,
) -> Runtime | None:
    """What was measured before on this machine, with these versions; none: nothing was."""
    known = read_json(_path(config, runtime, image_size, training=training, at_once=at_once))
    try:
        return runtime_from(known, runtime.device) if known else None
    except (KeyError, TypeError):  # written by another version
        return None


def probe(
    model: TimmModel,
    config: Config,
    runtime: Runtime,
    image_size: int,
    *,
    training: bool,
    at_once: int | None = None,
) -> Runtime:
    """The fastest runtime for this model's frozen body, or for training all its layers.

    Args:
        model: it is left with its weights, modes and gradients as they were.
        config: an explicit `precision` is kept.
        runtime: where to begin; its device is kept, and for training its threads.
        image_size: side in pixels of what the model sees.
        training: forward, backward and no update; else the forward pass alone.
        at_once: images that fit into memory together, where that is known: no pass takes more.
    """
    if runtime.device.type != "cpu":
        return runtime
    found = known_probe(config, runtime, image_size, training=training, at_once=at_once)
    if found is None:
        began, used = time.perf_counter(), time.process_time()
        try:
            found = _measure(model, config, runtime, image_size, training=training, at_once=at_once)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return runtime  # the steps themselves are made in parts then
        if not _alone(time.perf_counter() - began, time.process_time() - used):
            return found
        with suppress(OSError):  # a full disk: it is measured again next time
            path = _path(config, runtime, image_size, training=training, at_once=at_once)
            write_json(path, found.to_dict())
    return found


def _path(
    config: Config, runtime: Runtime, image_size: int, *, training: bool, at_once: int | None
) -> Path:
    """Keyed by everything that decides the speed."""
    parts: dict[str, Any] = {
        "version": VERSION,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "model": config.model_name,
        "precision": config.precision,
        "size": image_size,
        "training": training,
        "batch": _batch_size(config, image_size, at_once) if training else 0,
        "pretrained": config.pretrained or not training,  # whose BatchNorm statistics stay
        "device": str(runtime.device),
    }
    if at_once is not None:
        parts["at_once"] = at_once
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return cache_root() / "probes" / f"{key}.json"


def _measure(
    model: TimmModel,
    config: Config,
    runtime: Runtime,
    image_size: int,
    *,
    training: bool,
    at_once: int | None,
) -> Runtime:
    with restored(model):
        set_mode(model, frozen=not training, pretrained=config.pretrained)
        most = at_once or 2 * images_at_once(image_size)
        count = min(images_at_once(image_size), most)
        best = replace(runtime, batch_size=max(min(2, most), count // 2) if training else count)
        best = replace(best, threads=best.threads or torch.get_num_threads())
        speed = _speed(model, best, image_size, training=training, best=0.0)
        best = replace(best, images_per_second=speed)
        tried = [best]
        for turn in range(2 if training else 4):  # threads: as the body alone likes them
            for candidate in _candidates(turn, best, config, most):
                to_beat = best.images_per_second
                speed = _speed(model, candidate, image_size, training=training, best=to_beat)
                tried.append(replace(candidate, images_per_second=speed))
                allowed = config.precision in ("auto", candidate.precision)
                if allowed and speed > best.images_per_second * GAIN:
                    best = tried[-1]
        if training:  # small batches do not show the speed of those that will be trained
            best = replace(best, batch_size=_batch_size(config, image_size, at_once))
            speed = _speed(model, best, image_size, training=True, best=0.0, passes=2)
            best = replace(best, images_per_second=speed, batch_size=count)
    best.apply(model)
    exact = max((each.images_per_second for each in tried if each.precision == "fp32"), default=0)
    best = replace(best, exact_per_second=exact)
    return replace(best, reason=_reason(best, tried, config, training=training))


def images_at_once(image_size: int) -> int:
    """Images of this side that are as much work as `IMAGES` of 224 px; 16 to 128."""
    return max(IMAGES, min(8 * IMAGES, round(IMAGES * (224 / image_size) ** 2)))


def _batch_size(config: Config, image_size: int, at_once: int | None) -> int:
    """Images of a training step, as far as a probe can afford them and they fit."""
    return min(config.batch_size, 2 * images_at_once(image_size), at_once or config.batch_size)


def _alone(seconds: float, cpu_seconds: float) -> bool:
    """Whether nobody else had the cores meanwhile."""
    return cpu_seconds >= ALONE * seconds * torch.get_num_threads()


def _candidates(turn: int, best: Runtime, config: Config, most: int) -> Iterator[Runtime]:
    """The other values of one choice, beside the best so far."""
    if turn == 0 and best.dtype is torch.bfloat16:  # measured also where bf16 was asked for
        yield replace(best, dtype=torch.float32)
    elif turn == 0 and config.precision == "auto" and has_bf16(best.device):
        yield replace(best, dtype=torch.bfloat16)
    elif turn == 1:
        yield replace(best, channels_last=not best.channels_last)
    elif turn == 2 and best.threads > 1:
        yield replace(best, threads=best.threads // 2)
    elif turn == 3 and 2 * best.batch_size <= most:
        yield replace(best, batch_size=2 * best.batch_size)


def _speed(
    model: TimmModel,
    runtime: Runtime,
    image_size: int,
    *,
    training: bool,
    best: float,
    passes: int = 3,
) -> float:
    """Images a second: the best of the passes after the first, which does not count."""
    runtime.apply(model)
    count = runtime.batch_size
    rng = torch.Generator().manual_seed(0)
    images = runtime.inputs(torch.randn(count, 3, image_size, image_size, generator=rng))
    labels = torch.zeros(count, dtype=torch.int64, device=runtime.device)
    fastest = 0.0
    for turn in range(passes):
        began = time.perf_counter()
        if training:
            with runtime.autocast():
                logits = model(images)
            functional.cross_entropy(logits.float(), labels).backward()
        else:
            with torch.inference_mode(), runtime.autocast():
                body_features(model, images)
        speed = count / (time.perf_counter() - began)
        if turn:
            fastest = max(fastest, speed)
        if turn == 1 and speed * HOPELESS < best:
            break
    return fastest


def _reason(best: Runtime, tried: list[Runtime], config: Config, *, training: bool) -> str:
    """What was chosen and what the alternatives reached, in words."""
    what = "training" if training else "the frozen body"
    others = [
        f"{_words(each)} {each.images_per_second:.0f}" for each in tried if not _same(each, best)
    ]
    text = f"{_words(best)} for {what}: {best.images_per_second:.0f} images a second"
    if config.precision != "auto":
        text = f"{text}, precision as asked"
    return f"{text} (measured; {', '.join(others)})" if others else text


def _same(one: Runtime, other: Runtime) -> bool:
    return _words(one) == _words(other)


def _words(runtime: Runtime) -> str:
    layout = "channels-last" if runtime.channels_last else "channels-first"
    threads = f"{runtime.threads} thread{'s' if runtime.threads > 1 else ''}"
    return f"{runtime.precision} {layout}, {runtime.batch_size} at once, {threads}"
