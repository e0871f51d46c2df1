"""The JSON Schemas: what editors are told is what `load_study` accepts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rxtune.config import load_study
from rxtune.config.parameter import RULES
from rxtune.config.reader import read_space
from rxtune.config.schema import field_docs, study_schema, task_schema
from rxtune.config.study import Study, TrainDefaults
from rxtune.errors import StudyError

REPOSITORY = Path(__file__).parents[2]
SPACES = sorted((REPOSITORY / "search_spaces").glob("*.yaml"))
SHIPPED = {"study.schema.json": study_schema, "task.schema.json": task_schema}

STUDY: dict[str, Any] = {
    "space": {
        "method": {"choice": ["standard", "rs_rp", "adv"]},
        "sigma": {"log_uniform": [0.1, 3.0], "when": {"method": ["rs_rp"]}},
        "radius": {"log_uniform": [0.01, 0.3], "when": {"method": "adv"}},
        "pgd_steps": {"int": [1, 3], "when": {"method": ["adv"]}},
        "learning_rate": {"log_uniform": [0.3, 3.0]},
    }
}
TASK: dict[str, Any] = {
    "labels": ["good", "bad"],
    "source_language": "en",
    "files": {"train": {"en": "a.tsv"}, "dev": "dev-{language}.tsv", "test": {"en": "b.tsv"}},
}


@pytest.fixture(scope="module")
def study() -> Draft202012Validator:
    return Draft202012Validator(study_schema())


def changed(tree: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(tree)
    section = tree
    *parents, last = key.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
    section[last] = value
    return tree


@pytest.mark.parametrize("name", SHIPPED)
def test_the_file_for_editors_is_up_to_date(name: str) -> None:
    text = (REPOSITORY / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert json.loads(text) == SHIPPED[name](), "make docs writes it anew"


@pytest.mark.parametrize("make", SHIPPED.values())
def test_they_are_schemas_in_which_every_reference_leads_somewhere(make: Any) -> None:
    schema = make()
    Draft202012Validator.check_schema(schema)
    named = {part.split('"')[0] for part in json.dumps(schema).split("#/$defs/")[1:]}
    assert named <= schema["$defs"].keys()


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_shipped_space_is_valid_as_written_and_as_resolved(
    study: Draft202012Validator, path: Path
) -> None:
    study.validate(yaml.safe_load(path.read_text()))
    study.validate(yaml.safe_load(load_study(path).to_yaml()))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stopping", "hyperband"),
        ("stopping", {"median": {"startup_trials": 3}, "unit": "compute"}),
        ("select.languages", "qag"),
        ("select.objective", ["mean", "compute"]),
        ("search.time_budget", "1h30m"),
        ("search.compute_budget", 3e9),
        ("search.points", [{"method": "adv", "radius": 0.02}]),
        ("evaluate.generalized", True),
        ("space.norm", "linf"),
        ("space.random_start", {"choice": [True, False], "when": {"method": "adv"}}),
        ("space.sigma", {"uniform": [0, 1.0]}),
        ("train", {"epochs": 2, "batch_size": None}),
        ("task", "paws-x"),
        ("task", {"catalogue": "sib200", "folder": "data", "target_languages": ["swh_Latn"]}),
    ],
)
def test_what_may_be_written_is_valid(
    study: Draft202012Validator, tmp_path: Path, key: str, value: Any
) -> None:
    tree = changed(STUDY, key, value)
    (tmp_path / "study.yaml").write_text(json.dumps(tree))
    load_study(tmp_path / "study.yaml")
    study.validate(tree)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("serach", {}),
        ("search.trials", 0),
        ("search.trials", "many"),
        ("search.sampler", "bayes"),
        ("stopping", "ahsa"),
        ("stopping.asha", {"evaluation": 6}),
        ("select.languages", []),
        ("select.objective", "best"),
        ("space.epsilon", 0.1),
        ("space.method", {"choice": ["standard", "rsrp"]}),
        ("space.method", {"uniform": [0, 1]}),
        ("space.sigma", -1),
        ("space.sigma", {"log_uniform": [0.1]}),
        ("space.sigma", {"log_uniform": [0, 3.0]}),
        ("space.sigma", {"log_uniform": [0.1, 3.0], "uniform": [0.1, 3.0]}),
        ("space.sigma", [0.1, 3.0]),
        ("space.radius.when", {"methode": ["adv"]}),
        ("space.pgd_steps", {"log_uniform": [1, 3]}),
        ("space.pgd_steps", 1.5),
        ("space.random_start", "yes"),
        ("space.clean_weight", 1.0),
        ("train.epochs", 0),
        ("evaluate.generalized", "sometimes"),
        ("units", "metres"),
        ("task", {"catalogue": "sib200", "labels": ["a", "b"]}),
    ],
)
def test_what_is_refused_when_read_is_refused_by_the_schema(
    study: Draft202012Validator, tmp_path: Path, key: str, value: Any
) -> None:
    tree = changed(STUDY, key, value)
    (tmp_path / "study.yaml").write_text(json.dumps(tree))
    with pytest.raises(StudyError):
        load_study(tmp_path / "study.yaml")
    assert not study.is_valid(tree)


EVERY: dict[str, Any] = {
    **{name: 1 for name, rule in RULES.items() if rule.type in ("float", "int")},
    **{name: {"choice": [*rule.names]} for name, rule in RULES.items() if rule.type == "name"},
    "clean_weight": 0.5,
    "random_start": True,
}
"""A space with every parameter, whose conditions all hold."""
VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 0.5, 1.5, 2, True, "l2", "word", "x", None, [1, 2]),
    *({"choice": values} for values in ([1, 2], [0.5], [0], [True, False], ["l2"], ["x"], [])),
    *({"uniform": ends} for ends in ([0, 1], [0.5, 0.9], [-1, 1], [1, 2], ["a", "b"])),
    *({"log_uniform": ends} for ends in ([0, 1], [0.5, 0.9], [1, 2], [1])),
    *({"int": ends} for ends in ([0, 1], [1, 3], [1.5, 3], [-1, 1])),
    *({"log_int": ends} for ends in ([0, 1], [1, 8])),
    *({"value": value} for value in (1, 0, 0.5, "l2", False)),
)


@pytest.mark.parametrize("name", [name for name in RULES if name != "method"])
def test_a_parameter_may_have_what_the_reader_accepts_and_nothing_else(
    study: Draft202012Validator, name: str
) -> None:
    told = []
    for value in VALUES:
        section = {**EVERY, name: value}
        _, faults = read_space(section, "relative")
        is_right = not any(fault.key[:2] == ("space", name) for fault in faults)
        if study.is_valid({"space": section}) is not is_right:
            told.append((value, is_right))
    assert told == []


def test_a_study_needs_a_space(study: Draft202012Validator) -> None:
    assert not study.is_valid({"search": {"trials": 3}})


@pytest.mark.parametrize(
    ("key", "value", "is_valid"),
    [
        ("dev_languages", [], True),
        ("columns", {"text": 1, "label": 2}, True),
        ("columns", {"text": 0}, False),
        ("labels", ["good"], False),
        ("label", ["good", "bad"], False),
        ("files", {"train": "a.tsv", "dev": "b.tsv"}, False),
        ("files.test", {}, False),
        ("delimiter", ";;", False),
        ("parallel", "line", False),
    ],
)
def test_a_task_file_is_told_right_from_wrong(key: str, value: Any, is_valid: bool) -> None:
    tree = changed(TASK, key, value)
    assert Draft202012Validator(task_schema()).is_valid(tree) is is_valid
    assert Draft202012Validator(study_schema()).is_valid({**STUDY, "task": tree}) is is_valid


def test_every_key_is_explained() -> None:
    schema = study_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, value in part.get("properties", {}).items():
            is_conditions = part is schema["$defs"]["Conditions"]
            is_domain = "$ref" in value and "description" not in value
            assert is_conditions or is_domain or value["description"], name
    for name in RULES:
        assert schema["$defs"][f"space.{name}"]["description"]


def test_a_field_is_described_by_what_stands_below_it() -> None:
    assert field_docs(TrainDefaults)["batch_size"] == "Examples per update."
    assert field_docs(Study).keys() == Study.model_fields.keys()
