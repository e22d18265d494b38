"""`preflight`: whether a publication would be taken, found out before any work is done for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from trainer.errors import HubError, UserError
from trainer.events import Preflight
from trainer.publish.account import Account, account_of
from trainer.publish.card_check import check_card
from trainer.publish.patience import persist
from trainer.publish.refusals import refusals
from trainer.publish.target import Target, check_id, look, refuse

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a person wants to publish, and where."""

    repo_id: str
    """`owner/name`; with `own`, a name alone will do."""
    kind: str = "model"
    public: bool = False
    own: bool = False
    """Refuse every namespace but the person's own."""

    def __post_init__(self) -> None:
        """Refuse what can be no id, before the Hub is asked anything.

        Raises:
            HubError: it is none.
        """
        bare = self.own and "/" not in self.repo_id
        check_id(f"owner/{self.repo_id}" if bare else self.repo_id)


def preflight(
    api: "HfApi", wish: Wish, token: str, card: Callable[[str], str] | None = None
) -> Preflight:
    """Ask the Hub everything that would make a publication fail.

    Args:
        api: a client for this Hub.
        wish: what is to be published.
        token: whose login; it is asked for its name, its rights and its organizations.
        card: the README.md that will be sent to the repository of this id, as far as it is known.

    Returns:
        What was found, in the order of the questions; those after the first problem that makes
        them pointless are not asked.
    """
    findings: list[tuple[str, str]] = []

    def asked(question: Callable[[], tuple[str, Answer]]) -> Answer | None:
        """Note the answer's words and hand on what was found; where it is a problem, None."""
        try:
            with refusals(wish.repo_id, token):
                words, answer = persist(question)
        except UserError as error:
            findings.append(("problem", str(error)))
            return None
        findings.append(("ok", words))
        return answer

    account = asked(lambda: _login(api, token))
    target = asked(lambda: _namespace(wish, account)) if account else None
    if target:
        asked(lambda: _place(api, target, token))
        if card:
            asked(lambda: _readme(card(target.repo_id), target.kind))
    return Preflight(
        ok=all(level == "ok" for level, _ in findings),
        repo_id=target.repo_id if target else wish.repo_id,
        user=account.name if account else "",
        kind=wish.kind,
        findings=tuple(findings),
    )


def target_of(wish: Wish, account: Account) -> Target:
    """The repository that is meant.

    Raises:
        HubError: the namespace is not one that this person may write to.
    """
    repo_id = wish.repo_id if "/" in wish.repo_id else f"{account.name}/{wish.repo_id}"
    owner = repo_id.partition("/")[0]
    allowed = (account.name,) if wish.own else (account.name, *account.orgs)
    if owner not in allowed:
        raise HubError(
            f"{account.name} may not write to {owner}. Use one of these as owner: "
            f"{', '.join(allowed[:10])}."
        )
    whose = ("user" if owner == account.name else "org", owner)
    if account.granted is not None and not account.granted & {whose, (wish.kind, repo_id)}:
        raise HubError(
            f"The token of {account.name} may not write to {repo_id}: it is a fine-grained one "
            f"without that permission. Give it “Write access to contents” of {owner}'s "
            "repositories in the settings of your page on the Hub, or log in with another."
        )
    return Target(repo_id=repo_id, kind=wish.kind, public=wish.public)


def _login(api: "HfApi", token: str) -> tuple[str, Account]:
    account = account_of(api, token)
    if account.read_only:
        raise HubError(
            f"The token of {account.name} may only read. Make one with the right to write "
            "in the settings of your page on the Hub, and log in with it."
        )
    return f"Signed in as {account.name}, who may write.", account


def _namespace(wish: Wish, account: Account) -> tuple[str, Target]:
    target = target_of(wish, account)
    return f"{target.repo_id} is yours to write to.", target


def _place(api: "HfApi", target: Target, token: str) -> tuple[str, None]:
    standing = look(api, target, token)
    visible = "for everybody to see" if target.public else "private: only you can see it"
    if standing is None:
        return f"the name is free; it will be made, {visible}.", None
    refuse(target, standing)
    return f"it exists and will be brought up to date, {visible}.", None


def _readme(card: str, kind: str) -> tuple[str, None]:
    check_card(card, kind)
    return "its card is one that the Hub takes.", None
