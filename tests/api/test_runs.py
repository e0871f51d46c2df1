"""A run read back: every state of it, as data frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rxtune.api.runs import Run, load_run
from rxtune.config import Configuration
from rxtune.errors import StudyError
from rxtune.search.decisions import SearchStudy
from tests.report.page.simulated import BABEL, Simulated

Begin = Callable[..., Simulated]


@pytest.fixture
def mixed(simulated: Begin) -> Run:
    """A run of which trial 3 has failed and trial 5 is running."""
    search = simulated()
    search.run(6, failed=[3], running=[5])
    return load_run("rs")


def test_every_trial_has_a_row_with_the_values_of_its_record(mixed: Run) -> None:
    frame = mixed.trials
    assert list(frame.index) == [record.number for record in mixed.records]
    for record in mixed.records:
        row = frame.loc[record.number]
        assert row["state"] == record.state
        assert row["method"] == record.configuration.method
        assert row["evaluations"] == len(record.evaluations)
        assert row["is_baseline"] == (record.number == 0)
        assert row["forward_equivalents"] == record.forward_equivalents
        if record.value is not None:
            assert row["dev_score"] == record.value
            assert row["learning_rate_absolute"] == record.absolute["learning_rate"]
        if record.zero_shot is not None:
            assert row["held_out_mean"] == record.zero_shot.held_out_mean
            assert row["worst_language"] == record.zero_shot.worst_language == BABEL[-1]


def test_a_trial_has_no_value_of_what_its_method_does_not_read(mixed: Run) -> None:
    frame = mixed.trials
    plain = frame[frame.method == "standard"]
    assert plain[["sigma", "radius", "pgd_steps"]].isna().all(axis=None)
    noisy = frame[frame.method == "rs_rp"]
    assert noisy.sigma.notna().all()
    assert noisy.radius.isna().all()


def test_a_failed_and_a_running_trial_have_no_result_but_are_there(mixed: Run) -> None:
    failed, running = mixed.trials.loc[3], mixed.trials.loc[5]
    assert (failed["state"], running["state"]) == ("failed", "running")
    assert "diverged" in failed["reason"]
    unknown = ["source", "target_mean", "held_out_mean"]
    assert mixed.trials.loc[[3, 5], unknown].isna().all(axis=None)
    assert running["evaluations"] == 1
    assert mixed.trials.ended.isna()[5]
    assert not {3, 5} & {*mixed.zero_shot.trial}


def test_zero_shot_has_a_row_per_language_with_its_role(mixed: Run) -> None:
    frame = mixed.zero_shot[mixed.zero_shot.trial == 0].set_index("language")
    result = mixed.records[0].zero_shot
    assert result is not None
    assert frame.accuracy.to_dict() == result.accuracy
    assert frame.macro_f1.to_dict() == result.macro_f1
    roles = {"eng": "source", "qaf": "dev"}
    assert frame.role.to_dict() == {lang: roles.get(lang, "held-out") for lang in BABEL}
    held_out = frame[frame.role == "held-out"].accuracy.mean()
    assert held_out == pytest.approx(mixed.trials.held_out_mean[0])


def test_curves_have_every_evaluation(mixed: Run) -> None:
    done = mixed.trials.evaluations
    assert (mixed.curves.groupby("trial").size() == done[done > 0]).all()
    last = mixed.curves.groupby("trial").accuracy.last()
    assert last.to_dict() == {r.number: r.value for r in mixed.records if r.evaluations}


def test_a_search_without_a_trial_has_empty_frames_with_all_columns(
    simulated: Begin, mixed_columns: dict[str, list[str]]
) -> None:
    simulated()
    run = load_run("rs")
    assert run.records == ()
    assert {name: list(getattr(run, name).columns) for name in mixed_columns} == mixed_columns
    assert len(run.trials) == len(run.zero_shot) == len(run.curves) == 0
    assert run.summary.winner is run.best_model is run.confirmation is run.verdict is None


@pytest.fixture
def mixed_columns(tmp_path: Path, study: object) -> dict[str, list[str]]:
    """The columns of the frames of a run that has trials."""
    search = Simulated(tmp_path / "others", study)  # type: ignore[arg-type]
    search.run(6)
    run = load_run("rs", tmp_path / "others")
    return {name: list(getattr(run, name).columns) for name in ("trials", "zero_shot", "curves")}


def test_a_search_that_another_process_runs_is_read_and_said_to_run(simulated: Begin) -> None:
    search = simulated()
    search.run(2)
    journal = search.folder.journal.read_bytes()
    with search.folder.held(), SearchStudy.open(search.folder.journal, sync=lambda _: None):
        assert load_run("rs").is_running
    assert not load_run("rs").is_running
    assert search.folder.journal.read_bytes() == journal


def test_changing_a_frame_changes_nothing_of_the_run(mixed: Run) -> None:
    frame = mixed.trials
    frame.loc[0, "dev_score"] = 1.0
    assert mixed.trials.dev_score[0] == mixed.records[0].value


def test_a_confirmation_has_its_runs_and_its_comparison(simulated: Begin) -> None:
    search = simulated()
    search.run(6)
    robust = Configuration(method="rs_rp", sigma=0.6)
    search.confirm({("robust",): (1, robust), ("best plain", "default plain"): (0, PLAIN)})
    run = load_run("rs")
    frame = run.confirmed
    assert len(frame) == 2 * 3 * len(BABEL)  # configurations, seeds
    means = frame[frame.role == "held-out"].groupby("trial").accuracy.mean()
    (claim,) = run.contrasts.to_dict("records")
    assert claim["difference"] == pytest.approx(means[1] - means[0])
    assert claim["low"] < claim["difference"] < claim["high"]
    assert (claim["candidate"], claim["seeds"]) == ("trial 1 robust", 3)
    assert run.verdict is not None
    assert "points held-out mean" in run.verdict


PLAIN = Configuration()


def test_a_damaged_confirmation_is_refused(simulated: Begin) -> None:
    search = simulated()
    search.folder.confirmation.write_text("no json\n")
    with pytest.raises(StudyError, match=r"confirm\.jsonl: .*restore it"):
        _ = load_run("rs").confirmed


def test_a_run_that_is_not_there_is_refused_as_on_the_command_line(simulated: Begin) -> None:
    simulated()
    with pytest.raises(StudyError, match=r"no run 'rs2' in .*; did you mean 'rs'\?"):
        load_run("rs2")


def test_a_gain_within_the_noise_of_the_dev_items_is_doubted(mixed: Run) -> None:
    summary = mixed.summary
    assert summary.winner is not None
    assert summary.winner.value == mixed.trials.dev_score[mixed.trials.state == "finished"].max()
    assert mixed._facts.score_examples == 1000  # without it there would be no such warning


def test_a_run_shows_itself_in_a_line(mixed: Run) -> None:
    assert repr(mixed) == f"Run(name='rs', folder={mixed.folder!r}, is_running=False)"


def test_the_best_model_is_named_once_it_is_there(mixed: Run) -> None:
    assert mixed.best_model is None
    (mixed.folder / "best").mkdir()
    assert mixed.best_model == mixed.folder / "best"
