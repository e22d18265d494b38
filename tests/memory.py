"""The most memory that this process ever held."""

import re
import resource
from pathlib import Path


def peak_bytes() -> int:
    """Peak of the resident memory since this program began.

    Linux hands `ru_maxrss` on to a program that a large process starts; `VmHWM` begins anew.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
