"""`rxtune check`: what it says of a study, and that it trains nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune.cli.check import seconds_text
from rxtune.data.summary import DataSummary, UnknownShare

Run = Callable[..., Any]


def test_a_study_is_checked_and_its_cost_forecast(
    rxtune: Run, folder: Path, write_own: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write_own()
    with (folder / "mine.yaml").open("a") as file:
        file.write("\nmax_length: 32\n")
    given = ("--task", "mine.yaml", "--model", "babel-tiny", "--trials", "9")
    ended = rxtune("check", "--space", "space.yaml", *given)
    assert ended.code == 0
    table = [line.split() for line in ended.output.splitlines()]
    assert ["language", "train", "dev", "test", "unknown", "good", "bad"] in table
    for method in ("standard", "rs_rp"):
        (row,) = (cells for cells in table if cells[:1] == [method])
        # Updates: one batch in each of 3 epochs; forward passes: 3 for each of 2 examples in them.
        assert row[-4:-2] == ["3", "18"]
    assert "weights and the optimiser's two moments" in ended.output
    assert "9 trials: " in ended.output
    assert "space.yaml can be searched. Nothing was trained." in ended.output
    assert "More seeds" not in ended.output
    assert not (folder / "runs").exists()
    assert not (folder / "mlflow.db").exists()


def test_what_adds_to_the_forecast_and_what_ends_it_sooner_is_said(
    rxtune: Run, folder: Path, write_own: Run
) -> None:
    write_own()
    with (folder / "mine.yaml").open("a") as file:
        file.write("\nmax_length: 32\n")
    given = ("--task", "mine.yaml", "--model", "babel-tiny", "--replicates", "3")
    ended = rxtune("check", "--space", "space.yaml", *given, "--time-budget", "90m")
    assert "More seeds for contenders come on top: up to 3 per trial." in ended.output
    assert "The search ends sooner at its budget: --time-budget 1h30m." in ended.output
    both = ("--compute-budget", "3e9", "--time-budget", "2h")
    ended = rxtune("check", "--space", "space.yaml", *given[:4], *both)
    assert "at its budgets: --time-budget 2h, --compute-budget 3e9." in ended.output


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (("--task", "babl"), 3, "unknown task 'babl'; did you mean 'babel'?"),
        (("--model", "nowhere"), 3, "no encoder 'nowhere'"),
        (("--model", "encoder"), 3, "encoder: no tokenizer could be loaded"),
        (("--languages", "qax"), 3, "no language 'qax'"),
        (("--trials", "0"), 2, "trials"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_code(
    rxtune: Run, flags: tuple[str, ...], code: int, text: str
) -> None:
    ended = rxtune("check", "--space", "space.yaml", *flags)
    assert ended.code == code
    assert text in ended.errors
    assert "can be searched" not in ended.output


def test_a_script_that_the_tokenizer_does_not_cover_is_flagged(
    capsys: pytest.CaptureFixture[str], write_own: Run
) -> None:
    from rxtune.cli.data import show_data
    from rxtune.config import load_task
    from rxtune.data.catalogue import find_task

    write_own()
    task = find_task(load_task("mine.yaml"))
    data = DataSummary(task=task, rows={("en", "dev"): 2}, dropped={}, labels={}, warnings=())
    known = UnknownShare(language="en", share=0.01)
    show_data(data, (known, UnknownShare(language="sw", share=0.6)), with_labels=False)
    output, errors = capsys.readouterr()
    table = [line.split() for line in output.splitlines()]
    assert ["language", "train", "dev", "test", "unknown"] in table
    assert ["en", "–", "2", "–", "1.0", "%"] in table
    assert "does not cover the script of sw (60 % unknown)" in errors
    assert "en (" not in errors


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0289, "29 ms"), (1.0, "1.0 s"), (59.9, "59.9 s"), (90.0, "1.5 min"), (7200.0, "2.0 h")],
)
def test_a_duration_has_a_unit_that_suits_it(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
