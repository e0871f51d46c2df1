"""What all trials share, and how a configuration becomes absolute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rxtune.config import Configuration, Study
from rxtune.data import Task
from rxtune.errors import ModelError
from rxtune.perturb import absolute_radius, absolute_sigma
from rxtune.search.workload import Workload, prepare, prepare_test


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
    assert workload.settings(Configuration()).seed == 7
    assert workload.settings(Configuration(learning_rate=2.0)).seed == 7


def test_the_value_is_the_mean_over_the_dev_languages_alone(workload: Workload) -> None:
    accuracy = {"eng": 0.9, "qaa": 0.4, "qab": 0.6}
    assert workload.aggregate(accuracy) == 0.6
    both = replace(workload, dev_languages=("qaa", "qab"))
    assert both.aggregate(accuracy) == pytest.approx(0.5)


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
    tables = prepare_test(study, watched, tiny_encoder)
    assert list(tables) == ["eng", "qaa", "qab"]
    assert "test" in splits


def test_an_encoder_without_weights_is_refused(study: Study, task: Task, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json must exist"):
        prepare(study, task, ("qab",), tmp_path)
