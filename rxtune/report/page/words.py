"""What methods, parameters and scores are called in plots and sentences, with their units."""

from __future__ import annotations

from collections.abc import Mapping

from rxtune.config.configuration import Configuration, Method
from rxtune.config.space import Units
from rxtune.report.summary import Summary
from rxtune.report.tables import parameter_text
from rxtune.results import Failure, TrialRecord

METHODS: Mapping[Method, str] = {
    "standard": "plain fine-tuning",
    "rs_rp": "randomized smoothing by random perturbation: Gaussian noise on the embeddings"
    " (Huang et al. 2021)",
    "adv": "adversarial training: the worst perturbation of the embeddings within a radius, found"
    " by projected gradient steps (Madry et al. 2018; Huang et al. 2021)",
    "smooth_adv": "adversarial training through noise: both at once (Salman et al. 2019)",
    "freelb": "adversarial training on every point of the ascent (FreeLB; Zhu et al. 2020)",
    "r3f": "the same prediction with noise as without (R3F; Aghajanyan et al. 2020)",
    "rs_da": "randomized smoothing by data augmentation: words replaced by synonyms"
    " (Huang et al. 2021)",
    "code_switch": "words replaced by their translations (Qin et al. 2020)",
}
"""What a method is, with its source."""

_RELATIVE: Mapping[str, str] = {
    "learning_rate": "learning rate, factor on the encoder's default",
    "sigma": "sigma, noise per token in units of m",
    "radius": "radius of the perturbation, in units of m",
    "step_size": "length of a PGD step, in units of radius / steps",
}
_ABSOLUTE: Mapping[str, str] = {
    **_RELATIVE,
    "learning_rate": "learning rate",
    "sigma": "sigma, standard deviation of the noise",
    "radius": "radius of the perturbation",
}
_COMMON: Mapping[str, str] = {
    "pgd_steps": "PGD steps",
    "samples": "noise draws per step",
    "clean_weight": "share of the clean loss",
    "consistency_weight": "weight of the divergence",
    "replace_probability": "probability of replacing a word",
    "copies": "static copies of the data",
    "epochs": "epochs",
    "batch_size": "batch size, examples",
}
UNIT_M = "m, the median norm of the encoder's word embeddings"
"""What relative sizes are measured in."""

_SHORT: Mapping[str, str] = {
    "learning_rate": "lr",
    "pgd_steps": "K",
    "replace_probability": "q",
}


def axis_label(parameter: str, units: Units) -> str:
    """Return what stands at a parameter's axis, with its unit."""
    named = {**_COMMON, **(_RELATIVE if units == "relative" else _ABSOLUTE)}
    return named.get(parameter, parameter.replace("_", " "))


def parameters_text(configuration: Configuration) -> str:
    """Return what a trial was trained with, such as `lr 1, sigma 0.55`, without the defaults."""
    default = Configuration().to_json()
    return ", ".join(
        f"{_SHORT.get(name, name)} {parameter_text(value)}"
        for name, value in configuration.searched().items()
        if name == "learning_rate" or (name != "method" and value != default[name])
    )


def metric_name(summary: Summary) -> str:
    """Return what is measured in a language."""
    return "macro-F1" if summary.metric == "macro_f1" else "accuracy"


def score_name(summary: Summary) -> str:
    """Return what a trial is judged by: `dev accuracy in qaf`, `… in the worst of qaf and qag`."""
    languages = list(summary.dev_languages)
    if not languages:
        return f"dev {metric_name(summary)}"
    named = listed(languages) if len(languages) <= 3 else f"{len(languages)} languages"
    kind = {"worst": "in the worst of", "mean": "in the mean over"}.get(summary.objective, "in")
    return f"dev {metric_name(summary)} {kind if len(languages) > 1 else 'in'} {named}"


def score_axis(summary: Summary) -> str:
    """Return the label of an axis of dev scores; it names a single language if that is short."""
    (only, *others) = summary.dev_languages or ("",)
    named = f" in {only}" if only and not others and len(only) <= 12 else ""
    return f"dev {metric_name(summary)}{named}, %"


def trial_text(record: TrialRecord) -> str:
    """Return a trial in one line: what it was, how it ended, its dev score."""
    value = "no dev score" if record.value is None else f"dev score {100 * record.value:.1f} %"
    done = f" after {len(record.evaluations)} evaluations" if record.evaluations else ""
    return (
        f"trial {record.number}, {record.configuration.method},"
        f" {parameters_text(record.configuration)}: {state_text(record)}{done}, {value}"
    )


def state_text(record: TrialRecord) -> str:
    """Return how a trial stands; one that the search's end has cut off did not fail."""
    return "cut off" if record.failure is Failure.INTERRUPTED else record.state.value


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 trial`, `12 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """Return words as a sentence lists them: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
