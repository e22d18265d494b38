"""The vital signs of a worker: heartbeat, progress, memory and time, and when it is beyond help.

Not limited: the address space and the data segment (`RLIMIT_AS`, `RLIMIT_DATA`). Where they refuse
memory, oneDNN ends the process without a word (docs/LOG.md); one that is ended here begins again
with half as many images at once.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from trainer.figures import duration
from trainer.limits import Limits

BEAT_SECONDS = 2.0
"""Between two beats of a worker's heart."""

SILENT_SECONDS = 30.0
"""Without a beat a worker hangs: a thread that needs nothing but the interpreter gives them."""

WARM_UP_SECONDS = 300.0
"""The same while it imports, which can hold the interpreter for long on a cold disk."""

STOP_SECONDS = 120.0
"""For a run that had its time, to leave a checkpoint."""

LACK_OF_MEMORY = "it took more memory than the machine can spare"


@dataclass(slots=True)
class Vitals:
    """What is known of one worker process; times are of the monotonic clock."""

    pid: int
    beat_at: float = field(default_factory=time.monotonic)
    events: int = 0
    """That its run has yielded."""
    progress_at: float = 0.0
    run_began: float | None = None
    """None: it carries out no run."""
    peak: int = 0
    """Bytes of memory that it had at most while it was looked at."""
    stop_asked: float | None = None
    """Since when the run has been asked to stop because its time was over."""

    def begin(self, now: float) -> None:
        """It was given a run."""
        self.run_began = self.progress_at = now
        self.stop_asked = None

    def end(self) -> None:
        """It answers for no run any more."""
        self.run_began = None

    def beat(self, now: float, events: int) -> None:
        """It gave a sign of life, and has counted so many events."""
        self.beat_at = now
        if events != self.events:
            self.events, self.progress_at = events, now

    def trouble(self, now: float, limits: Limits, *, ready: bool, memory: int, room: int) -> str:
        """Why the worker must be ended, in words; empty where it need not.

        Args:
            now: monotonic time.
            limits: of time and memory.
            ready: whether it has imported what it needs.
            memory: bytes that it takes.
            room: bytes that the machine has.
        """
        silent = now - self.beat_at
        if silent > (SILENT_SECONDS if ready else WARM_UP_SECONDS):
            return f"it gave no sign of life for {duration(silent)}"
        if self.run_began is None:
            return ""
        if room and memory > room * limits.max_memory_percent / 100:
            return LACK_OF_MEMORY
        if now - self.progress_at > limits.max_silent_seconds:
            return f"it made no progress for {duration(now - self.progress_at)}"
        if self.stop_asked is not None and now - self.stop_asked > STOP_SECONDS:
            return "it did not stop when its time was over"
        return ""

    def overdue(self, now: float, seconds: float) -> bool:
        """Whether its run has had its time and was not asked to stop yet."""
        began = self.run_began
        return began is not None and self.stop_asked is None and now - began > seconds


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has in use; 0 where the system does not tell.

    Without what it maps from files, as decoded pictures: the system takes that back by itself.
    """
    try:
        words = Path(f"/proc/{pid}/status").read_text().split()
        return sum(int(words[words.index(name) + 1]) for name in ("RssAnon:", "RssShmem:")) * 1024
    except (OSError, ValueError, IndexError):
        return 0


def machine_memory() -> int:
    """Bytes of memory that the machine, or the container, has; 0 where the system does not tell."""
    found = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    try:
        words = Path("/proc/meminfo").read_text().split()
        found.append(int(words[words.index("MemTotal:") + 1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    return min(found, default=0)
