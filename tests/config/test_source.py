"""Files that are no study: refused with place and reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtune.config.source import read_source, write_yaml
from rxtune.errors import StudyError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.yaml"


def refuse(path) -> str:
    with pytest.raises(StudyError) as caught:
        read_source(path)
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "a.yaml: the file is empty; start with `space:`"),
        (b"# nothing\n", "a.yaml: the file is empty"),
        (b"- a\n", "a.yaml:1: a mapping is required at the top level, got a list"),
        (b"\n\nhello", "a.yaml:3: a mapping is required at the top level, got a single value"),
        (b"a: 1\nb: \xff", "a.yaml:2: not UTF-8 (byte 0xff); save the file as UTF-8"),
        ("a: ä".encode("utf-16"), "a.yaml:1: not UTF-8"),
        (b"a: [1\nb: 2", "a.yaml:2:2: not YAML"),
        (b"a: 1\n\tb: 2", "a.yaml:2:1: not YAML"),
        (b"a: 'x", "a.yaml:1:6: not YAML"),
        (b'a: 1\nb: "\x01"', "a.yaml:2:5: not YAML: the character U+0001 is not allowed"),
        (b"a: 1\n---\nb: 1", "a.yaml:2:1: not YAML as rxtune reads it: expected a single docu"),
        (b"a: &x 1\nb: *x", "a.yaml:1:4: not YAML as rxtune reads it: anchors and aliases"),
        (b"a: !!python/object/apply:os.system ['true']", "a.yaml:1:4: not YAML as rxtune reads"),
        (b"a: !!str 1", "tags (!) are not allowed"),
        (b"a: " + b"[" * 5000, "a.yaml: nested too deeply"),
        (b"a: " + b"x" * 1_000_000, "a.yaml: a study file has at most 1,000,000 bytes"),
    ],
)
def test_what_is_no_yaml_study_is_refused(path, content, text):
    path.write_bytes(content)
    assert refuse(path).startswith(text) or text in refuse(path)


def test_a_missing_file_names_a_near_one(path):
    (path.parent / "search_spaces").mkdir()
    (path.parent / "search_spaces" / "quick.yaml").touch()
    (path.parent / "smooth.yaml").touch()
    assert refuse(path.parent / "smoth.yml") == (
        f"smoth.yml: no such file; did you mean '{path.parent}/smooth.yaml'?".replace(
            f"{path.parent}/", ""
        )
    )
    assert "did you mean 'search_spaces/quick.yaml'?" in refuse(path.parent / "quick")
    assert refuse(path.parent / "zzz.yaml") == "zzz.yaml: no such file; check the path"
    assert "does not exist either" in refuse(path.parent / "none" / "a.yaml")


def test_a_folder_names_its_files(path):
    folder = path.parent / "spaces"
    folder.mkdir()
    (folder / "rs.yaml").touch()
    with pytest.raises(StudyError, match=r"is a folder, not a file; .*spaces/rs\.yaml"):
        read_source(folder)


def test_a_name_that_no_file_can_have_is_refused(path):
    assert "cannot be read" in refuse(path.parent / "a\0b")


def test_every_key_and_item_has_its_line(path):
    path.write_text("a: 1\nb:\n  c: 2\n  d:\n  - x\n  - {e: 1}\n")
    source = read_source(path)
    assert source.tree == {"a": 1, "b": {"c": 2, "d": ["x", {"e": 1}]}}
    assert [source.line(key) for key in [("a",), ("b", "c"), ("b", "d", 1, "e")]] == [1, 3, 6]
    assert source.line(("b", "missing", "deeper")) == 2
    assert source.line(("missing",)) == 1


def test_a_key_that_stands_twice_is_a_fault_with_both_lines(path):
    path.write_text("a: 1\nb: {c: 1}\na: 2\n1: x\n[d]: y\n")
    assert [str(fault) for fault in read_source(path).faults] == [
        "a: stands twice (lines 1 and 3); keep one",
        "?: a key must be a name; write `name: value`",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("<<", "<<"),
        ("-.inf", float("-inf")),
        ("'1'", "1"),
    ],
)
def test_plain_values_are_read_by_yaml_1_2(path, text, value):
    path.write_text(f"a: {text}\n")
    read = read_source(path).tree["a"]
    assert read == value
    assert type(read) is type(value)


def test_thousands_of_digits_are_no_trap(path):
    path.write_text("a: " + "9" * 10_000)
    assert read_source(path).tree["a"] == float("inf")


def test_a_byte_order_mark_and_windows_line_ends_are_read(path):
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_source(path).tree == {"a": 1, "b": 2}


printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]) | st.just(" "))
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | printable
scalars |= st.floats(allow_nan=False)
tricky = st.sampled_from(["no", "1e3", "1e-5", "<<", "=", "null", "~", "1:2", "010", "&a", "!x"])


@given(
    st.dictionaries(printable, st.recursive(scalars | tricky, lambda s: st.lists(s, max_size=3)))
)
def test_what_is_written_is_read_back(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(write_yaml({"first": 1, **tree}), encoding="utf-8")
    source = read_source(path)
    assert source.tree == {"first": 1, **tree}
    assert source.faults == []
