"""What the page keeps of a run's events."""

import pytest

from trainer.events import Progress, Step
from ui.charts import loss_chart
from ui.fold import MAX_STEPS, Fold
from ui.sweep_charts import sweep_chart


def step(number: int, total: int) -> Step:
    return Step(step=number, total_steps=total, epoch=0, loss=1.0, lr=0.1, images_per_second=1.0)


@pytest.mark.parametrize("every", [1, 2, 3, 4, 32])
@pytest.mark.parametrize("count", [100, 600, 2_000, 3_999])
def test_a_long_curve_is_thinned_evenly_whatever_the_journal_left_out(
    every: int, count: int
) -> None:
    fold, total = Fold(), every * count
    fold.add(step(number, total) for number in range(every, total + 1, every))
    numbers = [kept.step for kept in fold.steps]
    assert len(numbers) == count if count <= MAX_STEPS else len(numbers) >= MAX_STEPS / 2
    assert len(numbers) <= MAX_STEPS
    gaps = {after - before for before, after in zip(numbers, numbers[1:], strict=False)}
    assert len(gaps) == 1
    assert fold.last_step == step(total, total)


def test_a_chart_without_points_says_what_is_being_done() -> None:
    fold = Fold()
    assert loss_chart(fold) == sweep_chart(fold, None) == {}
    fold.add([Progress(text="Reading pictures", done=1, total=9)])
    waiting = {"empty": "Reading pictures …"}
    assert loss_chart(fold) == sweep_chart(fold, None) == waiting
    fold.add([step(1, 60)])
    assert "empty" not in loss_chart(fold)


def test_a_resumed_run_overwrites_what_it_does_again() -> None:
    fold = Fold()
    fold.add(step(number, 60) for number in (*range(1, 31), *range(21, 61)))
    assert [kept.step for kept in fold.steps] == list(range(1, 61))
