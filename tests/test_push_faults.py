"""`push` while things go wrong: one commit or none, the model kept, bounded waits, no secret out.

35 scripts of faults against the command line in a process of its own: what breaks at the Hub is a
`Fault`, and what breaks on its side of the wire `Faulty`.
"""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from faulty_machine import Faulty
from hub_emulator import HubEmulator, Seen
from hub_faults import Fault, Faults, rate_limit
from hub_repos import Repo
from hub_tokens import TOKEN, Token
from pictures import png
from trainer.errors import HubError
from trainer.publish.patience import Patience

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {
    "HF_TOKEN": TOKEN,
    "OAUTH_CLIENT_SECRET": "canaryOfTheOauthApp",
    "SPACE_TOKEN": "hf_canaryTokenOfTheSpace",
}
MAX_SECONDS = 60
WHOLE = Faulty()
PUBLISHED, REFUSED, UNVERIFIED = (0, {1}), (2, {0}), (2, {1})
"""Exit code, and how many commits of ours there may be afterwards."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """What goes wrong during one push, and what may come of it."""

    name: str
    faults: Callable[[HubEmulator, str], list[Fault]] = lambda _hub, _repo_id: []
    here: Faulty = WHOLE
    """What breaks on the client's side."""
    again: bool = False
    """The repository holds an earlier push of ours."""
    left_to_others: bool = False
    """Afterwards the repository holds the work of somebody else alone, and stays theirs."""
    outcome: tuple[int, set[int]] = PUBLISHED
    says: str = ""
    """What a failure says, among other things."""
    waits: tuple[str, float] | None = None
    """Part of a path, and the seconds that the Hub asked to wait before it is asked again."""
    at_most: tuple[str, int] | None = None
    """Part of a path, and how often it may be asked."""


def answers(status: int, only: str, times: int | None = 1, **more: Any) -> Any:
    """Another answer than the real one."""
    return lambda _hub, _repo_id: [Fault(status=status, only=only, times=times, **more)]


def breaks(kind: Any, only: str, **more: Any) -> Any:
    """A connection that breaks."""
    return lambda _hub, _repo_id: [Fault(kind=kind, only=only, **more)]


def expires_before(only: str) -> Any:
    """The login expires when this is asked."""
    return lambda hub, _repo_id: [Fault(kind="meanwhile", only=only, act=lambda: expire(hub))]


def expires_afterwards(hub: HubEmulator, repo_id: str) -> list[Fault]:
    """The login expires as soon as there is a commit of ours."""

    def act() -> None:
        if ours(hub, repo_id):
            expire(hub)

    return [Fault(kind="meanwhile", times=None, act=act)]


def expire(hub: HubEmulator) -> None:
    hub.users[TOKEN] = Token(user="ada", expired=True)


def somebody_else(hub: HubEmulator, repo_id: str) -> list[Fault]:
    """Another commit comes in between."""

    def act() -> None:
        hub.repos["models", repo_id].commit({"notes.txt": "of somebody else"})

    return [Fault(kind="meanwhile", only="/commit/", act=act)]


def lost_and_unavailable(_hub: HubEmulator, _repo_id: str) -> list[Fault]:
    """The answer is lost, and the next questions are not answered either."""
    unavailable = Fault(status=503, times=0)

    def act() -> None:
        unavailable.times = 2

    return [unavailable, Fault(kind="lost", only="/commit/", act=act)]


def refused_once(*places: str) -> Any:
    """Each of these is asked to come back once."""
    later = {"Retry-After": "15"}
    return lambda _hub, _id: [Fault(status=429, only=part, headers=later) for part in places]


def not_there_yet(_hub: HubEmulator, _repo_id: str) -> list[Fault]:
    """One server of the Hub's knows the commit later than the others."""
    unknown = {"X-Error-Code": "RevisionNotFound"}
    return [
        Fault(status=404, only="/tree/"),
        Fault(status=404, method="HEAD", only="config.json", headers=unknown),
        Fault(status=404, method="HEAD", only="model.safetensors"),
    ]


def until_a_date(_hub: HubEmulator, _repo_id: str) -> list[Fault]:
    """Asked to come back at a date, 4 seconds later without their fractions."""
    fault = Fault(status=429, only="/commit/")

    def act() -> None:
        fault.headers = {"Retry-After": formatdate(time.time() + 4, usegmt=True)}

    fault.act = act
    return [fault]


BUSY = '{"error": "Cannot create repo: another conflicting operation is in progress"}'
HURRIED = Faulty(hurry=True, max_wait_seconds=None)
"""Time costs nothing, so that as much may be lost as by default."""
SCRIPTS = [
    Script(
        name="no address", here=replace(HURRIED, no_address="127.0.0.1", times=999), outcome=REFUSED
    ),
    Script(name="no address at first", here=Faulty(no_address="127.0.0.1", times=2)),
    Script(name="no address of the storage", here=Faulty(no_address="localhost")),
    Script(name="401 at once", faults=answers(401, "/api/", None), outcome=REFUSED),
    Script(name="expired before the upload", faults=expires_before("/preupload/"), outcome=REFUSED),
    Script(name="expired after the commit", faults=expires_afterwards, outcome=UNVERIFIED),
    Script(name="403 for the repository", faults=answers(403, "/create", None), outcome=REFUSED),
    Script(name="403 for the commit", faults=answers(403, "/commit/", None), outcome=REFUSED),
    Script(name="404 for the commit", faults=answers(404, "/commit/", None), outcome=REFUSED),
    Script(name="409 for the commit", faults=answers(409, "/commit/"), again=True),
    Script(
        name="409 for the repository", faults=answers(409, "/create", 3, body=BUSY), here=HURRIED
    ),
    Script(name="412 by somebody else", faults=somebody_else, outcome=REFUSED, left_to_others=True),
    Script(name="412 on top of ours", faults=somebody_else, again=True, here=HURRIED),
    Script(
        name="429 and when to come back",
        faults=answers(429, "/commit/", headers={"Retry-After": "3"}),
        waits=("/commit/", 3),
    ),
    Script(
        name="429 with the rate limit",
        faults=answers(429, "/preupload/", headers=rate_limit(3)),
        waits=("/preupload/", 3),
    ),
    Script(name="429 until a date", faults=until_a_date, waits=("/commit/", 3)),
    Script(
        name="429 for an hour",
        faults=answers(429, "/commit/", None, headers={"Retry-After": "3600"}),
        outcome=REFUSED,
        at_most=("/commit/", 1),
    ),
    Script(name="500 for the repository", faults=answers(500, "/create")),
    Script(name="500 for the upload", faults=answers(500, "/lfs-upload/", 2), here=HURRIED),
    Script(name="500 three times", faults=answers(500, "/commit/", 3), here=HURRIED),
    Script(
        name="500 for the commit, always",
        faults=answers(500, "/commit/", None),
        here=HURRIED,
        outcome=REFUSED,
    ),
    Script(
        name="429 once for everything",
        faults=refused_once("/create", "/preupload/", "/objects/batch", "/lfs-upload/", "/commit/"),
        here=HURRIED,
        outcome=REFUSED,
    ),
    Script(
        name="hanging commit",
        faults=breaks("delay", "/commit/", seconds=5, times=None),
        here=HURRIED,
        outcome=REFUSED,
    ),
    Script(
        name="hanging upload, in real time",
        faults=breaks("delay", "/lfs-upload/", seconds=8, times=None),
        here=Faulty(max_wait_seconds=6),
        outcome=REFUSED,
    ),
    Script(name="reset in an upload", faults=breaks("reset", "/lfs-upload/", after_bytes=200_000)),
    Script(name="reset in the commit", faults=breaks("reset", "/commit/", after_bytes=100)),
    Script(name="answer lost", faults=breaks("lost", "/commit/")),
    Script(name="answer lost, then 503", faults=lost_and_unavailable, here=HURRIED),
    Script(
        name="no room for a large file",
        here=Faulty(largest_file=200_000),
        outcome=(2, {0, 1}),
        says="Make room",
    ),
    Script(
        name="full disk",
        here=Faulty(full="lrlab-push-"),
        outcome=UNVERIFIED,
        says="No space left on device). Make room",
    ),
    Script(name="download breaks off", faults=breaks("truncated", "/lfs/models/", method="GET")),
    Script(
        name="download hangs",
        faults=breaks("stalled", "/lfs/models/", method="GET", seconds=5, times=None),
        here=HURRIED,
        outcome=UNVERIFIED,
    ),
    Script(
        name="429 for the question before the download",
        faults=answers(429, "config.json", method="HEAD", headers={"Retry-After": "2"}),
        waits=("config.json", 2),
    ),
    Script(
        name="500 for the question before the download",
        faults=answers(500, "config.json", method="HEAD"),
        here=HURRIED,
    ),
    Script(name="404 right after the commit", faults=not_there_yet, here=HURRIED),
]


class Client:
    """The parent's end of the pipe to the process that runs commands; a stuck one is replaced."""

    def __init__(self, hub: HubEmulator, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir()
        self._env = {
            **hub.client_env(folder / "home"),
            **SECRETS,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "LRLAB_CACHE": str(folder / "cache"),
            "TMPDIR": str(folder / "tmp"),
        }
        self._process: subprocess.Popen[str] | None = None

    def run(self, *argv: str, here: Faulty = WHOLE) -> dict[str, Any]:
        """Exit code, output and seconds of a command; killed after twice what it may take."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "faulty_machine.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self.folder,
                env=self._env,
            )
        assert self._process.stdin and self._process.stdout
        stuck = threading.Timer(2 * MAX_SECONDS, self._process.kill)
        stuck.start()
        self._process.stdin.write(json.dumps([argv, asdict(here)]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        stuck.cancel()
        assert line, f"{argv[0]} did not end within {2 * MAX_SECONDS} seconds"
        return json.loads(line)

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin and self._process.stdout
            self._process.stdin.close()
            self._process.wait(timeout=60)
            self._process.stdout.close()


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(hub, tmp_path_factory.mktemp("faults"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def model(client: Client) -> Path:
    """A model folder: a tiny model, trained for one epoch on coloured squares."""
    squares, run = client.folder / "squares", client.folder / "run"
    for number in range(40):
        path = squares / ("warm", "cold")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png((200, number * 4, 0) if number % 2 == 0 else (0, number, 200), (8, 8)))
    settings = "--model-name test_resnet --no-pretrained --epochs 1 --image-size 32 --lr 0.01"
    options = [*settings.split(), "--batch-size", "8", "--output-dir", str(run), "--json"]
    answer = client.run("train", str(squares), *options)
    assert answer["code"] == 0, answer
    assert client.run("export", str(run / "model"))["code"] == 0
    return run / "model"


def check_rerun(repo: Repo, rerun: dict[str, Any], commits: set[str], model: Path) -> None:
    """The push after the fault: all is there, by one commit of ours in total."""
    assert (rerun["code"], rerun.get("verified")) == (0, True), rerun["all"]
    assert len(commits) == 1
    newest = repo.commits[commits.pop()]
    kept = {name: content for name, content in files(model).items() if name != "README.md"}
    assert {name: newest.get(name) for name in kept} == kept


@pytest.mark.timeout(4 * MAX_SECONDS)
@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_fault_leaves_one_commit_or_none(hub, client, model, script):
    repo_id = f"ada/{script.name.replace(' ', '-').replace(',', '')}"
    if script.again:
        (model / "notes.md").write_text("earlier")
        assert push(client, model, repo_id)["code"] == 0
    (model / "notes.md").write_text(f"For {script.name}.")
    before, asked = fingerprint(model), len(hub.requests)
    old = set(ours(hub, repo_id))
    hub.faults = Faults(script=script.faults(hub, repo_id))
    try:
        told = push(client, model, repo_id, here=script.here)
    finally:
        hub.faults, hub.users[TOKEN] = Faults(), "ada"
    code, commits = script.outcome
    assert (told["code"], "Traceback" in told["all"]) == (code, False), told["all"]
    assert told["seconds"] <= MAX_SECONDS
    assert len(set(ours(hub, repo_id)) - old) in commits
    if code == 0:
        assert (told["event"], told["verified"], told["changed"]) == ("pushed", True, True)
    else:
        assert (told["event"], told["error"]) == ("failed", "HubError")
        assert told["message"] and script.says in told["message"]
    check_pace(script, hub.requests[asked:])

    rerun = push(client, model, repo_id)
    if script.left_to_others:
        assert (rerun["code"], "was not published from here" in rerun["all"]) == (2, True)
        assert not set(ours(hub, repo_id)) - old
    else:
        check_rerun(hub.repos["models", repo_id], rerun, set(ours(hub, repo_id)) - old, model)
    assert fingerprint(model) == before
    check_secrets(hub.requests[asked:], told["all"] + rerun["all"], client.folder)
    check_repo(hub.repos["models", repo_id])


def test_a_full_disk_is_said_in_words_where_a_demo_page_is_made(hub, client, model):
    here = Faulty(full="lrlab-demo-")
    answer = client.run("push-demo", str(model), "ada/full-demo", "--json", here=here)
    told = json.loads(answer["out"].splitlines()[-1])
    assert (answer["code"], told["event"], told["error"]) == (2, "failed", "DiskFullError")
    assert "Make room" in told["message"]
    assert ("spaces", "ada/full-demo") not in hub.repos


def test_what_several_requests_lose_at_once_counts_once():
    patience, now = Patience(45), time.monotonic()
    patience.failed(now - 30, why="status 500")
    patience.failed(now - 20, why="status 500")
    assert 14 < patience.begin() <= 15
    with pytest.raises(HubError, match=r"\(status 503\)\. Waiting for it has taken 50 s"):
        patience.failed(now - 50, why="status 503")


@pytest.mark.timeout(20)
def test_a_wait_that_is_too_long_is_waited_for_by_no_other_request():
    patience, now = Patience(45), time.monotonic()
    with pytest.raises(HubError, match="It asks to wait 1 h"):
        patience.failed(now, asked_seconds=3600, why="status 429")
    assert patience.begin() > 44


def push(client: Client, model: Path, repo_id: str, *, here: Faulty = WHOLE) -> dict[str, Any]:
    """The last JSON line of a push, its exit code, its seconds, and `all` that it wrote."""
    answer = client.run("push", str(model), repo_id, "--json", here=here)
    written = answer["out"].splitlines()
    last = json.loads(written[-1]) if written else {}
    return {**last, **answer, "all": answer["out"] + answer["err"]}


def ours(hub: HubEmulator, repo_id: str) -> list[str]:
    """Our commits in a repository, oldest first, without the one that creating it makes."""
    repo = hub.repos.get(("models", repo_id))
    log = repo.log.items() if repo else ()
    return [sha for sha, said in log if said.author == "ada" and said.title != "initial commit"]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of a folder, by its hash."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files(folder).items()}


def check_pace(script: Script, requests: list[Seen]) -> None:
    """What the Hub asked to wait was waited, and nobody hammered."""
    if script.waits:
        part, seconds = script.waits
        times = [seen.at for seen in requests if part in seen.path]
        assert times[1] - times[0] >= seconds
    if script.at_most:
        part, count = script.at_most
        assert len([seen for seen in requests if part in seen.path]) <= count


def check_secrets(requests: list[Seen], written: str, folder: Path) -> None:
    """No secret was printed, kept or sent, but the login to the Hub itself."""
    texts = {"what it printed": written.encode()}
    for number, seen in enumerate(requests):
        to_storage = seen.host.startswith("localhost")
        headers = {
            name: value
            for name, value in seen.headers.items()
            if name != "authorization" or to_storage
        }
        said = f"{seen.path} {seen.query} {headers}".encode() + seen.body
        texts[f"request {number}: {seen.method} {seen.path}"] = said
    texts |= files(folder)
    found = [
        name
        for name, data in texts.items()
        for secret in SECRETS.values()
        if secret.encode() in data
    ]
    assert not found


def check_repo(repo: Repo) -> None:
    """No secret was published, neither in a file nor in what is said of a commit."""
    contents = [data for tree in repo.commits.values() for data in tree.values()]
    contents += [f"{said.title} {said.message}".encode() for said in repo.log.values()]
    assert not [data for data in contents for secret in SECRETS.values() if secret.encode() in data]
