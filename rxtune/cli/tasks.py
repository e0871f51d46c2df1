"""`rxtune tasks`: which tasks there are; for one of them its languages, and text side by side."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from rxtune.cli.console import output


def tasks(
    name: Annotated[str | None, typer.Argument(help="A task to describe.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples to show.")] = 3,
) -> None:
    """List the tasks; `rxtune tasks babel` shows the languages and examples of one."""
    from rxtune.data.catalogue import TASKS, find_task

    if name is None:
        for task in TASKS.values():
            output.print(f"[bold]{task.name}[/]  {task.title}")
            targets = _joined(task.target_languages)
            output.print(f"  source {task.source_language}; targets {targets}")
        output.print("\n[dim]rxtune tasks NAME describes one of them[/]")
        return
    task = find_task(name)
    output.print(f"[bold]{task.name}[/]: {task.title}")
    output.print(f"labels: {_joined(task.labels)}")
    if task.name == "babel":
        _describe_babel(task.dev_languages)
    dev = {language: task.read(language, "dev") for language in task.languages}
    for row in range(examples):
        first = {language: table.slice(row, 1).to_pylist()[0] for language, table in dev.items()}
        label = task.labels[first[task.source_language]["label"]]
        output.print(f"\n[bold]{first[task.source_language]['id']}[/] {label}")
        for language, item in first.items():
            pair = f"  [dim]=>[/] {item['text_pair']}" if "text_pair" in item else ""
            output.print(f"  [cyan]{language}[/]  {item['text']}{pair}", soft_wrap=True)


def _joined(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def _describe_babel(dev_languages: tuple[str, ...]) -> None:
    from rxtune.testbed import LANGUAGES

    table = Table(box=None, pad_edge=False)
    for column in ("code", "name", "distance", "shared words", "order", "what differs", "text"):
        table.add_column(column, justify="right" if column in ("shared words", "text") else "left")
    for language in LANGUAGES.values():
        table.add_row(
            language.code + (" (dev)" if language.code in dev_languages else ""),
            language.name,
            language.group,
            f"{100 * language.shared_words:.0f} %",
            "SOV" if language.verb_last else "SVO",
            ", ".join(language.differences) or "–",
            f"{100 * language.pretraining_share:.0f} %",
        )
    output.print(table)
    output.print("[dim]text: amount of pre-training text, as a share of the source's[/]")
