"""Hostile pictures and archives at the sizes that are promised, in a process that is measured."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostile_zips import READ, REFUSED, UNPACKED

HERE = Path(__file__).parent


def measured(script: str, folder: Path) -> tuple[list[str], Any]:
    """Make the corpus in one process and take it in in another: the names, and what is said."""
    folder.mkdir()
    names = _run(script, folder)
    (folder / "names").write_text(names, encoding="utf-8")
    return json.loads(names), json.loads(_run(script, folder, folder / "names"))


def _run(script: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "LRLAB_CACHE": str(arguments[0].parent / "cache")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_five_hundred_hostile_pictures_cost_little_and_end_in_words(tmp_path: Path) -> None:
    names, said = measured("hostile_pictures.py", tmp_path / "in")
    results = said["results"]
    assert len(results) == len(names) == 500
    assert [name for name, _, seconds in results if seconds > 2.0] == []
    assert said["grown"] < 300e6, f"{said['grown'] / 1e6:.0f} MB"
    ended = {name: how for name, how, _ in results}
    assert set(ended.values()) - {"RGB"} == {
        how for how in ended.values() if how.startswith(("refused: is ", "refused: has "))
    }
    assert ended["PNG header 13000 x 13000"].startswith("refused: is too large (169 Mpx;")
    assert [ended[f"PNG 25 Mpx {mode}"] for mode in ("RGB", "RGBA", "L", "P", "1")] == ["RGB"] * 5
    assert ended["long and thin"] == "RGB"
    assert ended["too long and thin"].startswith("refused: is too long (1 × 16,777,216 pixels; ")
    for name in ("EPS", "PDF", "SVG", "HTML"):
        assert "is not a picture" in ended[name]


def test_a_minute_of_damaged_pictures_ends_in_words_and_costs_little(tmp_path: Path) -> None:
    at = tmp_path / "at"
    script = [sys.executable, str(HERE / "picture_fuzz.py"), "60", "0", str(at)]
    done = subprocess.run(script, stdout=subprocess.PIPE, check=False, timeout=280)
    assert done.returncode == 0, f"it died of input {at.read_text()} of seed 0"
    told = json.loads(done.stdout)
    assert told["number"] > 1_000
    assert told["ended"]["RGB"] > told["number"] / 20, "most damages must get past the first check"
    assert told["unnamed"] == []
    assert told["slow"] == []
    assert told["grown"] < 300e6, f"{told['grown'] / 1e6:.0f} MB"


def test_every_archive_attack_is_refused_and_every_oddity_read(tmp_path: Path) -> None:
    names, results = measured("hostile_zips.py", tmp_path / "in")
    assert len(names) >= 24
    ended = {name: how for name, how, _, _ in results}
    assert [name for name in REFUSED if not ended[name].startswith("refused: ")] == []
    assert [(name, ended[name]) for name in READ if not ended[name].startswith("read ")] == []
    assert [name for name, _, seconds, _ in results if seconds > 2.0] == []
    assert [(name, grown) for name, _, _, grown in results if grown > 50e6] == []
    hidden = [name for name, _, _, grown in results if grown <= 0]
    assert hidden == [], "under the peak of an earlier one"
    inside = (tmp_path / "in", tmp_path / "cache")
    strays = [p for p in tmp_path.rglob("*") if not any(p.is_relative_to(i) for i in inside)]
    assert strays == []
    assert not Path("/tmp/evil.png").exists()
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_symlink()] == []
    unpacked = sorted(p.name for p in (tmp_path / "cache" / "zips").iterdir())
    assert len(unpacked) == len(READ) + len(UNPACKED) + 1, (
        "a refused archive left something in the cache"
    )
