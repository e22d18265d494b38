"""Markdown made of values: whatever a person typed comes out as text, never as markup or code."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_CHARS = 80
"""Of one name; longer ones end in an ellipsis."""

_SPECIAL = re.compile(
    r"[\\`*_{}\[\]<>#|~$&@^]"  # anywhere
    r"|^[-+=]|(?<=-)-|-(?=-)"  # a list, a line
    r"|\.(?=[^\s\d])|(?<!\d)\.(?=\d)|:(?=[^\s\d])"  # an address, an emoji's name
)
_NUMBERED = re.compile(r"^(\d+)([.)])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def plain(value: object, max_chars: int = MAX_CHARS) -> str:
    """One line without control characters, marks of direction and other invisible ones."""
    chars = []
    for char in str(value):
        category = unicodedata.category(char)
        if char.isspace() or category in ("Zl", "Zp"):
            chars.append(" ")
        elif category not in ("Cc", "Cf", "Co", "Cs"):
            chars.append(char)
    line = " ".join("".join(chars).split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"


def text(value: object, max_chars: int = MAX_CHARS) -> str:
    """A value as Markdown that shows just that: no link, table, formula, tag or template in it.

    Addresses do not become links either, as their dots and colons are escaped.
    """
    line = _SPECIAL.sub(
        lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), plain(value, max_chars)
    )
    return _NUMBERED.sub(r"\1\\\2", line)


def fenced(code: str, language: str = "") -> str:
    """A block of code; its fence is longer than any within."""
    lines = [plain_code(line) for line in code.split("\n")]
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def plain_code(line: str) -> str:
    """A line of code without what cannot be seen; its spaces stay."""
    return "".join(
        c for c in line if c == " " or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs")
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table; the cells are Markdown already. The first `words` columns are set left."""
    lines = [head, [*["---"] * words, *["---:"] * (len(head) - words)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def folded(title: str, body: str) -> str:
    """What is seen after a click on its title, which is HTML already."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def bullets(items: Iterable[str]) -> str:
    """A list; the items are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def listed(names: Sequence[str], most: int) -> str:
    """Names as text, with the number of those left away."""
    shown = ", ".join(text(name) for name in names[:most])
    left = len(names) - most
    return shown if left <= 0 else f"{shown} and {left:,} more"
