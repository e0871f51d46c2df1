"""A study file per test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import settings

from rxtune.config import Study, load_study
from rxtune.errors import StudyError

# A deadline per example would make the tests depend on how busy the machine is.
settings.register_profile("rxtune", deadline=None)
settings.load_profile("rxtune")

Load = Callable[..., Study]
Refusal = Callable[..., str]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a study from YAML text."""

    def load_text(text: str, overrides: Mapping[str, Any] | None = None) -> Study:
        path = tmp_path / "a.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return load_study(path, overrides)

    return load_text


@pytest.fixture
def refusal(load: Load, tmp_path: Path) -> Refusal:
    """Load a wrong study and return the message, without the folder."""

    def refuse_text(text: str, overrides: Mapping[str, Any] | None = None) -> str:
        with pytest.raises(StudyError) as caught:
            load(text, overrides)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refuse_text
