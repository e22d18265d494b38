"""In whose name a visitor publishes, and what their sign-in must allow."""

import gradio as gr
import pytest
from starlette.requests import Request

from trainer.errors import HubError
from ui.login import Login

HEADERS = [(b"host", b"lab.example"), (b"origin", b"https://lab.example")]
REQUEST = gr.Request(Request({"type": "http", "headers": HEADERS}))


@pytest.mark.parametrize(
    ("scope", "fine"),
    [
        ("openid profile contribute-repos", True),
        ("openid profile manage-repos", True),
        ("", True),  # a Hub that does not say: it is asked before anything is made
        ("openid profile", False),
        ("openid profile read-repos", False),
    ],
)
def test_a_sign_in_must_let_the_app_make_repositories(
    scope: str, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_CLIENT_ID", "lab")
    token = gr.OAuthToken(token="hf_oauth_x", scope=scope, expires_at=0)
    if fine:
        assert Login().token(token, REQUEST) == "hf_oauth_x"
        return
    with pytest.raises(HubError, match="Sign out, sign in again"):
        Login().token(token, REQUEST)


def test_who_has_not_signed_in_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_CLIENT_ID", "lab")
    with pytest.raises(HubError, match="Sign in with Hugging Face first"):
        Login().token(None, REQUEST)
