"""cluster/slurm.sh from end to end: under a stand-in for Slurm, and under a real one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.files import REPOSITORY

pytestmark = pytest.mark.cluster  # a Ray with the usual ports, which another one would disturb

SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
DEADLINE_SECONDS = 240.0
EVALUATED = '"op_code":7'
"""In the journal: a trial has reported its first score."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder from which jobs are submitted, with this environment as its own."""
    folder = tmp_path / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    binaries = Path(sys.executable).parent
    activate = f'export PATH="{binaries}:$PATH" PYTHONPATH="{REPOSITORY}"\n'
    (folder / ".venv" / "bin" / "activate").write_text(activate)
    for name in ("cluster", "search_spaces"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


# --- a stand-in: `srun` runs its command here


def submit(checkout: Path, job: int, log: Path, *, nodes: int) -> subprocess.Popen[bytes]:
    """Start the job on nodes each of which is this machine."""
    srun = checkout.parent / "bin" / "srun"
    srun.parent.mkdir(exist_ok=True)
    srun.write_text(SRUN)
    srun.chmod(0o755)
    variables = {
        "HOME": str(checkout.parent),  # the token's place
        "PATH": f"{srun.parent}:{os.environ['PATH']}",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_SUBMIT_DIR": str(checkout),
        "SLURMD_NODENAME": "node1",
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            ["bash", REPOSITORY / "cluster" / "slurm.sh", "search_spaces/quick.yaml", "big"],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait(job: subprocess.Popen[bytes], log: Path) -> None:
    try:
        job.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        job.kill()
        pytest.fail(log.read_text())


def processes_of(job: int) -> list[str]:
    """Return the commands that still use the job's folder of Ray."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if f"/tmp/ray-{job}" in line]


def test_a_search_that_the_time_limit_ends_goes_on_when_submitted_again(checkout: Path) -> None:
    log, first, second = checkout / "job.log", os.getpid() * 10 + 1, os.getpid() * 10 + 2
    journal = checkout / "runs" / "big" / "journal.log"
    job = submit(checkout, first, log, nodes=1)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (journal.exists() and EVALUATED in journal.read_text()):
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    job.send_signal(signal.SIGTERM)  # as --signal=B:TERM@300 does
    wait(job, log)
    assert job.returncode == 130, log.read_text()
    assert processes_of(first) == []
    assert not Path(f"/tmp/ray-{first}").exists()

    before = journal.read_bytes()
    job = submit(checkout, second, log, nodes=2)
    wait(job, log)
    assert job.returncode == 0, log.read_text()
    assert journal.read_bytes().startswith(before)
    assert (checkout / "runs" / "big" / "best" / "model.safetensors").exists()
    assert (checkout.parent / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
    assert processes_of(second) == []


# --- a real Slurm

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={port}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=n1 NodeHostname={host} Port={first} CPUs={cpus}
NodeName=n2 NodeHostname={host} Port={second} CPUs={cpus}
PartitionName=all Nodes=n1,n2 Default=YES
"""


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A controller and two nodes, all on this machine."""
    daemons = [shutil.which(name) for name in ("slurmctld", "slurmd")]
    if None in daemons or os.geteuid() != 0:
        pytest.skip("needs root and Slurm: apt install slurm-wlm")
    port, first, second = free_ports(3)
    folder = tmp_path / "slurm"
    (folder / "state").mkdir(parents=True)
    file = folder / "slurm.conf"
    host, cpus = socket.gethostname(), os.cpu_count()
    file.write_text(CONFIGURATION.format(**locals()))
    monkeypatch.setenv("SLURM_CONF", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    controller, node = daemons
    running = [
        subprocess.Popen([*command, "-D"], stdout=output, stderr=subprocess.STDOUT)
        for command in ([controller], [node, "-N", "n1"], [node, "-N", "n2"])
        if (output := (folder / f"{command[-1].replace('/', '_')}.log").open("wb"))
    ]
    yield
    for process in reversed(running):
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def test_slurm_accepts_the_job_and_runs_the_search(checkout: Path, slurm: None) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    states = ["sinfo", "--noheader", "--Node", "--format=%T"]
    while subprocess.run(states, capture_output=True, text=True).stdout.split() != ["idle"] * 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # What this machine lacks is asked for in vain; all else is as the script says.
    here = ["--gpus-per-node=0", "--cpus-per-task=1", "--mem=0"]
    script = ["cluster/slurm.sh", "search_spaces/quick.yaml", "big", "--trials", "2"]
    done = subprocess.run(["sbatch", "--wait", *here, *script], cwd=checkout, timeout=400)
    (log,) = checkout.glob("rxtune-*.log")
    assert done.returncode == 0, log.read_text()
    assert "at most" in log.read_text()
    assert (checkout / "runs" / "big" / "best" / "model.safetensors").exists()
    # What a search leaves there: its best model, and what another machine would resume it from.
    resumable, best = sorted(path.name for path in (checkout / "storage" / "big").iterdir())
    assert resumable == "run"
    assert best.startswith("trial-")
