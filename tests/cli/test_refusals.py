"""What bad input gets: one clear message, the exit code of its kind, and nothing written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rxtune import api
from rxtune.config import load_study
from rxtune.search.decisions import SearchStudy
from rxtune.search.run_folder import RunFolder, RunPlaces

Run = Callable[..., Any]
SEARCH = ("search", "--space", "space.yaml", "--model", "encoder", "--name", "rs")


def start_run(folder: Path, name: str, **overrides: Any) -> None:
    """Leave what the start of a search leaves."""
    study = load_study(folder / "space.yaml", {"model": "encoder", **overrides})
    run = RunFolder.new(folder / "runs", name)
    run.create(study.to_yaml(), RunPlaces(search_id="x", tracking_uri="", storage=""))
    SearchStudy.create(run.journal, study, sync=lambda _: None).close()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--task", "babbel"), 3, "unknown task 'babbel'; did you mean 'babel'?"),
        (("--model", "nowhere"), 3, "--model: no encoder 'nowhere'"),
        (("--model", "no/where"), 3, "`hf download no/where`"),
        (("--languages", "qaf,qax"), 3, "task 'babel' has no language 'qax'"),
        (("--name", "../x"), 2, "--name: must be letters, digits"),
        (("--name", ""), 2, "--name: must be letters, digits"),
        (("--runs", "space.yaml"), 2, "space.yaml is not a folder); change the permissions"),
        (("--runs", "space.yaml/runs"), 2, "must be writable, but is not"),
        (("--trials", "0"), 2, "--trials: "),
        (("--seed", "-1"), 2, "--seed: "),
        (("--sampler", "tep"), 2, "got 'tep'; did you mean 'tpe'?"),
        (("--stopper", "ahsa"), 2, "--stopper: "),
        (("--time-budget", "2"), 2, "--time-budget: a time with its unit is required, got '2'"),
        (("--compute-budget", "lots"), 2, "--compute-budget: hours of a device (40h) or a"),
        (("--plateau", "0"), 2, "--plateau: "),
        (("--replicates", "0"), 2, "--replicates: "),
        (("--keep", "0"), 2, "--keep: "),
        (("--metric", "f1"), 2, "--metric: "),
        (("--objective", "mean,best"), 2, "--objective: must be one or several of mean, worst"),
        (("--space", "nowhere.yaml"), 2, "nowhere.yaml"),
        (("--storage", "s3://me:secret@b/x"), 2, "--storage: a URI must not hold credentials"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line_and_nothing_is_written(
    rxtune: Run, folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended = rxtune(*SEARCH, *arguments)
    assert (ended.code, ended.errors.count("\n")) == (code, 1), ended
    assert ended.errors.startswith("error: ")
    assert message in ended.errors
    assert left_in(folder) == ["encoder", "space.yaml"]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("space: [", ["space.yaml:1"]),
        ("just words", ["space.yaml:1: "]),
        ("spaec: {}\n", ["did you mean 'space'"]),
        (
            "space:\n  method: standard\n  learning_rate: {uniform: [3, 1]}\n"
            "search: {trails: 3}\n",
            ["space.yaml:3: space.learning_rate", "space.yaml:4: search.trails"],
        ),
    ],
)
def test_every_fault_of_a_space_file_is_named_with_its_line(
    rxtune: Run, folder: Path, text: str, messages: list[str]
) -> None:
    (folder / "space.yaml").write_text(text)
    ended = rxtune(*SEARCH)
    assert ended.code == 2
    assert [message for message in messages if message not in ended.errors] == []


def test_without_a_space_file_the_way_to_one_is_named(rxtune: Run) -> None:
    ended = rxtune("search")
    assert ended.code == 2
    assert "--space: a space file is needed, such as search_spaces/rs.yaml" in ended.errors


def test_the_version_needs_no_command(rxtune: Run) -> None:
    ended = rxtune("--version")
    assert (ended.code, ended.output) == (0, f"rxtune {version('rxtune')}\n")


def test_an_unknown_flag_or_command_is_a_mistake_of_the_same_kind(rxtune: Run) -> None:
    assert rxtune(*SEARCH, "--trails", "3").code == 2
    assert rxtune("serach").code == 2
    assert rxtune(*SEARCH, "--workers", "0").code == 2


def test_a_run_that_exists_is_refused_with_the_flag_that_resumes_it(
    rxtune: Run, folder: Path
) -> None:
    start_run(folder, "rs")
    ended = rxtune(*SEARCH)
    assert ended.code == 2
    assert "holds a search already; continue it with" in ended.errors
    assert "--name rs --resume" in ended.errors


def test_a_resume_needs_to_know_which_run(rxtune: Run) -> None:
    ended = rxtune("search", "--resume")
    assert ended.code == 2
    assert "--resume needs --name" in ended.errors


def test_an_unknown_run_is_refused_with_the_nearest_name(rxtune: Run, folder: Path) -> None:
    start_run(folder, "rs-1122")
    ended = rxtune("search", "--name", "rs-1123", "--resume")
    assert ended.code == 2
    assert "no run 'rs-1123'" in ended.errors
    assert "did you mean 'rs-1122'?" in ended.errors
    assert left_in(folder / "runs") == ["rs-1122"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", "3"), "run 'rs' was begun with another study: search.seed was 0, is 3;"),
        (("--languages", "qag"), "select.languages was 'auto', is ['qag'];"),
        (("--trials", "5"), "run 'rs' has 6 trials and cannot shrink to 5"),
        (("--space", "other.yaml"), "space.sigma.log_uniform was [0.1, 3.0], is [0.1, 2.0];"),
        (("--sampler", "gp"), "search.sampler was 'tpe', is 'gp';"),
        (("--replicates", "3"), "search.replicates was 1, is 3;"),
        (("--objective", "worst"), "select.objective was ['mean'], is ['worst'];"),
        (("--warm-start", "first"), "--warm-start: only a new search starts from others"),
        (("--storage", "other"), "--storage: run 'rs' was begun with "),
        (("--tracking-uri", "sqlite:///other.db"), "--tracking-uri: run 'rs' was begun with "),
    ],
)
def test_a_resume_of_another_search_is_refused_by_what_differs(
    rxtune: Run, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    start_run(folder, "rs")
    text = (folder / "space.yaml").read_text()
    other = text.replace("[0.1, 3.0]", "[0.1, 2.0]").replace("[0.3, 3.0]", "[0.3, 2.0]")
    (folder / "other.yaml").write_text(other)
    ended = rxtune("search", "--name", "rs", "--resume", *arguments)
    assert ended.code == 2
    assert message in ended.errors


def test_a_traceback_is_shown_only_where_it_is_asked_for(rxtune: Run) -> None:
    assert "Traceback" not in rxtune(*SEARCH, "--task", "babbel").errors
    assert "Traceback" in rxtune("--debug", *SEARCH, "--task", "babbel").errors


def test_what_nobody_foresaw_is_called_a_bug(rxtune: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "search", lambda *_, **__: 1 / 0)
    ended = rxtune(*SEARCH)
    assert ended.code == 1
    assert "error: ZeroDivisionError: division by zero" in ended.errors
    assert "This is a bug in rxtune; `rxtune --debug …` shows where." in ended.errors


def test_an_interrupt_before_the_first_trial_has_the_code_of_interrupts(
    rxtune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "search", interrupt)
    ended = rxtune(*SEARCH)
    assert ended.code == 130
    assert "Interrupted before the first trial: the same line starts the search.\n" in ended.output


def test_what_a_search_went_on_without_is_told_brackets_and_all(
    rxtune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = SimpleNamespace(
        problems=("no artifact at [/tmp/x]",),
        storage_problems=(),
        cluster_problems=("host [b] joined and was not used",),
        interrupted=False,
    )
    monkeypatch.setattr(api, "search", lambda *_, **__: refused)
    monkeypatch.setattr("rxtune.cli.outcome.show_result", lambda *_: None)
    ended = rxtune(*SEARCH)
    assert ended.code == 0, ended
    assert ended.errors.splitlines() == [
        "MLflow did not take everything: no artifact at [/tmp/x]",
        "The cluster: host [b] joined and was not used",
    ]


def test_a_second_interrupt_leaves_the_line_that_goes_on(
    rxtune: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        start_run(folder, "rs")
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "search", interrupt)
    ended = rxtune(*SEARCH, "--workers", "1")
    assert ended.code == 130
    assert "To go on:\n  rxtune search --name rs --workers 1 --resume\n" in ended.output


def test_brackets_in_a_message_are_printed_as_they_are(rxtune: Run) -> None:
    assert "no encoder '[/bold]x[red]'" in rxtune(*SEARCH, "--model", "[/bold]x[red]").errors


LIGHT = """
import contextlib, sys
from rxtune.cli import main
wrong = [
    [], ["--space", "nowhere.yaml"], ["--task", "x"], ["--model", "x"], ["--model", "x/y"],
    ["--languages", "x"], ["--name", "../x"], ["--runs", "space.yaml"], ["--resume"],
    ["--name", "x", "--resume"],
]
for arguments in wrong:
    space = ["--space", "space.yaml", "--model", "encoder"] if arguments else []
    sys.argv = ["rxtune", "search", *space, *arguments]
    with contextlib.suppress(SystemExit):
        main()
        raise AssertionError(arguments)
heavy = {"torch", "ray", "transformers", "mlflow", "optuna", "datasets"}
print(sorted(heavy & sys.modules.keys()))
"""


def test_a_refusal_waits_neither_for_torch_nor_for_ray(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIGHT],
        cwd=folder,
        env={"PYTHONPATH": str(Path(api.__file__).parents[2]), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"
    assert ended.stderr.count("error: ") == 9, ended.stderr
