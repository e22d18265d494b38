"""The words that confirm a publication: one a question, one use, one visitor, 15 minutes."""

import pytest

from trainer.config import config_for
from trainer.errors import HubError
from trainer.jobs import Job
from ui import confirm
from ui.confirm import Confirmations

JOB = Job(kind="publish", config=config_for(), repo_id="ada/pets", parts=("push",))
OTHER = Job(kind="publish", config=config_for(), repo_id="ada/other", parts=("push",))


def test_a_word_brings_back_what_was_shown_and_only_once() -> None:
    kept = Confirmations()
    word = kept.issue("ada", "run", JOB)
    assert kept.redeem("ada", word) == JOB
    with pytest.raises(HubError, match="Check the name"):
        kept.redeem("ada", word)


@pytest.mark.parametrize("word", ["", "no word", None, 3, [], {"a": 1}])
def test_what_is_no_word_brings_nothing(word: object) -> None:
    kept = Confirmations()
    kept.issue("ada", "run", JOB)
    with pytest.raises(HubError):
        kept.redeem("ada", word)


def test_somebody_elses_word_brings_nothing_and_stays_good_for_its_owner() -> None:
    kept = Confirmations()
    word = kept.issue("ada", "run", JOB)
    with pytest.raises(HubError):
        kept.redeem("bob", word)
    assert kept.redeem("ada", word) == JOB


def test_one_run_has_one_word_until_it_asks_for_something_else() -> None:
    kept = Confirmations()
    first = kept.issue("ada", "run", JOB)
    assert kept.issue("ada", "run", JOB) == first
    second = kept.issue("ada", "run", OTHER)
    assert kept.redeem("ada", second) == OTHER
    with pytest.raises(HubError):
        kept.redeem("ada", first)


def test_a_visitor_who_asks_often_loses_their_own_words_alone() -> None:
    kept = Confirmations()
    ada = kept.issue("ada", "run", JOB)
    words = [kept.issue("bob", f"run {number}", JOB) for number in range(2_000)]
    assert kept.redeem("ada", ada) == JOB
    assert kept.redeem("bob", words[-1]) == JOB
    with pytest.raises(HubError):
        kept.redeem("bob", words[0])


def test_a_word_is_good_for_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Confirmations()
    monkeypatch.setattr(confirm, "LIFETIME_SECONDS", -1.0)
    with pytest.raises(HubError, match="15 minutes"):
        kept.redeem("ada", kept.issue("ada", "run", JOB))
