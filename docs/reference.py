"""The README's reference parts, written from the code: `python docs/reference.py` puts them in.

The options are `Config`'s fields with their docstrings, the file tree has the first sentence of
each file. A test compares the README with what is made here.
"""

import ast
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from trainer.config import Config  # noqa: E402 the path must be set before

COMMENTS = {
    ".ci/run": "What CI runs",
    ".gitignore": "What git leaves out",
    "LICENSE": "Apache-2.0",
    "Makefile": "make app, test, lint, shots, docs",
    "README.md": "This page; its first lines configure the Space",
    "SECURITY.md": "What is promised against misuse, and what is not",
    "docs/LOG.md": "What was tried and measured, failures too",
    "docs/shots/": "Screenshots, made by make shots",
    "pyproject.toml": "Project metadata; settings of ruff, pytest and the type checker",
    "requirements.txt": "What the Space and make app install, pinned",
    "tests/data/hub_values.json": "Licenses, tasks, scopes and LFS suffixes that the Hub knows",
    "tests/data/lr_curves.json": "Ten curves with what the published rules say of them",
    "tests/hub_client.mjs": "A client of the Hub in JavaScript, for test_hub_tools.py",
    "tests/package-lock.json": "What that client needs, with hashes",
    "tests/package.json": "What that client needs",
    "trainer/publish/page/app.js": "The demo's page: takes a picture, shows the answer",
    "trainer/publish/page/icon.svg": "The demo's icon",
    "trainer/publish/page/index.html": "The demo's markup and its content security policy",
    "trainer/publish/page/ort/": "ONNX Runtime Web, MIT; renewed by docs/renew_ort.py",
    "trainer/publish/page/preprocess.js": "The demo's preprocessing: Pillow's, in the browser",
    "trainer/publish/page/style.css": "Looks of the demo",
    "trainer/publish/page/worker.js": "The demo's worker: loads the model, looks at pictures",
    "ui/assets/app.css": "Looks of our own HTML",
    "ui/assets/chart.css": "Looks of the live chart",
    "ui/assets/chart.js": "The live chart, drawn on a canvas",
    "ui/assets/tabs.js": "Tabs of one visitor tell each other of their runs",
}


def options_table() -> str:
    """One row a field of `Config`: option, default, meaning."""
    docs = _field_docs()
    rows = ["| option | default | meaning |", "| --- | --- | --- |"]
    for field in fields(Config):
        option = f"--{field.name.replace('_', '-')}"
        meaning = docs[field.name].replace("|", "or")
        rows.append(f"| `{option}` | `{_shown(field.name)}` | {meaning} |")
    return "\n".join(rows)


def file_tree() -> str:
    """One line a file: its path and its first sentence."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    folders = [name for name in COMMENTS if name.endswith("/")]
    paths = {next(filter(path.startswith, folders), path) for path in listed if path}
    kept = sorted((path for path in paths if (ROOT / path).exists()), key=_order)
    lines = [f"{path:33} {_comment(path)}" for path in kept]
    return "\n".join(["```", *lines, "```"])


def with_reference(readme: str) -> str:
    """The README with its reference parts as the code has them now."""
    for name, text in (("options", options_table()), ("files", file_tree())):
        start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, rest = readme.split(start)
        readme = before + start + text + end + rest.split(end)[1]
    return readme


def _order(path: str) -> tuple[bool, str]:
    return "/" in path, path


def _shown(name: str) -> object:
    value = getattr(Config(), name)
    if value is None:
        return "auto" if name in ("lr", "unfrozen_lr") else "none"
    return "yes" if value is True else value


def _field_docs() -> dict[str, str]:
    """The string under each field of `Config`."""
    tree = ast.parse((ROOT / "trainer" / "config.py").read_text(encoding="utf-8"))
    body = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"
    ).body
    docs = {}
    for field, doc in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
            assert isinstance(field.target, ast.Name)
            docs[field.target.id] = " ".join(str(ast.literal_eval(doc.value)).split())
    return docs


def _comment(path: str) -> str:
    if path.startswith("benchmarks/") and path.endswith(".json"):
        return f"The figures of {path.removesuffix('.json')}.py, with their spread"
    return COMMENTS.get(path) or _first_sentence(ROOT / path)


def _first_sentence(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = doc.split("\n\n")[0].replace("\n", " ").split(". ")[0]
    return sentence.replace("`", "").rstrip(".")


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")
