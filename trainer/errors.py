"""The errors a person can mend, each with a message that says what happened and what to do.

UserError (a ValueError; exit code 2)
├── ConfigError      a setting is out of range or two settings contradict each other
├── DatasetError     the pictures or their labels cannot be used
│   └── PictureError one picture cannot be used (it is skipped and counted)
├── ModelError       the model is unknown, unsafe or cannot be loaded
├── HubError         the Hugging Face Hub is unreachable or refused
├── CheckpointError  a checkpoint is missing or damaged
├── DiskFullError    there is no room for what a run writes
└── BusyError        somebody else's run has the place; try again later

Anything else that is raised is a defect of ours (exit code 1).
"""


class UserError(ValueError):
    """What happened, what was seen, and what to do next, in words."""


class ConfigError(UserError):
    """A setting is out of range, or two settings contradict each other."""


class DatasetError(UserError):
    """The pictures or their labels cannot be used."""


class PictureError(DatasetError):
    """One picture cannot be used; the message is the reason shown beside its name."""


class ModelError(UserError):
    """The model is unknown, unsafe or cannot be loaded."""


class HubError(UserError):
    """The Hugging Face Hub is unreachable or refused the request."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged or of another configuration."""


class DiskFullError(UserError):
    """There is no room on the disk for what a run writes."""


class BusyError(UserError):
    """Too many runs are already waiting."""
