"""The embedding block under autocast, and tokenizers that only a library we lack can read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from rxtune.data import load_tokenizer
from rxtune.errors import ModelError
from rxtune.train.sites import embedded, perturbed

IDS = torch.tensor([[4, 7, 9, 11, 13], [5, 8, 12, 6, 2]])
SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}


def electra() -> PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.ElectraConfig(**SIZES, embedding_size=8)
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


@torch.no_grad()
def test_the_embedding_block_is_fp32_under_autocast() -> None:
    model = electra()
    seen: list[Tensor] = []
    model.electra.embeddings_project.register_forward_hook(
        lambda _m, _i, output: seen.append(output)
    )
    delta = 1e-4 * torch.ones(2, 5, 8)
    with perturbed(model, delta):
        model(input_ids=IDS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(input_ids=IDS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(input_ids=IDS)
    exact, ours, plain = seen
    assert plain.dtype == torch.bfloat16
    assert torch.equal(ours, exact)


def test_the_model_is_as_before_after_an_error() -> None:
    model = electra()
    for site, width in (("word", 8), ("context", 16)):
        with (
            pytest.raises(RuntimeError, match="stop"),
            embedded(model, torch.zeros(2, 5, width), site),
            perturbed(model, torch.zeros(2, 5, width), site),
        ):
            raise RuntimeError("stop")
        assert not any("forward" in module.__dict__ for module in model.modules())
        assert not model.get_input_embeddings()._forward_hooks


@torch.no_grad()
def test_a_perturbation_adds_to_a_given_context() -> None:
    model = electra()
    given, delta = torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    with embedded(model, given, "context"), perturbed(model, delta, "context"):
        nested = model(input_ids=IDS).logits
    with embedded(model, given + delta, "context"):
        torch.testing.assert_close(nested, model(input_ids=IDS).logits)


@pytest.mark.parametrize(
    ("kind", "file"),
    [("XLMRobertaTokenizer", "sentencepiece.bpe.model"), ("DebertaV2Tokenizer", "spm.model")],
)
def test_a_tokenizer_that_only_sentencepiece_reads_is_refused_with_what_to_do(
    tmp_path: Path, kind: str, file: str
) -> None:
    transformers.XLMRobertaConfig(vocab_size=60).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(f'{{"tokenizer_class": "{kind}"}}')
    (tmp_path / file).write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(ModelError, match=rf"tokenizer.json must be there, but only {file} is"):
        load_tokenizer(tmp_path)
