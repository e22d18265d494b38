"""What every test stands on: own caches, no tokens, no network but loopback."""

import os
import socket
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

# Before anything reads it at import: no telemetry, no Hub, no tokens, caches of our own.
_HOME = tempfile.mkdtemp(prefix="lrlab-tests-")
for _name in [name for name in os.environ if "TOKEN" in name]:
    os.environ[_name] = ""
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_XET="1",
    HF_HUB_OFFLINE="1",
    HF_HOME=f"{_HOME}/hf",
    LRLAB_CACHE=f"{_HOME}/cache",
    GRADIO_TEMP_DIR=f"{_HOME}/gradio",
    OMP_NUM_THREADS="1",  # for tiny tensors: more threads would only wait for each other
)

set_hypothesis_home_dir(f"{_HOME}/hypothesis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup`: all browser tests in one process, from the beginning, because two
    browsers at once wait for each other; the files of the others wherever there is room."""
    for item in items:
        browser = item.get_closest_marker("browser")
        item.add_marker(pytest.mark.xdist_group("browser" if browser else item.path.stem))
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection to anywhere but this machine is an error in the test that makes it."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "unix"
        if host not in ("127.0.0.1", "::1", "localhost", "unix"):
            raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(socket.socket, "connect", checked)
    yield
