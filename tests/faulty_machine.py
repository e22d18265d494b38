"""A process that carries out commands on a machine that fails; `Machine` is what fails. For tests.

Whatever breaks is broken below the code that is tested, at the system calls. Each line of standard
input holds a command's words and the `Faulty` that it runs with, in JSON; each line of standard
output what came of it.
"""

import builtins
import contextlib
import io
import json
import os
import resource
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any

QUICK_SECONDS = 2.0
"""What a socket's time-out takes in truth where time is put forward."""

REST_SECONDS = 10.0
"""Between two commands, by the clock: a process keeps so long that the Hub did not answer."""


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """What fails while one command runs."""

    no_address: str = ""
    """A host that has no address."""
    times: int = 1
    """How often it has none."""
    largest_file: int = resource.RLIM_INFINITY
    """Bytes; a larger file cannot be written (EFBIG)."""
    full: str = ""
    """A part of a path: no byte fits into such a file (ENOSPC), though it can be opened."""
    hurry: bool = False
    """A sleep, and a socket that waits for longer, takes no time but puts the clock forward."""
    max_wait_seconds: int | None = 20
    """What a publication may lose; None: the default. Half of that serves most scripts."""


class Machine:
    """The system's functions, for this process and from now on; each looks at what is `faulty`."""

    def __init__(self) -> None:
        self.faulty = Faulty()
        self.num_lookups = 0
        self.skipped_seconds = 0.0
        self.lookup, self.open, self.recv = socket.getaddrinfo, builtins.open, socket.socket.recv
        self.sleep, self.monotonic = time.sleep, time.monotonic
        machine = self

        def recv(self: socket.socket, *args: Any) -> bytes:
            return machine.received(self, *args)

        socket.getaddrinfo, socket.socket.recv = self.looked_up, recv
        builtins.open = io.open = self.opened
        time.sleep, time.monotonic = self.slept, self.now

    def looked_up(self, host: Any, *args: Any, **kwargs: Any) -> Any:
        if host and host == self.faulty.no_address:
            self.num_lookups += 1
            if self.num_lookups <= self.faulty.times:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.lookup(host, *args, **kwargs)

    def opened(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if self.faulty.full and self.faulty.full in str(file) and set("wax+") & set(mode):
            file, mode = "/dev/full", mode.replace("x", "w")
        return self.open(file, mode, *args, **kwargs)

    def received(self, wire: socket.socket, *args: Any) -> bytes:
        asked = wire.gettimeout()
        if not self.faulty.hurry or asked is None or asked <= QUICK_SECONDS:
            return self.recv(wire, *args)
        wire.settimeout(QUICK_SECONDS)
        try:
            return self.recv(wire, *args)
        except TimeoutError:
            self.skipped_seconds += asked - QUICK_SECONDS
            raise
        finally:
            wire.settimeout(asked)

    def slept(self, seconds: float) -> None:
        if self.faulty.hurry:
            self.skipped_seconds += seconds
        else:
            self.sleep(seconds)

    def now(self) -> float:
        return self.monotonic() + self.skipped_seconds

    def breaks(self, faulty: Faulty) -> None:
        """Fail like this from now on, a while later."""
        self.faulty, self.num_lookups = faulty, 0
        self.skipped_seconds += REST_SECONDS
        resource.setrlimit(resource.RLIMIT_FSIZE, (faulty.largest_file, resource.RLIM_INFINITY))
        os.environ.pop("LRLAB_MAX_PUBLISH_WAIT_SECONDS", None)
        if faulty.max_wait_seconds is not None:
            os.environ["LRLAB_MAX_PUBLISH_WAIT_SECONDS"] = str(faulty.max_wait_seconds)


def serve() -> None:
    """Carry out the commands of standard input."""
    from huggingface_hub import close_session

    machine, answers = Machine(), sys.stdout
    for line in sys.stdin:
        argv, faulty = json.loads(line)
        close_session()  # so that each command looks up names and connects by itself
        machine.breaks(Faulty(**faulty))
        answer = command(argv)
        machine.breaks(Faulty())
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def command(argv: list[str]) -> dict[str, Any]:
    """`python -m trainer …`, with what it wrote and how long it took."""
    from trainer.__main__ import main

    out, err, start = io.StringIO(), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except Exception:  # noqa: BLE001 as Python itself ends
            traceback.print_exc()
            code = 1
    seconds = time.monotonic() - start
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "seconds": seconds}


if __name__ == "__main__":
    serve()
