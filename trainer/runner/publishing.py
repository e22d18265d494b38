"""The process of one publication: `python -m trainer.runner.publishing NICENESS`.

The first two lines of standard input are the run folder and the token, so that neither is on a
command line; what happens goes into the run folder's journal. It ends with its input.
"""

import sys
from pathlib import Path

from trainer.errors import HubError
from trainer.runner.child import confine, ends_with_input, leave
from trainer.runner.folder import read_folder, record, refuse, stop_requested

CLOSE_SECONDS = 3.0
"""After the app has ended, to clear up; a commit is on the Hub whole or not at all."""


def main(niceness: int) -> None:
    """Carry out the publication that standard input names."""
    folder, token = Path(sys.stdin.readline().rstrip("\n")), sys.stdin.readline().strip()
    confine(niceness, token)
    app_ended = ends_with_input(CLOSE_SECONDS)
    run = read_folder(folder)
    if run is None:
        return
    if not token:  # the login of this machine is for the command line alone
        refuse(run, HubError("The app gave no login for this publication. Sign in, and try again."))
        return
    for _ in record(run, lambda: app_ended() or stop_requested(folder), token=token):
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
    leave()
