"""A cluster of hosts as a user makes it: cluster/on-prem.yaml filled in, and `ray up`."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any

import yaml

from tests.cluster.real.hosts import REPOSITORY, Host, Network

FILE = REPOSITORY / "cluster" / "on-prem.yaml"
OBJECTS = 150_000_000
"""Bytes of a node's object store; Ray's default is a third of the machine's memory."""
LAUNCH_SECONDS = 240.0
"""A machine that does other things as well takes long to start Ray three times."""
_NODES = """
import json, ray, time
ray.init("auto", logging_level=50)
until = time.monotonic() + {seconds}
while True:
    nodes = {{n["NodeManagerAddress"]: n["NodeID"] for n in ray.nodes() if n["Alive"]}}
    if len(nodes) == {count} or time.monotonic() > until:
        break
    time.sleep(0.5)
print(json.dumps(nodes))
"""


class Cluster:
    """A head and workers, and the commands that are typed at the client and at the head."""

    def __init__(
        self, network: Network, *, workers: int = 2, cpus: int = 1, dashboard: bool = True
    ) -> None:
        self.network = network
        self.client = network.hosts["client"]
        self.head = network.add("head")
        self.workers = [network.add(f"worker{n}") for n in range(1, workers + 1)]
        self.cpus = cpus
        self.dashboard = dashboard
        self.checkout = self.client.home / "checkout"
        self._copy_checkout()
        self.file = self.checkout / "cluster" / FILE.name
        self.write_file()

    @property
    def nodes(self) -> list[Host]:
        """The head and the workers."""
        return [self.head, *self.workers]

    def _copy_checkout(self) -> None:
        """Copy what the file mounts: a user's results land beside it."""
        for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
            self.checkout.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / name, self.checkout)
        for name in ("cluster", "rxtune", "search_spaces"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, self.checkout / name, ignore=ignored)

    def write_file(self) -> None:
        """Write the client's file for the present hosts."""
        self.file.write_text(yaml.safe_dump(self._filled_in(), sort_keys=False))

    def _filled_in(self) -> dict[str, Any]:
        """Return on-prem.yaml for these hosts, which share an installation: none is made."""
        config: dict[str, Any] = yaml.safe_load(FILE.read_text())
        config["provider"]["head_ip"] = self.head.address
        config["provider"]["worker_ips"] = [worker.address for worker in self.workers]
        config["min_workers"] = config["max_workers"] = len(self.workers)
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.network.key)}
        config["setup_commands"] = [c for c in config["setup_commands"] if not _installs(c)]
        small = f"ray start --num-cpus={self.cpus} --object-store-memory={OBJECTS}"
        for key in ("head_start_ray_commands", "worker_start_ray_commands"):
            config[key] = [command.replace("ray start", small) for command in config[key]]
        if not self.dashboard:
            alone = "--head --include-dashboard=false"
            key = "head_start_ray_commands"
            config[key] = [command.replace("--head", alone) for command in config[key]]
        return config

    def at_client(self, command: str, *, seconds: float = LAUNCH_SECONDS) -> str:
        """Return what a command prints that is typed at the top of the checkout."""
        return self.client.run(f"cd ~/checkout; {command}", seconds=seconds)

    def up(self) -> str:
        """Make the token, launch, and wait until all nodes have joined."""
        self.at_client("ray get-auth-token --generate > /dev/null; chmod 600 ~/.ray/auth_token")
        printed = self.at_client(f"RAY_UP_enable_autoscaler_v2=0 ray up -y {self.file}")
        joined = self.alive(len(self.nodes), seconds=LAUNCH_SECONDS)
        assert len(joined) == len(self.nodes), f"only {joined} have joined"
        return printed

    def start(self) -> None:
        """Start Ray with the file's commands on all hosts, without the launcher: that is faster.

        There is no autoscaler then, which would start Ray again on a host that has lost it.
        """
        self.at_client("ray get-auth-token --generate > /dev/null; chmod 600 ~/.ray/auth_token")
        self._prepare(self.head)
        command = self._start_command("head")
        self.head.run(command.replace("--autoscaling-config=~/ray_bootstrap_config.yaml", ""))
        for process in [self._begin_to_join(worker) for worker in self.workers]:
            _finish(process)

    def join(self, name: str) -> Host:
        """Add a host and start Ray on it by hand, as a worker's commands do."""
        self.workers.append(self.network.add(name))
        _finish(self._begin_to_join(self.workers[-1]))
        return self.workers[-1]

    def _begin_to_join(self, worker: Host) -> subprocess.Popen[str]:
        self._prepare(worker)
        command = self._start_command("worker")
        return worker.start(f"export RAY_HEAD_IP={self.head.address}; {command}")

    def _prepare(self, host: Host) -> None:
        """Bring what the launcher brings: the token, and the environment's place."""
        (host.home / ".ray").mkdir(exist_ok=True)
        shutil.copy(self.client.home / ".ray" / "auth_token", host.home / ".ray")
        host.run(self._filled_in()["setup_commands"][-1])

    def _start_command(self, kind: str) -> str:
        commands = self._filled_in()[f"{kind}_start_ray_commands"]
        return next(command for command in commands if "ray start" in command)

    def down(self) -> str:
        """Take the cluster down."""
        return self.at_client(f"ray down -y {self.file}")

    def exec(self, command: str, *, tmux: bool = False) -> str:
        """Run a command on the head through `ray exec`; with tmux it goes on by itself."""
        flag = "--tmux " if tmux else ""
        return self.at_client(f"ray exec {self.file} {flag}{shlex.quote(command)}")

    def alive(self, count: int = 0, *, seconds: float = 0) -> dict[str, str]:
        """Return the ids of the nodes that Ray takes for alive, by address.

        Args:
            count: Wait until there are so many,
            seconds: but not longer.
        """
        script = _NODES.format(count=count, seconds=seconds)
        printed = self.head.run(f"python -c {shlex.quote(script)}", seconds=seconds + 120)
        (line,) = [line for line in printed.splitlines() if line.startswith("{")]
        nodes: dict[str, str] = json.loads(line)  # Ray may print after it
        return nodes


def _finish(process: subprocess.Popen[str]) -> None:
    printed, _ = process.communicate(timeout=LAUNCH_SECONDS)
    assert process.returncode == 0, printed


def _installs(command: str) -> bool:
    return "-m venv" in command or "pip install" in command
