"""Senseless requests to a real app: each is answered, none is a defect of ours."""

import urllib.request
from pathlib import Path

import pytest

from api_fuzz import defects, fuzz
from app_server import AppServer


@pytest.mark.timeout(600)
def test_five_hundred_senseless_requests_are_all_answered(tmp_path: Path) -> None:
    server = AppServer(tmp_path).wait()
    try:
        outcome = fuzz(server.url, 500, seed=1)
        assert outcome.sent == 500
        assert outcome.accepted > 200  # otherwise no handler was tried
        assert outcome.unanswered == []
        assert outcome.surprises == []
        assert defects(server.log) == []
        with urllib.request.urlopen(server.url, timeout=10) as answer:
            assert answer.status == 200
    finally:
        assert server.stop() == 0
