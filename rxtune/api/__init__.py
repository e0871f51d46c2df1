"""The verbs of the command line as functions: what a notebook or another program calls."""

from rxtune.api.export import export, predict, publish_report
from rxtune.api.outcome import front_of, summary_of
from rxtune.api.progress import Progress
from rxtune.api.read import audit, report
from rxtune.api.run_status import RunState, Status, is_starting, status
from rxtune.api.runs import Run, load_run
from rxtune.api.train import bring_back, check, confirm, search
from rxtune.search.asked_study import read_study
from rxtune.search.options import SearchOptions

__all__ = [
    "Progress",
    "Run",
    "RunState",
    "SearchOptions",
    "Status",
    "audit",
    "bring_back",
    "check",
    "confirm",
    "export",
    "front_of",
    "is_starting",
    "load_run",
    "predict",
    "publish_report",
    "read_study",
    "report",
    "search",
    "status",
    "summary_of",
]
