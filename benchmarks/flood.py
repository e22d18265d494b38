"""Floods against a real app, one after another: `python benchmarks/flood.py [SHARE]`.

At full size (SHARE 1): 10,000 sessions, 500 queued events, 200 uploads that break off, 60 readers
of streams who never read, 41 calls at once that wait. Prints JSON: after each, how long the page
takes, by how much the app's memory has grown, and what is left on its disk. Then how often an
honest visitor who opens the page 20 times is served while another address floods the queue.
"""

import json
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx

from app_server import AppServer
from visitor import Visitor

DISK_SECONDS = 120.0
FLOODER, HONEST = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (9, 10))
"""Addresses as a Space's proxy names them: nobody is limited at the machine itself."""


def main(share: float) -> None:
    """Flood the app in each way, print what came of it."""
    env = {**os.environ, "SPACE_ID": "flood/lab"}
    server = AppServer(Path(tempfile.mkdtemp()), env).wait()
    try:
        Visitor(server.url).do("page", "load")
        time.sleep(5)
        before = _memory_bytes(server.process.pid)
        told: dict[str, dict[str, float | None]] = {}
        floods: dict[str, tuple[Callable[[AppServer, int], None], int]] = {
            "sessions": (_sessions, 10_000),
            "queued events": (_queued, 500),
            "aborted uploads": (_aborted, 200),
            "slow readers": (_readers, 60),
            "calls that wait": (_waiting, 41),
        }
        for name, (flood, size) in floods.items():
            number, began = max(1, round(size * share)), time.monotonic()
            flood(server, number)
            seconds = time.monotonic() - began
            told[name] = {
                "number": number,
                "seconds": round(seconds, 1),
                "page_seconds": round(_page_seconds(server), 3),
                "memory_grown_mb": round((_memory_bytes(server.process.pid) - before) / 1e6),
                "disk_baseline_after_seconds": _disk_seconds(server),
            }
        told["joins of one address"] = _crowded(server, max(1, round(20 * share)))
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    finally:
        server.stop()


def _join(client: httpx.Client, config: dict[str, list[dict[str, int]]], session: str) -> int:
    body = {"data": [], "fn_index": config["dependencies"][-1]["id"], "session_hash": session}
    return client.post("/gradio_api/queue/join", json=body).status_code


def _sessions(server: AppServer, number: int) -> None:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        config = client.get("/config").json()
        for each in range(number):
            _join(client, config, f"flood{each}")


def _queued(server: AppServer, number: int) -> None:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        config = client.get("/config").json()
        for _ in range(number):
            _join(client, config, "one")


def _aborted(server: AppServer, number: int) -> None:
    part = b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    )
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + part + b"x" * 1_000_000)


def _readers(server: AppServer, number: int) -> None:
    visitors = [Visitor(server.url) for _ in range(min(number, 5))]
    connections = []
    for each in range(number):
        session = visitors[each % len(visitors)].session
        connection = socket.create_connection(("127.0.0.1", server.port))
        path = f"/gradio_api/queue/data?session_hash={session}{each}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connections.append(connection)
    _page_seconds(server)
    for connection in connections:
        connection.close()


def _waiting(server: AppServer, number: int) -> None:
    """Searches of the Hub: what in the page waits for another machine."""

    def search(visitor: Visitor) -> None:
        visitor.do("Dataset on the Hub", "submit", Dataset_on_the_Hub="cats")

    visitors = [Visitor(server.url) for _ in range(number)]
    threads = [threading.Thread(target=search, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    _page_seconds(server)
    for thread in threads:
        thread.join()


def _crowded(server: AppServer, number: int) -> dict[str, float | None]:
    """One address joins the queue over eight connections; what becomes of another's visitor."""
    over, sent, served, longest = threading.Event(), [0] * 8, 0, 0.0

    def flood(connection: int) -> None:
        body = {"data": [{}], "fn_index": 0, "session_hash": f"crowd{connection}"}
        with httpx.Client(base_url=server.url, trust_env=False, headers=FLOODER) as client:
            while not over.is_set():
                client.post("/gradio_api/queue/join", json=body, timeout=60)
                sent[connection] += 1

    threads = [threading.Thread(target=flood, args=(each,)) for each in range(len(sent))]
    for thread in threads:
        thread.start()
    time.sleep(2)
    for _ in range(number):
        began = time.monotonic()
        served += _is_served(server)
        longest = max(longest, time.monotonic() - began)
    over.set()
    for thread in threads:
        thread.join()
    percent = round(100 * served / number, 1)
    told: dict[str, float | None] = {"number": sum(sent), "honest_visits": number}
    return told | {"honest_served_percent": percent, "honest_longest_seconds": round(longest, 2)}


def _is_served(server: AppServer) -> bool:
    visitor = Visitor(server.url)
    visitor.client.headers.update(HONEST)
    try:
        visitor.do("page", "load")
    except RuntimeError:
        return False
    finally:
        visitor.client.close()
    return True


def _page_seconds(server: AppServer) -> float:
    began = time.monotonic()
    httpx.get(server.url, timeout=60, trust_env=False).raise_for_status()
    return time.monotonic() - began


def _memory_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _disk_seconds(server: AppServer) -> float | None:
    """Seconds until no temporary file is left; None if some are after two minutes."""
    began = time.monotonic()
    while time.monotonic() - began < DISK_SECONDS:
        if not [path for path in (server.folder / "temp").rglob("*") if path.is_file()]:
            return round(time.monotonic() - began, 1)
        time.sleep(0.5)
    return None


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
