"""Pictures with labels: where they come from, how they are split, and what is wrong with them."""

from trainer.data.check import check, usable
from trainer.data.dataset import Data, Picture, Provenance, Skipped, Split
from trainer.data.load import load_data
from trainer.data.picture import decode
from trainer.data.report import Check, Finding, Twin, fingerprint
from trainer.data.samples import samples
from trainer.data.split import split_off, split_rule

__all__ = [
    "Check",
    "Data",
    "Finding",
    "Picture",
    "Provenance",
    "Skipped",
    "Split",
    "Twin",
    "check",
    "decode",
    "fingerprint",
    "load_data",
    "samples",
    "split_off",
    "split_rule",
    "usable",
]
