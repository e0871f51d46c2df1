"""A JSON document as it is printed: plain values, and nothing that JSON does not have."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """Print a document on standard output, in ASCII and without NaN."""
    text = json.dumps(plain(document), indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths and members of enumerations as text, NaN as null."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value
