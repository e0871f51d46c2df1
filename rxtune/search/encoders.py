"""From the name of an encoder to a local folder; no network is asked."""

from __future__ import annotations

from pathlib import Path

from rxtune.config import nearest
from rxtune.errors import ModelError

EMBEDDED = "babel-tiny"


def find_encoder(name: str) -> Path:
    """Return the folder of an encoder: embedded, a local folder, or in the hub's local cache.

    Raises:
        ModelError: it is none of these.
    """
    if name == EMBEDDED:
        from rxtune.testbed import encoder_folder

        return encoder_folder()
    if Path(name).is_dir():
        return Path(name).absolute()
    cached = _in_hub_cache(name) if name.count("/") == 1 else None
    if cached is not None:
        return cached
    hint = f"did you mean {EMBEDDED!r}? " if nearest(name, [EMBEDDED]) else ""
    raise ModelError(
        f"--model: no encoder {name!r}: it is neither {EMBEDDED!r}, nor a folder, nor in the"
        f" local hub cache; {hint}fetch one with `hf download {name}`, or give a folder that"
        " `save_pretrained` wrote"
    )


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
