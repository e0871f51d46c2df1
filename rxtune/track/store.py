"""Finding and opening the MLflow store: one URI, one experiment, one clear refusal."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import quote

from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from rxtune.errors import TrackingError
from rxtune.track.environment import overridden

DEFAULT_URI = "sqlite:///mlflow.db"
FIRST_ANSWER_SECONDS = 8.0
"""How long a server may take to answer for the first time."""
STORE_SECONDS = 60.0
"""How long any later call of the start may take; a database may be migrating."""

_SQLITE = "sqlite:///"
# `int` is what MLflow reads; two addresses of one host name still fit into the first answer.
_FIRST_CALL = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "4"}

Connection = tuple[MlflowClient, str]
"""A client, and the id of an experiment."""
Result = TypeVar("Result")


def resolve_uri(uri: str | None, folder: Path | None = None) -> str:
    """Return the tracking URI, the same from any working directory.

    Args:
        uri: An MLflow tracking URI; None for `mlflow.db` in `folder`, which is what a bare
            `mlflow ui` started there opens.
        folder: Where relative paths start; None for the working directory.

    Raises:
        TrackingError: The URI is a folder, in memory, or empty.
    """
    uri = DEFAULT_URI if uri is None else uri
    scheme = re.match(r"([a-z][a-z0-9+]*):", uri)
    if not scheme or scheme.group(1) == "file":
        raise TrackingError(
            f"tracking URI {uri!r}: MLflow 3 no longer keeps runs in plain folders; "
            f"use a database, for example {DEFAULT_URI!r}, or a server, http://host:5000"
        )
    if not uri.startswith("sqlite:"):
        return uri
    path, _, query = uri.removeprefix(_SQLITE).partition("?")
    if not uri.startswith(_SQLITE) or path in ("", ":memory:"):
        raise TrackingError(
            f"tracking URI {uri!r}: nobody could read a database in memory afterwards; "
            f"use a file, for example {DEFAULT_URI!r}"
        )
    absolute = os.path.abspath((folder or Path.cwd()) / path)
    return f"{_SQLITE}{absolute}" + (f"?{query}" if query else "")


def connect(uri: str, experiment: str) -> Connection:
    """Return a client for a resolved `uri` and the id of `experiment`, made if it is new.

    Raises:
        TrackingError: The store cannot be reached or opened, or the experiment is deleted.
    """
    if uri.startswith(_SQLITE):
        with _alone_in(_database_file(uri).parent, uri):
            _check_sqlite(uri)
            return within(STORE_SECONDS, uri, lambda: _open_sqlite(uri, experiment))
    known = None
    if is_server(uri):
        with overridden(_FIRST_CALL):
            known = within(
                FIRST_ANSWER_SECONDS,
                uri,
                lambda: MlflowClient(uri).get_experiment_by_name(experiment),
            )
    return within(STORE_SECONDS, uri, lambda: _open(uri, experiment, known))


def is_server(uri: str) -> bool:
    """Return whether MLflow is asked over a network."""
    return uri.startswith(("http://", "https://"))


def within(seconds: float, uri: str, call: Callable[[], Result]) -> Result:
    """Return what `call` returns, unless it fails or takes longer than `seconds`.

    The call runs in a daemon thread, because a server that accepts a connection and then sends
    nothing, or a byte now and then, passes every time limit of a single read.

    Raises:
        TrackingError: The call raised an error or did not return in time.
    """
    try:
        return beside(call).result(seconds)
    except TrackingError:
        raise
    except Exception as error:  # the end of the time is a TimeoutError too
        raise TrackingError(
            f"MLflow at {uri}: {_one_line(error)}; start the server, correct --tracking-uri, or "
            f"leave it out to use {DEFAULT_URI}"
        ) from error


def beside(call: Callable[[], Result]) -> Future[Result]:
    """Start a call in a daemon thread, and return what its result can be asked of.

    The interpreter waits at its end for every worker of a `ThreadPoolExecutor`, for this not.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, name="rxtune-mlflow-start", daemon=True).start()
    return future


def _open_sqlite(uri: str, experiment: str) -> Connection:
    """Open a database; a new one appears under its name only when all of its tables are there.

    MLflow makes them in some hundred steps, and a database that a kill has left in the middle of
    them is refused for good.
    """
    path = _database_file(uri)
    if not path.exists() or path.stat().st_size == 0:
        fresh = path.with_name(f"{path.name}.new")
        for left in (fresh, path.with_name(f"{fresh.name}-journal")):  # by a kill
            left.unlink(missing_ok=True)
        MlflowClient(tracking_uri=f"{_SQLITE}{fresh}").get_experiment_by_name(experiment)
        fresh.replace(path)
    return _open(uri, experiment)


def _open(uri: str, experiment: str, known: Experiment | None = None) -> Connection:
    client = MlflowClient(tracking_uri=uri)
    found = known or client.get_experiment_by_name(experiment)
    found = found or _create(client, uri, experiment)
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(
            f"MLflow at {uri}: the experiment {experiment!r} is deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}` or choose another name"
        )
    return client, str(found.experiment_id)


def _create(client: MlflowClient, uri: str, experiment: str) -> Experiment:
    try:
        client.create_experiment(experiment, artifact_location=_artifact_location(uri, experiment))
    except MlflowException as error:
        # Another search was faster; any other refusal is the user's to see.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.get_experiment_by_name(experiment)
    assert found is not None, "an experiment that was just created exists"
    return found


def _artifact_location(uri: str, experiment: str) -> str | None:
    """Return where an experiment keeps its files; None leaves it to a server.

    Beside the database and absolute, so that an MLflow UI started from anywhere finds them; not
    in `mlruns`, which MLflow takes for an old file store when it looks like one.
    """
    if not uri.startswith("sqlite:"):
        return None
    return (_database_file(uri).parent / "mlartifacts" / quote(experiment, safe=" ")).as_uri()


def _database_file(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE).partition("?")[0])


def _check_sqlite(uri: str) -> None:
    """Refuse at once what SQLAlchemy would try ten times for a hundred seconds."""
    try:
        with closing(sqlite3.connect(_database_file(uri), timeout=10)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(
            f"MLflow database {_database_file(uri)}: {error}; give another file with "
            f"--tracking-uri sqlite:///PATH"
        ) from error


@contextmanager
def _alone_in(folder: Path, uri: str) -> Iterator[None]:
    """Hold a lock on `folder`: two searches started at once must not both migrate a database."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise TrackingError(
            f"MLflow at {uri}: {error.strerror}: {folder}; give another file with "
            f"--tracking-uri sqlite:///PATH"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _one_line(error: Exception) -> str:
    """Return what went wrong: the system's own word for it where one lies underneath."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TimeoutError):
            return "no answer in time"
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
