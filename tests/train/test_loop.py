"""The training loop: ten steps straight are five, a checkpoint, and five."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from rxtune.data.training import PlainData, TrainingData
from rxtune.errors import DamagedCheckpointError, DivergedError, NodeLeavingError, StudyError
from rxtune.perturb import Perturbation
from rxtune.results import Evaluation
from rxtune.train import EncoderWeights, FineTuned, TrainSettings, build_model, fine_tune
from rxtune.train import checkpoint as checkpoints
from rxtune.train.batches import TrainingBatches
from rxtune.train.checkpoint import FILE_NAME
from rxtune.train.evaluate import predict_by_language

SMOOTH_ADV = Perturbation(sigma=0.01, radius=0.02, pgd_steps=2)
METHODS = pytest.mark.parametrize("perturbation", [None, SMOOTH_ADV], ids=["plain", "smooth_adv"])


class Stop(Exception):
    """Raised by a callback, as Ray stops a trial."""


class Trainer:
    """Fine-tunes a fresh model on 80 rows: ten updates of eight, two evaluations."""

    def __init__(
        self,
        weights: EncoderWeights,
        train: pa.Table | TrainingData,
        dev: Mapping[str, pa.Table],
    ) -> None:
        self.weights, self.train, self.dev = weights, train, dev

    def model(self) -> PreTrainedModel:
        return build_model(self.weights, ("a", "b", "c"), seed=0)

    def __call__(
        self,
        settings: TrainSettings,
        model: PreTrainedModel,
        told: Callable[[Evaluation], Any] = lambda _: None,
        **values: Any,
    ) -> FineTuned:
        return fine_tune(
            model,
            self.train,
            self.dev,
            settings,
            pad_id=1,
            on_evaluation=told,
            **{"objectives": lambda scores, cost: (scores["qaa"],), **values},
        )


@pytest.fixture
def trainer(weights: EncoderWeights, make_table: Callable[..., pa.Table]) -> Trainer:
    dev = {"eng": make_table(20, seed=5), "qaa": make_table(16, seed=6)}
    return Trainer(weights, make_table(80), dev)


def stop(_: Evaluation) -> None:
    raise Stop


def same(one: PreTrainedModel, other: PreTrainedModel) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def without_time(evaluation: Evaluation) -> dict[str, Any]:
    record = evaluation.to_json()
    return {name: value for name, value in record.items() if name not in ("seconds", "time")}


@METHODS
@pytest.mark.parametrize("scheme", ["path", "uri"])
def test_ten_steps_straight_are_five_a_checkpoint_and_five(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    tmp_path: Path,
    perturbation: Perturbation | None,
    scheme: str,
) -> None:
    settings = make_settings(perturbation=perturbation)
    folder = str(tmp_path / "c") if scheme == "path" else (tmp_path / "c").as_uri()
    straight = trainer.model()
    expected = trainer(settings, straight)
    assert expected.updates == 10

    with pytest.raises(Stop):
        trainer(settings, trainer.model(), stop, checkpoint_folder=folder)
    torch.rand(11)  # the process that goes on is another one
    resumed, told = trainer.model(), list[Evaluation]()
    found = trainer(settings, resumed, told.append, checkpoint_folder=folder)

    assert same(resumed, straight)
    assert [without_time(e) for e in told] == [without_time(e) for e in expected.evaluations]
    assert found.evaluations == tuple(told)
    assert found.forward_equivalents == expected.forward_equivalents
    assert found.seconds > told[0].seconds


class Notice:
    """Asked before every update; says that the machine leaves when it is asked the nth time."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@METHODS
@pytest.mark.parametrize("updates", [0, 3, 7])
def test_a_run_that_must_leave_between_evaluations_goes_on_to_the_same_bits(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    tmp_path: Path,
    perturbation: Perturbation | None,
    updates: int,
) -> None:
    settings, folder = make_settings(perturbation=perturbation), str(tmp_path)
    straight, resumed, told = trainer.model(), trainer.model(), list[Evaluation]()
    expected = trainer(settings, straight)

    with pytest.raises(NodeLeavingError, match=f"update {updates} of 10: the machine leaves"):
        trainer(settings, trainer.model(), must_leave=Notice(updates), checkpoint_folder=folder)
    torch.rand(11)  # the process that goes on is another one
    asked = Notice(100)
    found = trainer(settings, resumed, told.append, must_leave=asked, checkpoint_folder=folder)

    assert asked.left == 100 - (10 - updates)  # nothing is trained twice
    assert same(resumed, straight)
    assert [without_time(e) for e in told] == [without_time(e) for e in expected.evaluations]
    assert found.forward_equivalents == expected.forward_equivalents


def test_a_run_may_be_broken_off_between_two_evaluations_twice(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    straight, resumed = trainer.model(), trainer.model()
    expected = trainer(make_settings(), straight)
    for _ in range(2):
        with pytest.raises(NodeLeavingError):
            trainer(
                make_settings(),
                trainer.model(),
                must_leave=Notice(2),
                checkpoint_folder=str(tmp_path),
            )
    found = trainer(make_settings(), resumed, checkpoint_folder=str(tmp_path))
    assert same(resumed, straight)
    assert [e.train_loss for e in found.evaluations] == [
        e.train_loss for e in expected.evaluations
    ]


def test_the_time_before_a_notice_counts(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr("rxtune.train.loop.time.perf_counter", lambda: next(clock))
    with pytest.raises(NodeLeavingError):
        trainer(
            make_settings(),
            trainer.model(),
            must_leave=Notice(7),
            checkpoint_folder=str(tmp_path),
        )
    found = trainer(make_settings(), trainer.model(), checkpoint_folder=str(tmp_path))
    # 100 s to the first evaluation and 100 more to the notice; then as many as it took.
    assert found.evaluations[0].seconds == 100
    assert found.evaluations[1].seconds == 300


def test_a_checkpoint_that_cannot_be_written_is_told_of_and_the_older_one_stays(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, trouble = make_settings(), list[str]()
    straight, resumed = trainer.model(), trainer.model()
    trainer(settings, straight)

    write, times = checkpoints.save_file, iter(range(10))

    def failing_later(*values: Any) -> None:
        if next(times):
            raise OSError(5, "Input/output error")  # a mock of a store that fails after a while
        write(*values)

    monkeypatch.setattr(checkpoints, "save_file", failing_later)
    where = {"checkpoint_folder": str(tmp_path), "on_storage_trouble": trouble.append}
    found = trainer(settings, trainer.model(), **where)
    assert len(found.evaluations) == 2
    assert trouble == ["a checkpoint was not written ([Errno 5] Input/output error)"]

    monkeypatch.undo()
    asked = Notice(100)
    trainer(settings, resumed, must_leave=asked, checkpoint_folder=str(tmp_path))
    assert asked.left == 95
    assert same(resumed, straight)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_half_a_checkpoint_is_told_of_and_the_run_starts_again(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path, share: float
) -> None:
    straight, again, trouble = trainer.model(), trainer.model(), list[str]()
    trainer(make_settings(), straight, checkpoint_folder=str(tmp_path))
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DamagedCheckpointError):
        trainer(make_settings(), trainer.model(), checkpoint_folder=str(tmp_path))
    trainer(
        make_settings(),
        again,
        checkpoint_folder=str(tmp_path),
        on_storage_trouble=trouble.append,
    )
    assert same(again, straight)
    (line,) = trouble
    assert line.startswith("a checkpoint was not read, so the training starts again (checkpoint ")


def test_words_drawn_anew_every_epoch_resume_to_the_same_weights(
    weights: EncoderWeights,
    make_table: Callable[..., pa.Table],
    make_settings: Callable[..., TrainSettings],
    tmp_path: Path,
) -> None:
    class Changing:
        examples = 24

        def table(self, epoch: int) -> pa.Table:
            return make_table(24, seed=100 + epoch)

    class Same(Changing):
        def table(self, epoch: int) -> pa.Table:
            return super().table(0)

    dev = {"qaa": make_table(16, seed=6)}
    # The checkpoint lies after update 4 of 7: inside the second epoch of three.
    settings = make_settings(epochs=2.4, evaluations=2)
    straight = Trainer(weights, Changing(), dev)
    expected, resumed, unchanged = (straight.model() for _ in range(3))
    assert straight(settings, expected).updates == 7
    with pytest.raises(Stop):
        straight(settings, straight.model(), stop, checkpoint_folder=str(tmp_path))
    straight(settings, resumed, checkpoint_folder=str(tmp_path))
    assert same(resumed, expected)
    Trainer(weights, Same(), dev)(settings, unchanged)
    assert not same(unchanged, expected)


def test_a_run_resumed_after_its_end_only_tells_again(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    done, again, told = trainer.model(), trainer.model(), list[Evaluation]()
    first = trainer(make_settings(), done, checkpoint_folder=str(tmp_path))
    second = trainer(make_settings(), again, told.append, checkpoint_folder=str(tmp_path))
    assert same(done, again)
    assert tuple(told) == first.evaluations == second.evaluations


def test_without_resume_a_run_starts_again(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    trainer(make_settings(), trainer.model(), checkpoint_folder=str(tmp_path))
    told: list[Evaluation] = []
    with pytest.raises(Stop):
        trainer(
            make_settings(),
            trainer.model(),
            lambda e: (told.append(e), stop(e)),
            checkpoint_folder=str(tmp_path),
            resume=False,
        )
    assert [e.number for e in told] == [1]


def test_the_checkpoint_is_there_before_the_evaluation_is_told(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    there: list[bool] = []
    trainer(
        make_settings(),
        trainer.model(),
        lambda _: there.append((tmp_path / FILE_NAME).is_file()),
        checkpoint_folder=str(tmp_path),
    )
    assert there == [True, True]


@METHODS
def test_a_run_depends_on_its_seed_and_not_on_the_global_random_state(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    perturbation: Perturbation | None,
) -> None:
    first, second, other = (trainer.model() for _ in range(3))
    torch.manual_seed(1)
    trainer(make_settings(perturbation=perturbation), first)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    trainer(make_settings(perturbation=perturbation), second)
    assert torch.equal(torch.get_rng_state(), before)
    trainer(make_settings(perturbation=perturbation, seed=1), other)
    assert same(first, second)
    assert not same(first, other)


def test_evaluations_come_at_equal_shares_and_at_the_end(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    told: list[Evaluation] = []
    trainer(make_settings(evaluations=4, epochs=1.5), trainer.model(), told.append)
    assert [(e.number, e.updates) for e in told] == [(1, 4), (2, 8), (3, 11), (4, 15)]
    assert all(e.value == e.accuracy["qaa"] for e in told)
    assert [e.seconds for e in told] == sorted(e.seconds for e in told)


def test_an_evaluation_keeps_what_is_compared_and_the_first_is_its_value(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    found = trainer(
        make_settings(),
        trainer.model(),
        metric="macro_f1",
        objectives=lambda scores, cost: (min(scores.values()), cost),
    )
    for evaluation in found.evaluations:
        assert evaluation.scores == evaluation.macro_f1
        assert evaluation.value == min(evaluation.macro_f1.values())
        assert evaluation.objectives == (evaluation.value, evaluation.forward_equivalents)
        assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_one_objective_is_the_value_alone(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    found = trainer(make_settings(), trainer.model())
    assert {evaluation.objectives for evaluation in found.evaluations} == {()}
    assert {evaluation.metric for evaluation in found.evaluations} == {"accuracy"}


def test_the_last_predictions_are_those_of_the_model_it_leaves(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    model, again = trainer.model(), trainer.model()
    found = trainer(make_settings(), model, checkpoint_folder=str(tmp_path))
    expected = predict_by_language(model, trainer.dev, pad_id=1)
    resumed = trainer(make_settings(), again, checkpoint_folder=str(tmp_path))
    for predictions in (found.predictions, resumed.predictions):
        assert predictions.keys() == expected.keys()
        assert all((predictions[lang] == expected[lang]).all() for lang in expected)


def test_plain_training_is_that_of_a_loop_by_hand(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    ours, by_hand = trainer.model(), trainer.model()
    for layer in (m for model in (ours, by_hand) for m in model.modules()):
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # the fast layers draw other numbers
    settings = make_settings(epochs=2.0)
    found = trainer(settings, ours)

    assert isinstance(trainer.train, pa.Table)
    batches = TrainingBatches(PlainData(trainer.train), pad_id=1, batch_size=8, seed=0)
    optimiser = torch.optim.AdamW(by_hand.parameters(), weight_decay=0.0)
    losses = []
    for update in range(20):
        optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - update / 20)
        optimiser.zero_grad()
        loss = by_hand.train()(**batches.batch(update)).loss
        loss.backward()
        nn.utils.clip_grad_norm_(by_hand.parameters(), settings.clip_norm)
        optimiser.step()
        losses.append(loss.item())
    assert [e.train_loss for e in found.evaluations] == pytest.approx(
        [sum(losses[:10]) / 10, sum(losses[10:]) / 10], rel=1e-4
    )
    for name, weight in by_hand.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name), weight, atol=2e-4, rtol=1e-3)


def test_cost_adds_up_over_examples(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    found = trainer(make_settings(perturbation=SMOOTH_ADV, batch_size=32), trainer.model())
    assert found.forward_equivalents == 80 * (3 + 2 * 2)


def test_training_lowers_the_training_loss(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    settings = make_settings(learning_rate=1e-2, epochs=8.0, evaluations=4)
    losses = [e.train_loss for e in trainer(settings, trainer.model()).evaluations]
    assert losses[-1] < 0.9 * losses[0]


def test_the_learning_rate_falls_linearly_to_zero(
    trainer: Trainer,
    make_settings: Callable[..., TrainSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []

    def record(model: Any, optimiser: torch.optim.Optimizer, *_: Any) -> torch.Tensor:
        rates.append(optimiser.param_groups[0]["lr"])
        return torch.zeros(())

    monkeypatch.setattr("rxtune.train.loop.robust_step", record)
    trainer(make_settings(learning_rate=1.0), trainer.model())
    assert rates == pytest.approx([1 - update / 10 for update in range(10)])


def test_divergence_says_at_which_update(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    model = trainer.model()
    with torch.no_grad():
        model.classifier.bias[0] = float("inf")
    with pytest.raises(DivergedError, match=r"update 1 of 10: loss and gradient must be finite"):
        trainer(make_settings(), model)


def test_more_evaluations_than_updates_are_refused(
    trainer: Trainer, make_settings: Callable[..., TrainSettings]
) -> None:
    with pytest.raises(StudyError, match=r"there are 10 updates and 11 evaluations"):
        trainer(make_settings(evaluations=11), trainer.model())


@pytest.mark.parametrize("values", [{"precision": "bf16"}, {"gradient_checkpointing": True}])
def test_savings_of_time_and_memory_train_too(
    trainer: Trainer, make_settings: Callable[..., TrainSettings], values: dict[str, Any]
) -> None:
    plain, saving = trainer.model(), trainer.model()
    trainer(make_settings(perturbation=SMOOTH_ADV), plain)
    trainer(make_settings(perturbation=SMOOTH_ADV, **values), saving)
    for one, other in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-2, rtol=0)
