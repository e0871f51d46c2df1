"""Whether this node is about to be taken away: a spot notice, passed on by `ray drain-node`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Event, Thread
from time import sleep

LOOK_SECONDS = 2.0
"""How often the cluster is asked; from notice to end a cloud leaves 30 to 120 s."""


@cache
def node_is_leaving() -> Callable[[], bool]:
    """Return what tells, at the cost of a flag, whether this process's node is being drained.

    The first call begins to watch. Ray has no public way to ask (2.60; its own Train uses this
    one): where it is gone, and outside Ray, no node ever leaves.
    """
    asked = _question()
    return watch(asked) if asked else lambda: False


def watch(is_leaving: Callable[[], bool], seconds: float = LOOK_SECONDS) -> Callable[[], bool]:
    """Ask a slow question in a thread until it is answered by yes; return what tells whether so.

    Args:
        is_leaving: May fail: the cluster's head may not answer for a while.
        seconds: Between two questions.
    """
    leaves = Event()
    arguments = (is_leaving, leaves, seconds)
    Thread(target=_ask_until, args=arguments, name="rxtune-leaving", daemon=True).start()
    return leaves.is_set


def _ask_until(is_leaving: Callable[[], bool], leaves: Event, seconds: float) -> None:
    while not leaves.is_set():
        try:
            if is_leaving():
                leaves.set()
        except (AttributeError, TypeError):  # another Ray, which is asked otherwise
            return
        except Exception:
            pass
        sleep(seconds)


def _question() -> Callable[[], bool] | None:
    import ray

    if not ray.is_initialized():  # else the next line would start one
        return None
    me = ray.get_runtime_context().get_node_id()
    try:
        from ray._private.state import state

        drained = state.get_draining_nodes
    except (ImportError, AttributeError):
        return None
    return lambda: me in drained()
