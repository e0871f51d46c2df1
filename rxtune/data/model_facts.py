"""What an exported model folder says of itself, beside what `transformers` reads there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from rxtune.config.space import Units
from rxtune.errors import ModelError

FILE_NAME = "rxtune.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What `rxtune predict` cannot know from config and tokenizer; None: not known."""

    trial: int | None = None
    """Number of the trial that trained it."""
    task: str | None = None
    is_pair: bool | None = None
    """Whether an example is a pair of texts."""
    max_length: int | None = None
    """Longest input in tokens that it was trained with."""
    units: Units | None = None
    """Of the study, and so of a sigma that is given to `rxtune predict`."""
    unit: float | None = None
    """m: median norm of the word embeddings in the training data, before training."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what the folder says; nothing is known of one that says nothing.

        Raises:
            ModelError: it is no model's folder, or the file is damaged.
        """
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{folder}: must be the folder of a model, but has no config.json; give one that"
                " `rxtune export` wrote, or `best` in the folder of a run"
            )
        path = folder / FILE_NAME
        if not path.exists():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{path}: must be as `rxtune export` wrote it, but cannot be read ({error});"
                " export the model again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the file into a folder."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        (folder / FILE_NAME).write_text(text, encoding="utf-8")
