"""Whether the Hub would take a card: first as far as that can be told here, then by asking it."""

import re

MAX_CARD_BYTES = 200_000


def check_card(text: str, kind: str) -> None:
    """Judge a card's first lines here, and then let the Hub judge them.

    Raises:
        ValueError: they are not as they must be.
    """
    from huggingface_hub import RepoCard

    problems = card_problems(text)
    if problems:
        raise ValueError(f"README.md: {'; '.join(problems)}")
    RepoCard(text, ignore_metadata_errors=True).validate(repo_type=kind)


def card_problems(text: str) -> list[str]:
    """What the Hub would not take, in words: front matter that is no YAML mapping, figures that
    are no model-index, a card that is too long. A card without front matter is fine."""
    # As in `front_matter`.
    import yaml
    from huggingface_hub.repocard import REGEX_YAML_BLOCK
    from huggingface_hub.repocard_data import ModelCardData

    problems = []
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_CARD_BYTES:
        problems.append(f"The card has {size:,} bytes; the limit is {MAX_CARD_BYTES:,}.")
    block = REGEX_YAML_BLOCK.search(text)
    if block is None:
        if re.match(r"\s*---\s*\n", text):
            problems.append("The card's front matter does not end: a line of --- is missing.")
        return problems
    try:
        values = yaml.safe_load(block[2])
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        return [*problems, f"The card's front matter is not YAML: {said}"]
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        return [*problems, "The card's front matter is not a mapping of names to values."]
    try:
        ModelCardData(**values)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        problems.append(f"The figures in the card's front matter (model-index) are none: {said}")
    return problems
