"""`rxtune ui`: MLflow's own pages on the store of a run, and nothing left of it afterwards."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.request
from typing import Any

import pytest

pytestmark = pytest.mark.slow_end_to_end


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_the_run_and_leaves_no_process(
    workplace: Any, reference: Any, how: signal.Signals
) -> None:
    command = workplace.start("ui", "reference", "--port", str(free_port()))
    address = command.read_line()
    found = re.search(r"(http://[\d.:]+)/#/experiments/\d+/runs\?viewStateShareKey=(.+)", address)
    assert found is not None, address
    parent, _ = workplace.runs("reference")
    assert found[2] == parent.data.tags["rxtune.search_id"]
    with urllib.request.urlopen(f"{found[1]}/", timeout=20) as page:
        assert b"MLflow" in page.read()
    os.kill(command.pid, how)
    ended = command.wait()
    assert ended.code == 0, ended
    assert workplace.gone()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_port_that_is_taken_is_refused(workplace: Any, reference: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = workplace.run("ui", "reference", "--port", str(port))
    assert ended.code == 4, ended
    assert f"--port: {port} is taken by another program" in ended.errors


def test_a_store_that_is_not_there_is_refused_and_not_made(workplace: Any) -> None:
    ended = workplace.run("ui", "--tracking-uri", "sqlite:///nowhere.db")
    assert ended.code == 4, ended
    assert "no MLflow database at nowhere.db" in ended.errors
    assert not (workplace.folder / "nowhere.db").exists()
