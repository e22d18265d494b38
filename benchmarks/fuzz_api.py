"""Senseless requests to every event of a real app: `python benchmarks/fuzz_api.py [5000] [SEED]`.

Prints JSON: how many were sent and accepted, what was answered, what was not, and our defects.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from api_fuzz import defects, fuzz
from app_server import AppServer


def main(num_requests: int, seed: int) -> None:
    """Start the app, send the requests, print what came of them."""
    server = AppServer(Path(tempfile.mkdtemp())).wait()
    try:
        outcome = fuzz(server.url, num_requests, seed)
        print(json.dumps(asdict(outcome) | {"defects": defects(server.log)}, indent=1))
    finally:
        server.stop()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [5000, 1][len(numbers) :]))
