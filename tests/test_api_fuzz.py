"""Senseless requests to a real app: each is answered, none is a defect of ours."""

from pathlib import Path

import httpx
import pytest

from api_fuzz import defects, fuzz, logged_in_app

GIVEN = {
    *("predict-image change", "predict-many click", "ask-hub click", "Download the model click"),
    *("use-rate click", "A zip with one folder for each class upload", "Recipe change"),
}
"""What works only with the model, the sweep, the upload or the login that the visitor has."""


@pytest.mark.timeout(600)
def test_five_hundred_senseless_requests_are_all_answered(tmp_path: Path) -> None:
    with logged_in_app(tmp_path) as app:
        outcome = fuzz(app, 500, seed=1)
        assert outcome.sent == 500
        assert outcome.unanswered == []
        assert outcome.surprises == []
        assert defects(app.log) == []
        assert len(outcome.entered) > 25
        assert [name for name, times in outcome.entered.items() if times == 0] == [], "never tried"
        assert {*outcome.carried_out} >= GIVEN
        assert httpx.get(app.url).status_code == 200
        assert app.stop() == 0
