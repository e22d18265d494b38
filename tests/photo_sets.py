"""Where sets of real photos lie beside the project; more is tested where they are."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
