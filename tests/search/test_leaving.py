"""A node that is to be taken away is noticed, and nothing that fails on the way is felt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from types import SimpleNamespace

import pytest

from rxtune.search.leaving import node_is_leaving, watch

PATIENCE = 60.0


def asking(answers: Iterator[bool | Exception], asked: Event) -> Callable[[], bool]:
    """Return a question with these answers; the last one sets the event."""

    def ask() -> bool:
        answer = next(answers)
        if answer is True or isinstance(answer, AttributeError):
            asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        Event().wait(0.01)
    pytest.fail("what was waited for has not happened")


def test_a_notice_is_told_even_after_the_head_did_not_answer() -> None:
    answers = iter([False, RuntimeError("the head does not answer"), False, True])
    leaves = watch(asking(answers, Event()), seconds=0.001)
    wait_for(leaves)
    assert next(answers, "none") == "none"  # nothing is asked after a yes


def test_a_ray_that_cannot_be_asked_is_not_asked_again() -> None:
    asked = Event()
    answers = iter([False, AttributeError("no such function"), True])
    leaves = watch(asking(answers, asked), seconds=0.001)
    assert asked.wait(PATIENCE)
    Event().wait(0.05)  # in which it would ask fifty times
    assert not leaves()
    assert next(answers) is True


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """A process that has not asked yet."""
    node_is_leaving.cache_clear()
    yield
    node_is_leaving.cache_clear()


def test_with_a_ray_that_has_no_such_question_no_node_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    context = SimpleNamespace(get_node_id=lambda: "a")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.delattr("ray._private.state.GlobalState.get_draining_nodes")
    assert not node_is_leaving()()


def test_outside_ray_no_node_leaves_and_none_is_started() -> None:
    import ray

    was_there = ray.is_initialized()
    assert not node_is_leaving()()
    assert ray.is_initialized() == was_there
