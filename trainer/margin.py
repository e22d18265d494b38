"""The margin of a share that was counted on few pictures."""

import math


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0–1 (Wilson 1927)."""
    z, share = 1.96, correct / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    root = math.sqrt(share * (1 - share) / total + z * z / (4 * total**2))
    spread = z * root / (1 + z * z / total)
    return max(0.0, middle - spread), min(1.0, middle + spread)
