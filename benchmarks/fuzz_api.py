"""Senseless requests to every event of a real app: `python benchmarks/fuzz_api.py [5000] [SEED]`.

Prints JSON: how many were sent and accepted, how often each handler began and did what was asked,
what was not answered, and our defects.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from api_fuzz import defects, fuzz, logged_in_app


def main(num_requests: int, seed: int) -> None:
    """Start the app, send the requests, print what came of them."""
    with logged_in_app(Path(tempfile.mkdtemp())) as app:
        outcome = fuzz(app, num_requests, seed)
        print(json.dumps(asdict(outcome) | {"defects": defects(app.log)}, indent=1))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [5000, 1][len(numbers) :]))
