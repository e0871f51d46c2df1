"""Hosts that join a cluster during a search: asked before they count, closed if they differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rxtune.search.nodes import (
    NodeFacts,
    alive_nodes,
    ask_node,
    difference,
    facts_of,
    name_of,
    own_versions,
)


class Newcomers:
    """Watches who joins, and keeps trials off a host that would not train as the others do.

    Nothing here waits: a host is asked at one look and counts at a later one. What waits for a
    place at that moment, because its own host was lost, Ray may send to a host before that.

    Args:
        file: What a host must see in the storage, from `probe`; None: that is a bucket.
        known: Ray's ids of the hosts that have been asked already.
        versions: What a host must have; the driver's own by default.
    """

    def __init__(
        self,
        file: str | None,
        known: Collection[str],
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._file = file
        self._versions = dict(versions or own_versions())
        self._usable = set(known)
        self._asked: dict[str, Any] = {}
        self._closed: dict[str, Any] = {}
        self.problems: list[str] = []
        """A line for every host that was closed."""

    def look(self) -> list[dict[str, float]]:
        """Return what the hosts have that trials may use now; ask those that are new."""
        nodes = {node["NodeID"]: node for node in alive_nodes()}
        for node_id in nodes.keys() - self._usable - self._asked.keys() - self._closed.keys():
            self._asked[node_id] = ask_node(node_id, self._file)
        for node_id, why in list(self._answers(nodes)):
            if why is None:
                self._usable.add(node_id)
            else:
                self._close(nodes[node_id], why)
        return [node["Resources"] for node_id, node in nodes.items() if node_id in self._usable]

    def _answers(self, nodes: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
        """Yield who has answered, and why it cannot be used, or None."""
        import ray

        if not self._asked:
            return
        answers = list(self._asked.values())
        ready, _ = ray.wait(answers, num_returns=len(answers), timeout=0)
        for node_id in [one for one, asked in self._asked.items() if asked in ready]:
            asked = self._asked.pop(node_id)
            if node_id not in nodes:  # it has left again
                continue
            try:
                yield node_id, self._fault(facts_of(nodes[node_id], ray.get(asked)))
            except ray.exceptions.RayError as error:
                yield node_id, f"does not answer ({type(error).__name__})"

    def _fault(self, facts: NodeFacts) -> str | None:
        """Return what keeps a host from being used, or None."""
        if differs := difference(self._versions, facts):
            return differs
        if facts.sees_storage is False:
            return f"cannot see the folder of {self._file}, where the checkpoints lie"
        return None

    def _close(self, node: dict[str, Any], why: str) -> None:
        """Take all of a host, so that Ray has no room there for trials."""
        from ray.util.placement_group import placement_group

        all_of_it = {k: v for k, v in node["Resources"].items() if k in ("CPU", "GPU") and v > 0}
        there = {"ray.io/node-id": node["NodeID"]}
        self.problems.append(f"{name_of(node)} joined and was not used: it {why}")
        self._closed[node["NodeID"]] = (
            placement_group([all_of_it], bundle_label_selector=[there]) if all_of_it else None
        )
