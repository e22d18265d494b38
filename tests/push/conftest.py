"""The emulator, the process that publishes there as Ada, and what it has trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_emulator import HubEmulator
from hub_faults import Faults
from push_client import Client, train_squares


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("push")
    client = Client(hub.client_env(folder / "home"), folder)
    yield client
    client.close()


@pytest.fixture(scope="module")
def trained(client: Client) -> Path:
    """The model folder of a run on coloured squares."""
    return train_squares(client)


@pytest.fixture(autouse=True)
def nothing_unknown(hub: HubEmulator) -> Iterator[None]:
    """Every address that was asked for is one that the emulator has."""
    yield
    hub.faults = Faults()
    assert not [path for path in hub.unknown if "agent-harnesses" not in path]
