"""What MLflow is told about a trial is a function of its record."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import validate_param_and_metric_name

from rxtune.config import Choice, Configuration, Constant, Parameter, Space, Study
from rxtune.results import Failure, Replicate, ZeroShot
from rxtune.search.named_configuration import read_configuration
from rxtune.track import projection


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.floats(0, 1), max_size=4))
def test_any_language_code_makes_a_key_that_mlflow_takes(record, accuracy):
    zero_shot = ZeroShot(
        accuracy={**accuracy, "eng": 0.9}, source_language="eng", dev_languages=()
    )
    metrics = projection.metrics(record(0, "finished", zero_shot=zero_shot))
    keys = [metric.key for metric in metrics]
    assert all(validate_param_and_metric_name(key) for key in keys)
    assert all(key.count("/") == key.startswith("zero_shot/") for key in keys)


@given(st.floats(), st.floats(-1e9, 1e9) | st.just(math.nan))
def test_only_finite_values_are_logged(record, evaluation, value, duration):
    ended = record(0, "stopped", evaluations=1, started=0.0, ended=duration)
    logged = projection.evaluation_metrics(evaluation(1, value))
    if math.isfinite(duration):
        logged += projection.metrics(ended)
    assert all(math.isfinite(metric.value) for metric in logged)


def test_the_mean_of_no_targets_is_left_out(record):
    alone = ZeroShot(accuracy={"eng": 0.9}, source_language="eng", dev_languages=())
    keys = {metric.key for metric in projection.metrics(record(0, "finished", zero_shot=alone))}
    assert "source_accuracy" in keys
    assert keys.isdisjoint({"target_mean", "held_out_mean", "worst_language_accuracy"})


def test_a_mean_has_no_more_than_six_decimals(record):
    accuracy = {"eng": 0.9, "qaa": 0.1, "qab": 0.1, "qac": 0.2}
    thirds = ZeroShot(accuracy=accuracy, source_language="eng", dev_languages=())
    logged = {m.key: m.value for m in projection.metrics(record(0, "finished", zero_shot=thirds))}
    assert logged["target_mean"] == logged["held_out_mean"] == 0.133333


def test_the_mean_over_mixed_language_pairs_is_logged_where_there_is_one(record):
    matrix = {"eng": {"eng": 0.9, "qaa": 0.6}, "qaa": {"eng": 0.4, "qaa": 0.7}}
    mixed = ZeroShot(
        accuracy={"eng": 0.9, "qaa": 0.7},
        source_language="eng",
        dev_languages=(),
        generalized=matrix,
    )
    for result, expected in ((mixed, 0.5), (replace(mixed, generalized=None), None)):
        points = projection.metrics(record(0, "finished", zero_shot=result))
        assert {m.key: m.value for m in points}.get("generalized_mean") == expected


def test_a_trial_on_several_seeds_shows_their_mean_and_how_many(record):
    ended = record(0, "finished", evaluations=2)
    assert ended.zero_shot is not None
    seeds = tuple(
        Replicate(seed=s, value=v, zero_shot=ended.zero_shot) for s, v in enumerate((0.4, 0.7))
    )
    logged = {m.key: m.value for m in projection.metrics(replace(ended, replicates=seeds))}
    assert (logged["seeds"], logged["dev_accuracy_mean_over_seeds"]) == (2, 0.55)
    alone = {m.key for m in projection.metrics(ended)}
    assert alone.isdisjoint({"seeds", "dev_accuracy_mean_over_seeds"})


def test_parameters_are_few_and_short(record):
    own = Configuration(method="adv", radius=0.1 / 3, pgd_steps=1, random_start=True)
    trial = record(0, configuration=own, absolute={"radius": 0.0123456})
    assert projection.tags(trial)["absolute_radius"] == "0.01235"
    assert projection.params(own) == {
        "method": "adv",
        "learning_rate": "1",
        "sigma": "0",
        "radius": "0.03333",
        "pgd_steps": "1",
        "random_start": "true",
    }


def test_a_tag_has_every_digit_as_confirm_reads_it(record):
    own = Configuration(method="rs_rp", sigma=1 / 3, learning_rate=0.1 + 0.2)
    text = projection.tags(record(0, configuration=own))["configuration"]
    domains = {"method": Choice(("standard", "rs_rp")), "sigma": Constant(0.5)}
    space = Space({name: Parameter(name, d) for name, d in domains.items()}, "relative")
    study = Study.model_validate({"space": space, "units": "relative"})
    assert read_configuration(text, study) == own


def test_the_same_record_gives_the_same_points(record):
    first, second = (projection.metrics(record(0, "finished", evaluations=3)) for _ in range(2))
    assert [metric.__dict__ for metric in first] == [metric.__dict__ for metric in second]


def test_an_evaluation_in_the_record_and_beside_it_is_one(record, evaluation):
    with_both = projection.metrics(record(0, evaluations=1), [evaluation(1), evaluation(2)])
    assert [m.step for m in with_both if m.key == "dev_accuracy"] == [100, 200]


def test_an_interrupted_trial_has_no_end_yet(record):
    interrupted = record(0, "failed", evaluations=1, failure=Failure.INTERRUPTED)
    assert "duration_seconds" not in {m.key for m in projection.metrics(interrupted)}


def test_macro_f1_stands_beside_the_accuracy_where_it_chose(record, evaluation):
    plain, f1 = record(0, "finished").zero_shot, {"eng": 0.8, "qaa": 0.3, "qaf": 0.4, "qag": 0.2}
    by_f1 = replace(plain, metric="macro_f1", macro_f1=f1)
    logged = {m.key: m.value for m in projection.metrics(record(0, "finished", zero_shot=by_f1))}
    assert (logged["zero_shot/qaa"], logged["zero_shot_macro_f1/qaa"]) == (0.7, 0.3)
    assert (logged["target_mean"], logged["target_mean_macro_f1"]) == (0.6, 0.3)
    assert (logged["held_out_mean"], logged["held_out_mean_macro_f1"]) == (0.65, 0.25)
    assert (logged["source_accuracy"], logged["source_macro_f1"]) == (0.9, 0.8)
    assert (logged["worst_language_accuracy"], logged["worst_language_macro_f1"]) == (0.5, 0.2)


def test_an_evaluation_by_macro_f1_names_its_value_so(evaluation):
    by_f1 = replace(evaluation(1, 0.4), metric="macro_f1", macro_f1={"qaf": 0.4})
    logged = {m.key: m.value for m in projection.evaluation_metrics(by_f1)}
    assert (logged["dev_macro_f1"], logged["dev_macro_f1/qaf"]) == (0.4, 0.4)
    assert "dev_accuracy/qaf" in logged
    assert "dev_accuracy" not in logged


def test_where_accuracy_chose_macro_f1_is_logged_by_language_at_the_end_alone(record, evaluation):
    both = replace(evaluation(1), macro_f1={"qaf": 0.4})
    assert not any("macro_f1" in m.key for m in projection.evaluation_metrics(both))
    result = replace(record(0, "finished").zero_shot, macro_f1={"eng": 0.8, "qaa": 0.3})
    logged = projection.metrics(record(0, "finished", zero_shot=result))
    assert {m.key for m in logged if "macro_f1" in m.key} == {
        "zero_shot_macro_f1/eng",
        "zero_shot_macro_f1/qaa",
    }
