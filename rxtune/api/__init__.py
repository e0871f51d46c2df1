"""The verbs of the command line as functions: what a notebook or another program calls."""

from rxtune.api.outcome import front_of, summary_of
from rxtune.api.read import audit, report
from rxtune.api.train import bring_back, check, confirm, search
from rxtune.search.asked_study import read_study
from rxtune.search.options import SearchOptions

__all__ = [
    "SearchOptions",
    "audit",
    "bring_back",
    "check",
    "confirm",
    "front_of",
    "read_study",
    "report",
    "search",
    "summary_of",
]
