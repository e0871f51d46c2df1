"""Notes when a search's functions begin and end, in every process that has this on its path.

Python imports a `sitecustomize` at its start, so `PYTHONPATH=benchmarks/timeline` reaches Ray's
workers as well, and the search itself needs no clock. Each process writes a file of JSON lines to
the folder `RXTUNE_TIMELINE`; without that variable nothing happens.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

WATCHED = {
    "rxtune.search.trial": ["run_trial"],
    "rxtune.train.loop": ["_Run.train_until"],
    "rxtune.train.evaluate": ["predict"],
    "rxtune.train.checkpoint": ["save_checkpoint", "load_checkpoint"],
    "rxtune.train.encoder": ["build_model"],
    "rxtune.train.save": ["save_model"],
    "rxtune.train.predictions": ["save_predictions"],
    "rxtune.train.memory": ["release_memory"],
    "rxtune.search.disk": ["TrialDisk.held"],
    "ray.tune.trainable.trainable_fn_utils": ["report"],
    "ray._private.worker": ["init", "shutdown"],
    "rxtune.cli.main": ["main"],
    "rxtune.search.plan": ["make_plan"],
    "rxtune.search.workload": ["prepare"],
    "rxtune.search.start": ["run_search"],
    "rxtune.search.tuner": ["_tune"],
    "rxtune.search.director": ["Director.hear", "Director.next_trial"],
    "rxtune.search.models": ["ModelStore.retain"],
    "rxtune.track.store": ["connect"],
    "rxtune.track.tracker": ["Tracker.open", "Tracker.start", "Tracker.close"],
}
"""Module -> functions whose calls are noted."""


class _Notebook:
    """One file of this process."""

    def __init__(self, folder: str) -> None:
        self._file = open(f"{folder}/{os.getpid()}.jsonl", "a", buffering=1)  # noqa: SIM115
        self.note(what="process", began=_process_start(), argv=sys.orig_argv)

    def note(self, **content: Any) -> None:
        """Write one line at once: workers are killed at the end."""
        self._file.write(json.dumps(content) + "\n")

    def watch(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function with a note of every call, as it ends."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began, used = time.monotonic(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.note(
                    what=name, began=began, ended=time.monotonic(),
                    cpu=time.thread_time() - used, thread=threading.get_ident(),
                )  # fmt: skip

        return timed

    def watch_module(self, module: ModuleType) -> None:
        """Replace the watched functions of a module that was imported just now."""
        for path in WATCHED[module.__name__]:
            *owners, name = path.split(".")
            owner: Any = functools.reduce(getattr, owners, module)
            found = vars(owner)[name]
            if isinstance(found, classmethod):
                setattr(owner, name, classmethod(self.watch(found.__func__, path)))
            else:
                setattr(owner, name, self.watch(found, path))


class _Importer(importlib.abc.MetaPathFinder):
    """Lets the usual importers load a watched module, and then has it watched."""

    def __init__(self, notebook: _Notebook) -> None:
        self._notebook = notebook
        self._known: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's own specification, its execution followed by `watch_module`."""
        if name not in WATCHED or name in self._known:
            return None
        self._known.add(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._notebook.watch_module(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _process_start() -> float:
    """Return when this process was started, on the clock of `time.monotonic`."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)


if folder := os.environ.get("RXTUNE_TIMELINE"):
    sys.meta_path.insert(0, _Importer(_Notebook(folder)))
