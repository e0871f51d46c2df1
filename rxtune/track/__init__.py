"""What every trial did, projected into MLflow; the only home of `mlflow`.

The journal of the search is the source of truth. Everything here can be written again from the
journal's records at any time: nothing doubles.
"""

# First, because MLflow reads these settings once, when it is imported.
from rxtune.track import environment
from rxtune.track.confirmed import Claim, log_confirmation
from rxtune.track.provenance import git_commit, versions
from rxtune.track.store import resolve_uri
from rxtune.track.tracker import Tracker

environment.hush()

__all__ = ["Claim", "Tracker", "git_commit", "log_confirmation", "resolve_uri", "versions"]
