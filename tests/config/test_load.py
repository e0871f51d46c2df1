"""Loading a study: files that ship, overrides, round trip, speed of a refusal."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rxtune.config
from rxtune.config import (
    FLAGS,
    METHODS,
    OBJECTIVES,
    SAMPLERS,
    Asha,
    Choice,
    Configuration,
    Constant,
    Hyperband,
    Int,
    LogUniform,
    Median,
    Parameter,
    SearchSettings,
    Select,
    Space,
    Stopping,
    Study,
    TrainDefaults,
    Uniform,
    load_study,
)
from rxtune.config.domains import KINDS
from rxtune.config.parameter import RULES
from rxtune.config.source import write_yaml
from rxtune.errors import StudyError

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
COMPLETE = {
    "paws-x_mbert": ("paws-x", "google-bert/bert-base-multilingual-cased"),
    "xnli_xlmr": ("xnli", "FacebookAI/xlm-roberta-base"),
}
PLAIN = "space: {method: standard}\n"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_space_loads(path):
    study = load_study(path)
    task, model = COMPLETE.get(path.stem, ("babel", None))
    assert (study.task, study.model) == (task, model)
    assert study.start_points()[0].method == "standard"
    assert load_study(path).to_yaml() == study.to_yaml()
    # Nothing is searched where one value would say the same.
    assert len(set(study.start_points())) == len(study.space.methods)


@pytest.mark.parametrize(
    ("name", "languages", "epochs"), [("paws-x_mbert", ("ko",), 3.0), ("xnli_xlmr", ("sw",), 1.0)]
)
def test_a_complete_study_trains_as_the_authors_released_it(name, languages, epochs):
    study = load_study(SHIPPED[0].with_name(f"{name}.yaml"))
    assert study.select.languages == languages
    assert study.units == "relative"
    assert study.start_points()[0] == Configuration()  # a factor of 1 on 2e-5
    assert (study.train.epochs, study.train.batch_size, study.train.max_length) == (
        epochs,
        32,
        128,
    )
    assert study.space == load_study(SHIPPED[0].with_name("paws-x_mbert.yaml")).space


@pytest.mark.parametrize(
    ("name", "methods", "searched"),
    [
        ("adv", {"adv", "freelb"}, {"norm", "ball", "random_start", "step_size"}),
        ("smoothing", {"rs_rp", "smooth_adv", "r3f"}, {"samples", "clean_weight"}),
        ("augment", {"rs_da", "code_switch"}, {"replace_probability"}),
        ("all", set(METHODS) - {"standard"}, {"sigma", "radius", "replace_probability"}),
    ],
)
def test_the_other_spaces_search_what_they_say(name, methods, searched):
    space = load_study(SHIPPED[0].with_name(f"{name}.yaml")).space
    assert set(space.methods) == methods | {"standard"}
    domains = {name: space.parameters[name].domain for name in searched}
    assert not any(isinstance(domain, Constant) for domain in domains.values())


def test_no_shipped_space_holds_a_robust_method_that_is_plain_fine_tuning():
    for path in SHIPPED:
        for point in load_study(path).start_points():
            if point.method == "freelb":
                assert point.pgd_steps > 1 or point.random_start


def test_the_main_space_searches_the_four_methods():
    assert "rs.yaml" in [path.name for path in SHIPPED]
    study = load_study(SHIPPED[0].with_name("rs.yaml"))
    assert [point.method for point in study.start_points()] == list(METHODS[:4])
    assert study.stopping.asha == Asha(evaluations=6, first_rung=2, reduction_factor=3)
    assert study.search == SearchSettings(sampler="tpe", trials=24, seed=0, startup_trials=8)


def test_a_space_alone_is_a_study(load):
    study = load(PLAIN)
    assert study == Study(space=Space({"method": Parameter("method", Constant("standard"))}))
    assert (study.task, study.model, study.units) == ("babel", None, "relative")
    assert study.select.languages == "auto"
    assert study.stopping.asha is not None
    assert study.stopping.asha.rungs == (2,)


@pytest.mark.parametrize("text", ["stopping: none", "stopping: {asha: null}"])
def test_stopping_can_be_turned_off(load, text):
    study = load(PLAIN + text)
    assert study.stopping == Stopping(asha=None)
    assert study.stopping.evaluations == 6


def test_rungs_grow_by_the_reduction_factor():
    assert Asha(evaluations=20, first_rung=2, reduction_factor=3).rungs == (2, 6, 18)
    assert Asha(evaluations=2, first_rung=2).rungs == ()


def test_a_language_may_stand_alone_and_may_be_norwegian(load):
    assert load(PLAIN + "select: {languages: no}").select.languages == ("no",)


def test_a_study_is_frozen_and_travels_to_a_worker(load):
    study = load(PLAIN)
    with pytest.raises(ValueError, match="frozen"):
        study.task = "xnli"
    assert pickle.loads(pickle.dumps(study)) == study


def test_the_space_takes_over_the_units_of_the_study(load):
    study = load("units: absolute\nspace: {method: standard, learning_rate: 2e-5}")
    assert study.space.units == study.units == "absolute"
    assert study.start_points() == [Configuration(learning_rate=2e-5)]


def test_overrides_replace_what_the_file_says_and_none_means_not_given(load):
    overrides = {"search.trials": 30, "task": "xnli", "model": None, "select.languages": ["sw"]}
    study = load(PLAIN + "search: {trials: 3, seed: 5}\nmodel: a/b", overrides)
    assert (study.search.trials, study.search.seed) == (30, 5)
    assert (study.task, study.model, study.select.languages) == ("xnli", "a/b", ("sw",))


def test_an_override_can_turn_stopping_on_and_off(load):
    assert load(PLAIN, {"stopping": "none"}).stopping.asha is None
    study = load(PLAIN + "stopping: none", {"stopping.asha.evaluations": 9})
    assert study.stopping.evaluations == 9


def test_a_fault_of_an_override_names_the_flag(refusal):
    overrides = {"search.trials": 0, "select.languages": [], "train.epochs": -1.0}
    assert refusal(PLAIN + "taks: 1", overrides).splitlines() == [
        "--trials: must be at least 1, got 0; the default is 24",
        "--languages: at least one dev language is required, got []; name one or write auto",
        "--epochs: must be more than 0, got -1.0; delete the line for the task's default",
        "a.yaml:2: taks: unknown key; did you mean 'task'?",
    ]


def test_an_override_does_not_hide_a_wrong_section(refusal):
    assert "a.yaml:2: search: keys with values are" in refusal(
        PLAIN + "search: 3", {"search.trials": 5}
    )


def test_an_override_of_no_known_key_is_refused_by_its_key(refusal):
    assert refusal(PLAIN, {"search.trails": 3}) == (
        "search.trails: unknown key; did you mean 'trials'?"
    )


def test_every_flag_sets_a_key_that_a_study_has():
    for key in FLAGS:
        head, *rest = key.split(".")
        section = Study.model_fields[head].annotation
        assert not rest or rest[0] in section.model_fields


def _bounds(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=2, max_size=2, unique=True).map(sorted)


rates = st.one_of(
    _bounds(0.01, 10).map(lambda bounds: LogUniform(*bounds)),
    _bounds(0.01, 10).map(lambda bounds: Uniform(*bounds)),
    st.lists(st.floats(0.01, 10), min_size=1, max_size=4, unique=True).map(
        lambda values: Choice(tuple(values))
    ),
    st.floats(0.01, 10).map(Constant),
)
flags = st.sampled_from([Constant(True), Choice((False, True)), Choice((True,))])
names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1)
names |= st.sampled_from(["no", "1e3", "null", "none", "010", "a: b", "#x"])


points = st.just({"method": "r3f"}) | st.fixed_dictionaries(
    {"method": st.just("rs_da"), "replace_probability": st.floats(0, 1)}
)
durations = st.builds("{}{}".format, st.integers(1, 240), st.sampled_from("dhms"))
searches = st.builds(
    SearchSettings,
    sampler=st.sampled_from(SAMPLERS),
    trials=st.integers(1),
    seed=st.integers(0),
    points=st.lists(points, max_size=3),
    replicates=st.integers(1, 9),
    time_budget=st.none() | durations,
    compute_budget=st.none() | durations | st.floats(1e-3, 1e18) | st.integers(1, 10**15),
    plateau=st.none() | st.integers(1),
    keep=st.integers(1),
)
first_rungs = st.integers(1, 6)
rules = st.one_of(
    st.fixed_dictionaries({"asha": st.none() | st.builds(Asha, first_rung=first_rungs)}),
    st.fixed_dictionaries({"hyperband": st.builds(Hyperband, first_rung=first_rungs)}),
    st.fixed_dictionaries({"median": st.builds(Median, startup_trials=st.integers(1))}),
)
stoppings = st.builds(
    lambda rule, unit: Stopping(**rule, unit=unit), rules, st.sampled_from(["updates", "compute"])
)
objectives = st.permutations(OBJECTIVES).filter(lambda names: names[0] != "compute")
objectives = st.sampled_from(["mean", "worst", "source"]) | objectives


@st.composite
def studies(draw: st.DrawFn) -> Study:
    steps = draw(st.just(Int(1, 3)) | st.just(Constant(2)))
    robust = {"method": ("adv", "smooth_adv", "freelb")}
    parameters = [
        Parameter("method", Choice(tuple(draw(st.permutations(METHODS))))),
        Parameter("learning_rate", draw(rates)),
        Parameter("sigma", draw(rates), {"method": ("rs_rp", "smooth_adv", "r3f")}),
        Parameter("radius", draw(rates), draw(st.sampled_from([{}, robust]))),
        Parameter("pgd_steps", steps, robust),
        Parameter("random_start", draw(flags)),
        Parameter("norm", Choice(tuple(draw(st.permutations(["l2", "linf"]))))),
        Parameter(
            "ball", Choice(("token", "sequence")), draw(st.sampled_from([{}, {"norm": ("l2",)}]))
        ),
        Parameter("replace_probability", Uniform(0, 1)),
    ]
    stopping = draw(stoppings)
    compared = objectives
    if stopping.unit == "compute":  # where all trials cost the same
        compared = objectives.filter(lambda found: "compute" not in found)
    codes = st.lists(names, min_size=1, unique=True).filter(lambda codes: "auto" not in codes)
    return Study(
        task=draw(names.filter(lambda name: "@" not in name)),  # NAME@FOLDER is a task, too
        model=draw(st.none() | names),
        space=Space({parameter.name: parameter for parameter in parameters}),
        search=draw(searches),
        stopping=stopping,
        select=draw(
            st.builds(
                Select,
                languages=st.just("auto") | codes,
                metric=st.sampled_from(["accuracy", "macro_f1"]),
                objective=compared,
            )
        ),
        train=TrainDefaults(epochs=draw(st.none() | st.floats(1e-9, 1e9))),
    )


@given(studies())
@settings(max_examples=50)
def test_a_resolved_study_can_be_given_back(tmp_path_factory, study):
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(study.to_yaml(), encoding="utf-8")
    again = load_study(path)
    assert again == study
    assert again.space.order == study.space.order
    assert again.to_yaml() == study.to_yaml()


OTHERS = {
    "when",
    "asha",
    "median",
    "hyperband",
    "unit",
    "compute",
    "first_rung",
    "objective",
    "languages",
    "none",
    "absolute",
}
words = st.sampled_from(
    sorted({*Study.model_fields, *SearchSettings.model_fields, *RULES, *METHODS, *KINDS, *OTHERS})
)
leaves = words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(words, trees, max_size=5), trees)
@settings(max_examples=150)
def test_nonsense_is_a_study_error_and_never_a_crash(tmp_path_factory, tree, space):
    path = tmp_path_factory.mktemp("nonsense") / "a.yaml"
    text = write_yaml({"space": {"method": "rs_rp", "sigma": space}, **tree})
    path.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(StudyError):
        load_study(path)


def test_the_public_names_are_sorted_out():
    public = {name for name in vars(rxtune.config) if not name.startswith("_")}
    modules = {Path(file).stem for file in Path(rxtune.config.__path__[0]).glob("*.py")}
    assert public - modules == set(rxtune.config.__all__)


def test_the_refusal_of_a_wrong_file_imports_nothing_heavy(tmp_path):
    (tmp_path / "a.yaml").write_text("space: {method: rsrp}")
    code = (
        "import sys, rxtune.config\n"
        "try: rxtune.config.load_study('a.yaml')\n"
        "except rxtune.errors.StudyError: pass\n"
        "else: sys.exit('not refused')\n"
        "heavy = {'torch', 'ray', 'optuna', 'mlflow', 'transformers', 'numpy', 'pyarrow'}\n"
        "sys.exit(str(heavy & set(sys.modules) or 0))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() in {"", "0"}
