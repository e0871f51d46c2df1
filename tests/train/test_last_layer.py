"""The last layer where it is read: fewer products, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from rxtune.train.batches import Batch, TokenTable
from rxtune.train.encoder import enable_gradient_checkpointing
from rxtune.train.last_layer import first_position_only

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
MORE_KINDS = {
    "camembert": lambda: transformers.CamembertConfig(**SIZES),
    "rembert": lambda: transformers.RemBertConfig(**SIZES, input_embedding_size=8),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**SIZES),
}


@pytest.fixture
def batch(make_table: Callable[..., pa.Table]) -> Batch:
    return TokenTable(make_table(8, types=False), pad_id=1).batch(np.arange(8))


def logits_and_gradients(model: PreTrainedModel, batch: Batch) -> list[Tensor]:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    model.zero_grad()
    logits = model(**inputs).logits
    functional.cross_entropy(logits, batch["labels"] % logits.shape[-1]).backward()
    return [logits, *(weight.grad for weight in model.parameters() if weight.grad is not None)]


def output_of(model: PreTrainedModel, batch: Batch) -> Tensor:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    output: Tensor = model.base_model(**inputs)[0]
    return output


def require_same(model: PreTrainedModel, batch: Batch) -> None:
    expected = [tensor.clone() for tensor in logits_and_gradients(model, batch)]
    with first_position_only(model):
        found = logits_and_gradients(model, batch)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_logits_and_gradients_stay_what_they_are(any_model: PreTrainedModel, batch: Batch) -> None:
    require_same(any_model, batch)


@pytest.mark.parametrize("kind", MORE_KINDS)
def test_they_stay_so_for_further_kinds(kind: str, batch: Batch) -> None:
    torch.manual_seed(0)
    config = MORE_KINDS[kind]()
    require_same(transformers.AutoModelForSequenceClassification.from_config(config).eval(), batch)


def test_they_stay_so_where_activations_are_recomputed(
    model: PreTrainedModel, batch: Batch
) -> None:
    for dropout in (m for m in model.modules() if isinstance(m, torch.nn.Dropout)):
        dropout.p = 0.0
    enable_gradient_checkpointing(model.train())
    require_same(model, batch)


def test_products_of_the_last_layer_are_spared(model: PreTrainedModel, batch: Batch) -> None:
    def products() -> int:
        with FlopCounterMode(display=False) as counter:
            logits_and_gradients(model, batch)
        return counter.get_total_flops()

    before = products()
    with first_position_only(model):
        assert products() < 0.8 * before  # this encoder's feed-forward block is a narrow one


@pytest.mark.parametrize(("attention", "positions"), [("sdpa", 1), ("eager", None)])
def test_in_the_last_layer_the_first_position_alone_asks_the_others(
    attention: str, positions: int | None, batch: Batch
) -> None:
    config = transformers.BertConfig(**SIZES)
    model = transformers.AutoModelForSequenceClassification.from_config(
        config, attn_implementation=attention
    )
    asked = []
    for layer in model.base_model.encoder.layer:
        query = layer.attention.self.query
        query.register_forward_hook(lambda _m, _i, output: asked.append(output.shape[1]))
    with first_position_only(model), first_position_only(model):  # an evaluation in a training
        output_of(model, batch)
    length = batch["input_ids"].shape[1]
    assert asked == [length, positions or length]


def test_at_the_context_site_the_output_has_all_positions(
    any_model: PreTrainedModel, batch: Batch
) -> None:
    with first_position_only(any_model, "context"):
        assert output_of(any_model, batch).shape[:2] == batch["input_ids"].shape


def test_the_encoder_is_as_before_afterwards(any_model: PreTrainedModel, batch: Batch) -> None:
    with pytest.raises(RuntimeError, match="stop"), first_position_only(any_model):
        raise RuntimeError("stop")
    assert output_of(any_model, batch).shape[:2] == batch["input_ids"].shape
