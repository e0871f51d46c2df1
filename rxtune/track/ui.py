"""The MLflow UI on a store, for as long as somebody looks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track.runs import run_of_search
from rxtune.track.views import TAG, page_of_view

USUAL_PORT = 5000
START_SECONDS = 90.0
"""How long the UI may take to start; 5 s are usual."""
END_SECONDS = 10.0
_HOST = "127.0.0.1"
_SQLITE = "sqlite:///"


class Ui:
    """An MLflow UI that runs in a process group of its own.

    Args:
        uri: The resolved tracking URI of a database.
        port: Port on 127.0.0.1.
    """

    def __init__(self, uri: str, port: int) -> None:
        self.address = f"http://{_HOST}:{port}"
        # A file, because nobody reads a pipe while the UI runs, and a full one would stop it.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
                *("--host", _HOST, "--port", str(port), "--workers", "1"),
            ],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )

    def wait_until_up(self, seconds: float = START_SECONDS) -> None:
        """Return as soon as it answers.

        Raises:
            TrackingError: It ends, or does not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TrackingError(
                    f"the MLflow UI does not start at {self.address}: {self._last_words()}; the"
                    " database may be of another version of MLflow (see `mlflow db upgrade`)"
                )
            time.sleep(0.1)

    def wait(self) -> None:
        """Return when it has ended by itself."""
        self._process.wait()

    def end(self) -> None:
        """End it with all its processes; may be called twice."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, kind)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        self._said.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=2):
                return self._process.poll() is None
        except OSError:
            return False

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no answer in time"


@contextmanager
def ui_on(uri: str, port: int | None = None) -> Iterator[Ui]:
    """Run the UI of a store on this machine for the time of the block.

    Args:
        uri: A resolved tracking URI of a database.
        port: Where; None: 5000 or, if that is taken, any free one.

    Raises:
        TrackingError: There is no such database, the port is taken, or the UI does not start.
    """
    _require_database(uri)
    ui = Ui(uri, free_port() if port is None else _required(port))
    try:
        ui.wait_until_up()
        yield ui
    finally:
        ui.end()


def free_port() -> int:
    """Return MLflow's usual port or, if that is taken, any free one."""
    return USUAL_PORT if _is_free(USUAL_PORT) else _any_port()


def _required(port: int) -> int:
    if not _is_free(port):
        raise TrackingError(
            f"--port: {port} is taken by another program; leave the flag out for a free one"
        )
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_HOST, port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as found:
        found.bind((_HOST, 0))
        return int(found.getsockname()[1])


def _require_database(uri: str) -> None:
    """Refuse a file that is not there: MLflow would make an empty database of it."""
    if uri.startswith(_SQLITE):
        path = Path(uri.removeprefix(_SQLITE).partition("?")[0])
        if not path.exists():
            raise TrackingError(
                f"no MLflow database at {path}; start a search first, or name run or store:"
                " `rxtune ui RUN`, `rxtune ui --tracking-uri sqlite:///path/to/mlflow.db`"
            )


def page_of(uri: str, search_id: str, experiment: str = "rxtune", *, of_run: bool = False) -> str:
    """Return the path of a search in the UI: of its trials' view, else of its own page.

    It is that of the experiment if the search is not there.

    Args:
        uri: The tracking URI.
        search_id: What tells the search from all others.
        experiment: Name of its experiment.
        of_run: The search's own page also where there is a view.
    """
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return "/"
    if not of_run and f"{TAG}{search_id}" in found.tags:
        return page_of_view(found.experiment_id, search_id)
    run = run_of_search(client, found.experiment_id, search_id)
    place = f"/#/experiments/{found.experiment_id}"
    return place if run is None else f"{place}/runs/{run.info.run_id}"
