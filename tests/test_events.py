"""Events: one line of JSON each, and back."""

import json
import math
import types
import typing
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import events
from trainer.events import NAMES, EpochDone, Note, Predicted, Step, Swept, from_json, to_json

REAL = st.floats(allow_nan=False, allow_infinity=False)
SUMMARY = st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | REAL)


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if annotation in (str, int, bool, float):
        kinds = {str: st.text(), int: st.integers(), bool: st.booleans(), float: REAL}
        return kinds[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is types.UnionType:
        return st.one_of(*(st.none() if a is types.NoneType else _values(a) for a in inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(_values(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, inner))
    if inner == (str, object):
        return SUMMARY
    return st.dictionaries(st.text(), _values(inner[1]), max_size=3)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_an_event_is_one_line_of_json_and_comes_back_as_it_was(
    name: str, data: st.DataObject
) -> None:
    kind = NAMES[name]
    hints = typing.get_type_hints(kind)
    event = kind(**{field.name: data.draw(_values(hints[field.name])) for field in fields(kind)})
    line = to_json(event)
    assert "\n" not in line
    assert json.loads(line)["event"] == name
    assert from_json(line) == event


def test_every_event_of_the_module_has_a_name() -> None:
    classes = {v for v in vars(events).values() if isinstance(v, type) and fields_of(v)}
    assert classes == set(NAMES.values()) == set(typing.get_args(events.Event))


def fields_of(kind: type) -> bool:
    return hasattr(kind, "__dataclass_fields__")


def _step(loss: float) -> Step:
    return Step(step=1, total_steps=2, epoch=0, loss=loss, lr=0.1, images_per_second=3.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_null_and_comes_back_as_nan(loss: float) -> None:
    line = to_json(_step(loss))
    assert json.loads(line)["loss"] is None
    back = from_json(line)
    assert isinstance(back, Step)
    assert math.isnan(back.loss)
    assert back.seconds_left is None


def test_numbers_inside_tuples_and_tables_become_null_too() -> None:
    swept = Swept(
        lrs=(0.1, 1.0),
        losses=(2.5, math.nan),
        suggestions={"valley": math.inf, "steep": 0.5, "slide": None},
        suggested_lr=None,
        reason="",
    )
    values = json.loads(to_json(swept))
    assert values["losses"] == [2.5, None]
    assert values["suggestions"] == {"valley": None, "steep": 0.5, "slide": None}
    back = from_json(to_json(swept))
    assert isinstance(back, Swept)
    assert back.losses[0] == 2.5
    assert math.isnan(back.losses[1])
    assert back.suggested_lr is None


def test_keys_of_a_newer_version_are_left_out() -> None:
    assert from_json('{"event": "note", "text": "hello", "colour": "red"}') == Note(text="hello")


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_json('{"event": "prediction", "image": "a", "probs": []}') == Predicted(
        image="a", probs=()
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"event": "party"}',
        '{"event": "note"}',
        '{"event": ["note"]}',
        '{"event": null, "text": ""}',
        '{"text": "hello"}',
    ],
)
def test_what_is_not_an_event_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError):
        from_json(line)


def test_a_file_name_that_is_not_unicode_can_be_written_down() -> None:
    event = Predicted(image="cat\udcff.jpg", probs=(("größe", 0.5),))
    line = to_json(event)
    assert from_json(line.encode().decode()) == event


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(_step(1.0), "loss", 2.0)  # noqa: B010 what is tested


def test_validation_figures_that_are_not_finite_come_back_as_nan() -> None:
    event = EpochDone(
        step=1,
        phase="head",
        epoch=0,
        epochs=1,
        train_loss=1.0,
        valid_loss=math.nan,
        valid_accuracy=0.5,
        best=True,
        seconds=0.0,
    )
    back = from_json(to_json(event))
    assert isinstance(back, EpochDone)
    assert math.isnan(back.valid_loss)
