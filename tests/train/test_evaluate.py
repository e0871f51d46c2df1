"""Predictions and accuracy per language."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import PreTrainedModel

from rxtune.config import Metric
from rxtune.data.mixed_language import MixedPairs
from rxtune.train import evaluate, predict
from rxtune.train.evaluate import (
    by_length,
    evaluate_mixed,
    evaluate_noisy,
    predict_by_language,
)
from rxtune.train.scores import score

MakeTable = Callable[..., pa.Table]


def test_predictions_are_those_of_one_text_at_a_time(
    any_model: PreTrainedModel, make_table: MakeTable
) -> None:
    table = make_table(20, types=False)
    with torch.inference_mode():
        alone = [
            int(any_model(input_ids=torch.tensor([ids])).logits.argmax())
            for ids in table.column("input_ids").to_pylist()
        ]
    assert predict(any_model, table, pad_id=1).tolist() == alone


@pytest.mark.parametrize("tokens_per_batch", [1, 13, 100, 10_000])
def test_predictions_do_not_depend_on_the_size_of_batches(
    model: PreTrainedModel, make_table: MakeTable, tokens_per_batch: int
) -> None:
    table = make_table(30)
    np.testing.assert_array_equal(
        predict(model, table, pad_id=1, tokens_per_batch=tokens_per_batch),
        predict(model, table, pad_id=1),
    )


def test_accuracy_is_counted_by_language(model: PreTrainedModel, make_table: MakeTable) -> None:
    tables = {"eng": make_table(30, seed=1), "qaa": make_table(20, seed=2)}
    found = evaluate(model, tables, pad_id=1)
    assert list(found) == ["eng", "qaa"]
    for language, table in tables.items():
        right = predict(model, table, pad_id=1) == table.column("label").to_numpy()
        assert found[language] == pytest.approx(right.mean())


def test_no_language_gives_no_accuracy(model: PreTrainedModel) -> None:
    assert evaluate(model, {}, pad_id=1) == {}


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_mode_random_state_and_gradients_as_they_were(
    model: PreTrainedModel, make_table: MakeTable, training: bool
) -> None:
    model.train(training)
    before = torch.get_rng_state()
    evaluate(model, {"eng": make_table(9)}, pad_id=1)
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    model.train()(input_ids=torch.tensor([[5, 6]])).logits.sum().backward()


def test_dropout_is_off(model: PreTrainedModel, make_table: MakeTable) -> None:
    model.train()
    table = make_table(30)
    first = predict(model, table, pad_id=1)
    np.testing.assert_array_equal(predict(model, table, pad_id=1), first)


def test_batches_hold_every_row_once_and_keep_the_bound() -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 300)
    batches = list(by_length(lengths, 64))
    assert sorted(np.concatenate(batches)) == list(range(300))
    assert all(len(rows) * lengths[rows].max() <= 64 for rows in batches)


def test_ids_of_items_are_not_looked_at(model: PreTrainedModel, make_table: MakeTable) -> None:
    plain = make_table(12)
    named = plain.append_column("id", pa.array([f"item {n}" for n in range(12)]))
    found = predict_by_language(model, {"eng": plain, "qaa": named}, pad_id=1)
    np.testing.assert_array_equal(found["eng"], found["qaa"])


def test_the_matrix_counts_every_ordered_pair_of_languages(
    model: PreTrainedModel, make_table: MakeTable
) -> None:
    parts = [make_table(15, seed=seed) for seed in range(4)]
    pairs = MixedPairs(
        languages=("eng", "qaa"), items=15, tokens=pa.concat_tables(parts).combine_chunks()
    )
    matrix = evaluate_mixed(model, pairs, pad_id=1)
    names = dict(zip(pairs.language_pairs, parts, strict=True))
    assert evaluate(model, names, pad_id=1) == {  # type: ignore[arg-type,comparison-overlap]
        (first, second): matrix[first][second] for first, second in names
    }
    assert list(matrix) == list(matrix["qaa"]) == ["eng", "qaa"]


def test_the_matrix_can_be_of_macro_f1(model: PreTrainedModel, make_table: MakeTable) -> None:
    parts = [make_table(15, seed=seed) for seed in range(4)]
    pairs = MixedPairs(
        languages=("eng", "qaa"), items=15, tokens=pa.concat_tables(parts).combine_chunks()
    )
    matrix = evaluate_mixed(model, pairs, pad_id=1, metric="macro_f1")
    labels = parts[2].column("label").to_numpy()
    expected = score(labels, predict(model, parts[2], pad_id=1), "macro_f1")
    assert matrix["qaa"]["eng"] == pytest.approx(expected)


# --- noise


def test_noise_of_no_size_changes_nothing(
    any_model: PreTrainedModel, make_table: MakeTable
) -> None:
    table = make_table(20, types=False)
    clean = predict(any_model, table, pad_id=1)
    np.testing.assert_array_equal(predict(any_model, table, pad_id=1, sigma=1e-9), clean)


def test_noise_is_the_same_every_time_and_changes_predictions(
    any_model: PreTrainedModel, make_table: MakeTable
) -> None:
    table = make_table(60, types=False)
    noisy = predict(any_model, table, pad_id=1, sigma=10.0)
    torch.rand(3)  # it is not drawn from the global generator
    np.testing.assert_array_equal(predict(any_model, table, pad_id=1, sigma=10.0), noisy)
    assert (predict(any_model, table, pad_id=1) != noisy).any()


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_noisy_score_is_that_of_noisy_predictions_and_leaves_no_noise(
    model: PreTrainedModel, make_table: MakeTable, metric: Metric
) -> None:
    model.train()
    table = make_table(40).append_column("id", pa.array([str(n) for n in range(40)]))
    clean, before = predict(model, table, pad_id=1), torch.get_rng_state()
    found = evaluate_noisy(model, table, pad_id=1, sigma=5.0, metric=metric)
    labels = table.column("label").to_numpy()
    assert found == score(labels, predict(model, table, pad_id=1, sigma=5.0), metric)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    np.testing.assert_array_equal(predict(model, table, pad_id=1), clean)
