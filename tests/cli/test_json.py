"""`--json`: one document on standard output, whatever else happens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from rxtune import api
from rxtune.cli import as_json
from rxtune.config import load_study
from rxtune.report import Evidence, weigh
from rxtune.results import ConfirmedRun, Failure
from rxtune.search.views import SearchResult
from tests.report.page.simulated import Simulated

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
TRIAL = {
    "trial", "state", "failure", "reason", "is_baseline", "parameters", "absolute", "dev_score",
    "objectives", "seeds", "evaluations", "rung", "curve", "zero_shot", "forward_equivalents",
    "seconds", "losses", "retry_of", "started", "ended",
}  # fmt: skip
ZERO_SHOT = {
    "split", "metric", "accuracy", "macro_f1", "source", "target_mean", "held_out_mean", "worst",
    "worst_language",
}  # fmt: skip
STUDY = {"task", "model", "evaluations", "stopper", "metric", "objective"}
COUNTS = {"asked", "ended", "running", "finished", "stopped", "failed", "cut_off"}


@pytest.fixture
def search(folder: Path) -> Simulated:
    """A search of six trials: four have ended by themselves, one has failed, one runs."""
    run = Simulated(folder / "runs", load_study(folder / "space.yaml"))
    run.run(6, failed=[3], running=[5])
    return run


DOCUMENTED = {*re.findall(r"`([a-z0-9_]+)`", (ROOT / "docs" / "json.md").read_text())}
BY_NAME = {"absolute", "accuracy", "macro_f1", "parameters", "unknown_tokens"}
"""Keys below which stand names of the user's, not ours."""


def document(ended: Any) -> Any:
    """Return what a command printed, which must be all of standard output and be true JSON."""
    assert ended.code == 0, ended.errors

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(ended.output, parse_constant=refuse)
    assert {*keys_of(found)} - DOCUMENTED == set()
    return found


def keys_of(value: Any) -> Iterator[str]:
    """Yield all keys of a document but names of languages and parameters."""
    if isinstance(value, list):
        for each in value:
            yield from keys_of(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            if key not in BY_NAME or isinstance(each, list):
                yield from keys_of(each)


# --- values


class Colour(Enum):
    RED = "red"


def test_values_are_written_as_json_has_them() -> None:
    value = {"a": math.nan, "b": (1, math.inf), "c": Path("x/y"), "d": Colour.RED, 3: {"e": None}}
    expected = {"a": None, "b": [1, None], "c": "x/y", "d": "red", "3": {"e": None}}
    assert as_json.plain(value) == expected


def test_a_document_is_ascii_and_unrounded(capsys: pytest.CaptureFixture[str]) -> None:
    as_json.print_json({"name": "žluť", "score": 1 / 3})
    output = capsys.readouterr().out
    assert output.isascii()
    assert json.loads(output) == {"name": "žluť", "score": 1 / 3}


# --- commands


def test_the_status_of_a_run(rxtune: Run, search: Simulated) -> None:
    found = document(rxtune("status", "rs", "--json"))
    assert found.keys() == {
        "run", "folder", "state", "why", "study", "counts", "best", "baseline", "gain",
        "best_model", "cost", "began", "heard", "looked", "seconds_left", "silent", "trials",
    }  # fmt: skip
    assert (found["run"], found["state"], found["why"]) == ("rs", "broken off", None)
    assert found["folder"] == str(search.folder.path)
    assert found["study"].keys() == STUDY
    assert found["counts"].keys() == COUNTS
    assert {name: found["counts"][name] for name in ("asked", "ended", "failed", "running")} == {
        "asked": 6, "ended": 5, "failed": 1, "running": 1,
    }  # fmt: skip
    assert found["cost"].keys() == {"forward_equivalents", "plain_trainings", "compute_share"}
    assert found["seconds_left"] is None
    records = api.status("rs").progress.records
    for trial, record in zip(found["trials"], records, strict=True):
        assert trial.keys() == TRIAL
        assert (trial["trial"], trial["dev_score"]) == (record.number, record.value)
        assert trial["curve"] == [evaluation.value for evaluation in record.evaluations]
    best = found["trials"][found["best"]]
    assert best["zero_shot"].keys() == ZERO_SHOT
    assert best["zero_shot"]["accuracy"]["qaf"] <= 1
    assert found["trials"][3]["failure"] == "diverged"
    assert found["trials"][3]["zero_shot"] is None
    assert found["trials"][0]["rung"] == 2


def test_an_audit(rxtune: Run, folder: Path) -> None:
    study = load_study(folder / "space.yaml", {"stopping": "none"})
    Simulated(folder / "runs", study).run(6)
    found = document(rxtune("audit", "rs", "--json", "--csv", "a.csv"))
    assert found.keys() == {
        "run", "metric", "trials", "started", "held_out_languages", "signals",
    }  # fmt: skip
    assert (folder / "a.csv").exists()
    assert all(
        signal.keys()
        == {
            "signal", "has_chosen", "trials", "correlation", "low", "high", "chosen", "regret",
        }
        for signal in found["signals"]
    )  # fmt: skip
    (own,) = [signal for signal in found["signals"] if signal["has_chosen"]]
    (expected,) = [signal for signal in api.audit("rs").signals if signal.has_chosen]
    assert (own["correlation"], own["signal"]) == (expected.correlation, "qaf (dev)")


def test_a_report(rxtune: Run, search: Simulated) -> None:
    found = document(rxtune("report", "rs", "--formats", "svg", "--json"))
    assert found.keys() == {"run", "page", "bytes", "figures"}
    assert Path(found["page"]).stat().st_size == found["bytes"]
    assert found["figures"]
    assert all(Path(figure).is_file() for figure in found["figures"])


TASK = {
    "task", "title", "origin", "is_local", "labels", "source_language", "target_languages",
    "dev_languages", "is_pair", "parallel", "default_model", "epochs", "batch_size", "max_length",
    "data",
}  # fmt: skip


def test_tasks(rxtune: Run, folder: Path, write_own: Run) -> None:
    listed = document(rxtune("tasks", "--json"))
    assert listed.keys() == {"tasks"}
    assert {task["task"] for task in listed["tasks"]} >= {"babel", "xnli"}
    assert all(task.keys() == TASK and task["data"] is None for task in listed["tasks"])
    write_own()
    (folder / "dev-sw.tsv").write_text("text\tlabel\na\tgood\n")
    ended = rxtune("tasks", "mine.yaml", "--json")
    data = document(ended)["data"]
    assert data["rows"][0] == {
        "language": "en", "split": "train", "rows": 2, "labels": [1, 1], "dropped": 0,
    }  # fmt: skip
    (warning,) = data["warnings"]
    assert "dev in sw has no example of bad" in warning


def test_a_check_says_to_people_on_standard_error_what_it_finds(
    rxtune: Run, folder: Path, write_own: Run
) -> None:
    write_own()
    with (folder / "mine.yaml").open("a") as file:
        file.write("\nmax_length: 32\n")
    given = ("--task", "mine.yaml", "--model", "babel-tiny", "--trials", "9", "--json")
    ended = rxtune("check", "--space", "space.yaml", *given)
    found = document(ended)
    assert found.keys() == {"task", "encoder", "dev_languages", "study", "forecast"}
    assert found["task"].keys() == TASK
    assert found["forecast"]["trials"] == 9
    assert found["forecast"]["methods"][0]["updates"] == 3
    assert found["forecast"]["disk"].keys() == {"checkpoint", "model", "peak", "most"}
    assert "can be searched" in ended.errors


@pytest.fixture
def result(view: Run, record: Run, folder: Path) -> SearchResult:
    robust = load_study(folder / "space.yaml").space.configuration(
        {"method": "rs_rp", "sigma": 0.8, "learning_rate": 1.0}
    )
    records = (
        record(0, "finished", 0.5),
        record(1, "finished", 0.6, configuration=robust),
        record(2, "failed", failure=Failure.INTERRUPTED),
    )
    return SearchResult(
        view=view(*records),
        records=records,
        ended_by="trials",
        ending=None,
        exhausted=None,
        cut=1,
        seconds=61.4,
        best_model=folder / "runs" / "rs" / "best",
        problems=("a",),
        storage_problems=("b",),
        cluster_problems=("c",),
    )


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch) -> Callable[[SearchResult], None]:
    """Return a function that lets every search end so, after a library has printed something."""

    def end_with(result: SearchResult) -> None:
        def search(*_: Any, **__: Any) -> SearchResult:
            print("a library has something to say")
            return result

        monkeypatch.setattr(api, "search", search)

    return end_with


SEARCH = ("search", "--space", "space.yaml", "--model", "babel-tiny", "--name", "rs", "--json")


def test_a_search_prints_its_outcome_and_sends_all_else_to_standard_error(
    rxtune: Run, result: SearchResult, searching: Callable[[SearchResult], None], folder: Path
) -> None:
    searching(result)
    ended = rxtune(*SEARCH)
    found = document(ended)
    assert found.keys() == {
        "run", "folder", "ended_by", "seconds", "study", "encoder", "dev_languages", "counts",
        "winner", "best_robust", "best_plain", "default_plain", "gain_over_best_plain", "front",
        "best_model", "cost", "disk_peak", "tracking_uri", "warnings", "problems", "trials",
    }  # fmt: skip
    assert [found[n] for n in ("winner", "best_robust", "best_plain", "default_plain")] == [
        1, 1, 0, 0,
    ]  # fmt: skip
    assert found["counts"] == {
        "asked": 6, "running": 0, "finished": 2, "stopped": 0, "failed": 0, "cut_off": 1,
    }  # fmt: skip
    assert (found["ended_by"], found["seconds"]) == ("trials", 61.4)
    assert found["gain_over_best_plain"] == pytest.approx(0.1)
    assert (found["front"], found["problems"]) == (None, ["a", "b", "c"])
    assert found["cost"].keys() == {"forward_equivalents", "saved_share"}
    assert all(trial.keys() == TRIAL for trial in found["trials"])
    for words in ("Searching rs:", "a library has something", "Best model:", "rxtune confirm rs"):
        assert words in ended.errors


def test_an_interrupted_search_prints_what_it_has_and_keeps_its_exit_code(
    rxtune: Run, result: SearchResult, searching: Callable[[SearchResult], None]
) -> None:
    searching(replace(result, ended_by="interrupt"))
    ended = rxtune(*SEARCH)
    assert ended.code == 130
    assert json.loads(ended.output)["ended_by"] == "interrupt"


def test_a_front_is_a_list_of_trials(result: SearchResult, folder: Path) -> None:
    study = load_study(folder / "space.yaml", {"select.objective": ["mean", "compute"]})
    first, second, cut = (
        replace(
            record,
            evaluations=(replace(record.evaluations[0], objectives=(value, 100.0)),),
        )
        for record, value in zip(result.records, (0.5, 0.6, 0.4), strict=True)
    )
    view = replace(result.view, study=study)
    found = as_json.search_document(replace(result, view=view, records=(first, second, cut)))
    assert found["front"] == [1]


def test_a_confirmation(
    rxtune: Run, search: Simulated, result: SearchResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, robust = (record.configuration for record in result.records[:2])
    runs = [
        ConfirmedRun(
            trial=number, roles=roles, configuration=configuration, seed=seed,
            zero_shot=None if (seed, number) == (13, 1) else search.result(
                configuration, seed, split="test"
            ),
            reason="diverged" if (seed, number) == (13, 1) else None,
        )
        for seed in (11, 12, 13)
        for number, roles, configuration in (
            (1, ("robust",), robust), (0, ("best plain", "default plain"), plain),
        )
    ]  # fmt: skip
    weighed = weigh(runs, Evidence(dev_scores={1: {"qaf": 0.7}}))
    monkeypatch.setattr(api, "confirm", lambda *_, **__: weighed)
    ended = rxtune("confirm", "rs", "--json")
    found = document(ended)
    assert found.keys() == {
        "run", "verdict", "configurations", "contrasts", "optimism", "problems", "files",
    }  # fmt: skip
    assert [one["name"] for one in found["configurations"]] == [
        "trial 1 robust",
        "trial 0 plain",
    ]
    (claim,) = found["contrasts"]
    assert claim.keys() == {
        "candidate", "against", "is_tested", "is_confirmed", "difference", "low", "high", "p",
        "p_holm", "seeds", "items",
    }  # fmt: skip
    gain = weighed.contrasts[0].gain
    assert gain is not None
    assert (claim["difference"], claim["seeds"], claim["items"]) == (gain.mean, 2, None)
    assert found["optimism"]["dev"] == 0.7
    assert found["configurations"][0]["runs"][2] == {
        "seed": 13, "reason": "diverged", "zero_shot": None, "forward_equivalents": None,
        "seconds": None,
    }  # fmt: skip
    assert found["files"].keys() == {"md", "csv", "predictions"}
    assert found["files"]["predictions"] is None
    assert "Confirming rs:" in ended.errors


@pytest.mark.parametrize(
    "command",
    [
        ("status", "nowhere"),
        ("audit", "nowhere"),
        ("report", "nowhere"),
        ("confirm", "nowhere"),
        ("tasks", "bable"),
        ("check", "--space", "nowhere.yaml"),
        ("search", "--space", "nowhere.yaml"),
    ],
)
def test_an_error_stays_on_standard_error_and_keeps_its_exit_code(
    rxtune: Run, folder: Path, command: tuple[str, ...]
) -> None:
    plain, ended = rxtune(*command), rxtune(*command, "--json")
    assert (ended.code, ended.errors) == (plain.code, plain.errors)
    assert ended.code in (2, 3)
    assert ended.output == ""
    assert ended.errors.startswith("error: ")


def test_the_documents_say_what_a_trial_is(result: SearchResult) -> None:
    found = as_json.trial_document(result.records[1], result.view.study)
    assert found.keys() == TRIAL
    assert found["parameters"]["sigma"] == 0.8
