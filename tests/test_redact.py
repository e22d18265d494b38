"""Secrets stay out of what is printed, and the password out of the environment."""

import asyncio
import io
import logging
import os
import sys

import pytest

from trainer.errors import ConfigError
from trainer.redact import RedactedStream, environment_secrets, redact_output, redacted
from ui.password import checked_by, read_password


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("401 for hf_AbCdEfGhIjKlMnOpQr at whoami", "AbCdEfGhIjKlMnOpQr"),
        ("Authorization: Bearer abc.DEF-123_456", "abc.DEF-123_456"),
        ("{'authorization': 'bearer abcdef1234567'}", "abcdef1234567"),
        ("hf_oauth_eyJhbGciOi.JIUzI1NiJ9.x-y_z", "eyJhbGciOi"),
        ("session eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM ends", "eyJzdWIiOiIx"),
        ("/login/callback?code=abcdefghijklmnop&state=1", "abcdefghijklmnop"),
        ('{"access_token": "abcdefghijklmnop"}', "abcdefghijklmnop"),
        ("GET /?__sign=eyJ0eXAiOiJKV1QiLCJhbGciOi HTTP/1.1", "eyJ0eXAiOiJKV1QiLCJhbGciOi"),
        ("PUT https://s3/x?a=1&X-Amz-Signature=0a1b2c&y=2", "0a1b2c"),
        ("PUT https://s3/x?X-Amz-Credential=AKIAXY%2F20261123%2Fus&y=2", "AKIAXY"),
        ("PUT https://s3/x?X-Amz-Security-Token=IQoJb3JpZ2lu%2F%2F", "IQoJb3JpZ2lu"),
        ("{'x-amz-signature': '0a1b2c3d'}", "0a1b2c3d"),
        ("next https%3A%2F%2Fs3%2Fx%3FX-Amz-Signature%3D0a1b2c3d", "0a1b2c3d"),
        ("GET https://cdn/x?Expires=1&Policy=eyJTdGF0ZW1lbnQiOlt7__&K=2", "eyJTdGF0ZW1lbnQ"),
        ("GET https://cdn/x?Expires=1&Signature=jU~mPz-9h__&Key-Pair-Id=K2F", "jU~mPz"),
        ("GET https://cdn/x?Signature=jU9h&Key-Pair-Id=K2FJFOC", "K2FJFOC"),
        ("GET https://cdn/x?amp=1&amp;Signature=jUabc9h", "jUabc9h"),
        ("GET https://gcs/x?X-Goog-Signature=0a1b2c3d&x=1", "0a1b2c3d"),
        ('{"accessToken": "xetabcdefghijklmnop"}', "xetabcdefghijklmnop"),
    ],
)
def test_a_token_is_left_out_and_the_words_around_it_are_kept(text: str, secret: str) -> None:
    shown = redacted(text)
    assert secret not in shown
    assert "[secret]" in shown
    assert shown.split()[0][:4] == text.split()[0][:4]


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub_download of timm/resnet18 took 3 s",
        "Bearer of news",
        "the exit code: 1",
        "token = 3 of 400",
        "hf-hub:owner/name@revision",
        "Signature=None and Policy=strict in a sentence",
        "GET /x?design=blue&policy_id=3",
    ],
)
def test_innocent_words_are_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_the_environments_secrets_are_known_by_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    assert "correct-horse-battery" in environment_secrets()
    assert "abc" not in environment_secrets()
    assert redacted("x correct-horse-battery y", environment_secrets()) == "x [secret] y"


def test_a_log_with_a_traceback_is_written_without_the_secret() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(RedactedStream(out, ("correct-horse",)))  # pyright: ignore[reportArgumentType]
    log = logging.getLogger("redact-test")
    log.addHandler(handler)
    try:
        raise ValueError("token hf_AbCdEfGhIjKlMn and correct-horse")
    except ValueError:
        log.exception("it failed with %s", "hf_AbCdEfGhIjKlMn")
    finally:
        log.removeHandler(handler)
    assert "AbCdEfGhIjKlMn" not in out.getvalue()
    assert "correct-horse" not in out.getvalue()
    assert "Traceback" in out.getvalue()


def test_a_handler_that_was_there_before_is_led_to_the_stream_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err, own = io.StringIO(), io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    log = logging.getLogger("redact-test.early")
    handlers = [logging.StreamHandler(stream) for stream in (out, None, own)]
    for handler in handlers:
        log.addHandler(handler)
    try:
        redact_output()
        log.warning("it failed with hf_AbCdEfGhIjKlMn")
    finally:
        for handler in handlers:
            log.removeHandler(handler)
    assert (out.getvalue(), err.getvalue()) == ("it failed with hf_[secret]\n",) * 2
    assert "AbCdEfGhIjKlMn" in own.getvalue()  # whoever gave it a stream of its own knows why


def test_the_password_leaves_the_environment_and_opens_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read_password(ask=False) is None
    monkeypatch.setenv("LRLAB_PASSWORD", "correct-horse")
    password = read_password(ask=False)
    assert password == "correct-horse"
    assert "LRLAB_PASSWORD" not in os.environ
    check = checked_by(password)
    assert asyncio.run(check("anybody", "correct-horse"))  # pyright: ignore[reportArgumentType]
    assert not asyncio.run(check("anybody", "wrong"))  # pyright: ignore[reportArgumentType]
    assert not asyncio.run(check("anybody", "ümlaut"))  # pyright: ignore[reportArgumentType]


def test_a_short_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRLAB_PASSWORD", "short")
    with pytest.raises(ConfigError, match="5 letters"):
        read_password(ask=False)
