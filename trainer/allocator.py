"""The C library's allocator, told to keep the large blocks that every training step frees.

glibc gives each freed block of megabytes back to the kernel, and the next step pays for every
page of it again: with tf_efficientnet_lite0 at 224 px on two cores that was half of all time
(docs/LOG.md). PyTorch's tuning guide solves the same with jemalloc; this needs no other library.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed blocks, and ask for huge pages; best before torch is imported.

    Returns:
        Whether the C library is one that can be told (glibc); elsewhere nothing changes.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch at its first tensor
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))


def give_back() -> None:
    """Return what is free to the system: between runs, when others may want it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
