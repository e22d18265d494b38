"""`pull`: a timm CNN from the Hub into a folder of its own, judged before its weights are fetched.

The order is: the list of files, then `config.json`, then the first bytes of the weights; the
weights themselves are downloaded last, and must have the SHA-256 that the Hub lists. A folder
holds `config.json`, `model.safetensors` and `source.json`, belongs to one commit, and is looked at
again each time: a changed file is fetched anew. No token is ever sent, no pickle fetched.

Not covered: private and gated models, weights in several files.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.architecture import check_cnn, on_meta
from trainer.data.cache import cache_root, read_json, write_json
from trainer.data.names import megabytes, printable
from trainer.data.room import ensure_room, touch
from trainer.errors import HubError, ModelError
from trainer.hub_client import (
    HUB_PREFIX,
    HubName,
    OnProgress,
    card_errors,
    connect,
    hub_errors,
    parse_hub_name,
    quiet_progress,
    refuse_closed,
    summed,
    untold,
)
from trainer.limits import Limits
from trainer.model_config import MAX_CONFIG_BYTES, read_config
from trainer.weights import CONFIG, WEIGHTS, check_weights

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SOURCE = "source.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a pulled model came from; `source.json` beside it."""

    repo_id: str
    revision: str
    """The commit."""
    config_sha256: str
    weights_sha256: str
    licence: str | None = None
    """What the model's card states, if it does."""


def pull(
    repo_id: str,
    revision: str | None = None,
    limits: Limits | None = None,
    *,
    on_note: Callable[[str], None] = lambda _text: None,
    on_progress: OnProgress = untold,
) -> Path:
    """The folder of a model from the Hub, fetched if it is not here yet.

    Args:
        repo_id: `owner/name` or `owner/name@revision`, with or without `hf-hub:` before it.
        revision: branch, tag or commit; it is resolved to a commit. A commit that is here already
            asks nothing of the Hub.
        limits: `max_parameters` and `max_image_size`; from the environment by default.
        on_note: is told what a person should know, in a sentence.
        on_progress: is told (bytes so far, bytes in all) while the weights come; an exception from
            it ends the download.

    Raises:
        HubError: unreachable, or the model is missing, private or gated, or arrived damaged.
        ModelError: the id is none, or the repository is no timm CNN that is safe and fits.
    """
    limits = limits or Limits.from_env()
    name = _parse(repo_id, revision)
    if name.revision and _COMMIT.fullmatch(name.revision):
        folder = _folder(name.repo_id, name.revision)
        if _is_whole(folder, on_note):
            return folder
    api, what = connect(), f"model {name.repo_id!r}"
    with hub_errors(what):
        with card_errors(what):
            info = api.model_info(
                name.repo_id, revision=name.revision, files_metadata=True, timeout=_TIMEOUT_SECONDS
            )
        refuse_closed(info, what)
        files = {entry.rfilename: entry for entry in info.siblings or ()}
        _refuse_files(what, {path: entry.size for path, entry in files.items()}, limits)
        folder = _folder(name.repo_id, str(info.sha))
        if not _is_whole(folder, on_note):
            _fetch(api, info, folder, limits, on_progress)
    return folder


def read_source(folder: Path) -> Source | None:
    """Where a model folder was pulled from; None for one that was not."""
    values = read_json(folder / SOURCE)
    try:
        return Source(**values) if values else None
    except TypeError:
        return None


def _parse(repo_id: str, revision: str | None) -> HubName:
    name = parse_hub_name(repo_id.removeprefix(HUB_PREFIX))
    if name is None or (revision and parse_hub_name(f"{name.repo_id}@{revision}") is None):
        raise ModelError(
            f"{printable(repo_id[:100])!r} is not a model's id on the Hub. It looks like "
            "owner/name or owner/name@revision, in ASCII letters, digits and . _ -"
        )
    return HubName(name.repo_id, revision or name.revision)


def _folder(repo_id: str, sha: str) -> Path:
    return cache_root() / "hub-models" / repo_id.replace("/", "--") / sha


def _is_whole(folder: Path, on_note: Callable[[str], None]) -> bool:
    """Whether a model is here as it came; what has changed since is taken away and said."""
    source = read_source(folder)
    if source is None:
        return False
    touch(folder)
    expected = {CONFIG: source.config_sha256, WEIGHTS: source.weights_sha256}
    changed = [
        name
        for name, digest in expected.items()
        if not (folder / name).is_file() or _sha256(folder / name) != digest
    ]
    if changed:
        on_note(
            f"The kept {' and '.join(changed)} of {source.repo_id} changed since the download, so "
            "the model is downloaded again."
        )
        shutil.rmtree(folder, ignore_errors=True)
    return not changed


def _refuse_files(what: str, sizes: dict[str, int | None], limits: Limits) -> None:
    """Judge the list of files.

    Raises:
        ModelError: a file is missing or far too large.
    """
    missing = [path for path in (CONFIG, WEIGHTS) if path not in sizes]
    if missing:
        pickles = [path for path in sizes if path.endswith(_PICKLES)]
        shards = [path for path in sizes if re.fullmatch(r"model-\d+-of-\d+\.safetensors", path)]
        hint = f" It has {pickles[0]}, a pickle, which may run any code." if pickles else ""
        hint = " Its weights lie in several files." if shards else hint
        raise ModelError(
            f"The {what} has no {' and no '.join(missing)}, so it is not loaded.{hint} Choose a "
            "timm model that is saved as safetensors."
        )
    for path, limit in ((WEIGHTS, 4 * limits.max_parameters), (CONFIG, MAX_CONFIG_BYTES)):
        size = sizes[path]
        if size is None or size > limit:
            seen = "of unknown size" if size is None else megabytes(size)
            raise ModelError(
                f"The {what} has a {path} that is {seen}; the limit is {megabytes(limit)}. "
                "Choose a smaller model."
            )


def _fetch(api: "HfApi", info: Any, folder: Path, limits: Limits, on_progress: OnProgress) -> None:
    """Download config and weights into the folder, each judged before the next."""
    what = f"model {info.id!r}"
    config_path = _download(api, info, CONFIG, folder, quiet_progress())
    try:
        config = read_config(config_path, what, limits)
        check_cnn(config.architecture, config.args, limits)
        weights = next(entry for entry in info.siblings if entry.rfilename == WEIGHTS)
        ranges = _ranges(api, info.id, str(info.sha), what)
        check_weights(ranges, weights.size, on_meta(config.architecture, config.args), what)
    except ModelError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    ensure_room(weights.size, f"the {what}", limits)
    counted = quiet_progress(summed(weights.size, on_progress))
    digest = _sha256(_download(api, info, WEIGHTS, folder, counted))
    expected = weights.lfs.sha256 if weights.lfs else digest  # the Hub keeps all weights in LFS
    if digest != expected:
        shutil.rmtree(folder, ignore_errors=True)
        raise HubError(
            f"The weights of the {what} arrived with the SHA-256 {digest[:12]}…, and the Hub lists "
            f"{expected[:12]}…, so they are not used. Try again; if it stays so, tell their owner."
        )
    with card_errors(what):
        licence = info.card_data.to_dict().get("license") if info.card_data else None
    source = Source(
        repo_id=info.id,
        revision=str(info.sha),
        config_sha256=_sha256(config_path),
        weights_sha256=digest,
        licence=licence if isinstance(licence, str) else None,
    )
    write_json(folder / SOURCE, asdict(source))


def _download(api: "HfApi", info: Any, path: str, folder: Path, bar: type) -> Path:
    return Path(
        api.hf_hub_download(info.id, path, revision=info.sha, local_dir=folder, tqdm_class=bar)
    )


def _ranges(api: "HfApi", repo_id: str, sha: str, what: str) -> Callable[[int, int], bytes]:
    """Reads parts of the weights on the Hub, and no byte more than is asked for."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import hf_raise_for_status

    url = hf_hub_url(repo_id, WEIGHTS, revision=sha, endpoint=api.endpoint)

    def read(start: int, end: int) -> bytes:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        found = bytearray()
        with get_session().stream(
            "GET", url, headers=headers, timeout=_TIMEOUT_SECONDS
        ) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:
                raise HubError(
                    f"The Hub sends the weights of the {what} only whole, so they cannot be looked "
                    "at before the download. Try again later."
                )
            for part in response.iter_bytes():
                found += part
                if len(found) >= end - start:
                    break
        return bytes(found[: end - start])

    return read


def _sha256(path: Path) -> str:
    facts = path.stat()
    return _digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=32)
def _digest(path: Path, _size: int, _mtime: int) -> str:
    """Computed once a process, for a run asks for its model several times."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
