"""`push`: publish a model folder on the Hugging Face Hub, load it back from there and compare.

The token is the login of this machine (`hf auth login`, or `$HF_TOKEN`): it goes with each call to
the Hub, and is never stored, logged or put into a message. The worker process has no tokens in its
environment, by design, and must not publish in the name of whoever started the app: a push runs in
the command line's own process.

Not covered: a check of the rights before anything is made, a card with figures, retries, a demo,
and files of an earlier push that this one does not replace.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.agreement import MAX_GAP, fixed_images, gap, logits_of
from trainer.errors import HubError, ModelError
from trainer.events import Pushed
from trainer.export import CONFIG, WEIGHTS, LoadedModel, load_model
from trainer.hub_client import connect, parse_hub_name, quiet_progress

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
"""Endings of files that can run code when they are loaded; a folder with one is not published."""

_NUM_IMAGES = 4


def push(folder: Path, repo_id: str, *, public: bool) -> Pushed:
    """Publish every file of a model folder but hidden ones, in one commit, and verify it.

    The id, the files, the model and the login are looked at before anything is made on the Hub.

    Args:
        folder: what `export_model` wrote, with or without `model.onnx`.
        repo_id: `owner/name`; it is made where there is none.
        public: for everybody to see. An existing repository must be as visible as is asked for.

    Returns:
        `verified`: the model that the Hub sends back for the new commit has the same class names
        and answers the same, to within `MAX_GAP`.

    Raises:
        HubError: the id is none, nobody is logged in, or the Hub is unreachable or refused.
        ModelError: the folder holds no model that loads, or a pickle.
    """
    _check_id(repo_id)
    files = _files(folder)
    token = _token()
    local = load_model(folder)
    api = connect()
    with _hub_errors(repo_id, token):
        parent = _prepare(api, repo_id, token, public=public)
        commit = _commit(api, repo_id, token, files, parent)
    return Pushed(
        url=f"{api.endpoint}/{repo_id}",
        verified=_same(local, _loaded_back(api, repo_id, token, commit)),
    )


def _check_id(repo_id: str) -> None:
    name = parse_hub_name(repo_id)
    if name is None or name.revision or repo_id.endswith((".git", ".ipynb")):
        raise HubError(
            f"{repo_id[:100]!r} is not an id on the Hub. It looks like owner/name, with your user "
            "name or your organization as owner, in ASCII letters, digits and . _ -"
        )


def _files(folder: Path) -> dict[str, Path]:
    """What is published: path within the repository to file, without anything hidden.

    Raises:
        ModelError: there is a pickle.
    """
    inside = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    files = {
        name.as_posix(): path
        for name, path in inside.items()
        if path.is_file() and not any(part.startswith(".") for part in name.parts)
    }
    pickles = [name for name in files if name.lower().endswith(PICKLES)]
    if pickles:
        raise ModelError(
            f"{folder.name} holds {pickles[0]}, a pickle, which may run any code where it is "
            "loaded, so it is not published. Take it out; model.safetensors holds the weights."
        )
    return files


def _token() -> str:
    """The login of this machine.

    Raises:
        HubError: there is none, or it cannot be one.
    """
    from huggingface_hub import errors, get_token

    try:
        token = get_token()
    except (OSError, errors.OIDCError) as error:
        raise HubError(
            f"The login of this machine cannot be read ({type(error).__name__}). Log in again with "
            "`hf auth login`."
        ) from error
    if not token:
        raise HubError(
            "Nobody is logged in to the Hugging Face Hub on this machine. Log in with `hf auth "
            "login` and a token that may write, and push again."
        )
    # An HTTP client would quote such a token in its error.
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise HubError(
            "The login of this machine is no token: it holds characters that a token cannot have. "
            "Log in again with `hf auth login`."
        )
    return token


def _prepare(api: "HfApi", repo_id: str, token: str, *, public: bool) -> str | None:
    """Make the repository where there is none; returns its newest commit.

    Raises:
        HubError: it exists and is not as visible as is asked for.
    """
    api.create_repo(repo_id, token=token, private=not public, exist_ok=True)
    info = api.model_info(repo_id, token=token, timeout=10)
    if bool(info.private) == public:
        state, option = ("private", "without") if info.private else ("public", "with")
        raise HubError(
            f"{repo_id} exists already and is {state}. Push {option} --public, choose another "
            "name, or change it in the settings of its page."
        )
    return info.sha


def _commit(
    api: "HfApi", repo_id: str, token: str, files: dict[str, Path], parent: str | None
) -> str:
    """All files in one commit on top of `parent`, or none of them; returns the commit."""
    from huggingface_hub import CommitOperationAdd

    done = api.create_commit(
        repo_id,
        [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=path)
            for name, path in files.items()
        ],
        commit_message="Publish the model",
        token=token,
        parent_commit=parent,
    )
    return done.oid


def _loaded_back(api: "HfApi", repo_id: str, token: str, commit: str) -> LoadedModel:
    """The model as the Hub sends it, from nobody's cache.

    Raises:
        HubError: it does not come, or what comes is no model.
    """
    with tempfile.TemporaryDirectory(prefix="lrlab-push-") as name:
        folder = Path(name) / repo_id.partition("/")[2]
        try:
            with _hub_errors(repo_id, token):
                for path in (CONFIG, WEIGHTS):
                    api.hf_hub_download(
                        repo_id,
                        path,
                        revision=commit,
                        local_dir=folder,
                        token=token,
                        force_download=True,
                        tqdm_class=quiet_progress(),
                    )
            return load_model(folder)
        except (HubError, ModelError) as error:
            raise HubError(
                f"The files are on the Hub ({api.endpoint}/{repo_id}), but loading them back did "
                f"not work, so nothing is verified. {error}"
            ) from error


def _same(local: LoadedModel, remote: LoadedModel) -> bool:
    """Whether both have the same classes and answer the same fixed images alike."""
    if local.class_names != remote.class_names or local.preprocess != remote.preprocess:
        return False
    images = fixed_images(local, _NUM_IMAGES)
    return gap(logits_of(remote, images), logits_of(local, images)) <= MAX_GAP


@contextmanager
def _hub_errors(repo_id: str, token: str) -> Iterator[None]:
    """Turn what the Hub refuses and what the network breaks into a `HubError`."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except HubError:
        raise
    except (OSError, RuntimeError, ValueError, httpx2.HTTPError, errors.FileMetadataError) as error:
        # huggingface_hub wraps what an upload of a file raises in a RuntimeError.
        cause = error.__cause__ if isinstance(error, RuntimeError) else None
        raise HubError(_in_words(cause or error, repo_id, token)) from error


def _in_words(error: BaseException, repo_id: str, token: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in _REFUSALS:
            return f"The Hub refused {repo_id} with status {status}: {_REFUSALS[status]}"
        said = (error.server_message or "").replace(token, "…")[:300]
        more = f" It said: {said}" if said else ""
        return f"The Hub refused {repo_id} with status {status}. Try again in a few minutes.{more}"
    if isinstance(error, HFValidationError):
        return f"{repo_id!r} is not an id that the Hub takes. Choose another name."
    if isinstance(error, ValueError):
        said = " ".join(str(error).replace(token, "…").split())[:300]
        return f"The Hub does not take these files: {said}"
    return (
        f"The connection to the Hub broke off ({type(error).__name__}). Check the network and push "
        "again: a commit is there whole or not at all."
    )


_REFUSALS = {
    401: "it does not know the login of this machine. Log in again with `hf auth login`.",
    403: "this login may not write there. Use your own user name or an organization that you may "
    "write to as owner, and a token with the right to write.",
    404: "there is no such owner or repository that this login may see. Check the spelling.",
    409: "another change to it is going on. Push again in a minute.",
    412: "somebody changed it at the same moment. Look at its page, and push again.",
    413: "the files are larger than it takes.",
    429: "too many requests. Push again in a few minutes.",
}
"""What the Hub's status codes mean for a push, and what to do."""
