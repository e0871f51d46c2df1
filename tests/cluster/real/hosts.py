"""Hosts on one machine: namespaces of network, processes and mounts, with an ssh server each."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENT = Path(sys.prefix)
"""Of the Python that runs: every host finds it as its `~/rxtune-env`, and this checkout in it."""
NEEDED = ("ip", "nsenter", "rsync", "setpriv", "ssh", "ssh-keygen", "tmux", "unshare")
SSHD = "/usr/sbin/sshd"
SUBNET = "10.77.0"
STEP_SECONDS = 0.2
"""Between two looks at a condition that is waited for."""

# What becomes process 1 of a host; {…} are filled in. The homes lie at the same path inside and
# outside; /tmp, /run and /dev/shm are a host's own, as Ray keeps its sessions and objects there.
_INIT = """
set -eu
hostname {name}
mount --bind {folder}/tmp /tmp
mount -t tmpfs -o size=1g tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind {folder}/passwd /etc/passwd
mount --bind {root}/hosts /etc/hosts
mount --bind {root}/resolv.conf /etc/resolv.conf
ip link set lo up
exec {sshd} -D -f {folder}/sshd_config -E {folder}/sshd.log
"""
_SSHD_CONFIG = """\
HostKey {folder}/host_key
AuthorizedKeysFile {root}/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv PYTHONPATH={repository}
"""


def why_impossible() -> str | None:
    """Return why hosts cannot be made on this machine, or None."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "hosts need Linux and root"
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        return f"hosts need {', '.join(missing)}: apt install iproute2 openssh-server rsync tmux"
    if not Path(SSHD).exists():
        return "hosts need sshd: apt install openssh-server"
    if any(Path("/tmp") in path.parents for path in (REPOSITORY, ENVIRONMENT)):
        return "the checkout lies below /tmp, of which every host has its own"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--uts",
         "ip", "link", "add", "name", "tried", "type", "bridge"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


class Host:
    """A machine as its user sees it: a console, a home, a cable. Made by `Network.add`."""

    def __init__(self, network: Network, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.folder = network.root / name
        self.home = self.folder / "home"
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self.boot()

    def boot(self) -> None:
        """Start it, for the first time or again: its disk is as it was, /tmp included."""
        if not self.folder.exists():
            self._furnish()
        fill = {"name": self.name, "folder": self.folder, "root": self._network.root}
        script = _INIT.format(**fill, sshd=SSHD)
        spaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
        self._process = _start(["unshare", "--net", *spaces, "bash", "-c", script], self.log)
        wait_until(lambda: bool(_children(self._process.pid)), "a host starts")
        self.pid = _children(self._process.pid)[0]
        self._network.plug_in(self)
        self.wait_until_it_answers()

    def _furnish(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, mode=0o1777)
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        (self.home / "rxtune-env").symlink_to(ENVIRONMENT)
        root = f"root:x:0:0:root:{self.home}:/bin/bash"
        others = [x for x in Path("/etc/passwd").read_text().splitlines() if x[:5] != "root:"]
        (self.folder / "passwd").write_text("\n".join([root, *others]) + "\n")
        places = {"folder": self.folder, "root": self._network.root, "repository": REPOSITORY}
        text = _SSHD_CONFIG.format(**places)
        (self.folder / "sshd_config").write_text(text)
        _make_key(self.folder / "host_key")

    @property
    def log(self) -> Path:
        """What its start has printed."""
        return self.folder / "boot.log"

    @property
    def inside(self) -> list[str]:
        """The words that run what follows them on the host, as at its console."""
        return [
            "nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--uts", "--",
            "env", "-i", f"HOME={self.home}", f"PATH={ENVIRONMENT}/bin:{os.environ['PATH']}",
            "LANG=C.UTF-8", "TERM=xterm", f"PYTHONPATH={REPOSITORY}",
        ]  # fmt: skip

    def start(self, command: str, *, log: Path | None = None) -> subprocess.Popen[str]:
        """Start a shell command in the host's home; without a log its output is piped."""
        script = f"cd; source ~/.bashrc 2> /dev/null; {command}"
        arguments = [*self.inside, "bash", "-c", script]
        if log is None:
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        with log.open("a") as output:
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
            )

    def run(self, command: str, *, seconds: float = 120, check: bool = True) -> str:
        """Return what a shell command in the host's home prints.

        Raises:
            RuntimeError: it fails, unless that is not to be checked, or takes too long.
        """
        process = self.start(command)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise RuntimeError(f"{self.name}: {command}: after {seconds} s:\n{output}") from None
        if check and process.returncode:
            raise RuntimeError(f"{self.name}: {command}: {process.returncode}:\n{output}")
        return output

    def wait_until_it_answers(self) -> None:
        """Wait for its ssh server."""
        probe = [*self.inside, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/22"]
        wait_until(
            lambda: not subprocess.run(probe, capture_output=True, check=False).returncode,
            f"{self.name} answers",
        )

    def cut(self) -> None:
        """Pull its network cable."""
        self._network.set_port(self, "down")

    def mend(self) -> None:
        """Plug its network cable in again."""
        self._network.set_port(self, "up")

    def kill(self) -> None:
        """Turn it off at the wall: its processes are gone, and no packet tells the others."""
        self.cut()
        self.crash()

    def crash(self) -> None:
        """End all its processes at once; the kernel still closes their connections."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    @property
    def is_up(self) -> bool:
        """Whether it has not been killed."""
        return self._process is not None and self._process.poll() is None

    def processes(self, words: str = "") -> list[str]:
        """Return the command lines of its processes that hold some words."""
        if not self.is_up:
            return []
        listed = self.run("ps -e -o pid=,args=").splitlines()
        own = ("ps -e -o", "bash -c cd; source")
        return [x.strip() for x in listed if words in x and not any(o in x for o in own)]


class Network:
    """A switch and the hosts that are plugged into it; all of it is gone at the end.

    The first host is `client`, from which `ray up` is typed. `shared` is a folder that all hosts
    see under the same path, as NFS would give it, except that it survives a cut cable.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self._switch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.root = Path(tempfile.mkdtemp(prefix="rxtune-hosts-", dir="/var/tmp"))
        try:
            self.shared = self.root / "shared"
            self.shared.mkdir()
            self.key = self.root / "key"
            _make_key(self.key)
            (self.root / "hosts").write_text("127.0.0.1 localhost\n")
            (self.root / "resolv.conf").write_text("")
            self._start_switch()
            self.add("client")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_switch(self) -> None:
        """Start what holds the bridge; whatever leaves the subnet is refused at once."""
        script = f"""set -eu
            ip link set lo up
            ip link add name switch type bridge forward_delay 0
            ip address add {SUBNET}.1/24 dev switch
            ip link set switch up
            echo 1 > /proc/sys/net/ipv4/ip_forward
            ip route add unreachable default
            exec sleep infinity"""
        self._switch = _start(["unshare", "--net", "bash", "-c", script], self.root / "switch.log")
        wait_until(
            lambda: (
                "state UP" in self._at_switch("ip link show switch")
                or "unreachable" in self._at_switch("ip route")
            ),
            "the switch starts",
        )

    def _at_switch(self, command: str) -> str:
        assert self._switch is not None
        words = [
            "nsenter",
            "--target",
            str(self._switch.pid),
            "--net",
            "--",
            *shlex.split(command),
        ]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def add(self, name: str) -> Host:
        """Make and start another host."""
        address = f"{SUBNET}.{len(self.hosts) + 2}"
        with (self.root / "hosts").open("a") as names:
            names.write(f"{address} {name}\n")
        self.hosts[name] = Host(self, name, address)
        return self.hosts[name]

    def plug_in(self, host: Host) -> None:
        """Connect a host that has started."""
        assert self._switch is not None
        with suppress(subprocess.CalledProcessError):  # what a killed host has left
            _run("nsenter", "--target", str(self._switch.pid), "--net",
                 "ip", "link", "delete", host.name)  # fmt: skip
        inside = ["nsenter", "--target", str(host.pid), "--net", "ip"]
        outside = ["nsenter", "--target", str(self._switch.pid), "--net", "ip"]
        _run(*inside, "link", "add", "eth0", "type", "veth",
             "peer", "name", host.name, "netns", str(self._switch.pid))  # fmt: skip
        _run(*outside, "link", "set", host.name, "master", "switch", "up")
        _run(*inside, "address", "add", f"{host.address}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run(*inside, "route", "add", "default", "via", f"{SUBNET}.1")

    def set_port(self, host: Host, state: str) -> None:
        """Take a host's port of the switch up or down."""
        assert self._switch is not None
        _run("nsenter", "--target", str(self._switch.pid), "--net",
             "ip", "link", "set", host.name, state)  # fmt: skip

    def close(self) -> None:
        """Kill all hosts and delete what was on their disks."""
        for host in self.hosts.values():
            host.crash()
        if self._switch is not None:
            self._switch.kill()
            self._switch.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> float:
    """Wait for a condition; return after how many seconds it held.

    Raises:
        TimeoutError: it does not hold in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"waited {seconds:g} s, but not: {what}")
        time.sleep(STEP_SECONDS)
    return time.monotonic() - began


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one, however this one dies."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _make_key(path: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []
