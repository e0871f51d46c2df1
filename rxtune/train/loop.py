"""The training loop: evaluate, save, tell; then one step after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from rxtune.config.select import Metric
from rxtune.data.training import PlainData, TrainingData
from rxtune.errors import DamagedCheckpointError, DivergedError, NodeLeavingError, StudyError
from rxtune.results import Evaluation
from rxtune.storage import persistently
from rxtune.train.batches import TrainingBatches, to_device
from rxtune.train.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from rxtune.train.cpu import fast_on_cpu
from rxtune.train.encoder import enable_gradient_checkpointing
from rxtune.train.evaluate import predict_by_language
from rxtune.train.last_layer import first_position_only
from rxtune.train.scores import Scores, count_scores
from rxtune.train.settings import TrainSettings
from rxtune.train.step import robust_step

Objectives = Callable[[Mapping[str, float], float], tuple[float, ...]]
"""Scores by language, and the cost so far in forward passes of one example -> what is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned:
    """What a training run cost and gave; the weights are in the model that was handed in."""

    forward_equivalents: float
    """In forward passes of one example: plain step 3, PGD step 3 + 2K."""
    seconds: float
    """Wall time, evaluations included, over all parts of a resumed run."""
    updates: int
    evaluations: tuple[Evaluation, ...]
    predictions: Mapping[str, NDArray[np.int64]]
    """Language -> class ids (N,) of the last evaluation, which the model would give again."""


def fine_tune(
    model: PreTrainedModel,
    train: pa.Table | TrainingData,
    dev_tables: Mapping[str, pa.Table],
    settings: TrainSettings,
    *,
    pad_id: int,
    on_evaluation: Callable[[Evaluation], None],
    objectives: Objectives,
    metric: Metric = "accuracy",
    checkpoint_folder: str | None = None,
    resume: bool = True,
    must_leave: Callable[[], bool] = lambda: False,
    on_storage_trouble: Callable[[str], None] | None = None,
    device: torch.device | str = "cpu",
) -> FineTuned:
    """Train the model in place, and tell of every evaluation.

    At an evaluation the order is: evaluate, save the checkpoint (which holds the evaluation),
    call back. A resumed run calls back first with every evaluation that its checkpoint holds:
    whoever listens may have missed the last one.

    Args:
        model: The classifier, from `build_model`; moved to `device`.
        train: Tokenised training data; a table is the same in every epoch.
        dev_tables: Language -> tokenised dev split.
        settings: How to train.
        pad_id: Token id of padding.
        on_evaluation: Called with every evaluation; what it raises ends the run.
        objectives: Makes of an evaluation what is compared; the first is its value.
        metric: Of the scores that `objectives` is given.
        checkpoint_folder: Path or URI where the run keeps its one checkpoint; None: nowhere.
        resume: Whether to go on from a checkpoint that lies there.
        must_leave: Asked before every update whether to break off with a checkpoint.
        on_storage_trouble: Told in one line that a checkpoint could not be written, so that an
            older one stays, or not be read, so that the run starts again. None: such an error
            ends the run.
        device: Where to train.

    Raises:
        DivergedError: Loss or gradient is not finite.
        DataError: A table or the checkpoint is malformed or belongs to another run.
        NodeLeavingError: `must_leave` has said so; a resume gives the same weights as if not.
        StudyError: There are more evaluations than updates.
    """
    place = _Place(checkpoint_folder, on_storage_trouble)
    run = _Run(model, train, settings, torch.device(device), pad_id, place)
    stops = _evaluation_points(run.total, settings.evaluations)
    with _ready_to_train(run):
        if resume:
            run.go_on()
        for evaluation in (evaluations := run.state.evaluations):
            on_evaluation(evaluation)
        found = None
        for stop in stops[len(evaluations) :]:
            found = run.advance(stop, dev_tables, metric, objectives, must_leave)
            on_evaluation(evaluations[-1])
        if found is None:  # all evaluations were told by an earlier part of the run
            found = predict_by_language(model, dev_tables, pad_id=pad_id)
    return run.outcome(found)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run keeps its checkpoint, and who hears that it could not."""

    folder: str | None
    on_trouble: Callable[[str], None] | None

    @contextmanager
    def bearing(self, what: str, *errors: type[Exception]) -> Iterator[None]:
        """Tell of such errors inside the block, if somebody listens, instead of raising them."""
        try:
            yield
        except errors as error:
            if self.on_trouble is None:
                raise
            self.on_trouble(f"{what} ({str(error).strip().partition(chr(10))[0]})")


class _Run:
    """A model in training with what belongs to it: optimiser, noise, data and place."""

    def __init__(
        self,
        model: PreTrainedModel,
        train: pa.Table | TrainingData,
        settings: TrainSettings,
        device: torch.device,
        pad_id: int,
        place: _Place,
    ) -> None:
        self.began = time.perf_counter()
        data = PlainData(train) if isinstance(train, pa.Table) else train
        nn.Module.to(model, device).train()
        if settings.gradient_checkpointing:
            enable_gradient_checkpointing(model)
        self.model, self.settings, self.device = model, settings, device
        self.pad_id, self.place = pad_id, place
        size = settings.batch_size
        self.batches = TrainingBatches(data, pad_id=pad_id, batch_size=size, seed=settings.seed)
        self.total = settings.updates_of(data.examples)
        self.optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.noise = torch.Generator(device).manual_seed(settings.seed)
        self.state = TrainingState()

    def advance(
        self,
        stop: int,
        dev_tables: Mapping[str, pa.Table],
        metric: Metric,
        objectives: Objectives,
        must_leave: Callable[[], bool],
    ) -> dict[str, NDArray[np.int64]]:
        """Train up to update number `stop`, evaluate, save; return the class ids by language."""
        train_loss = self.train_until(stop, must_leave)
        found = predict_by_language(self.model, dev_tables, pad_id=self.pad_id)
        scores = count_scores(found, dev_tables)
        self.state.evaluations.append(self.record(scores, metric, objectives, train_loss))
        self.save()
        return found

    def outcome(self, predictions: Mapping[str, NDArray[np.int64]]) -> FineTuned:
        """Return what the run has cost and given by now."""
        return FineTuned(
            forward_equivalents=self.state.forward_equivalents,
            seconds=self.seconds,
            updates=self.state.updates,
            evaluations=tuple(self.state.evaluations),
            predictions=predictions,
        )

    def train_until(self, stop: int, must_leave: Callable[[], bool]) -> float:
        """Do the updates up to number `stop`; return the mean loss since the last evaluation."""
        state, settings = self.state, self.settings
        steps = stop - (state.evaluations[-1].updates if state.evaluations else 0)
        # Summed on the device and read once: reading is a sync point.
        loss_sum = torch.tensor(state.loss_sum, device=self.device)
        while state.updates < stop:
            if must_leave():
                self.leave(loss_sum.item())
            batch = to_device(self.batches.batch(state.updates), self.device)
            for group in self.optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - state.updates / self.total)
            try:
                loss_sum += robust_step(self.model, self.optimiser, batch, settings, self.noise)
            except DivergedError as error:
                raise DivergedError(
                    f"update {state.updates + 1} of {self.total}: {error}"
                ) from None
            state.updates += 1
            state.forward_equivalents += (
                len(batch["labels"]) * settings.forward_equivalents_per_example
            )
        state.loss_sum = 0.0
        return loss_sum.item() / steps

    def leave(self, loss_sum: float) -> NoReturn:
        """Save where the run stands and break it off."""
        self.state = replace(self.state, loss_sum=loss_sum, seconds_before=self.seconds)
        self.save()
        raise NodeLeavingError(
            f"update {self.state.updates} of {self.total}: the machine leaves the cluster"
        )

    @property
    def seconds(self) -> float:
        """Wall time so far, earlier parts of the run included."""
        return self.state.seconds_before + time.perf_counter() - self.began

    def record(
        self, scores: Scores, metric: Metric, objectives: Objectives, train_loss: float
    ) -> Evaluation:
        """Return the evaluation that was made just now."""
        compared = objectives(scores.by(metric), self.state.forward_equivalents)
        return Evaluation(
            number=len(self.state.evaluations) + 1,
            updates=self.state.updates,
            value=compared[0],
            accuracy=scores.accuracy,
            macro_f1=scores.macro_f1,
            metric=metric,
            objectives=compared if len(compared) > 1 else (),
            train_loss=train_loss,
            forward_equivalents=self.state.forward_equivalents,
            seconds=self.seconds,
            time=time.time(),
        )

    def save(self) -> None:
        """Write a checkpoint of everything, if there is a place for it."""
        if self.place.folder is None:
            return
        with self.place.bearing("a checkpoint was not written", OSError):
            save_checkpoint(
                self.place.folder,
                self.state,
                self.model,
                self.optimiser,
                self.noise,
                self.settings,
            )

    def go_on(self) -> None:
        """Take up the checkpoint, if there is one."""
        if (folder := self.place.folder) is None:
            return
        training = self.model, self.optimiser, self.noise, self.settings
        told = "a checkpoint was not read, so the training starts again"
        with self.place.bearing(told, OSError, DamagedCheckpointError):
            found = persistently(lambda: load_checkpoint(folder, *training))
            self.state = found or self.state


def _evaluation_points(total: int, evaluations: int) -> list[int]:
    """Return the numbers of updates after which to evaluate: equal shares, the last at the end."""
    if evaluations > total:
        raise StudyError(
            f"training: there must be at least one update per evaluation, but there are {total} "
            f"updates and {evaluations} evaluations; train longer or evaluate less often"
        )
    return [round(total * number / evaluations) for number in range(1, evaluations + 1)]


@contextmanager
def _ready_to_train(run: _Run) -> Iterator[None]:
    """Lend the run random numbers of its own, and let its model compute only what is read."""
    with (
        _own_random_state(run.device, run.settings.seed),
        first_position_only(run.model, run.settings.site),
        fast_on_cpu(run.model, run.device),
    ):
        yield


@contextmanager
def _own_random_state(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the global generators, which dropout draws from, and put them back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
