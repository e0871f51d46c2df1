"""What every trial did, projected into MLflow; the only home of `mlflow`.

The journal of the search is the source of truth. Everything here can be written again from the
journal's records at any time: nothing doubles.
"""

# First, because MLflow reads these settings once, when it is imported.
from rxtune.track import environment
from rxtune.track.confirmed import Claim, log_confirmation
from rxtune.track.entities import BestModel, DataUse
from rxtune.track.provenance import git_commit, versions
from rxtune.track.registry import register_model
from rxtune.track.report_files import log_report
from rxtune.track.store import resolve_uri
from rxtune.track.tracker import Tracker
from rxtune.track.views import Shown

environment.hush()

__all__ = [
    "BestModel",
    "Claim",
    "DataUse",
    "Shown",
    "Tracker",
    "git_commit",
    "log_confirmation",
    "log_report",
    "register_model",
    "resolve_uri",
    "versions",
]
