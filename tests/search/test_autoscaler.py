"""A cluster whose head takes no trials and whose autoscaler has started no node yet."""

from __future__ import annotations

from typing import Any

import pytest

from rxtune.search import autoscaler
from rxtune.search.autoscaler import await_node, is_autoscaled


def test_a_machine_without_a_head_is_not_autoscaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_command_lines", lambda: [b"python\0monitor.py\0--logs"])
    monkeypatch.delenv("KUBERAY_GEN_RAY_START_CMD", raising=False)
    assert not is_autoscaled()


@pytest.mark.parametrize("by", ["ray up", "KubeRay"])
def test_who_runs_an_autoscaler_is_known(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    line = b"python\0/ray/autoscaler/_private/monitor.py\0--autoscaling-config=/x.yaml"
    monkeypatch.setattr(autoscaler, "_command_lines", lambda: [line] if by == "ray up" else [])
    monkeypatch.setenv("KUBERAY_GEN_RAY_START_CMD" if by == "KubeRay" else "UNUSED", "ray start")
    assert is_autoscaled()


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the autoscaler was asked for, in place of one."""
    found: list[Any] = []
    monkeypatch.setattr(
        "ray.autoscaler.sdk.request_resources", lambda bundles: found.append(bundles)
    )
    monkeypatch.setattr(autoscaler, "LOOK_SECONDS", 0.0)
    return found


def test_it_waits_until_the_node_is_there_and_takes_the_request_back(requests: list[Any]) -> None:
    looks = iter([[{"CPU": 8.0}], [{"CPU": 8.0}], [{"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}]])
    await_node({"CPU": 1.0, "GPU": 1.0}, lambda: next(looks))
    assert requests == [[{"CPU": 1.0, "GPU": 1.0}], []]
    assert list(looks) == []


def test_it_does_not_wait_for_ever(requests: list[Any]) -> None:
    await_node({"CPU": 1.0, "GPU": 0.0}, list, seconds=0.0)
    assert requests == [[{"CPU": 1.0}], []]
