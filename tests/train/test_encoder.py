"""Loading an encoder, building a classifier on it, and the hook that perturbs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig, PreTrainedModel

from rxtune.errors import ModelError
from rxtune.train import (
    EncoderWeights,
    build_model,
    default_learning_rate,
    load_encoder,
    perturbed,
)
from rxtune.train.encoder import enable_gradient_checkpointing
from rxtune.train.sites import embedded

LABELS = ("yes", "maybe", "no")
IDS = torch.tensor([[4, 7, 9, 11, 13], [5, 8, 12, 1, 1], [6, 3, 1, 1, 1]])
MASK = (IDS != 1).long()


def word_embeddings(model: PreTrainedModel) -> torch.Tensor:
    return model.get_input_embeddings()(IDS).detach()


# --- trap 1: the hook


@torch.no_grad()
def test_delta_zero_gives_exactly_the_logits_of_the_plain_model(
    any_model: PreTrainedModel,
) -> None:
    plain = any_model(input_ids=IDS, attention_mask=MASK).logits
    embeddings = word_embeddings(any_model)
    with perturbed(any_model, torch.zeros_like(embeddings)):
        assert torch.equal(any_model(input_ids=IDS, attention_mask=MASK).logits, plain)
    with embedded(any_model, embeddings):
        assert torch.equal(any_model(input_ids=IDS, attention_mask=MASK).logits, plain)


@torch.no_grad()
def test_adding_delta_is_replacing_by_the_sum(any_model: PreTrainedModel) -> None:
    embeddings = word_embeddings(any_model)
    delta = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(0))
    with perturbed(any_model, delta):
        added = any_model(input_ids=IDS, attention_mask=MASK).logits
    with embedded(any_model, embeddings + delta):
        replaced = any_model(input_ids=IDS, attention_mask=MASK).logits
    assert torch.equal(added, replaced)
    assert not torch.equal(added, any_model(input_ids=IDS, attention_mask=MASK).logits)


def test_the_hook_is_gone_after_an_error(model: PreTrainedModel) -> None:
    delta = torch.zeros_like(word_embeddings(model))
    with pytest.raises(RuntimeError, match="stop"), perturbed(model, delta):
        raise RuntimeError("stop")
    assert not model.get_input_embeddings()._forward_hooks


# --- trap 2: padding


@torch.no_grad()
def test_a_prediction_does_not_depend_on_the_padding_of_its_batch(
    any_model: PreTrainedModel,
) -> None:
    padded = any_model(input_ids=IDS, attention_mask=MASK).logits[1:2]
    alone = any_model(input_ids=IDS[1:2, :3], attention_mask=MASK[1:2, :3]).logits
    torch.testing.assert_close(padded, alone, atol=1e-6, rtol=1e-5)


# --- trap 8: gradient checkpointing


def test_gradient_checkpointing_keeps_the_gradient_of_delta(any_model: PreTrainedModel) -> None:
    any_model.train()

    def gradient() -> torch.Tensor:
        torch.manual_seed(0)
        delta = torch.zeros_like(word_embeddings(any_model), requires_grad=True)
        with embedded(any_model, word_embeddings(any_model) + delta):
            loss = any_model(input_ids=IDS, attention_mask=MASK).logits.square().sum()
            return torch.autograd.grad(loss, [delta])[0]

    plain = gradient()
    enable_gradient_checkpointing(any_model)
    assert any_model.is_activation_checkpointing
    assert plain.abs().sum() > 0
    torch.testing.assert_close(gradient(), plain)


# --- building


def test_the_head_depends_on_its_seed_alone(weights: EncoderWeights) -> None:
    torch.manual_seed(1)
    first = build_model(weights, LABELS, seed=5).classifier.weight
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(build_model(weights, LABELS, seed=5).classifier.weight, first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(build_model(weights, LABELS, seed=6).classifier.weight, first)


def test_the_encoder_is_copied_in_and_the_labels_are_named(weights: EncoderWeights) -> None:
    model = build_model(weights, LABELS, seed=0)
    for name, parameter in model.bert.named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), weights.state[f"bert.{name}"])
    assert model.config.id2label == {0: "yes", 1: "maybe", 2: "no"}
    assert model.config.label2id == {"yes": 0, "maybe": 1, "no": 2}
    assert len(weights.config.id2label) == 3
    assert "yes" not in weights.config.label2id


@pytest.mark.parametrize("writeable", [True, False])
def test_training_never_changes_the_shared_arrays(
    weights: EncoderWeights, writeable: bool
) -> None:
    for array in weights.state.values():
        array.flags.writeable = writeable  # arrays from the object store are not
    before = {name: array.copy() for name, array in weights.state.items()}
    model = build_model(weights, LABELS, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    model(input_ids=IDS, attention_mask=MASK).logits.square().sum().backward()
    optimiser.step()
    for name, array in weights.state.items():
        np.testing.assert_array_equal(array, before[name])
    assert not np.array_equal(
        model.get_input_embeddings().weight.detach().numpy(), weights.word_embeddings
    )


def test_a_missing_pooler_is_made_from_the_seed(weights: EncoderWeights) -> None:
    state = {name: a for name, a in weights.state.items() if "pooler" not in name}
    bare = EncoderWeights(weights.config, state)
    first, second = (build_model(bare, LABELS, seed=3) for _ in range(2))
    assert torch.equal(first.bert.pooler.dense.weight, second.bert.pooler.dense.weight)


def test_every_kind_of_encoder_is_copied_in(any_model: PreTrainedModel) -> None:
    state = {name: t.numpy().copy() for name, t in any_model.state_dict().items()}
    model = build_model(EncoderWeights(any_model.config, state), LABELS, seed=9)
    prefix = model.base_model_prefix
    for name, tensor in model.state_dict().items():
        if name.startswith((f"{prefix}.", "head.")):  # ModernBERT's head is pretrained
            np.testing.assert_array_equal(tensor.numpy(), state[name], err_msg=name)
        if name == "classifier.weight":
            assert not np.array_equal(tensor.numpy(), state[name])


def test_a_missing_weight_is_refused(weights: EncoderWeights) -> None:
    state = {name: a for name, a in weights.state.items() if "layer.1.attention" not in name}
    with pytest.raises(ModelError, match=r"must hold the weight 'bert.encoder.layer.1.attention"):
        build_model(EncoderWeights(weights.config, state), LABELS, seed=0)


def test_a_weight_of_another_shape_is_refused(weights: EncoderWeights) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    state = {**weights.state, name: weights.state[name][:-1]}
    with pytest.raises(ModelError, match=r"must have the shape \(60, 16\).*but has \(59, 16\)"):
        build_model(EncoderWeights(weights.config, state), LABELS, seed=0)


# --- loading


def test_a_saved_bare_encoder_loads_and_builds(folder: Path) -> None:
    weights = load_encoder(folder)
    stored = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(weights.word_embeddings, stored.numpy())
    model = build_model(weights, LABELS, seed=0)
    assert torch.equal(model.get_input_embeddings().weight, stored)


def test_names_of_tensorflow_times_and_16_bit_weights_are_understood(folder: Path) -> None:
    expected = build_model(load_encoder(folder), LABELS, seed=0).bert.embeddings.LayerNorm
    stored = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor.bfloat16()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(stored, folder / "model.safetensors")
    model = build_model(load_encoder(folder), LABELS, seed=0)
    assert model.dtype == torch.float32
    assert torch.equal(model.bert.embeddings.LayerNorm.weight, expected.weight)


def test_tied_weights_are_found_under_the_name_that_the_file_kept(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    expected = stored.pop("embeddings.word_embeddings.weight")
    kept = {**stored, "cls.predictions.decoder.weight": expected}
    note = {"format": "pt", "embeddings.word_embeddings.weight": "cls.predictions.decoder.weight"}
    save_file(kept, folder / "model.safetensors", metadata=note)
    model = build_model(load_encoder(folder), LABELS, seed=0)
    assert torch.equal(model.get_input_embeddings().weight, expected)


def test_code_beside_the_weights_is_never_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "evil.EvilConfig",
        "AutoModelForSequenceClassification": "evil.Evil",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')")
    build_model(load_encoder(folder), LABELS, seed=0)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil"}))
    with pytest.raises(ModelError, match="not one that this transformers knows"):
        load_encoder(folder)


def test_shards_are_read_together(folder: Path) -> None:
    whole = load_encoder(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, members in shards.items():
        save_file({name: tensors[name] for name in members}, folder / shard)
    index = {name: shard for shard, members in shards.items() for name in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    loaded = load_encoder(folder)
    assert loaded.state.keys() == whole.state.keys()


def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config.json must exist.*hf download"):
        load_encoder(tmp_path / "nowhere")


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle and is not read"):
        load_encoder(folder)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(ModelError, match="must be a safetensors file"):
        load_encoder(folder)


def test_an_unknown_architecture_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "quantum"}')
    with pytest.raises(ModelError, match="not one that this transformers knows"):
        load_encoder(folder)


def test_an_encoder_may_bring_its_own_learning_rate(config: PreTrainedConfig) -> None:
    assert default_learning_rate(config) == 2e-5
    config.rxtune = {"learning_rate": 1e-3}
    assert default_learning_rate(config) == 1e-3
