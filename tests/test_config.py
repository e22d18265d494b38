"""`Config`: what is allowed, the presets, and the command line that says the same."""

import json
import shlex
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.__main__ import main, parser
from trainer.cli import given_settings
from trainer.config import (
    CHOICES,
    PRESETS,
    Config,
    command_line,
    config_for,
    config_from_json,
    ranges,
)
from trainer.errors import ConfigError, UserError

PARSER = parser()
WHOLE = sorted(name for name, ends in ranges().items() if all(isinstance(e, int) for e in ends))
FRACTIONS = sorted(set(ranges()) - set(WHOLE))


def _with(name: str, value: Any) -> Config:
    settings: dict[str, Any] = {name: value}
    return config_for(**settings)


def _around(name: str, value: object) -> dict[str, Any]:
    """The setting, with the ones beside it that must go along."""
    if name == "lr_min" and value == 1.0:
        return {"lr_min": 1.0, "lr_max": 2.0}
    if name == "lr_max" and value == 1e-9:
        return {"lr_min": 1e-12, "lr_max": 1e-9}
    return {name: value}


@pytest.mark.parametrize("name", sorted(ranges()))
def test_both_ends_of_a_range_are_allowed(name: str) -> None:
    for end in ranges()[name]:
        assert getattr(config_for(**_around(name, end)), name) == end


@pytest.mark.parametrize("name", sorted(ranges()))
def test_what_is_just_outside_a_range_is_refused_with_the_range(name: str) -> None:
    low, high = ranges()[name]
    below, above = (low - 1, high + 1) if name in WHOLE else (low - 1e-12, high * 1.01)
    for value in (below, above):
        with pytest.raises(ConfigError, match=rf"^{name} is .*; it must be from .* to "):
            _with(name, value)


@pytest.mark.parametrize("name", sorted(ranges()))
@pytest.mark.parametrize("value", ["3", True, float("nan"), float("inf"), [1], {}])
def test_a_number_must_be_a_finite_number(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is .*number"):
        _with(name, value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_count_must_be_whole(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is .*whole number"):
        _with(name, 20.5)


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
def test_nothing_but_what_may_be_left_open_may_be_none(name: str) -> None:
    if getattr(config_for(), name) is None:
        assert getattr(_with(name, None), name) is None
    else:
        with pytest.raises(ConfigError, match=name):
            _with(name, None)


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_word_that_is_no_choice_is_answered_with_the_choices(name: str) -> None:
    for word in CHOICES[name]:
        assert getattr(_with(name, word), name) == word
    with pytest.raises(ConfigError, match=f"{name} is 'perhaps'; choose .*{CHOICES[name][-1]}"):
        _with(name, "perhaps")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr_min": 0.1, "lr_max": 0.1}, "must be larger than lr_min"),
        ({"lr_min": 0.1, "lr_max": 0.01}, "must be larger than lr_min"),
        ({"freeze_epochs": 0, "epochs": 0}, "both 0"),
        ({"pretrained": False, "epochs": 0}, "random"),
        ({"pretrained": "no"}, "pretrained is 'no'"),
        ({"verify": 1}, "verify is 1"),
        ({"model_name": 18}, "model_name is 18"),
        ({"model_name": ""}, "model_name is ''"),
        ({"learning_rate": 0.1}, "unknown setting learning_rate; known: .*lr, "),
        ({"preset": ["quick"]}, "preset is"),
    ],
)
def test_settings_that_contradict_or_are_unknown_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config_for(**settings)


def test_a_config_error_is_a_user_error_and_a_value_error() -> None:
    with pytest.raises(UserError):
        config_for(epochs=-1)
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_changes_what_it_says_and_nothing_else(preset: str) -> None:
    config, plain = config_for(preset), Config()
    for name in {field.name for field in fields(Config)} - {"preset"}:
        assert getattr(config, name) == PRESETS[preset].get(name, getattr(plain, name))
    assert config.preset == preset
    assert config_for(preset, batch_size=7, schedule="constant").schedule == "constant"


def test_every_preset_of_the_table_is_a_choice() -> None:
    assert set(PRESETS) == set(CHOICES["preset"])


def test_the_limits_of_a_local_user_raise_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError):
        config_for(batch_size=2048)
    monkeypatch.setenv("LRLAB_MAX_BATCH_SIZE", "2048")
    assert config_for(batch_size=2048).batch_size == 2048


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"epochs": "many"}', '{"a": 1}'])
def test_saved_settings_that_are_damaged_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        config_from_json(text)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if name in ("pretrained", "verify"):
        return st.booleans()
    if name == "model_name":
        return st.from_regex(r"[a-z][a-z0-9_.]{0,30}", fullmatch=True)
    low, high = ranges()[name]
    value = st.integers(int(low), int(high)) if name in WHOLE else st.floats(low, high)
    optional = getattr(Config(), name) is None
    return st.none() | value if optional else value


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any config that can be, from either preset."""
    names = draw(st.sets(st.sampled_from([f.name for f in fields(Config)])))
    settings = {name: draw(_values(name)) for name in sorted(names)}
    try:
        return config_for(**settings)
    except ConfigError:  # two of them contradict each other
        return config_for(draw(_values("preset")))


@settings(max_examples=300, deadline=None)
@given(configs())
def test_the_command_line_of_a_config_gives_the_same_config(config: Config) -> None:
    words = shlex.split(command_line(config, "a folder/with 'quotes'"))
    assert words[:3] == ["python", "-m", "trainer"]
    arguments = PARSER.parse_args(words[3:])
    assert config_for(**given_settings(arguments)) == config
    assert (arguments.command, arguments.dataset) == ("train", "a folder/with 'quotes'")


@settings(max_examples=100, deadline=None)
@given(configs())
def test_a_config_survives_json(config: Config) -> None:
    assert config_from_json(json.dumps(config.to_dict())) == config


def test_the_command_line_names_only_what_differs_from_the_preset() -> None:
    config = config_for("lesson", seed=7, pretrained=False)
    line = "python -m trainer sweep digits --preset lesson --no-pretrained --seed 7"
    assert command_line(config, "digits", "sweep") == line


def test_every_setting_is_an_option_of_sweep_train_and_check() -> None:
    for command in ("sweep", "train", "check"):
        for field in fields(Config):
            value = getattr(config_for(), field.name)
            text = {None: "auto"}.get(value, str(value))
            option = f"--{field.name.replace('_', '-')}"
            words = [option] if isinstance(value, bool) else [option, text]
            if field.name in ("image_size", "views"):
                words = [option, "16"]
            parsed = PARSER.parse_args([command, "digits", *words])
            assert field.name in parsed


@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "digits", "--epochs", "few"],
        ["train", "digits", "--optimizer", "adam"],
        ["train", "digits", "--lerning-rate", "1"],
        ["dance", "digits"],
        ["predict", "model"],
        ["export", "model", "--format", "pickle"],
        [],
    ],
)
def test_a_wrong_command_line_ends_with_exit_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert "--help" in capsys.readouterr().err
    assert main([*words, "--json"]) == 2
    last = json.loads(capsys.readouterr().out)
    assert (last["event"], last["error"]) == ("failed", "ConfigError")
