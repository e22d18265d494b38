"""`Login`: in whose name a visitor may publish.

On a Space in that of their own sign-in. On one's own machine in that of its login, and only for the
person who sits at it: a share link's visitors and other websites never publish in its owner's name.
"""

import os
from dataclasses import dataclass

import gradio as gr

from trainer.errors import HubError
from ui.origin import is_local, same_origin

MAKES_REPOSITORIES = {"contribute-repos", "write-repos", "manage-repos"}
"""Scopes of a sign-in, one of which it takes to publish."""


@dataclass(slots=True)
class Login:
    open_to_others: bool = False
    """Whether the app can be reached from other machines: by a share link, or on a network."""

    @property
    def by_sign_in(self) -> bool:
        """Whether visitors sign in themselves, as on a Space."""
        return "OAUTH_CLIENT_ID" in os.environ

    def token(self, oauth: gr.OAuthToken | None, request: gr.Request) -> str:
        """The token to publish with.

        Raises:
            HubError: nobody may publish with this request; the words say what to do instead.
        """
        headers = dict(request.headers)
        if not same_origin(headers):
            raise HubError("Publishing works from the app's own page alone. Open it and try again.")
        if self.by_sign_in:
            if oauth is None:
                raise HubError("Sign in with Hugging Face first; the button is above.")
            if oauth.scope and not MAKES_REPOSITORIES & set(oauth.scope.split()):
                raise HubError(
                    "Your sign-in does not let this app make repositories. Sign out, sign in "
                    "again, and allow it to."
                )
            return oauth.token
        if "SPACE_ID" in os.environ:
            raise HubError(
                "This Space was set up without a sign-in, so it does not publish. Download the "
                "model (tab Train), or duplicate the Space with hf_oauth: true in its README."
            )
        client = request.client.host if request.client else None
        if self.open_to_others or not is_local(headers, client):
            raise HubError(
                "This app is open to others, so it does not publish in the name of whoever runs "
                "it. Download the model (tab Train) and publish it on your own machine with "
                "`python -m trainer push`, or start the app without --share and --host."
            )
        from trainer.publish.account import machine_token

        return machine_token()
