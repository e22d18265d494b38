"""The emulator that these tests try, and the client that asks it in a process of its own."""

from collections.abc import Iterator

import pytest

from hub_api_client import ADA, Client
from hub_emulator import HubEmulator
from hub_faults import Faults


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(hub, tmp_path_factory.mktemp("client"))
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nothing_unknown(hub: HubEmulator) -> Iterator[None]:
    """Every address that was asked for is one that the emulator has."""
    yield
    hub.faults = Faults()
    assert not [path for path in hub.unknown if "agent-harnesses" not in path]
