"""Whose a run is, as a name: the person's at this machine, or a visitor's, who chose it freely.

A visitor's is kept apart by what stands before it: whatever they call themselves, they are nobody
else to the queue, to recovery and to clearing up.
"""

COMMAND_LINE = "cli"
"""Owner of the runs that are nobody's but the person's at this machine."""


def visitor_named(name: str) -> str:
    """The owner of a visitor's runs."""
    return f"visitor:{name}"
