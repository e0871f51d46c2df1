"""How much of a small perturbation's effect on the logits bf16 autocast loses, and where.

    python benchmarks/bf16_effect.py > benchmarks/results/bf16_effect.md

The effect is f(e + delta) - f(e). Its error under bf16 is the L2 norm of its difference from the
effect in fp32, in percent of that. Delta is the direction of steepest ascent (as PGD takes it) or
random, of relative radius rho per token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedModel,
)

from rxtune.perturb import Perturbation, absolute_radius
from rxtune.train import sites

RADII = (0.003, 0.01, 0.03, 0.1)
SIZES: dict[str, Any] = {
    "vocab_size": 500,
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "num_labels": 3,
    "pad_token_id": 0,
}
MODELS: dict[str, Callable[[], Any]] = {
    "BERT": lambda: BertConfig(**SIZES),
    "ELECTRA": lambda: ElectraConfig(**SIZES, embedding_size=64),
    "mDeBERTa-v3": lambda: DebertaV2Config(**SIZES, relative_attention=True),
    "ModernBERT": lambda: ModernBertConfig(**SIZES, bos_token_id=1, eos_token_id=2),
}
PLACES = ("autocast as it is", "embedding block in fp32", "... and first layer", "all in fp32")


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"# Error of a perturbation's effect under bf16 autocast, in percent\n\n{__doc__}")
    print("Random weights, 6 layers of width 128, 32 texts of 24 tokens, CPU, torch", end=" ")
    print(f"{torch.__version__}.\n\n| encoder | delta | rho | {' | '.join(PLACES)} |")
    print("|" + "---|" * (3 + len(PLACES)))
    for name, config in MODELS.items():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config()).eval()
        inputs = {"input_ids": torch.randint(3, 500, (32, 24))}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        for kind in ("ascent", "random"):
            for rho in RADII:
                delta = direction(model, inputs, kind, rho)
                errors = (f"{100 * error(model, inputs, delta, place):.1f}" for place in PLACES)
                print(f"| {name} | {kind} | {rho} | {' | '.join(errors)} |", flush=True)


def direction(model: PreTrainedModel, inputs: dict[str, Tensor], kind: str, rho: float) -> Tensor:
    """Return delta (B, T, H) of relative radius rho per token, computed in fp32."""
    clean = sites.clean_input(model, inputs, "word").detach()
    unit = clean.norm(dim=-1).median().item()
    radius = absolute_radius(rho, unit, clean.shape[-1], "l2")
    if kind == "random":
        draw = torch.randn_like(clean)
        return radius * draw / draw.norm(dim=-1, keepdim=True)
    labels = torch.arange(len(clean)) % 3

    def loss_of(embeddings: Tensor) -> Tensor:
        with sites.embedded(model, embeddings):
            return functional.cross_entropy(model(**inputs).logits, labels, reduction="none")

    ascent = Perturbation(radius=radius, pgd_steps=1, step_size=1.0)
    return ascent(loss_of, clean, inputs["attention_mask"], torch.Generator())


@torch.no_grad()
def error(model: PreTrainedModel, inputs: dict[str, Tensor], delta: Tensor, place: str) -> float:
    """Return the relative error of delta's effect on the logits."""
    exact = effect(model, inputs, delta, "all in fp32")
    return float((effect(model, inputs, delta, place) - exact).norm() / exact.norm())


def effect(model: PreTrainedModel, inputs: dict[str, Tensor], delta: Tensor, place: str) -> Tensor:
    """Return f(e + delta) - f(e), (B, C), with some modules kept out of autocast."""
    autocast = (
        nullcontext() if place == "all in fp32" else torch.autocast("cpu", dtype=torch.bfloat16)
    )
    with ExitStack() as stack:
        for module in kept_in_fp32(model, place):
            stack.enter_context(without_autocast(module))
        stack.enter_context(autocast)
        logits = []
        for moved in (delta, torch.zeros_like(delta)):
            hook = model.get_input_embeddings().register_forward_hook(
                lambda _m, _i, output, moved=moved: output + moved
            )
            logits.append(model(**inputs).logits.float())
            hook.remove()
    return logits[0] - logits[1]


def kept_in_fp32(model: PreTrainedModel, place: str) -> list[nn.Module]:
    """Return the modules that a variant keeps out of autocast."""
    if place in (PLACES[0], PLACES[3]):
        return []
    projection = getattr(model.base_model, "embeddings_project", None)
    block = [model.base_model.embeddings, *([projection] if projection else [])]
    layers = getattr(model.base_model, "layers", None) or model.base_model.encoder.layer
    return block if place == PLACES[1] else [*block, layers[0]]


@contextmanager
def without_autocast(module: nn.Module) -> Iterator[None]:
    """Run a module with autocast switched off."""
    plain = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return plain(*args, **kwargs)

    module.forward = forward
    yield
    del module.forward


if __name__ == "__main__":
    main()
