"""What kind of model is refused before training, and with what advice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification, PreTrainedConfig

from rxtune.errors import ModelError
from rxtune.train import EncoderWeights, build_model
from rxtune.train.probe import check_encoder

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
    "pad_token_id": 1,
}
HEADS = {"num_attention_heads": 2}


def weights(config: PreTrainedConfig) -> EncoderWeights:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config)
    return EncoderWeights(config, {n: t.numpy() for n, t in model.state_dict().items()})


def check(config: PreTrainedConfig, longest: int = 12, **options: Any) -> None:
    check_encoder(weights(config), pad_id=1, longest=longest, **options)


def test_an_encoder_is_accepted_up_to_its_last_position() -> None:
    config = transformers.BertConfig(**SIZES, **HEADS)
    check(config, longest=20, has_token_types=True, sites=("word", "context"))


def test_texts_longer_than_the_positions_are_refused() -> None:
    config = transformers.BertConfig(**SIZES, **HEADS)
    with pytest.raises(ModelError, match=r"take texts of 21 tokens.*max_length.*positions: 20"):
        check(config, longest=21)


def test_token_types_that_an_encoder_has_not_are_refused() -> None:
    config = transformers.XLMRobertaConfig(**SIZES, **HEADS, type_vocab_size=1)
    check(config)
    with pytest.raises(ModelError, match=r"'xlm-roberta' must take texts .*token_type_ids"):
        check(config, has_token_types=True)


def test_a_decoder_is_refused() -> None:
    config = transformers.GPT2Config(
        vocab_size=60, n_embd=16, n_layer=1, n_head=2, n_positions=20, pad_token_id=1
    )
    with pytest.raises(ModelError, match=r"'gpt2' must read a text in both directions"):
        check(config)


def test_an_encoder_that_reads_its_padding_is_refused() -> None:
    config = transformers.FNetConfig(**SIZES)
    with pytest.raises(ModelError, match=r"'fnet' must .* whatever pads its batch"):
        check(config)


def test_an_encoder_that_pads_its_texts_itself_is_refused() -> None:
    config = transformers.LongformerConfig(**SIZES, **HEADS, attention_window=8)
    with pytest.raises(ModelError, match=r"'longformer' cannot be perturbed at site 'word'"):
        check(config)


def test_the_sites_that_work_are_named() -> None:
    config = transformers.AlbertConfig(**SIZES, **HEADS, embedding_size=8)
    check(config, sites=("word",))
    with pytest.raises(ModelError, match=r"site 'context': .*sites that work: word"):
        check(config, sites=("word", "context"))


def test_a_model_with_a_decoder_beside_its_encoder_is_refused() -> None:
    config = transformers.BartConfig(vocab_size=60, d_model=16)
    with pytest.raises(ModelError, match="'bart': it must be an encoder alone, but has a decoder"):
        build_model(EncoderWeights(config, {}), ("a", "b"), seed=0)


def test_an_encoder_without_word_embeddings_is_refused() -> None:
    config = transformers.CanineConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_hash_buckets=64
    )
    with pytest.raises(ModelError, match="'canine': it must look its tokens up in an embedding"):
        build_model(EncoderWeights(config, {}), ("a", "b"), seed=0)


def test_a_model_without_a_sequence_classifier_is_refused() -> None:
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(ModelError, match="'vit': transformers must have a sequence classifier"):
        build_model(EncoderWeights(config, {}), ("a", "b"), seed=0)


def test_attention_that_an_encoder_has_not_is_refused() -> None:
    config = transformers.DebertaV2Config(**SIZES, **HEADS)
    with pytest.raises(ModelError, match=r"train.attention .* is 'sdpa'; write auto or eager"):
        build_model(EncoderWeights(config, {}), ("a", "b"), seed=0, attention="sdpa")


def test_an_attention_that_the_encoder_has_not_is_refused() -> None:
    config = transformers.DebertaV2Config(**SIZES, **HEADS, relative_attention=True)
    check(config, attention="eager")
    with pytest.raises(ModelError, match=r"train\.attention must be one .* but is 'sdpa'"):
        check(config, attention="sdpa")
