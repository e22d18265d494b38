"""The words that confirm a publication: one a question, one use, one visitor, 15 minutes."""

import pytest

from trainer.config import config_for
from trainer.errors import BusyError, HubError
from trainer.jobs import Job
from ui import confirm
from ui.confirm import Confirmations

JOB = Job(kind="publish", config=config_for(), repo_id="ada/pets", parts=("push",))
OTHER = Job(kind="publish", config=config_for(), repo_id="ada/other", parts=("push",))


def redeem(kept: Confirmations, visitor: str, word: object) -> Job:
    with kept.redeemed(visitor, word) as job:
        return job


def test_a_word_brings_back_what_was_shown_and_only_once() -> None:
    kept = Confirmations()
    assert not kept.waits("ada", "run")
    word = kept.issue("ada", "run", JOB)
    assert kept.waits("ada", "run") and not kept.waits("bob", "run")
    assert redeem(kept, "ada", word) == JOB
    assert not kept.waits("ada", "run")
    with pytest.raises(HubError, match="Check the name"):
        redeem(kept, "ada", word)


def test_a_word_stays_good_where_the_publication_could_not_begin() -> None:
    kept = Confirmations()
    word = kept.issue("ada", "run", JOB)
    with pytest.raises(BusyError), kept.redeemed("ada", word):
        raise BusyError("Others are publishing.")
    assert redeem(kept, "ada", word) == JOB
    with pytest.raises(HubError):
        redeem(kept, "ada", word)


@pytest.mark.parametrize("word", ["", "no word", None, 3, [], {"a": 1}])
def test_what_is_no_word_brings_nothing(word: object) -> None:
    kept = Confirmations()
    kept.issue("ada", "run", JOB)
    with pytest.raises(HubError):
        redeem(kept, "ada", word)


def test_somebody_elses_word_brings_nothing_and_stays_good_for_its_owner() -> None:
    kept = Confirmations()
    word = kept.issue("ada", "run", JOB)
    with pytest.raises(HubError):
        redeem(kept, "bob", word)
    assert redeem(kept, "ada", word) == JOB


def test_one_run_has_one_word_until_it_asks_for_something_else() -> None:
    kept = Confirmations()
    first = kept.issue("ada", "run", JOB)
    assert kept.issue("ada", "run", JOB) == first
    second = kept.issue("ada", "run", OTHER)
    assert redeem(kept, "ada", second) == OTHER
    with pytest.raises(HubError):
        redeem(kept, "ada", first)


def test_a_visitor_who_asks_often_loses_their_own_words_alone() -> None:
    kept = Confirmations()
    ada = kept.issue("ada", "run", JOB)
    words = [kept.issue("bob", f"run {number}", JOB) for number in range(2_000)]
    assert redeem(kept, "ada", ada) == JOB
    assert redeem(kept, "bob", words[-1]) == JOB
    with pytest.raises(HubError):
        redeem(kept, "bob", words[0])


def test_a_run_that_many_look_at_costs_nobody_else_a_word() -> None:
    kept = Confirmations()
    ada = kept.issue("ada", "run", JOB)
    words = [kept.issue(f"bob {number}", "bob's run", JOB) for number in range(10_000)]
    assert redeem(kept, "ada", ada) == JOB
    assert redeem(kept, "bob 9999", words[-1]) == JOB


def test_a_word_is_good_for_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Confirmations()
    monkeypatch.setattr(confirm, "LIFETIME_SECONDS", -1.0)
    with pytest.raises(HubError, match="15 minutes"):
        redeem(kept, "ada", kept.issue("ada", "run", JOB))
