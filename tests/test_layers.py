"""Imports go one way, and what must answer at once imports nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "timm", "torchvision", "sklearn", "datasets", "transformers", "onnxruntime"}
HEAVY |= {"matplotlib"}
LEAVES = ("errors", "limits", "events", "config", "schedule", "menu", "stopping", "figures")
TRAINER = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "trainer").rglob("*.py")
)
UI = sorted(f"ui.{path.stem}" for path in (ROOT / "ui").glob("*.py") if path.stem != "__init__")


def _imported(*modules: str) -> set[str]:
    """Everything in sys.modules after importing the modules in a new process."""
    code = f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(json.loads(out.stdout.splitlines()[-1]))


def _packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def _import_statements(path: Path, *, top_level: bool) -> set[str]:
    """The modules that a file names in its import statements."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if not top_level else iter(_top_level(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _top_level(tree: ast.Module) -> list[ast.AST]:
    """Statements that run at import: not those in functions or under TYPE_CHECKING."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            inside_if = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or inside_if:
                continue
            found.append(child)
            waiting.append(child)
    return found


def _file(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_leaf_modules_import_only_the_standard_library() -> None:
    leaves = [f"trainer.{name}" for name in LEAVES if (ROOT / f"trainer/{name}.py").exists()]
    assert len(leaves) >= 6
    for module in leaves:
        names = _import_statements(_file(module), top_level=False)
        outside = {n for n in _packages(names) if n not in sys.stdlib_module_names}
        assert outside <= {"trainer"}, (module, outside)
    beyond = _packages(_imported(*leaves)) - sys.stdlib_module_names - {"trainer"}
    # What the interpreter's own start-up brings (site packages' .pth files) is not ours.
    assert beyond <= _packages(_imported("json")), beyond


def test_the_command_line_imports_nothing_heavy_before_a_command_runs() -> None:
    assert not _packages(_imported("trainer.__main__")) & (HEAVY | {"numpy", "gradio", "PIL"})


def test_the_runner_imports_nothing_heavy_so_the_app_stays_light() -> None:
    assert not _packages(_imported("trainer.runner", "trainer.jobs")) & (HEAVY | {"gradio"})


@pytest.mark.parametrize("module", TRAINER)
def test_the_core_never_imports_gradio_or_the_page(module: str) -> None:
    names = _packages(_import_statements(_file(module), top_level=False))
    assert not names & {"gradio", "gradio_client", "ui", "app"}


def test_a_training_writes_its_card_without_importing_what_only_plots_need() -> None:
    assert "matplotlib" not in _packages(_imported("trainer.publish.card", "trainer.fit"))


def test_nothing_that_the_core_imports_brings_gradio() -> None:
    modules = [name for name in TRAINER if not name.endswith("__main__")]
    assert "gradio" not in _packages(_imported(*modules))


@pytest.mark.parametrize("module", UI)
def test_the_page_names_no_heavy_library_anywhere(module: str) -> None:
    assert not _packages(_import_statements(_file(module), top_level=False)) & HEAVY


def test_importing_the_page_imports_nothing_heavy() -> None:
    assert UI
    assert not _packages(_imported(*UI)) & HEAVY


def test_no_module_of_the_core_imports_in_a_circle() -> None:
    waiting = {
        module: {
            name for name in _import_statements(_file(module), top_level=True) if name in TRAINER
        }
        - {module}
        for module in TRAINER
        if module != "trainer"
    }
    done: set[str] = {"trainer"}
    while ready := [module for module, needs in waiting.items() if needs <= done]:
        done |= set(ready)
        waiting = {module: needs for module, needs in waiting.items() if module not in ready}
    assert not waiting


def test_asking_the_hub_before_a_publication_imports_nothing_heavy() -> None:
    """The answer is waited for; torch and timm alone take ten seconds on two busy cores."""
    modules = ("trainer.runner.publishing", "trainer.publish.carry_out")
    assert (
        not _packages(_imported(*modules, "trainer.publish.publication", "trainer.publish.drafts"))
        & HEAVY
    )
