"""A real `mlflow server` that a test starts, kills and starts again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

START_SECONDS = 90


class TrackingServer:
    """`mlflow server` on a SQLite database, on a port of its own that stays the same."""

    def __init__(self, folder: Path) -> None:
        """Choose a port; `start` starts the server in the folder."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server, and return when it answers."""
        options = ["--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options, "--port", str(self._port)],
            cwd=self._folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # with its workers a process group of its own
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self._process.poll() is None, f"it ended with {self._process.returncode}"
            if time.monotonic() > deadline:
                pytest.fail(f"the server did not answer within {START_SECONDS} s")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """Kill the server and its workers, as a machine that fails does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """End the server, whatever state it is in."""
        assert self._process is not None
        for what in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, what)
                self._process.wait(10)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
