"""What all trials share, and how a configuration becomes absolute."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config import (
    Choice,
    Configuration,
    Constant,
    Domain,
    Parameter,
    Space,
    Study,
    Uniform,
)
from rxtune.data import Task
from rxtune.errors import ModelError, StudyError
from rxtune.perturb import absolute_radius, absolute_sigma
from rxtune.search.encoders import EMBEDDED, find_encoder
from rxtune.search.workload import Workload, distinct_tokens, prepare, prepare_test
from rxtune.train.batches import TrainingBatches


def test_every_language_is_tokenised_once_the_source_first(workload: Workload) -> None:
    assert list(workload.dev) == ["eng", "qaa", "qab"]
    assert workload.train.num_rows == 40
    assert {table.num_rows for table in workload.dev.values()} == {16}
    assert set(workload.train.column_names) == {"input_ids", "token_type_ids", "label"}


def test_the_unit_is_the_median_norm_of_the_embeddings_that_occur(workload: Workload) -> None:
    seen = np.unique(np.concatenate(workload.train.column("input_ids").to_numpy()))
    norms = np.linalg.norm(workload.weights.word_embeddings, axis=1)
    assert workload.unit < 2 * norms[seen].max()
    assert workload.unit == pytest.approx(np.median(norms[seen]), rel=0.2)  # special tokens aside


def test_defaults_come_from_task_and_encoder(workload: Workload) -> None:
    assert (workload.epochs, workload.batch_size) == (1.0, 8)
    assert workload.learning_rate == 3e-3
    assert workload.width == 32
    assert workload.evaluations == 2


def test_the_study_overrides_the_tasks_defaults(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    train = study.train.model_copy(update={"epochs": 0.5, "batch_size": 4, "max_length": 5})
    changed = study.model_copy(update={"train": train})
    workload = prepare(changed, task, ("qab",), tiny_encoder)
    assert (workload.epochs, workload.batch_size) == (0.5, 4)
    assert max(len(ids) for ids in workload.train.column("input_ids").to_pylist()) == 5


def test_relative_values_become_absolute_by_unit_and_default_rate(workload: Workload) -> None:
    noise = workload.absolute(Configuration(method="rs_rp", sigma=0.5, learning_rate=2.0))
    sigma = absolute_sigma(0.5, workload.unit, 32)
    assert noise == {"learning_rate": pytest.approx(6e-3), "sigma": pytest.approx(sigma)}
    attack = workload.absolute(Configuration(method="adv", radius=0.1, pgd_steps=1))
    radius = absolute_radius(0.1, workload.unit, 32, "l2")
    assert attack == {"learning_rate": pytest.approx(3e-3), "radius": pytest.approx(radius)}


def test_plain_fine_tuning_has_a_learning_rate_and_nothing_else(workload: Workload) -> None:
    assert workload.absolute(Configuration()) == {"learning_rate": pytest.approx(3e-3)}


def test_absolute_units_are_taken_as_they_are(workload: Workload) -> None:
    study = workload.study.model_copy(update={"units": "absolute"})
    configuration = Configuration(method="rs_rp", sigma=0.01, learning_rate=1e-4)
    absolute = replace(workload, study=study).absolute(configuration)
    assert absolute == {"learning_rate": 1e-4, "sigma": 0.01}


def test_all_trials_share_the_seed_of_the_search(workload: Workload) -> None:
    assert workload.settings(Configuration(), "cpu").seed == 7
    assert workload.settings(Configuration(learning_rate=2.0), "cpu").seed == 7


def test_all_trials_read_the_same_examples_in_the_same_order(workload: Workload) -> None:
    def read(configuration: Configuration, workload: Workload) -> list[list[int]]:
        settings, data = workload.settings(configuration, "cpu"), workload.training_data
        batches = TrainingBatches(
            data(configuration), pad_id=0, batch_size=settings.batch_size, seed=settings.seed
        )
        found = [batches.batch(update)["input_ids"] for update in range(2 * 5)]
        return [ids.flatten().tolist() for ids in found]

    plain = read(Configuration(), workload)
    assert plain[:5] != plain[5:], "two epochs"
    divided = replace(workload, study=training(workload.study, accumulation=2, tokens_per_pass=9))
    for other in (
        Configuration(learning_rate=3.0, epochs=2.0),
        Configuration(method="rs_rp", sigma=0.5, samples=2),
        Configuration(method="adv", radius=0.1, pgd_steps=3, random_start=True),
        Configuration(method="freelb", radius=0.1, pgd_steps=2),
    ):
        assert read(other, workload) == read(other, divided) == plain


def selecting(workload: Workload, *objective: str) -> Workload:
    """Return the workload of a study with two dev languages and these objectives."""
    select = workload.study.select.model_copy(update={"objective": objective})
    study = workload.study.model_copy(update={"select": select})
    dev = {**workload.dev, "qaa": workload.dev["qaa"].slice(0, 10)}
    return replace(workload, study=study, dev=dev, dev_languages=("qaa", "qab"))


def test_the_value_is_the_mean_over_the_dev_languages_alone(workload: Workload) -> None:
    scores = {"eng": 0.9, "qaa": 0.4, "qab": 0.6}
    assert workload.objectives(scores, 100.0) == (0.6,)
    assert list(workload.evaluated) == ["qab"]
    both = replace(workload, dev_languages=("qaa", "qab"))
    assert both.objectives(scores, 100.0) == (pytest.approx(0.5),)


@pytest.mark.parametrize(
    ("objectives", "languages", "examples"),
    [
        (("mean", "compute"), ["qaa", "qab"], 26),
        (("worst",), ["qaa", "qab"], 10),
        (("source", "mean"), ["qaa", "qab", "eng"], 16),
    ],
)
def test_the_objectives_say_what_is_evaluated_and_how_much_is_behind_a_value(
    workload: Workload, objectives: tuple[str, ...], languages: list[str], examples: int
) -> None:
    changed = selecting(workload, *objectives)
    assert list(changed.evaluated) == languages
    assert changed.score_examples == examples
    scores = dict.fromkeys(languages, 0.5)
    assert len(changed.objectives(scores, 100.0)) == len(objectives)


def test_the_test_split_is_read_only_when_asked_for(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    splits: list[str] = []

    def read(language: str, split: str) -> object:
        splits.append(split)
        return task.read(language, split)  # type: ignore[arg-type]

    watched = replace(task, read=read)
    prepare(study, watched, ("qab",), tiny_encoder)
    assert set(splits) == {"train", "dev"}
    tables, mixed = prepare_test(study, watched, tiny_encoder)
    assert list(tables) == ["eng", "qaa", "qab"]
    assert "test" in splits
    assert mixed is None


def test_an_encoder_without_weights_is_refused(study: Study, task: Task, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json must exist"):
        prepare(study, task, ("qab",), tmp_path)


def test_a_language_without_a_dev_split_is_left_out(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    workload = prepare(study, replace(task, with_dev=("eng", "qab")), ("qab",), tiny_encoder)
    assert list(workload.dev) == ["eng", "qab"]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1), min_size=1))
def test_distinct_tokens_are_those_that_occur(texts: list[list[int]]) -> None:
    table = pa.table({"input_ids": pa.array(texts, pa.list_(pa.int32()))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rxtune.search.workload._PART", 2)
        found = distinct_tokens(table)
    assert found.tolist() == sorted({token for text in texts for token in text})


# --- words replaced


@pytest.fixture(scope="module")
def substituting(study: Study, task: Task, tiny_encoder: Path) -> Workload:
    own = {"synonyms": {"cat": ("dog",)}, "qaa": {"dog": ("be",)}}
    rich = replace(task, substitutes=lambda key: own.get(key, {}))
    methods = Choice(("standard", "rs_da", "code_switch"))
    probability = Parameter("replace_probability", Uniform(0.1, 1.0))
    space = Space({"method": Parameter("method", methods), "replace_probability": probability})
    return prepare(study.model_copy(update={"space": space}), rich, ("qab",), tiny_encoder)


def test_a_method_that_replaces_words_trains_on_them(substituting: Workload) -> None:
    plain = substituting.training_data(Configuration())
    assert plain.table(0) is substituting.train
    for method in ("rs_da", "code_switch"):
        configuration = Configuration(method=method, replace_probability=0.9)  # type: ignore[arg-type]
        data = substituting.training_data(configuration)
        assert data.examples == plain.examples
        assert data.table(0)["input_ids"] != plain.table(0)["input_ids"]


def test_static_copies_stand_beside_the_original(substituting: Workload) -> None:
    configuration = Configuration(
        method="rs_da", replace_probability=0.9, substitution="static", copies=2
    )
    assert substituting.training_data(configuration).examples == 3 * substituting.train.num_rows


def test_without_such_a_method_no_text_travels(workload: Workload) -> None:
    assert workload.text is None
    assert workload.neighbours == {}


# --- how it is trained


def training(study: Study, **changes: Any) -> Study:
    return study.model_copy(update={"train": study.train.model_copy(update=changes)})


def at_sites(study: Study, site: Domain, **when: Any) -> Study:
    own = Parameter("site", site, **when)
    space = Space({**study.space.parameters, "site": own})
    return study.model_copy(update={"space": space})


def test_the_studys_way_to_train_reaches_the_settings(study: Study, workload: Workload) -> None:
    changed = training(
        study, precision="bf16", accumulation=2, tokens_per_pass=99, gradient_checkpointing=True
    )
    settings = replace(workload, study=changed).settings(Configuration(), "cpu")
    assert (settings.precision, settings.accumulation) == ("bf16", 2)
    assert settings.tokens_per_pass == 99
    assert settings.gradient_checkpointing
    assert workload.settings(Configuration(), "cpu").precision == "fp32"


def test_the_device_decides_what_auto_means(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    assert workload.settings(Configuration(), "cuda").precision == "bf16"
    assert workload.settings(Configuration(), "cpu").precision == "fp32"


def test_absolute_values_do_not_ask_the_drivers_device(study: Study, workload: Workload) -> None:
    driver = replace(workload, study=training(study, precision="bf16"))
    small = Configuration(method="adv", radius=0.003, pgd_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # bf16 would be too coarse for it
        assert driver.absolute(small) == workload.absolute(small)


def test_a_model_is_built_with_the_studys_attention(study: Study, workload: Workload) -> None:
    eager = replace(workload, study=training(study, attention="eager"))
    assert eager.model(0).config._attn_implementation == "eager"
    assert workload.model(0).config._attn_implementation == "sdpa"


def test_m_at_the_context_is_measured_where_a_trial_may_need_it(
    study: Study, task: Task, tiny_encoder: Path, workload: Workload
) -> None:
    assert workload.context is None
    both = at_sites(study, Choice(("word", "context")))
    found = prepare(both, task, ("qab",), tiny_encoder)
    assert found.context is not None
    assert found.context.width == 32
    noise = Configuration(method="rs_rp", sigma=0.5, site="context")
    sigma = absolute_sigma(0.5, found.context.unit, 32)
    assert found.absolute(noise)["sigma"] == pytest.approx(sigma)


def test_the_sites_of_a_space_are_those_its_trials_may_have(study: Study) -> None:
    assert study.space.sites == ("word",)
    assert at_sites(study, Constant("context")).space.sites == ("context",)
    assert at_sites(study, Choice(("context", "word"))).space.sites == ("word", "context")
    only_noise = at_sites(study, Constant("context"), when={"method": ("rs_rp",)})
    assert only_noise.space.sites == ("word", "context")


def test_an_encoder_too_short_for_the_texts_is_refused(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    with pytest.raises(ModelError, match=r"texts of 100 tokens .+ lower train\.max_length"):
        prepare(training(study, max_length=100), task, ("qab",), tiny_encoder)


def test_the_embedded_encoder_is_tried_out_only_where_it_is_used_otherwise(
    study: Study, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    monkeypatch.setattr(
        "rxtune.search.workload.check_encoder", lambda *_, longest, **__: tried.append(longest)
    )
    prepare(study, task, ("qab",), find_encoder(EMBEDDED))
    assert tried == []
    prepare(study, replace(task, origin="mine"), ("qab",), find_encoder(EMBEDDED))
    prepare(training(study, max_length=9), task, ("qab",), find_encoder(EMBEDDED))
    assert tried == [32, 9]


# --- mixed-language pairs


def evaluating(study: Study, when: str, sample: int = 250) -> Study:
    evaluate = study.evaluate.model_copy(update={"generalized": when, "sample": sample})
    return study.model_copy(update={"evaluate": evaluate})


@pytest.mark.parametrize(
    ("when", "in_search", "in_confirm"),
    [("never", False, False), ("confirm", False, True), ("always", True, True)],
)
def test_mixed_language_pairs_are_made_when_they_are_wanted(
    study: Study, task: Task, tiny_encoder: Path, when: str, in_search: bool, in_confirm: bool
) -> None:
    pairs = replace(task, is_pair=True, parallel="id")
    asked = evaluating(study, when)
    dev = prepare(asked, pairs, ("qab",), tiny_encoder).mixed
    _, test = prepare_test(asked, pairs, tiny_encoder)
    assert (dev is not None, test is not None) == (in_search, in_confirm)


def test_a_sample_of_items_stands_in_all_pairs_of_languages(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    pairs = replace(task, is_pair=True, parallel="id")
    _, mixed = prepare_test(evaluating(study, "confirm", 5), pairs, tiny_encoder)
    assert mixed is not None
    assert (mixed.languages, mixed.items) == (("eng", "qaa", "qab"), 5)
    assert mixed.tokens.num_rows == 9 * 5


def test_pairs_that_there_are_not_are_refused(
    study: Study, task: Task, tiny_encoder: Path
) -> None:
    with pytest.raises(StudyError, match=r"always needs a task of sentence pairs .+ 'small'"):
        prepare(evaluating(study, "always"), task, ("qab",), tiny_encoder)
