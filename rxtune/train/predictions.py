"""The predictions of a final evaluation, kept so that anyone can recount its accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from rxtune import storage

FILE_NAME = "predictions.parquet"


def prediction_table(
    predictions: Mapping[str, NDArray[Any]],
    tables: Mapping[str, pa.Table],
    labels: Sequence[str],
) -> pa.Table:
    """Return a row per item and language: `id`, `language`, `label` and `prediction`, as text.

    Args:
        predictions: Language -> class id of every row (N,).
        tables: Language -> `id` and `label` of the same rows.
        labels: Name of every class id.
    """
    names = pa.array(labels, pa.string())
    return pa.concat_tables(
        pa.table(
            {
                "id": tables[language].column("id").cast(pa.string()),
                "language": pa.repeat(language, len(found)),
                "label": names.take(tables[language].column("label").combine_chunks()),
                "prediction": names.take(pa.array(found)),
            }
        )
        for language, found in predictions.items()
    )


def save_predictions(predictions: pa.Table, folder: str) -> None:
    """Write `predictions.parquet` into a folder, given as a path or a URI; made if missing.

    Raises:
        OSError: the folder cannot be written.
    """
    files, path = storage.open_place(folder)
    storage.make_folder(files, path)
    parquet.write_table(predictions, f"{path}/{FILE_NAME}", filesystem=files)
