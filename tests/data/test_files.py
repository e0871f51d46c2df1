"""Own data in every format: what is read, and what is refused by file, row and value."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxtune.config import TaskFile, load_task
from rxtune.data import Task, check_task, find_task
from rxtune.data.formats import Layout, read_raw
from rxtune.errors import DataError

ROWS = [("good stuff", "pos"), ('a "quoted', "neg")]
SIB = Path(__file__).parents[3] / "shared" / "data" / "sib200"

Make = Callable[..., Task]


def tsv(rows: Any, header: str = "text\tlabel\n") -> str:
    return header + "".join("\t".join(row) + "\n" for row in rows)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes files and a task file over them, and finds the task."""

    def write(
        files: dict[str, str | bytes] | None = None, more: str = "", end: str = "tsv"
    ) -> Task:
        plain = {f"{split}-en.tsv": tsv(ROWS) for split in ("train", "dev", "test")}
        plain |= {"dev-sw.tsv": tsv(ROWS), "test-sw.tsv": tsv(ROWS)}
        for name, content in (plain if end == "tsv" else {}).items() | (files or {}).items():
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        for name, content in (files or {}).items():  # what a test gives wins
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        patterns = "".join(
            f'  {split}: "{split}-{{language}}.{end}"\n' for split in ("train", "dev", "test")
        )
        (tmp_path / "mine.yaml").write_text(
            f"labels: [neg, pos]\nsource_language: en\n{more}\nfiles:\n{patterns}"
        )
        return find_task(load_task(str(tmp_path / "mine.yaml")))

    return write


def refusal(task: Task, folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        check_task(task)
    assert caught.value.exit_code == 3
    return str(caught.value).replace(f"{folder}/", "").splitlines()


# --- what is read


def test_a_table_has_row_numbers_for_ids_and_class_ids_for_labels(make: Make) -> None:
    task = make()
    assert task.languages == ("en", "sw")
    assert task.read("sw", "dev").to_pylist() == [
        {"id": "1", "text": "good stuff", "label": 1},
        {"id": "2", "text": 'a "quoted', "label": 0},
    ]
    assert task.read("sw", "dev").schema == pa.schema(
        {"id": pa.string(), "text": pa.string(), "label": pa.int64()}
    )
    assert (task.is_pair, task.dropped("sw", "dev")) == (False, 0)


def test_the_xtreme_layout_is_read_as_it_is(make: Make) -> None:
    rows = [('He said "no', "B", "pos"), ("C\u2028c", "D", "neg")]
    files = {
        f"{split}.tsv": tsv(rows, header="")
        for split in ("train-en", "dev-en", "dev-sw", "test-en", "test-sw")
    }
    task = make(files, "header: false\ncolumns: {text: 1, text_pair: 2, label: 3}\nparallel: row")
    assert task.is_pair
    assert task.read("en", "train").to_pylist() == [
        {"id": "1", "text": 'He said "no', "text_pair": "B", "label": 1},
        {"id": "2", "text": "C\u2028c", "text_pair": "D", "label": 0},
    ]


def test_rows_that_are_parallel_by_row_have_row_numbers_for_ids(make: Make) -> None:
    files = {
        "dev-en.tsv": "id\ttext\tlabel\nx\ta\tpos\n",
        "dev-sw.tsv": "id\ttext\tlabel\ny\tb\tpos\n",
    }
    task = make(files, "columns: {id: id}")
    assert task.read("sw", "dev")["id"].to_pylist() == ["y"]
    assert make(files, "columns: {id: id}\nparallel: row").read("sw", "dev")["id"].to_pylist() == [
        "1"
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(make: Make) -> None:
    task = make({"dev-sw.tsv": "\ufefftext\tlabel\r\na\tpos\r\n\r\n"})
    assert task.read("sw", "dev").to_pylist() == [{"id": "1", "text": "a", "label": 1}]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), min_size=1)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, st.sampled_from(["neg", "pos"])), min_size=1, max_size=5))
def test_every_format_gives_back_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    (folder / "a.tsv").write_bytes(tsv(rows).encode())
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    lines = [json.dumps({"text": text, "label": label, "x": 1}) for text, label in rows]
    (folder / "a.jsonl").write_text("\n".join(lines))
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"label": labels, "text": texts}), folder / "a.parquet")
    for kind in ("tsv", "csv", "jsonl", "parquet"):
        layout = Layout(
            format=kind,
            columns={"text": "text", "label": "label"},
            delimiter="," if kind == "csv" else "\t",
            quoted=kind == "csv",
        )
        raw, faults = read_raw(folder / f"a.{kind}", layout)
        assert faults == []
        assert list(zip(*raw.select(["text", "label"]).to_pydict().values(), strict=True)) == rows


def test_a_csv_row_is_told_by_the_line_it_starts_on(make: Make) -> None:
    good = 'text,label\n"a\nb",pos\n'
    files = {
        f"{name}.csv": good for name in ("train-en", "dev-en", "dev-sw", "test-en", "test-sw")
    }
    task = make(files, end="csv")
    assert task.read("en", "train").to_pylist() == [{"id": "1", "text": "a\nb", "label": 1}]
    task = make(files | {"dev-sw.csv": good + '"c, ""d""",posi\n'}, end="csv")
    with pytest.raises(DataError, match=r"dev-sw.csv:4: unknown label 'posi'; did you mean 'pos'"):
        task.read("sw", "dev")


def test_a_fingerprint_follows_content_and_how_it_is_read(make: Make) -> None:
    before = make().fingerprint("sw", "dev")
    assert make().fingerprint("sw", "dev") == before
    assert make().fingerprint("en", "dev") == before  # the same bytes
    assert make(more="parallel: row").fingerprint("sw", "dev") != before
    assert make({"dev-sw.tsv": tsv(ROWS[:1])}).fingerprint("sw", "dev") != before


# --- what is refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tsv([("a", "pos"), ("b", "Pos"), ("c", "Pos")]), ":3: unknown label 'Pos' (and in row 4"),
        (tsv([("a", "joy")]), ":2: unknown label 'joy'; the labels are neg, pos"),
        (tsv([("a", "pos"), (" ", "pos")]), ":3: empty text; delete the row or fill it"),
        (tsv([("a", "")]), ": none of its 1 rows has a label"),
        (tsv([("a", "pos"), ("b", "")]), ":3: no label; fill it or delete the row"),
        (tsv([("a",), ("b", "pos")]), ":2: 1 column, but the header has 2; is a value or a line"),
        (tsv([("a", "b", "pos")]), ":2: 3 columns, but the header has 2; is there a tab inside"),
        (tsv([("a", "pos")]) + "\nb\tpos\n", ":3: blank line; delete it"),
        ("txt\tlabel\na\tpos\n", ":1: no column 'text'; did you mean 'txt'?"),
        ("text\tclass\na\tpos\n", ":1: no column 'label'; it has text, class"),
        ("text\tlabel\n", ": no rows; a dev split needs at least one"),
        ("", ": no rows; a dev split needs at least one"),
        (
            tsv([("a", "pos"), ("café", "pos")]).encode("latin-1"),
            ":3: not UTF-8 (byte 0xe9 at position 20 of the file); `iconv -f LATIN1 -t UTF-8`",
        ),
        (tsv(ROWS).encode("utf-16"), ":1: not UTF-8 (byte 0xff at position 0 of the file); it "),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_row_and_value(
    make: Make, tmp_path: Path, content: str | bytes, message: str
) -> None:
    told = refusal(make({"dev-sw.tsv": content}), tmp_path)
    assert told[0].startswith(f"dev-sw.tsv{message}")


def test_faults_of_all_files_are_told_at_once(make: Make, tmp_path: Path) -> None:
    wrong = tsv([("a", "joy")])
    told = refusal(
        make({"train-en.tsv": wrong, "dev-sw.tsv": wrong, "test-sw.tsv": wrong}), tmp_path
    )
    assert [line.split(":")[0] for line in told] == ["train-en.tsv", "dev-sw.tsv", "test-sw.tsv"]


def test_more_faults_than_anyone_reads_are_counted(make: Make, tmp_path: Path) -> None:
    told = refusal(make({"dev-sw.tsv": tsv([("a", "pos", "")] * 30)}), tmp_path)
    assert len(told) == 21
    assert told[-1] == "… and 10 more faults"


def test_duplicate_ids_are_refused_with_their_rows(make: Make, tmp_path: Path) -> None:
    rows = "id\ttext\tlabel\n" + "".join(f"{n}\tt\tpos\n" for n in (7, 8, 7, 7))
    files = {
        f"{n}.tsv": "id\ttext\tlabel\n1\ta\tpos\n"
        for n in ("train-en", "dev-en", "test-en", "test-sw")
    }
    told = refusal(make({**files, "dev-sw.tsv": rows}, "columns: {id: id}"), tmp_path)
    assert told == ["dev-sw.tsv:2: id '7' stands here and in rows 4, 5; every item needs its own"]


def test_test_data_without_labels_is_refused_as_xtreme_ships_it(
    make: Make, tmp_path: Path
) -> None:
    full, stripped = tsv([("a", "b", "pos")], ""), tsv([("a", "b"), ("c", "d")], "")
    files = {f"{n}.tsv": full for n in ("train-en", "dev-en", "dev-sw", "test-en")}
    more = "header: false\ncolumns: {text: 1, text_pair: 2, label: 3}"
    assert refusal(make({**files, "test-sw.tsv": stripped}, more), tmp_path) == [
        "test-sw.tsv: none of its 2 rows has a label (XTREME's copies come without); take the"
        " original"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": "pos"\n', ":1: not JSON: "),
        ('["a", "pos"]\n', ":1: not a JSON object; write "),
        ('{"txt": "a", "label": "pos"}\n', ":1: no column 'text'; did you mean 'txt'?"),
        ('{"text": "a"}\n', ":1: no column 'label'; it has text"),
        ('{"text": ["a"], "label": "pos"}\n', ":1: text: text is required, got list"),
        ('{"text": "a", "label": null}\n', ": none of its 1 rows has a label"),
    ],
)
def test_bad_json_lines_are_refused_by_line(
    make: Make, tmp_path: Path, content: str, message: str
) -> None:
    good = '{"text": "a", "label": "pos"}\n'
    files = {f"{n}.jsonl": good for n in ("train-en", "dev-en", "test-en", "test-sw")}
    told = refusal(make({**files, "dev-sw.jsonl": content}, end="jsonl"), tmp_path)
    assert told[0].startswith(f"dev-sw.jsonl{message}")


def test_a_file_that_vanished_is_refused_with_the_nearest(make: Make, tmp_path: Path) -> None:
    make()
    task = load_task(str(tmp_path / "mine.yaml"))
    assert isinstance(task, TaskFile)
    (tmp_path / "dev-sw.tsv").rename(tmp_path / "dev-swa.tsv")
    with pytest.raises(
        DataError, match=r"dev-sw.tsv: no such file \(dev in sw\); did you mean dev-"
    ):
        find_task(task)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    layout = Layout(format="parquet", columns={"text": "text", "label": "label"})
    assert "a.parquet: cannot be read: " in read_raw(tmp_path / "a.parquet", layout)[1][0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [(pa.array([b"a", b"b"]), "binary"), (pa.array([1, 2]), "int64"), ([["a"], ["b"]], "list<")],
)
def test_parquet_columns_that_hold_no_text_are_refused(
    tmp_path: Path, values: Any, kind: str
) -> None:
    pq.write_table(pa.table({"text": values, "label": ["pos", "neg"]}), tmp_path / "a.parquet")
    layout = Layout(format="parquet", columns={"text": "text", "label": "label"})
    (fault,) = read_raw(tmp_path / "a.parquet", layout)[1]
    assert f"a.parquet: column 'text': text is required, got {kind}" in fault


def test_parquet_text_may_be_a_dictionary_or_large(tmp_path: Path) -> None:
    words = pa.array(["a", "b"])
    for text in (words.dictionary_encode(), words.cast(pa.large_string())):
        pq.write_table(pa.table({"text": text, "label": words}), tmp_path / "a.parquet")
        layout = Layout(format="parquet", columns={"text": "text", "label": "label"})
        raw, faults = read_raw(tmp_path / "a.parquet", layout)
        assert (faults, raw["text"].to_pylist()) == ([], ["a", "b"])


def test_a_column_of_other_things_than_labels_is_one_fault(make: Make, tmp_path: Path) -> None:
    rows = [(f"text {number}", "pos") for number in range(300)]
    swapped = tsv([row[::-1] for row in rows])
    told = refusal(make({"dev-sw.tsv": swapped}), tmp_path)
    assert told == [
        "dev-sw.tsv:2: 300 different values are no labels, such as 'text 0'; is the label in"
        " another column? the labels are neg, pos"
    ]


# --- real data


@pytest.mark.skipif(not SIB.is_dir(), reason="real data is not here")
def test_sib_200_is_read_as_own_data(tmp_path: Path) -> None:
    labels = "[entertainment, geography, health, politics, science/technology, sports, travel]"
    patterns = "".join(f'  {s}: "{SIB}/{{language}}/{s}.tsv"\n' for s in ("train", "dev", "test"))
    (tmp_path / "sib.yaml").write_text(
        f"labels: {labels}\nsource_language: eng_Latn\ndev_languages: [swh_Latn]\nparallel: id\n"
        f"columns: {{id: index_id, label: category}}\nfiles:\n{patterns}"
    )
    summary = check_task(find_task(load_task(str(tmp_path / "sib.yaml"))))
    assert len(summary.task.target_languages) == 13
    assert summary.warnings == ()
    assert sum(summary.rows.values()) == 701 + 14 * (99 + 204)
    assert len({summary.labels[language, "dev"] for language in summary.task.languages}) == 1
