"""Where and with what a search runs, as opposed to what it searches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rxtune.storage import require_no_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Everything a search needs beside its study; the defaults are for one machine.

    Raises:
        StudyError: `storage` holds credentials.
    """

    name: str
    """Name of the run: its folder under `root`, and the MLflow run."""
    root: Path = Path("runs")
    resume: bool = False
    """Whether to go on with an existing run instead of starting one."""
    workers: int | None = None
    """Trials at a time; None: as many as the resources hold."""
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    """None: one where the machine or cluster has any, else none."""
    address: str | None = None
    """Address of a Ray cluster, or `auto`; None: a Ray of its own on this machine."""
    storage: str | None = None
    """Folder or URI for checkpoints that every node reaches; None: in the run's folder."""
    tracking_uri: str | None = None
    """MLflow store; None: `mlflow.db` in the working directory."""
    experiment: str = "rxtune"
    """MLflow experiment."""
    warm_start: tuple[str, ...] = ()
    """Runs under `root` whose results a new search starts from."""

    def __post_init__(self) -> None:
        """Refuse secrets before they are kept or shown anywhere."""
        if self.storage is not None:
            require_no_secrets(self.storage)
