"""On ZeroGPU the platform finds a marked function and starts; elsewhere nothing is needed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLATFORM = """
marked = []
def GPU(duration):
    def mark(function):
        marked.append((function.__name__, duration))
        return function
    return mark
"""


def imported(folder: Path, **env: str) -> str:
    """What an import of the app says of the marked functions."""
    code = "import sys, app; print(getattr(sys.modules.get('spaces'), 'marked', None))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "LRLAB_RUNS": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_on_zero_gpu_a_function_is_marked(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text(PLATFORM)
    assert imported(tmp_path, SPACES_ZERO_GPU="true") == "[('_nothing', 1)]"


def test_elsewhere_the_package_is_not_needed(tmp_path: Path) -> None:
    assert imported(tmp_path) == "None"
