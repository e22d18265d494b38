"""Short trainings of all layers at several rates, with the schedule of the real run compressed.

For models whose body trains too: a few dozen steps a rate are all that the time allows. Not for a
head that has learned from every training picture already, because then none of them is unseen.
"""

import math
from collections.abc import Generator, Sequence

import numpy as np

from trainer.batches import forever, seed_for
from trainer.events import Event, Progress
from trainer.figures import rate
from trainer.folds import split_folds
from trainer.infer import infer
from trainer.learner import Learner
from trainer.model import make_optimizer, set_mode
from trainer.plan import Phase, momentum_for, schedule_for
from trainer.restored import restored
from trainer.task import task_for
from trainer.trials import Trials
from trainer.update import set_momentum, update

MAX_HELD_OUT = 256


def try_fits(
    learner: Learner, phase: Phase, lrs: Sequence[float], num_steps: int
) -> Generator[Event, None, Trials | None]:
    """Train for `num_steps` at each rate and judge on held-out training pictures.

    Weights, buffers and random states are put back after each. None where there are too few
    pictures to hold any out.
    """
    labels = learner.train_labels.cpu().numpy()
    folds = split_folds(labels, learner.config.seed)
    if not folds:
        return None
    fold = folds[0]
    held_out = np.sort(fold.held_out[:MAX_HELD_OUT])
    images = learner.train_images[held_out]
    runtime = learner.training_runtime or learner.runtime
    correct, losses = [], []
    for number, lr in enumerate(lrs):
        with restored(learner.model):
            curve = yield from fit_briefly(
                learner,
                phase,
                lr,
                num_steps,
                fold.train,
                text=f"Trying {rate(lr)}",
                turn=(number, len(lrs)),
            )
            probs = yield from infer(
                learner.model, images, learner.preprocess, runtime, text=f"Judging {rate(lr)}"
            )
        loss = -np.log(np.maximum(probs[np.arange(len(held_out)), labels[held_out]], 1e-12))
        broke = len(curve) < num_steps or not np.isfinite(probs).all()
        losses.append(np.full(len(loss), np.inf) if broke else loss)
        correct.append(0.0 if broke else 1.0 * (probs.argmax(1) == labels[held_out]))
    return Trials(
        lrs=tuple(lrs),
        correct=np.stack([np.broadcast_to(row, len(held_out)) for row in correct]),
        losses=np.stack(losses),
        held_out=labels[held_out],
    )


def fit_briefly(
    learner: Learner,
    phase: Phase,
    lr: float,
    num_steps: int,
    pictures: np.ndarray,
    *,
    text: str,
    turn: tuple[int, int],
) -> Generator[Progress, None, list[float]]:
    """The losses of a training in `num_steps` updates; ends at the first that is not finite.

    Args:
        learner: trained in place; see `restored`.
        phase: not cached; its schedule is compressed into the steps.
        lr: peak rate.
        num_steps: updates.
        pictures: indices of those to learn from.
        text: of the Progress.
        turn: which training this is, and of how many.
    """
    config, task = learner.config, task_for(learner, phase)
    set_mode(learner.model, frozen=phase.frozen, pretrained=config.pretrained)
    optimizer = make_optimizer(task.groups(), config, lr)
    schedule = schedule_for(phase, config.cycle_len)
    order = forever(len(pictures), config.batch_size, config.seed, "short fit")
    losses: list[float] = []
    for step, indices in zip(range(num_steps), order, strict=False):
        position = step / num_steps
        set_momentum(optimizer, momentum_for(phase, position))
        rate, seed = lr * schedule(position), seed_for(config.seed, "short fit", step)
        loss = float(update(learner, task, optimizer, pictures[indices], lr=rate, seed=seed))
        if not math.isfinite(loss):
            break
        losses.append(loss)
        done, total = turn[0] * num_steps + len(losses), turn[1] * num_steps
        yield Progress(text=text, done=done, total=total)
    return losses
