"""How a prediction is smoothed: noise on the embeddings, and a vote over its draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rxtune.errors import StudyError

Vote = Literal["majority", "mean"]
VOTES: tuple[Vote, ...] = get_args(Vote)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Gaussian noise on the word embeddings, drawn several times for every text.

    Source: Cohen et al. 2019, arXiv 1902.02918, section 3.2 (PREDICT, without its abstention),
    with the noise on embeddings.
    """

    sigma: float
    """Standard deviation in the study's units: relative, the noise of a token is sigma times as
    long as the median word embedding."""
    samples: int = 100
    seed: int = 0
    vote: Vote = "majority"
    """`majority`: the share of draws that chose a label; `mean`: its mean probability."""

    def __post_init__(self) -> None:
        """Refuse what is no noise.

        Raises:
            StudyError: a number is out of its range.
        """
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise StudyError(f"--smooth: must be a number above 0, got {self.sigma:g}")
        if self.samples < 1:
            raise StudyError(f"--samples: at least one draw is needed, got {self.samples}")
        if self.vote not in VOTES:
            raise StudyError(f"--vote: must be {' or '.join(VOTES)}, got {self.vote!r}")
