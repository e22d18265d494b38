"""The process of one publication: `python -m trainer.runner.publishing FOLDER`, token on its input.

The first line of standard input is the token; what happens goes into the run folder's journal.
"""

import sys
from pathlib import Path

from trainer.runner.folder import read_folder, record


def main() -> None:
    """Carry out the publication in the folder that the command line names."""
    token = sys.stdin.readline().strip()
    run = read_folder(Path(sys.argv[1]))
    if run is not None:
        for _ in record(run, token=token):
            pass


if __name__ == "__main__":
    main()
