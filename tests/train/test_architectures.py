"""Each kind of encoder, from a saved folder with its own kind of tokenizer, through our path."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from rxtune.config.configuration import Site
from rxtune.data import load_tokenizer, tokenise
from rxtune.perturb import Perturbation, absolute_radius, measure_unit
from rxtune.train import EncoderWeights, build_model, load_encoder, save_model
from rxtune.train.batches import TokenTable
from rxtune.train.encoder import enable_gradient_checkpointing
from rxtune.train.probe import check_encoder
from rxtune.train.sites import (
    clean_input,
    context_width,
    embedded,
    measure_context_unit,
    perturbed,
)

LABELS = ("yes", "maybe", "no")
TEXTS = [
    ("a dog sleeps under the table", "an animal rests"),
    ("two birds sing", "the birds are quiet in the old garden behind the house"),
    ("she reads a long letter from her sister in the city", "nobody reads"),
    ("rain", "it rains on the roofs and the river rises slowly"),
    ("the children play with a red ball", "children play"),
    ("he never came back", "he stayed away for ever"),
]
WORDS = [text for pair in TEXTS for text in pair]
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
SITES: tuple[Site, ...] = ("word", "context")


def word_pieces(special: list[str]) -> dict[str, int]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(WORDS, trainer)
    return tokenizer.get_vocab()


def unigrams(special: list[str]) -> list[tuple[str, float]]:
    """Return pieces with their scores, the special ones first: ids as the real vocabulary has."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, show_progress=False, unk_token="<unk>")
    tokenizer.train_from_iterator(WORDS, trainer)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [(s, 0.0) for s in special] + [(p, -3.0 - i / 90) for p, i in pieces if p != "<unk>"]


def bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(WORDS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def bert_tokenizer() -> Any:
    return transformers.BertTokenizer(vocab=word_pieces(BERT_SPECIAL))


def xlmr_tokenizer() -> Any:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    return transformers.XLMRobertaTokenizer(vocab=unigrams(special))


def deberta_tokenizer() -> Any:
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]  # [UNK] is 3, as in mDeBERTa
    return transformers.DebertaV2Tokenizer(vocab=unigrams(special), unk_id=3)


def rembert_tokenizer() -> Any:
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return transformers.RemBertTokenizer(vocab=unigrams(special))


def gemma_tokenizer() -> Any:
    vocabulary, merges = bpe()
    return transformers.GemmaTokenizer(
        vocab=vocabulary, merges=merges, add_bos_token=True, add_eos_token=True
    )


@dataclass(frozen=True)
class Kind:
    """An architecture as its published checkpoints are: config, tokenizer, saved class."""

    config: Callable[..., PreTrainedConfig]
    tokenizer: Callable[[], Any]
    saved_as: str
    options: dict[str, Any]


KINDS = {
    "bert": Kind(transformers.BertConfig, bert_tokenizer, "AutoModelForMaskedLM", {}),
    "distilbert": Kind(
        lambda **sizes: transformers.DistilBertConfig(
            dim=16,
            n_layers=2,
            n_heads=2,
            hidden_dim=24,
            initializer_range=0.3,
            **{k: sizes[k] for k in ("vocab_size", "pad_token_id", "max_position_embeddings")},
        ),
        bert_tokenizer,
        "AutoModelForMaskedLM",
        {},
    ),
    "xlm-roberta": Kind(
        transformers.XLMRobertaConfig,
        xlmr_tokenizer,
        "AutoModelForMaskedLM",
        {"type_vocab_size": 1, "bos_token_id": 0, "eos_token_id": 2},
    ),
    "mdeberta-v3": Kind(
        transformers.DebertaV2Config,
        deberta_tokenizer,
        "AutoModel",
        {
            "relative_attention": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "mmbert": Kind(
        transformers.ModernBertConfig,
        gemma_tokenizer,
        "AutoModelForMaskedLM",
        {
            "bos_token_id": 2,
            "eos_token_id": 1,
            "cls_token_id": 2,
            "sep_token_id": 1,
            "global_attn_every_n_layers": 2,
            "local_attention": 8,
            "classifier_pooling": "mean",
        },
    ),
    "electra": Kind(
        transformers.ElectraConfig,
        bert_tokenizer,
        "AutoModelForPreTraining",
        {"embedding_size": 8},
    ),
    "rembert": Kind(
        transformers.RemBertConfig,
        rembert_tokenizer,
        "AutoModel",
        {
            "input_embedding_size": 8,
            "output_embedding_size": 12,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
    ),
}


@dataclass(frozen=True)
class Ready:
    """An encoder as a search has it: loaded, with tokens made by its tokenizer."""

    folder: Path
    tokenizer: Any
    weights: EncoderWeights
    table: pa.Table

    def model(self, **options: Any) -> PreTrainedModel:
        return build_model(self.weights, LABELS, seed=0, **options).eval()

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @property
    def inputs(self) -> dict[str, Tensor]:
        batch = TokenTable(self.table, pad_id=self.pad_id).batch(np.arange(len(TEXTS)))
        return {name: tensor for name, tensor in batch.items() if name != "labels"}


LABEL_IDS = torch.arange(len(TEXTS)) % len(LABELS)


def save(kind: Kind, folder: Path) -> None:
    tokenizer = kind.tokenizer()
    config = kind.config(
        **SIZES,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        **kind.options,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        getattr(transformers, kind.saved_as).from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module", params=KINDS)
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("kinds") / request.param
    save(KINDS[request.param], folder)
    tokenizer = load_tokenizer(folder)
    premises, hypotheses = zip(*TEXTS, strict=True)
    text = pa.table(
        {"id": WORDS[: len(TEXTS)], "text": premises, "text_pair": hypotheses}
    ).append_column("label", pa.array(LABEL_IDS.tolist(), pa.int64()))
    return Ready(folder, tokenizer, load_encoder(folder), tokenise(text, tokenizer, 48))


def losses(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    return functional.cross_entropy(model(**inputs).logits, LABEL_IDS, reduction="none")


@contextmanager
def calls_of(model: PreTrainedModel) -> Iterator[list[str]]:
    """Note which modules that have weights are called."""
    called: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, _o, name=name: called.append(name))
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    yield called
    for hook in hooks:
        hook.remove()


# --- tokens


def test_the_tokenizer_is_of_the_encoders_kind(ready: Ready) -> None:
    ids, mask = ready.inputs["input_ids"], ready.inputs["attention_mask"]
    assert ready.pad_id == ready.weights.config.pad_token_id
    assert (ids[mask == 0] == ready.pad_id).all()
    assert not (ids[mask == 1] == ready.pad_id).any()
    assert (mask.diff(dim=1) <= 0).all(), "padding is on the right"
    assert (mask == 0).any()
    unknown = (ids == ready.tokenizer.unk_token_id)[mask == 1]
    assert unknown.float().mean() < 0.1
    assert len(set(ids[:, 0].tolist())) == 1, "the first token is the one that heads pool"


def test_a_search_accepts_it_at_both_sites(ready: Ready) -> None:
    check_encoder(
        ready.weights,
        pad_id=ready.pad_id,
        longest=40,
        has_token_types="token_type_ids" in ready.inputs,
        sites=SITES,
    )


# --- the path


@pytest.mark.parametrize("site", SITES)
@torch.no_grad()
def test_at_delta_zero_the_logits_are_exactly_the_plain_ones(ready: Ready, site: Site) -> None:
    model, inputs = ready.model(), ready.inputs
    plain = model(**inputs).logits
    clean = clean_input(model, inputs, site)
    with perturbed(model, torch.zeros_like(clean), site):
        assert torch.equal(model(**inputs).logits, plain)
    with embedded(model, clean, site):
        assert torch.equal(model(**inputs).logits, plain)
    assert torch.equal(model(**inputs).logits, plain)


@pytest.mark.parametrize("site", SITES)
@torch.no_grad()
def test_adding_delta_is_giving_the_sum(ready: Ready, site: Site) -> None:
    model, inputs = ready.model(), ready.inputs
    clean = clean_input(model, inputs, site)
    delta = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with perturbed(model, delta, site):
        added = model(**inputs).logits
    with embedded(model, clean + delta, site):
        given = model(**inputs).logits
    torch.testing.assert_close(added, given, atol=0, rtol=0)
    assert (added - model(**inputs).logits).abs().max() > 1e-3


@torch.no_grad()
def test_a_prediction_depends_on_padding_by_rounding_only(ready: Ready) -> None:
    model, inputs = ready.model(), ready.inputs
    together = model(**inputs).logits
    for row, length in enumerate(inputs["attention_mask"].sum(dim=1).tolist()):
        alone = {name: tensor[row : row + 1, :length] for name, tensor in inputs.items()}
        torch.testing.assert_close(model(**alone).logits[0], together[row], atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_delta_moves_the_word_embeddings_where_it_is_not_zero(ready: Ready) -> None:
    model, inputs = ready.model(), ready.inputs
    words = model.get_input_embeddings()
    clean = words(inputs["input_ids"])
    assert clean.shape[-1] == ready.weights.word_embeddings.shape[1]
    # No constant: a layer norm would take it out again.
    delta = inputs["attention_mask"][..., None] * torch.linspace(-1, 1, clean.shape[-1])
    seen: list[Tensor] = []
    with perturbed(model, delta):
        after = words.register_forward_hook(lambda _m, _i, output: seen.append(output))
        moved = model(**inputs).logits
        after.remove()
    assert len(seen) == 1
    torch.testing.assert_close(seen[0] - clean, delta)
    assert not torch.allclose(moved, model(**inputs).logits)


@pytest.mark.parametrize("site", SITES)
def test_projected_ascent_raises_every_loss(ready: Ready, site: Site) -> None:
    model, inputs = ready.model(), ready.inputs
    with torch.no_grad():
        clean, before = clean_input(model, inputs, site), losses(model, inputs)

    def loss_of(embeddings: Tensor) -> Tensor:
        with embedded(model, embeddings, site):
            return losses(model, inputs)

    if site == "word":
        unit = measure_unit(ready.weights.word_embeddings, inputs["input_ids"].numpy())
    else:
        unit = measure_context_unit(model, ready.table, ready.pad_id)
    ascent = Perturbation(radius=absolute_radius(0.03, unit, clean.shape[-1], "l2"), pgd_steps=3)
    delta = ascent(loss_of, clean, inputs["attention_mask"], torch.Generator())
    with torch.no_grad(), perturbed(model, delta, site):
        after = losses(model, inputs)
    assert (delta[inputs["attention_mask"] == 0] == 0).all()
    assert (after > before).all()


# --- the context site


@torch.no_grad()
def test_only_pooler_and_head_run_on_a_given_context(ready: Ready) -> None:
    model, inputs = ready.model(), ready.inputs
    context = clean_input(model, inputs, "context")
    assert context.shape == (*inputs["input_ids"].shape, context_width(model))
    prefix = model.base_model_prefix
    with embedded(model, context, "context"), calls_of(model) as called:
        model(**inputs)
    assert called
    assert [n for n in called if n.startswith(prefix) and ".pooler." not in n] == []
    with perturbed(model, torch.zeros_like(context), "context"), calls_of(model) as called:
        model(**inputs)
    assert called.count(f"{prefix}.{encoder_layer(model)}") == 1
    assert len([name for name in called if ".pooler." in name]) <= 1


def encoder_layer(model: PreTrainedModel) -> str:
    """Return the name of the last linear map inside the encoder's stack."""
    return [
        name
        for name, module in model.base_model.named_modules()
        if isinstance(module, torch.nn.Linear) and ("layer.1." in name or "layers.1." in name)
    ][-1]


def test_gradients_flow_to_delta_and_the_encoder_at_the_context_site(ready: Ready) -> None:
    model, inputs = ready.model(), ready.inputs
    with torch.no_grad():
        clean = clean_input(model, inputs, "context")
    delta = torch.zeros_like(clean, requires_grad=True)
    with perturbed(model, delta, "context"):
        losses(model, inputs).sum().backward()
    assert delta.grad is not None
    assert delta.grad.abs().sum() > 0
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0
    given = clean.clone().requires_grad_(True)
    with embedded(model, given, "context"):
        (gradient,) = torch.autograd.grad(losses(model, inputs).sum(), [given])
    torch.testing.assert_close(gradient, delta.grad)


@pytest.mark.parametrize("site", SITES)
def test_inner_passes_draw_the_dropout_masks_of_the_last_one(ready: Ready, site: Site) -> None:
    model, inputs = ready.model().train(), ready.inputs
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    torch.manual_seed(0)
    start = torch.get_rng_state()
    with torch.no_grad():
        clean = clean_input(model, inputs, site)
        after_site = torch.get_rng_state()
        with embedded(model, clean, site):
            inner = model(**inputs).logits
        torch.set_rng_state(after_site)
        with embedded(model, clean, site):
            again = model(**inputs).logits
        torch.set_rng_state(start)
        with perturbed(model, torch.zeros_like(clean), site):
            last = model(**inputs).logits
    assert torch.equal(again, inner)
    assert torch.equal(last, inner)


@pytest.mark.parametrize("site", SITES)
def test_gradient_checkpointing_works_at_the_site(ready: Ready, site: Site) -> None:
    def gradients(model: PreTrainedModel) -> list[Tensor]:
        inputs = ready.inputs
        torch.manual_seed(0)
        with torch.no_grad():
            clean = clean_input(model, inputs, site)
        given = clean.requires_grad_(True)
        with embedded(model, given, site):
            (inner,) = torch.autograd.grad(losses(model, inputs).sum(), [given])
        with perturbed(model, 0.1 * inner, site):
            losses(model, inputs).sum().backward()
        return [inner, *(p.grad for p in model.parameters() if p.grad is not None)]

    plain = ready.model().train()
    saving = ready.model().train()
    enable_gradient_checkpointing(saving)
    for ours, expected in zip(gradients(saving), gradients(plain), strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_unit_at_the_context_site_is_the_median_norm(ready: Ready) -> None:
    model, inputs = ready.model().train(), ready.inputs
    unit = measure_context_unit(model, ready.table, ready.pad_id)
    assert model.training
    with torch.no_grad():
        context = clean_input(model.eval(), inputs, "context")
    norms = context.norm(dim=-1)[inputs["attention_mask"].bool()]
    assert unit == pytest.approx(norms.median().item(), rel=1e-4)


# --- to disk and back


@torch.no_grad()
def test_a_saved_model_gives_equal_logits_as_transformers_loads_it(
    ready: Ready, tmp_path: Path
) -> None:
    model = ready.model()
    save_model(model, str(tmp_path / "model"))
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.config.id2label == dict(enumerate(LABELS))
    assert torch.equal(loaded.eval()(**ready.inputs).logits, model(**ready.inputs).logits)


@torch.no_grad()
@pytest.mark.parametrize("saved_as", ["AutoModel", "AutoModelForMaskedLM", "classifier"])
def test_the_encoder_is_the_same_however_it_was_saved(
    ready: Ready, saved_as: str, tmp_path: Path
) -> None:
    first = ready.model()
    context = clean_input(first, ready.inputs, "context")
    if saved_as == "classifier":
        other = build_model(ready.weights, ("a", "b", "c", "d", "e"), seed=5)
    else:
        other = getattr(transformers, saved_as).from_config(ready.weights.config)
        other.base_model.load_state_dict(first.base_model.state_dict(), strict=False)
    other.save_pretrained(tmp_path / "again")
    model = build_model(load_encoder(tmp_path / "again"), LABELS, seed=0).eval()
    assert torch.equal(clean_input(model, ready.inputs, "context"), context)
    assert model(**ready.inputs).logits.shape == (len(TEXTS), len(LABELS))
    assert torch.equal(last_linear(model), last_linear(first)), "the head comes from the seed"


def last_linear(model: PreTrainedModel) -> Tensor:
    head = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    return next(m.weight for m in head if m.out_features == len(LABELS))


@torch.no_grad()
def test_eager_and_fused_attention_agree(ready: Ready) -> None:
    model = ready.model()
    eager = ready.model(attention="eager")
    assert eager.config._attn_implementation == "eager"
    torch.testing.assert_close(
        eager(**ready.inputs).logits, model(**ready.inputs).logits, atol=1e-5, rtol=1e-5
    )
