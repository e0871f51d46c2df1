"""What is known of a search's data now, and when it is not trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rxtune.config import Study
from rxtune.report.page.data_facts import read_facts
from rxtune.results import TrialRecord, ZeroShot


def record_of(trial: Callable[..., TrialRecord], **accuracy: float) -> TrialRecord:
    result = ZeroShot(accuracy=accuracy, source_language="en", dev_languages=("sw",))
    return trial(0, zero_shot=result)


def test_the_dev_items_are_counted(
    own_task: Callable[..., str], load: Callable[..., Study], trial: Callable[..., TrialRecord]
) -> None:
    study = load({"task": own_task("en", "sw", "ur", dev="sw", items=20)})
    facts = read_facts(study, [record_of(trial, en=0.9, sw=0.45, ur=1.0)])
    assert facts.dev_items == {"en": 20, "sw": 20, "ur": 20}
    assert (facts.score_examples, facts.problem) == (20, None)


def test_what_chooses_decides_how_many_items_are_behind_a_score(
    own_task: Callable[..., str], load: Callable[..., Study]
) -> None:
    task = own_task("en", "sw", "ur", dev="sw", items=20)
    both = {"task": task, "select.languages": ["sw", "ur"]}
    assert read_facts(load(both), []).score_examples == 40
    assert read_facts(load(both | {"select.objective": "worst"}), []).score_examples == 20
    assert read_facts(load(both | {"select.objective": "source"}), []).score_examples == 20


def test_a_dev_split_of_another_size_gives_no_interval(
    own_task: Callable[..., str], load: Callable[..., Study], trial: Callable[..., TrialRecord]
) -> None:
    study = load({"task": own_task("en", "sw", dev="sw", items=20)})
    facts = read_facts(study, [record_of(trial, en=0.9, sw=1 / 3)])
    assert facts.dev_items == {"en": 20}
    assert facts.score_examples is None
    assert facts.problem is not None
    assert facts.problem.startswith("The dev split of sw is not the one")


def test_a_task_that_cannot_be_read_is_a_problem_and_no_error(
    own_task: Callable[..., str], load: Callable[..., Study], tmp_path: Path
) -> None:
    study = load({"task": own_task("en", "sw", dev="sw")})
    for file in tmp_path.glob("dev-*.tsv"):
        file.unlink()
    facts = read_facts(study, [])
    assert facts.problem is not None
    assert "have no intervals here" in facts.problem
    assert facts.dev_items == {}
