"""`Token`: one login of the Hub emulator, what it may do, and how `whoami-v2` describes it.

Not covered: resource groups, gating by request, tokens of applications without a user.
Sources: the Hub's documentation of user access tokens, of OAuth ("contribute-repos: can create
repositories and access those created by this app") and of organizations' roles. No documentation
shows the answer for an OAuth token: it has no `accessToken` (huggingface_hub, pull request 2631).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub_repos import Repo

Roles = Mapping[str, Mapping[str, str]]
"""User to organization to `read`, `contributor`, `write` or `admin`."""
TOKEN = "hf_canaryTokenOfAda"
"""What most tests publish with; one that finds it anywhere else has found a leak."""
_BORN = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, kw_only=True)
class Token:
    """A login: who, and how much of what that user may do."""

    user: str
    role: str = "write"
    """`read`, `write`, `fineGrained` or `oauth`."""
    scopes: tuple[str, ...] = ()
    """Of an OAuth token; none of them reaches an organization."""
    app: str = "an-app"
    """The app that an OAuth token was made for: `contribute-repos` is about what it created."""
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a fine-grained token: `user/ada`, `org/lab` or `model/ada/squares` to permissions."""
    expired: bool = False


def role_in(token: Token, owner: str, organizations: Roles) -> str | None:
    """What the token's user is in a namespace, as far as the token reaches."""
    if owner == token.user:
        return "admin"
    return None if token.role == "oauth" else organizations.get(token.user, {}).get(owner)


def may_read(token: Token | None, repo: Repo, organizations: Roles) -> bool:
    """Whether the repository exists for this token; everybody sees the public ones."""
    if not repo.private:
        return True
    if token is None or role_in(token, repo.owner, organizations) is None:
        return False
    if token.role == "oauth":
        everything = {"read-repos", "write-repos", "manage-repos"} & set(token.scopes)
        return bool(everything) or _own_app(token, repo)
    if token.role == "fineGrained":
        return bool({"repo.content.read", "repo.write"} & _permissions(token, repo.owner, repo))
    return True


def may_write(token: Token, repo: Repo, organizations: Roles) -> bool:
    """Whether the token may commit."""
    role = role_in(token, repo.owner, organizations)
    if role in (None, "read") or (role == "contributor" and repo.creator != token.user):
        return False
    if token.role == "oauth":
        return bool({"write-repos", "manage-repos"} & set(token.scopes)) or _own_app(token, repo)
    if token.role == "fineGrained":
        return "repo.write" in _permissions(token, repo.owner, repo)
    return token.role == "write"


def may_create(token: Token, owner: str, organizations: Roles) -> bool:
    """Whether the token may make a repository in the namespace."""
    if role_in(token, owner, organizations) in (None, "read"):
        return False
    if token.role == "oauth":
        return bool({"contribute-repos", "manage-repos"} & set(token.scopes))
    if token.role == "fineGrained":
        return "repo.write" in _permissions(token, owner, None)
    return token.role == "write"


def whoami(token: Token, organizations: Roles) -> dict[str, Any]:
    """The answer of `whoami-v2`."""
    described = _entity("user", token.user) | {
        "isPro": False,
        "billingMode": "prepaid",
        "orgs": [
            _entity("org", name) | {"roleInOrg": role, "isEnterprise": False}
            for name, role in organizations.get(token.user, {}).items()
        ],
    }
    if token.role != "oauth" or "email" in token.scopes:
        described |= {"email": f"{token.user}@example.org", "emailVerified": True}
    return described | {"auth": _auth(token)}


def _auth(token: Token) -> dict[str, Any]:
    if token.role == "oauth":
        return {"type": "oauth", "expiresAt": "2036-01-01T00:00:00.000Z"}
    access: dict[str, Any] = {"displayName": "test", "role": token.role, "createdAt": _BORN}
    if token.role == "fineGrained":
        scoped = [
            {
                "entity": {"_id": _id(name), "type": name.split("/")[0], "name": name[at + 1 :]},
                "permissions": list(allowed),
            }
            for name, allowed in token.permissions.items()
            if (at := name.index("/"))
        ]
        access["fineGrained"] = {"canReadGatedRepos": False, "global": [], "scoped": scoped}
    return {"type": "access_token", "accessToken": access}


def _entity(kind: str, name: str) -> dict[str, Any]:
    described = {"type": kind, "id": _id(name), "name": name, "fullname": name}
    return described | {"email": None, "canPay": False, "periodEnd": None, "avatarUrl": ""}


def _id(name: str) -> str:
    return name.encode().hex()[:24].ljust(24, "0")


def _own_app(token: Token, repo: Repo) -> bool:
    return "contribute-repos" in token.scopes and repo.app == token.app


def _permissions(token: Token, owner: str, repo: Repo | None) -> set[str]:
    """What a fine-grained token may do in a namespace and, where given, in a repository."""
    names = [f"user/{owner}", f"org/{owner}"]
    names += [f"{repo.kind.removesuffix('s')}/{repo.repo_id}"] if repo else []
    return {allowed for name in names for allowed in token.permissions.get(name, ())}
