"""What every node of a cluster has, asked before the first trial; and what would fail there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from rxtune.errors import ClusterError
from rxtune.storage import is_uri

ANSWER_SECONDS = 60.0
"""How long the nodes may take to answer; a busy one must start a Python process for it."""
PACKAGES = ("rxtune", "torch", "transformers", "pyarrow")
"""Of these the driver's version and a node's must be the same: they pass objects between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One node of the cluster, as it describes itself."""

    host: str
    address: str
    """Its IP address."""
    node_id: str = ""
    """Ray's."""
    cpus: float
    gpus: float
    """What Ray may use of it."""
    gpu_memory: tuple[float, ...] = ()
    """Of every GPU that its driver shows, in GB."""
    gpu_names: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    """Python, Ray and `PACKAGES`; what is not installed has an empty version."""
    sees_storage: bool | None = None
    """Whether a file that the driver has put into the storage is there; None: not asked."""

    @property
    def name(self) -> str:
        """What people know it by."""
        return f"{self.host} ({self.address})"


def ask_nodes(place: str | None, *, seconds: float | None = None) -> list[NodeFacts]:
    """Return what all nodes that are up now have, the driver's own first.

    Args:
        place: The storage; a path is looked for on every node.
        seconds: How long they may take, all together; `ANSWER_SECONDS` by default.

    Raises:
        ClusterError: A node does not answer in time.
    """
    import ray

    nodes = alive_nodes()
    with probe(place) as file:
        asked = {node["NodeID"]: ask_node(node["NodeID"], file) for node in nodes}
        limit = ANSWER_SECONDS if seconds is None else seconds
        ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=limit)
        late = [node for node in nodes if asked[node["NodeID"]] not in ready]
        if late:
            names = ", ".join(map(name_of, late))
            raise ClusterError(
                f"--address: every node must answer within {limit:g} s, but {names} did not; look"
                " at it with `ray status` and `ray list nodes`, or take it out of the cluster"
            )
        here = ray.get_runtime_context().get_node_id()
        nodes.sort(key=lambda node: node["NodeID"] != here)
        return [facts_of(node, ray.get(asked[node["NodeID"]])) for node in nodes]


def alive_nodes() -> list[dict[str, Any]]:
    """Return the nodes that are up now, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def name_of(node: Mapping[str, Any]) -> str:
    """Return what people know a node by, as Ray describes it."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def facts_of(node: dict[str, Any], told: dict[str, Any]) -> NodeFacts:
    """Return one node as Ray knows it and as it has answered `ask_node`."""
    return NodeFacts(
        host=node["NodeManagerHostname"],
        address=node["NodeManagerAddress"],
        node_id=node["NodeID"],
        cpus=node["Resources"].get("CPU", 0.0),
        gpus=node["Resources"].get("GPU", 0.0),
        gpu_memory=tuple(memory for _, memory in told["gpus"]),
        gpu_names=tuple(name for name, _ in told["gpus"]),
        versions=tuple(told["versions"].items()),
        sees_storage=told["sees"],
    )


def ask_node(node_id: str, file: str | None) -> Any:
    """Start the question on a node and return Ray's reference to the answer.

    It needs no CPU, so it does not wait for a trial to end.

    Args:
        node_id: Ray's.
        file: What the node must see; None: it is not asked.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    question: Any = ray.remote(_question())
    asked = question.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    return asked.remote(file, PACKAGES)


def _question() -> Callable[[str | None, Sequence[str]], dict[str, Any]]:
    """Return the function that a node runs: a local one, which travels whole.

    A node on which rxtune is missing, or another version lies, must be able to answer, too.
    """

    def describe(file: str | None, packages: Sequence[str]) -> dict[str, Any]:
        import os
        import platform
        import subprocess
        from importlib.metadata import PackageNotFoundError, version

        def installed(package: str) -> str:
            try:
                return version(package)
            except PackageNotFoundError:
                return ""

        asked = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
        except (OSError, subprocess.SubprocessError):
            told = ""
        rows = [line.rsplit(",", 1) for line in told.splitlines() if "," in line]
        return {
            "versions": {
                "Python": platform.python_version(),
                "ray": installed("ray"),
                **{package: installed(package) for package in packages},
            },
            "gpus": [(name.strip(), float(mebibytes) * 2**20 / 1e9) for name, mebibytes in rows],
            "sees": None if file is None else os.path.exists(file),
        }

    return describe


@contextmanager
def probe(place: str | None) -> Iterator[str | None]:
    """Put a file into a storage that is a path, for the time of the block; lend its path.

    A file of a name that no other host can have made: a folder is soon made by any trial there.
    """
    if place is None or (is_uri(place) and not place.startswith("file://")):
        yield None
        return
    folder = Path(place.removeprefix("file://"))
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    file = folder / f".rxtune-probe-{uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise ClusterError(
            f"--storage: {place} must be writable, but is not ({error}); check the path"
        ) from error
    try:
        yield str(file)
    finally:
        with suppress(OSError):
            file.unlink()
            for path in made:
                path.rmdir()  # not if others have put something there


def require_same_versions(nodes: Sequence[NodeFacts]) -> None:
    """Refuse a cluster whose nodes have other versions than the driver's, which is the first.

    Raises:
        ClusterError: A node differs; it is named with what it has and what it needs.
    """
    mine = dict(nodes[0].versions)
    for node in nodes[1:]:
        if differs := difference(mine, node):
            raise ClusterError(
                f"--address: every node must have what the driver has, but {node.name} {differs};"
                " install the same there: pip install -c constraints.txt ."
            )


def difference(mine: Mapping[str, str], node: NodeFacts) -> str | None:
    """Return what a node has where the driver has something else, or None."""
    theirs = dict(node.versions)
    wrong = [name for name in mine if theirs.get(name, "") != mine[name]]
    if not wrong:
        return None
    has = ", ".join(f"{name} {theirs.get(name) or 'missing'}" for name in wrong)
    needs = ", ".join(f"{name} {mine[name]}" for name in wrong)
    return f"has {has} where the driver has {needs}"


def own_versions() -> dict[str, str]:
    """Return the versions of the driver."""
    versions: dict[str, str] = _question()(None, PACKAGES)["versions"]
    return versions


def require_seen_by_all(nodes: Sequence[NodeFacts], place: str) -> None:
    """Refuse a storage that is a folder on one machine's own disk.

    Raises:
        ClusterError: A node does not see what the driver wrote there.
    """
    blind = [node.name for node in nodes if node.sees_storage is False]
    if blind:
        raise ClusterError(
            f"--storage: {place} must be shared by all nodes, but {_some(blind)} cannot see what"
            " the driver wrote there; mount a shared file system at this path on every node, or"
            " give a bucket: s3://bucket/folder"
        )


def _some(names: Collection[str]) -> str:
    shown = list(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def gpus_text(node: NodeFacts) -> str:
    """Return the GPUs of a node as people write them: `4 × A10G 24 GB`."""
    kinds = Counter(zip(node.gpu_names, node.gpu_memory, strict=True))
    told = [f"{count} × {name} {memory:.0f} GB" for (name, memory), count in kinds.items()]
    return ", ".join(told) or (f"{node.gpus:g}" if node.gpus else "–")
