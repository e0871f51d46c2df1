"""MLflow's own settings, made before it is imported: no telemetry, no chatter, short waits."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The writer retries by itself and must be able to end: MLflow's own 7 retries of 120 s cannot.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_LOUD_LOGGERS = ("mlflow", "alembic", "urllib3.connectionpool")

for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)


def hush() -> None:
    """Keep MLflow, Alembic and urllib3 from writing to stderr below the level of an error.

    To be called after `import mlflow`, which sets these levels itself. A level that the user chose
    (`MLFLOW_LOGGING_LEVEL`) stays.
    """
    if "MLFLOW_LOGGING_LEVEL" in os.environ:
        return
    for name in _LOUD_LOGGERS:
        # Errors of the store come back as exceptions; its log would print each a second time.
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def overridden(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a `with` block, then restore them."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
