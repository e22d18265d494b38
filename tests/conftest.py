"""What every test stands on: own caches, no tokens, no network but loopback."""

import os
import socket
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from hub_emulator import HubEmulator

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


BROWSERS = ("test_app.py", "test_publish_app.py", "test_demo.py", "test_chart.py")
"""Tests that need most of a machine: two browsers at once would wait for each other."""


class BrowsersInOneProcess(LoadFileScheduling):
    """Files go wherever there is room; those with a browser to one process, one by one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "browsers" if file.endswith(BROWSERS) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BrowsersInOneProcess:
    """Take it for every `--dist`."""
    return BrowsersInOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: not item.path.name.endswith(BROWSERS))


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


@pytest.fixture(scope="module")
def hub() -> "Iterator[HubEmulator]":
    """A Hub that knows Ada, one for all tests of a file."""
    from hub_emulator import HubEmulator
    from hub_tokens import TOKEN

    with HubEmulator() as hub:
        hub.users[TOKEN] = "ada"
        yield hub
