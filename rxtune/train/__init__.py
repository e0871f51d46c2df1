"""Fine-tuning of one model. Knows nothing of search or tracking: the loop calls back."""

from rxtune.train.encoder import (
    EncoderWeights,
    build_model,
    default_learning_rate,
    load_encoder,
    perturbed,
)
from rxtune.train.evaluate import evaluate, predict
from rxtune.train.loop import FineTuned, fine_tune
from rxtune.train.save import save_model
from rxtune.train.settings import TrainSettings, resolve

__all__ = [
    "EncoderWeights",
    "FineTuned",
    "TrainSettings",
    "build_model",
    "default_learning_rate",
    "evaluate",
    "fine_tune",
    "load_encoder",
    "perturbed",
    "predict",
    "resolve",
    "save_model",
]
