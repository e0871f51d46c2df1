"""What goes into a paper: the methods paragraph and the LaTeX table."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rxtune.report.page import Findings
from rxtune.report.page.latex import latex_escaped, latex_table, paper_table
from rxtune.report.page.methods import methods_paragraph
from rxtune.report.tables import Table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rs_rp & 5 %", r"rs\_rp \& 5 \%"),
        ("81.4±1.1", r"81.4$\pm$1.1"),
        ("−0.3", "$-$0.3"),
        ("$x$ # {y}", r"\$x\$ \# \{y\}"),
        ("a\\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("< 0.001", "$<$ 0.001"),
    ],
)
def test_text_is_set_as_it_stands(text: str, expected: str) -> None:
    assert latex_escaped(text) == expected


def test_a_table_has_a_cell_per_column_and_a_label_that_latex_takes() -> None:
    table = latex_table(Table(("", "a", "b"), (("x", "1", "2"),)), "Of 5 %", "run_1.a")
    assert r"\begin{tabular}{lrr}" in table
    assert r"    x & 1 & 2 \\" in table
    assert r"\caption{Of 5 \%}" in table
    assert r"\label{tab:run-1-a}" in table


def test_the_table_of_a_confirmation_has_a_column_per_configuration(
    confirmed: Callable[..., Findings],
) -> None:
    findings = confirmed()
    table = paper_table(findings)
    assert table is not None
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {row.count("&") for row in rows} == {2}
    assert any(row.strip().startswith("qaa (held-out) & ") for row in rows)
    assert any(re.match(r"    gain, points & [+$]", row) for row in rows)
    assert "standard deviation over 3 seeds that the search did not use" in table


def test_the_table_of_a_search_says_that_it_is_no_test(found: Callable[..., Findings]) -> None:
    table = paper_table(found(6))
    assert table is not None
    assert "these figures are optimistic and no test" in table
    assert paper_table(found(1, name="failed", failed=[0])) is None


def test_the_paragraph_names_data_space_search_and_software(
    found: Callable[..., Findings],
) -> None:
    text = methods_paragraph(found(12))
    for part in (
        "We fine-tuned babel-tiny on babel, ",
        "Training data are in eng alone.",
        "dev accuracy in qaf (1,000 dev items)",
        "qaa, qab, qac, qad, qae and qag took no part in the choice.",
        "sigma log-uniform in [0.1, 3]",
        "pgd_steps whole numbers in [1, 3]",
        "12 of 24 planned trials were run with seed 0",
        "(ASHA; Li et al. 2020): 6 evaluations per trial",
        "has not been confirmed",
        "Python 3.",
        "PyTorch ",
    ):
        assert part in text


def test_the_paragraph_of_a_confirmation_names_its_seeds(
    confirmed: Callable[..., Findings],
) -> None:
    text = methods_paragraph(confirmed())
    assert "3 seeds that the search had not used (11, 12, 13)" in text
    assert "hierarchical bootstrap over seeds and test items" in text


def test_settings_that_change_the_method_are_named(found: Callable[..., Findings]) -> None:
    overrides = {
        "stopping": "none",
        "search.sampler": "random",
        "search.replicates": 2,
        "train.epochs": 2.0,
        "select.objective": ["worst", "compute"],
    }
    text = methods_paragraph(found(4, overrides))
    assert "what random draws proposed." in text
    assert "No trial was stopped early." in text
    assert "A full trial is 2 epochs" in text
    assert "on up to 2 seeds" in text
    assert "and by the cost of the training" in text
