"""What Ray does not print into the search's own output."""

from __future__ import annotations

import pytest

from rxtune.search.quiet import raylet_silenced


def test_the_death_of_a_worker_is_not_told_in_words_of_rays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ray._private.worker import print_to_stdstream

    def tell(what: str) -> None:
        told = {"lines": [what], "pid": "raylet", "is_err": False}
        print_to_stdstream(told, ignore_prefix=False)

    with raylet_silenced():
        tell("A worker died or was killed by an unexpected system error.")
    assert capsys.readouterr() == ("", "")
    tell("Another one died.")
    assert "Another one died." in capsys.readouterr().out
