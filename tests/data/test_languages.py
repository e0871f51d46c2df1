"""Which languages choose between trials."""

from __future__ import annotations

import pytest

from rxtune.data import TASKS, resolve_dev_languages
from rxtune.errors import DataError

BABEL = TASKS["babel"]


def test_auto_is_the_choice_of_the_task() -> None:
    assert resolve_dev_languages(BABEL, "auto") == BABEL.dev_languages


def test_named_languages_keep_their_order_and_stand_once() -> None:
    assert resolve_dev_languages(BABEL, ["qag", "qaa", "qag"]) == ("qag", "qaa")


def test_the_source_language_can_be_named() -> None:
    assert resolve_dev_languages(BABEL, ("eng",)) == ("eng",)


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        (["qaff"], "task 'babel' has no language 'qaff'; did you mean 'qaf'"),
        (["qaf", "other"], "no language 'other'; it has eng, qaa, .*, qag$"),
        (["auto"], "^select.languages: .* no language 'auto'"),
    ],
)
def test_an_unknown_language_is_refused_with_the_nearest_name(
    languages: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        resolve_dev_languages(BABEL, languages)
