"""Fine-tuning of one model. Knows nothing of search or tracking: the loop calls back."""

from rxtune.train.encoder import (
    EncoderWeights,
    build_model,
    classifier_bytes,
    default_learning_rate,
    load_encoder,
)
from rxtune.train.evaluate import evaluate, predict
from rxtune.train.loop import FineTuned, fine_tune
from rxtune.train.memory import limit_memory, release_memory, telling_out_of_memory
from rxtune.train.precision import choose_precision
from rxtune.train.probe import check_encoder
from rxtune.train.save import save_model
from rxtune.train.settings import TrainSettings, resolve
from rxtune.train.sites import (
    clean_input,
    context_width,
    embedded,
    measure_context_unit,
    perturbed,
)

__all__ = [
    "EncoderWeights",
    "FineTuned",
    "TrainSettings",
    "build_model",
    "check_encoder",
    "choose_precision",
    "classifier_bytes",
    "clean_input",
    "context_width",
    "default_learning_rate",
    "embedded",
    "evaluate",
    "fine_tune",
    "limit_memory",
    "load_encoder",
    "measure_context_unit",
    "perturbed",
    "predict",
    "release_memory",
    "resolve",
    "save_model",
    "telling_out_of_memory",
]
