"""The Hub emulator lets a login do what its role, its scopes and its organizations say."""

from collections.abc import Iterator

import pytest

from hub_api_client import ADA
from hub_emulator import HubEmulator
from hub_tokens import Token


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        hub.users["read"] = Token(user="ada", role="read")
        hub.users["expired"] = Token(user="ada", expired=True)
        hub.users["fine"] = Token(
            user="ada",
            role="fineGrained",
            permissions={"model/ada/fine": ("repo.content.read", "repo.write")},
        )
        for scope in ("contribute-repos", "write-repos", "read-repos"):
            hub.users[scope] = Token(user="ada", role="oauth", scopes=("openid", scope))
        hub.users["no scope"] = Token(user="ada", role="oauth", scopes=("openid", "profile"))
        hub.users["bob"] = "bob"
        hub.organizations["ada"] = {"lab": "write", "club": "read", "team": "contributor"}
        yield hub


def test_nobody_writes_without_a_login_or_elsewhere(hub, client):
    hub.model("grace/notes", {"a.txt": "a"})
    files = {"a.txt": "2"}
    assert client.ask("commit", "grace/notes", files, token=None)["status"] == 401
    assert client.ask("commit", "grace/notes", files, token="hf_unknown")["status"] == 401
    assert client.ask("commit", "grace/notes", files)["status"] == 403
    assert client.ask("create", "grace/new")["status"] == 403
    assert client.ask("create", "nowhere", token="hf_unknown")["status"] == 401


def test_a_login_that_expired_or_is_unknown_may_not_even_read(hub, client):
    hub.model("grace/open", {"a.txt": "a"})
    for token, said in (("expired", "is expired"), ("hf_unknown", "Invalid")):
        refused = client.ask("plain", "model_info", "grace/open", token=token)
        assert refused["status"] == 401 and said in refused["message"]
    assert client.ask("plain", "model_info", "grace/open", token=None)["id"] == "grace/open"


def test_a_private_repository_is_only_there_for_those_who_may_see_it(hub, client):
    hub.model("ada/secret", {"a.txt": "a"}, private=True)
    seen = {
        token: client.ask("plain", "model_info", "ada/secret", token=token).get("status", 200)
        for token in (ADA, "read", "read-repos", "write-repos", "no scope", "bob", None)
    }
    assert seen == {
        ADA: 200,
        "read": 200,
        "read-repos": 200,
        "write-repos": 200,
        "no scope": 404,
        "bob": 404,
        None: 401,
    }


@pytest.mark.parametrize(
    ("token", "creates", "writes"),
    [
        (ADA, True, True),
        ("read", False, False),
        ("fine", False, False),
        ("contribute-repos", True, False),
        ("write-repos", False, True),
        ("read-repos", False, False),
        ("no scope", False, False),
    ],
)
def test_a_login_may_what_its_role_or_its_scopes_say(hub, client, token, creates, writes):
    name = f"ada/by-{token.lower().replace(' ', '-').replace('_', '-')}"
    made = client.ask("create", name, token=token)
    assert made.get("status", 200) == (200 if creates else 403)
    hub.model("ada/older", {"a.txt": "a"})
    done = client.ask("commit", "ada/older", {"a.txt": "2"}, token=token)
    assert done.get("status", 200) == (200 if writes else 403)


def test_an_app_that_contributes_writes_to_what_it_created_and_nothing_else(hub, client):
    client.ask("create", "ada/mine", token="contribute-repos", private=True)
    client.ask("create", "ada/not-mine")
    for name, status in (("ada/mine", 200), ("ada/not-mine", 403)):
        done = client.ask("commit", name, {"a.txt": "2"}, token="contribute-repos")
        assert done.get("status", 200) == status
    assert client.ask("create", "lab/mine", token="contribute-repos")["status"] == 403
    hub.users["other app"] = Token(
        user="ada", role="oauth", scopes=("contribute-repos",), app="another"
    )
    assert client.ask("plain", "model_info", "ada/mine", token="other app")["status"] == 404


def test_a_fine_grained_token_writes_where_it_says(hub, client):
    for name, status in (("ada/fine", 200), ("ada/coarse", 403)):
        hub.model(name, {"a.txt": "a"})
        done = client.ask("commit", name, {"a.txt": "2"}, token="fine")
        assert done.get("status", 200) == status


@pytest.mark.parametrize(
    ("owner", "creates", "writes"),
    [("lab", True, True), ("team", True, False), ("club", False, False)],
)
def test_an_organization_gives_rights_by_role(hub, client, owner, creates, writes):
    made = client.ask("create", f"{owner}/own")
    assert made.get("status", 200) == (200 if creates else 403)
    if creates:
        assert "oid" in client.ask("commit", f"{owner}/own", {"a.txt": "2"})
    hub.model(f"{owner}/theirs", {"a.txt": "a"}, creator="grace")
    done = client.ask("commit", f"{owner}/theirs", {"a.txt": "2"})
    assert done.get("status", 200) == (200 if writes else 403)


def test_it_says_who_a_login_is(hub, client):
    me = client.ask("plain", "whoami")
    assert (me["type"], me["name"], me["email"]) == ("user", "ada", "ada@example.org")
    roles = {org["name"]: org["roleInOrg"] for org in me["orgs"]}
    assert roles == {"lab": "write", "club": "read", "team": "contributor"}
    assert me["auth"]["type"] == "access_token"
    assert me["auth"]["accessToken"]["role"] == "write"
    fine = client.ask("plain", "whoami", token="fine")["auth"]["accessToken"]
    assert fine["role"] == "fineGrained"
    assert fine["fineGrained"]["scoped"][0]["entity"]["name"] == "ada/fine"
    assert fine["fineGrained"]["scoped"][0]["permissions"] == ["repo.content.read", "repo.write"]
    app = client.ask("plain", "whoami", token="contribute-repos")
    assert app["auth"]["type"] == "oauth" and "accessToken" not in app["auth"]
    assert app["email"] is None
    assert client.ask("plain", "whoami", token="expired")["status"] == 401
