"""What choosing a recipe fills in, as a script: the browser does it at once, without the server.

An answer of the server would come later, and overwrite what the visitor typed meanwhile.
"""

import json
from collections.abc import Iterable
from typing import Any

from ui.controls import CUSTOM, PRESET_WORDS, preset_values

_AS_IT_IS = {"__type__": "update"}
"""Gradio's update of nothing."""


def recipe_script(names: Iterable[str]) -> str:
    """A function from a recipe's name to its words, the settings' fold and each setting's value.

    Args:
        names: the settings' fields, in the order of the event's outputs.
    """
    fields = tuple(names)
    table = {recipe: _filled(recipe, fields) for recipe in PRESET_WORDS}
    return f"(recipe) => ({json.dumps(table)})[recipe]"


def _filled(recipe: str, fields: tuple[str, ...]) -> list[Any]:
    values = preset_values(recipe)
    shown = [_AS_IT_IS if recipe == CUSTOM else values[field] for field in fields]
    fold = {**_AS_IT_IS, "open": recipe == CUSTOM}
    return [PRESET_WORDS[recipe], fold, *shown]
