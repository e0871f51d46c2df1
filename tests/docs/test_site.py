"""The built pages: whole, and from nowhere else."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rxtune.api.python import KEYS
from rxtune.config.parameter import RULES
from rxtune.config.study import Study
from tests.docs.pages import DOCS, GENERATED, PAGES, REPOSITORY


class Parts(HTMLParser):
    """Collects what a page loads and what it says."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "link" and "canonical" not in (given.get("rel") or ""):
            self.loaded.append(given["href"])
        self.loaded += [given[key] for key in ("src", "srcset", "data") if given.get(key)]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def from_build(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a function that imports a module of docs/_build."""

    def load(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(
            f"docs_{name}", DOCS / "_build" / f"{name}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, f"docs_{name}", module)
        spec.loader.exec_module(module)
        return module

    return load


def test_the_references_in_the_repository_are_those_of_the_code(
    from_build: Callable[[str], Any],
) -> None:
    for name, text in from_build("reference").texts().items():
        kept = (DOCS / "reference" / name).read_text(encoding="utf-8")
        assert kept == text, f"{name}: run `make docs`"


@pytest.mark.parametrize("page", [*PAGES, *sorted(GENERATED)], ids=lambda page: page.name)
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path = address.partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), address


def test_every_page_is_there(site: Path) -> None:
    written = {
        path.relative_to(DOCS).with_suffix(".html") for path in PAGES if DOCS in path.parents
    }
    taken = {Path("measurements.html"), Path("cluster/aws.html"), Path("reference/cli.html")}
    assert {path for path in written | taken if not (site / path).exists()} == set()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in Parts(page).loaded:
            assert not re.match(r"(https?:)?//", address), f"{page}: {address}"
            local = address.split("#")[0].split("?")[0]
            if local and not local.startswith(("data:", "/")):
                assert (page.parent / local).exists(), f"{page}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", style.read_text()), style


def test_formulas_are_mathml(site: Path) -> None:
    page = site / "methods.html"
    formulas = page.with_name("methods.html").read_text()
    source = (DOCS / "methods.md").read_text()
    assert Parts(page).tags.count("math") == len(
        re.findall(r"\\[(\[].*?\\[)\]]", source, re.DOTALL)
    )
    assert "arithmatex" not in formulas
    assert "\\mathbb" not in Parts(page).text


def test_what_is_not_run_says_why_above_it(site: Path) -> None:
    assert "takes minutes" in Parts(site / "tutorial.html").text
    assert "needs a GPU" in Parts(site / "gpu.html").text


def test_the_reference_has_every_command_and_every_flag(site: Path) -> None:
    import typer.main

    from rxtune.cli import app

    text = Parts(site / "reference" / "cli.html").text
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        assert f"rxtune {name}" in text
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden:
                assert option.opts[0] in text or option.name == "help", option.opts


def test_the_reference_has_every_key_and_every_parameter(site: Path) -> None:
    text = Parts(site / "reference" / "study.html").text
    assert [name for name in (*Study.model_fields, *RULES) if name not in text] == []
    assert (site / "reference" / "study.schema.json").exists()


def test_the_reference_has_the_functions_of_a_notebook(site: Path) -> None:
    text = Parts(site / "reference" / "api.html").text
    for name in ("search", "confirm", "load_run", "zero_shot", "contrasts"):
        assert name in text
    commands = Parts(site / "reference" / "cli.html").text
    for name in KEYS:  # as a flag, or told where the flags are not
        assert f"--{name.replace('_', '-')} " in commands or name in text


def test_figures_are_drawn_from_the_kept_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_build: Callable[[str], Any]
) -> None:
    figures = from_build("figures")
    monkeypatch.setattr(figures, "FIGURES", tmp_path)
    figures.main()
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").iterdir()}
    shown = re.findall(r"\(figures/([\w.-]+)\)", "".join(p.read_text() for p in PAGES))
    assert {*shown} == drawn


def test_the_readme_shows_pictures_that_are_there() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert all(
        (REPOSITORY / path).exists() for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    )
