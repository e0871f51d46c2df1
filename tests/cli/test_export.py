"""`rxtune export` and `rxtune predict` as commands: what they say and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxtune import api
from rxtune.config import load_study
from rxtune.export import Exported, OnnxCheck
from tests.report.page.simulated import Simulated

Run = Callable[..., Any]


@pytest.fixture
def search(folder: Path) -> Simulated:
    """A search of two trials without a model."""
    search = Simulated(folder / "runs", load_study(folder / "space.yaml"))
    search.run(2)
    return search


def test_it_says_what_it_has_left_where(
    rxtune: Run, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    asked: dict[str, Any] = {}

    def export(name: str, target: Path, root: Path, **options: Any) -> Exported:
        asked.update(name=name, target=target, root=root, **options)
        return Exported(
            folder=target,
            trial=3,
            bytes=4_700_000,
            onnx=OnnxCheck(texts=256, difference=1.4e-5),
            registered="models:/swahili/2",
        )

    monkeypatch.setattr(api, "export", export)
    flags = ("--trial", "3", "--onnx", "--license", "mit", "--register", "swahili")
    ended = rxtune("export", "rs", "mine", *flags)
    assert ended.code == 0, ended.errors
    assert ended.output.splitlines() == [
        "Model of trial 3: mine (4.7 MB)",
        "ONNX: mine/onnx/model.onnx. On 256 texts of the dev split its logits differ from the"
        " model's by at most 1.4e-05, and every label is the same.",
        "Registered in MLflow: models:/swahili/2",
    ]
    assert asked == {
        "name": "rs",
        "target": Path("mine"),
        "root": Path("runs"),
        "trial": 3,
        "confirmed": False,
        "onnx": True,
        "license": "mit",
        "register": "swahili",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("export", "sr", "mine"), 2, "no run 'sr'"),
        (("export", "rs", "space.yaml"), 2, "must be a new or empty folder"),
        (("export", "rs", "mine"), 2, "run 'rs' has no model yet"),
        (("predict", "encoder", "space.yaml"), 3, "has no config.json"),
        (("predict", "encoder", "--format", "csv"), 2, "must be tsv or jsonl, got 'csv'"),
        (("predict", "encoder", "--smooth", "-1"), 2, "--smooth: must be a number above 0"),
    ],
)
def test_what_is_wrong_is_refused_in_a_line(
    rxtune: Run, search: Simulated, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended = rxtune(*arguments)
    assert (ended.code, ended.errors.count("\n")) == (code, 1)
    assert message in ended.errors


def test_bad_rows_are_refused_before_torch_is_loaded(
    printed_by: Callable[[str], str], folder: Path
) -> None:
    (folder / "encoder" / "config.json").write_text("{}")
    (folder / "texts.tsv").write_text("text\ttext_pair\na\tb\nalone\n")
    code = (
        "import sys\nfrom rxtune.cli.predict import predict\nfrom pathlib import Path\n"
        "from rxtune.errors import DataError\n"
        "try:\n    predict(Path('encoder'), 'texts.tsv')\n"
        "except DataError as error:\n    print(error)\n"
        "print(sorted({'torch', 'ray', 'transformers'} & sys.modules.keys()))"
    )
    said, loaded = printed_by(code).splitlines()
    assert said.startswith("texts.tsv:3: 1 column, but the header has 2")
    assert loaded == "[]"
