"""Distributed search for robust cross-lingual fine-tuning: `search`, `confirm`, `load_run`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature

    from rxtune.api.python import confirm, search
    from rxtune.api.runs import Run, load_run
    from rxtune.errors import RxtuneError

__all__ = ["Run", "RxtuneError", "confirm", "load_run", "search"]

_HOMES = {
    "Run": "rxtune.api.runs",
    "RxtuneError": "rxtune.errors",
    "confirm": "rxtune.api.python",
    "load_run": "rxtune.api.runs",
}
"""Where a name lives that is imported when it is first asked for: `import rxtune` stays light."""


if not TYPE_CHECKING:  # or a misspelt name would pass

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_HOMES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _CallableRoom(ModuleType):
    """The package `rxtune.search`, which may be called as well: verb and room share the name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Search a space and return the run; see `rxtune.api.python.search`."""
        return _search()(*args, **kwargs)

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        return signature(_search())


def _search() -> Any:
    return import_module("rxtune.api.python").search


# Now, and not when the verb is first called: importing any of its modules binds the name.
import_module("rxtune.search")
sys.modules["rxtune.search"].__class__ = _CallableRoom
