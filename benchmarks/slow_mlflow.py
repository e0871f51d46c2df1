"""Does a slow MLflow server slow a search down? A real server behind a proxy that delays answers.

    python benchmarks/slow_mlflow.py --repeats 3        # about 8 minutes

Every search is the `rxtune search` command with two workers, in a folder of its own, against a
real `mlflow server`. The proxy in front of it passes everything on and holds every answer back for
the delay, or not. Trials take the time of real ones without their computing: each evaluation comes
after a fixed pause, so that what differs between two searches is MLflow. Searches with and without
the delay alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from search_time import processor
from simulated import messages

from rxtune.config import Configuration

SPACE = Path(__file__).parents[1] / "search_spaces" / "rs.yaml"
DELAY = 0.5
TRIALS = 24
PACE = 1.5
"""Seconds between two evaluations of a trial: a full one takes nine."""
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server; counts them, and delays the answers."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.delay = 0.0
        self.seen: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """The address to give to rxtune."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def _pass_on(self) -> None:
        came = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        upstream = HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.server.seen[_kind(self.command, self.path)] += 1
        time.sleep(max(0.0, self.server.delay - (time.monotonic() - came)))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = _pass_on

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


def _kind(method: str, path: str) -> str:
    """Return what a request asks for, without ids: `POST runs/log-batch`."""
    path = path.partition("?")[0]
    if "mlflow-artifacts" in path:
        return f"{method} artifact"
    return f"{method} {re.sub(r'.*/mlflow/', '', path)}"


@contextmanager
def serving(folder: Path) -> Iterator[Proxy]:
    """Run an MLflow server on a database in the folder, and the proxy in front of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options],
        cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}")
        proxy = Proxy(port)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit("the MLflow server did not answer within 90 s")


def paced(config: dict[str, Any], workload: Any) -> None:
    """Report what a trial of this configuration would, at a fixed pace; runs on a Ray worker."""
    from ray import tune

    configuration = Configuration.from_json(config["configuration"])
    for message in messages(config["number"], configuration):
        time.sleep(PACE)
        tune.report({"message": message})


def search_here(arguments: list[str]) -> None:
    """Run the command in this process, with paced trials in place of trainings."""
    import simulated
    from ray import cloudpickle

    import rxtune.search.trial
    from rxtune.cli import main as command_line

    cloudpickle.register_pickle_by_value(simulated)
    rxtune.search.trial.run_trial = paced  # type: ignore[assignment]
    sys.argv = ["rxtune", *arguments]
    command_line()


def time_search(proxy: Proxy, delay: float, trials: int) -> dict[str, Any]:
    """Run a search against the proxy and return its wall time and its requests."""
    proxy.delay, proxy.seen = delay, Counter()
    with TemporaryDirectory() as folder:
        asked = ["search", "--space", str(SPACE), "--trials", str(trials), "--workers", "2"]
        command = [sys.executable, __file__, "--here", *asked, "--tracking-uri", proxy.url]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    unwritten = [
        line for line in done.stdout.splitlines() if "MLflow" in line and "did not" in line
    ]
    return {"s": round(seconds, 1), "requests": dict(proxy.seen), "unwritten": unwritten}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--here", nargs=argparse.REMAINDER, help="run this rxtune command")
    arguments = parser.parse_args()
    if arguments.here:
        search_here(arguments.here)
        return
    from rxtune.track import versions

    print(f"{processor()}, {os.cpu_count()} cores;", versions())
    found: dict[float, list[float]] = {0.0: [], DELAY: []}
    with TemporaryDirectory() as folder, serving(Path(folder)) as proxy:
        for _ in range(arguments.repeats):
            for delay, seconds in found.items():
                one = time_search(proxy, delay, arguments.trials)
                seconds.append(one["s"])
                count = sum(one["requests"].values())
                print(f"answers after {delay} s: {one['s']} s,", end=" ")
                print(
                    f"{count / arguments.trials:.1f} requests a trial", json.dumps(one), flush=True
                )
    quick, slow = (median(found[delay]) for delay in (0.0, DELAY))
    print(f"median {quick:.1f} s without and {slow:.1f} s with the delay: {slow / quick - 1:+.1%}")


if __name__ == "__main__":
    main()
