"""What the Hub emulator finds wrong with the front matter of a README.md, as the Hub words it.

Sources: the Hub's documentation of model cards, licenses and the Spaces' configuration, the list
in huggingface_hub's issue 4218, and the tasks of `@huggingface/tasks`. Stricter than the Hub, so
that a card of ours gives nobody a warning: a `pipeline_tag` that it only warns of and a license
`other` without its name are refused.

Not covered: languages, metrics, widgets' content, `eval_results.yaml`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hub_naming import id_error

_VALUES = json.loads((Path(__file__).parent / "data" / "hub_values.json").read_text())
LICENSES = _VALUES["licenses"]
TASKS = _VALUES["tasks"]
SCOPES = _VALUES["oauth_scopes"]
SDKS = ("gradio", "docker", "static")
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
MAX_SHORT_DESCRIPTION = 60


class _Strict(yaml.SafeLoader):
    """YAML as the Hub reads it: a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            problem = f"duplicated mapping key {twice[0]!r}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def card_errors(text: str, kind: str = "models") -> list[str]:
    """What is wrong with a card; a model or a dataset may have none, a Space may not."""
    lines = text.splitlines()
    if not lines or lines[0] != "---":
        return ['"sdk" is required'] if kind == "spaces" else []
    if "---" not in lines[1:]:
        return ["the front matter does not end"]
    try:
        block = "\n".join(lines[1 : lines.index("---", 1)])
        values = yaml.load(block, _Strict)
    except yaml.YAMLError as error:
        return [f"the front matter is not YAML: {error}"]
    if not isinstance(values, dict):
        return ["the front matter must be a mapping"]
    return [*_common(values), *{"models": _model, "spaces": _space}.get(kind, _nothing)(values)]


def card_warnings(text: str) -> list[str]:
    """What the Hub says beside an answer that is fine."""
    return [] if text.startswith("---") else ["empty or missing yaml metadata in repo card"]


def _common(values: dict[Any, Any]) -> Iterator[str]:
    for name in ("tags", "widget", "hf_oauth_scopes"):
        if name in values and not isinstance(values[name], list):
            yield f'"{name}" must be an array'
    licenses = _listed(values.get("license", []))
    if not all(isinstance(one, str) and one in LICENSES for one in licenses):
        yield f'"license" must be one of [{", ".join(LICENSES)}, array]'
    elif "other" in licenses and not values.get("license_name"):
        yield '"license_name" is required when "license" is other'
    for name in ("base_model", "datasets", "models"):
        for value in _listed(values.get(name, [])):
            if not isinstance(value, str) or id_error(value if "/" in value else f"o/{value}"):
                yield f'"{name}" with value "{value}" is not valid. Use an id of the Hub.'


def _model(values: dict[Any, Any]) -> Iterator[str]:
    if "pipeline_tag" in values and values["pipeline_tag"] not in TASKS:
        yield f'"pipeline_tag" must be one of [{", ".join(TASKS)}]'
    if "library_name" in values and not isinstance(values["library_name"], str):
        yield '"library_name" must be a string'
    if "model-index" in values:
        yield from _required(
            values["model-index"],
            {
                "name": str,
                "results": [
                    {
                        "task": {"type": str},
                        "dataset": {"type": str, "name": str},
                        "metrics": [{"type": str, "value": object}],
                    }
                ],
            },
        )


def _required(found: Any, wanted: Any, name: str = "model-index") -> Iterator[str]:
    """What a nested value lacks of a pattern; the outermost value is a list of it."""
    if isinstance(wanted, list) or name == "model-index":
        if not isinstance(found, list) or not found:
            yield f'"{name}" must be an array'
            return
        inner = wanted[0] if isinstance(wanted, list) else wanted
        for index, entry in enumerate(found):
            yield from _required(entry, inner, f"{name}[{index}]")
    elif isinstance(wanted, dict):
        if not isinstance(found, dict):
            yield f'"{name}" must be of type object'
            return
        for key, pattern in wanted.items():
            if found.get(key) is None:
                yield f'"{name}.{key}" is required'
            else:
                yield from _required(found[key], pattern, f"{name}.{key}")
    elif not isinstance(found, wanted):
        yield f'"{name}" must be a {wanted.__name__}'


def _space(values: dict[Any, Any]) -> Iterator[str]:
    if "sdk" not in values:
        yield '"sdk" is required'
    for name, allowed in (("sdk", SDKS), ("colorFrom", COLORS), ("colorTo", COLORS)):
        if name in values and values[name] not in allowed:
            yield f'"{name}" must be one of [{", ".join(allowed)}]'
    for name in ("title", "short_description", "app_file", "emoji"):
        if name in values and not isinstance(values[name], str):
            yield f'"{name}" must be a string'
    if len(str(values.get("short_description", ""))) > MAX_SHORT_DESCRIPTION:
        most = MAX_SHORT_DESCRIPTION
        yield f'"short_description" length must be less than or equal to {most} characters long'
    emoji = str(values.get("emoji", "🚀"))
    if not emoji or any(sign.isascii() or sign.isalnum() for sign in emoji):
        yield '"emoji" must be an emoji'
    unknown = [name for name in _listed(values.get("hf_oauth_scopes", [])) if name not in SCOPES]
    if unknown:
        yield f'"hf_oauth_scopes" must be of [{", ".join(SCOPES)}], not {unknown[0]}'


def _nothing(_values: dict[Any, Any]) -> Iterator[str]:
    return iter(())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
