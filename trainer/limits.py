"""The limits of what one visitor may send or ask for, in one table.

Each can be raised for local use through an environment variable of the same name with the
prefix `LRLAB_`, for example `LRLAB_MAX_PICTURES=200000`.
"""

import os
from dataclasses import dataclass, fields

from trainer.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    max_pixels: int = 25_000_000
    """Width times height of one picture; checked before it is decoded."""
    max_side: int = 65_535
    """Width or height of one picture, as in a JPEG; each row takes memory besides its pixels."""
    max_picture_bytes: int = 20_000_000
    """Size of one picture's file."""
    max_pictures: int = 100_000
    """Pictures in one dataset, all splits together."""
    max_classes: int = 1_000
    """Classes in one dataset."""
    max_archive_bytes: int = 500_000_000
    """Size of an uploaded zip."""
    max_unpacked_bytes: int = 2_000_000_000
    """Size of a zip's pictures once unpacked."""
    max_archive_entries: int = 60_000
    """Entries in a zip, folders included."""
    max_archive_ratio: int = 100
    """Unpacked size over packed size, for the whole zip."""
    max_depth: int = 4
    """Folders within folders of a zip."""
    max_request_bytes: int = 2_000_000
    """Size of a request to the app that is no upload."""
    max_client_bytes: int = 200_000_000
    """Bytes that one visitor sends within ten minutes before the next upload has to wait."""
    min_upload_free_bytes: int = 2_000_000_000
    """Disk that uploads leave free, or a fifth of the disk where that is less."""
    max_temp_seconds: int = 3_600
    """How long uploaded pictures and files made for a download are kept."""
    max_epochs: int = 1_000
    """Epochs of one phase."""
    max_batch_size: int = 1_024
    """Images in one step."""
    max_image_size: int = 640
    """Side of the square that the model sees, in pixels."""
    max_sweep_steps: int = 1_000
    """Steps of one sweep."""
    max_repeats: int = 20
    """Repeats of one sweep."""
    max_parameters: int = 150_000_000
    """Parameters of a model."""
    max_predict_images: int = 200
    """Pictures in one prediction."""
    max_cache_bytes: int = 10_000_000_000
    """Decoded pictures and features that are kept on the disk for the next run."""
    max_publish_wait_seconds: int = 45
    """Time that a publication may lose to a Hub that refuses for the moment or does not answer."""
    max_waiting: int = 20
    """Runs that wait in the queue, all visitors together."""
    max_waiting_each: int = 2
    """Runs of one visitor that run or wait at once."""
    max_steps: int = 2_000_000
    """Optimizer updates of one training."""
    max_run_seconds: int = 43_200
    """Wall-clock time of one sweep or training; then it is stopped, with a checkpoint."""
    max_quick_seconds: int = 3_600
    """The same for a run that looks at data, predicts or evaluates."""
    max_silent_seconds: int = 1_800
    """Time in which a run that gives no sign of progress is taken to hang."""
    max_memory_percent: int = 90
    """Share of the machine's memory (or of the container's) that a worker may take."""
    max_file_bytes: int = 20_000_000_000
    """Size of any one file that a worker writes."""
    min_free_bytes: int = 500_000_000
    """Room on the disk below which no new run is taken."""
    max_restarts: int = 3
    """How often a run is begun again after its process died."""
    max_run_days: int = 30
    """Age at which an ended run is removed, counted from its end."""
    max_quick_run_hours: int = 24
    """The same for checks, predictions and the like, and for uploads that no run refers to."""
    max_runs_bytes: int = 20_000_000_000
    """Size of all runs together; beyond, those that ended longest ago are removed."""

    @classmethod
    def from_env(cls) -> "Limits":
        """The limits with the overrides that the environment holds.

        Raises:
            ConfigError: an override is not a whole number above zero.
        """
        overrides = {}
        for field in fields(cls):
            text = os.environ.get(f"LRLAB_{field.name.upper()}")
            if text is None:
                continue
            if not text.isdecimal() or int(text) == 0:
                raise ConfigError(
                    f"LRLAB_{field.name.upper()} is {text!r}. It must be a whole number above 0: "
                    "set it to one, or unset it."
                )
            overrides[field.name] = int(text)
        return cls(**overrides)
