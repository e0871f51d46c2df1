"""`rxtune tasks`: which tasks there are; for one of them its data, and text side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rxtune.cli.console import for_people, output
from rxtune.cli.data import plain_table, show_data
from rxtune.cli.options import AsJson

if TYPE_CHECKING:
    from rxtune.data.task import Task

_ROWS_OF_EXAMPLES = 14
"""Languages that an example is shown in, at most."""


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(help="A task to describe: NAME, NAME@FOLDER or a task file (.yaml)."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples to show.")] = 3,
    as_json: AsJson = False,
) -> None:
    """List the tasks; `rxtune tasks babel` or `rxtune tasks my_task.yaml` describes one."""
    from rxtune.config import load_task
    from rxtune.data.catalogue import TASKS, find_task
    from rxtune.data.summary import check_task

    if as_json:
        _print_json(None if name is None else find_task(load_task(name)))
        return
    if name is None:
        output.print(_list(TASKS.values()))
        output.print("\n[dim]rxtune tasks NAME describes one of them; own data: a .yaml file[/]")
        return
    task = find_task(load_task(name))
    output.print(f"[bold]{escape(task.name)}[/]: {escape(task.title)}")
    output.print(f"labels: {escape(_joined(task.labels))}")
    if task.name == "babel" and task.origin == "embedded":
        _describe_babel(task.dev_languages)
    else:
        _describe(task)
        if not task.is_local():
            _say_how_to_get(task)
            return
        show_data(check_task(task))
    if examples:
        _show_examples(task, examples)


def _print_json(task: Task | None) -> None:
    """Print a task with what is in its data, if that is here; without a name all tasks."""
    from rxtune.cli.as_json import print_json, task_document
    from rxtune.data.catalogue import TASKS
    from rxtune.data.summary import check_task

    if task is None:
        print_json({"tasks": [task_document(each) for each in TASKS.values()]})
        return
    with for_people(as_json=True):
        data = check_task(task) if task.is_local() else None
    print_json(task_document(task, data))


def _joined(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def _list(found: Iterable[Task]) -> Table:
    table = Table.grid(padding=(0, 2))
    for task in found:
        targets = task.target_languages
        shown = _joined(targets if len(targets) <= 7 else (*targets[:6], "…"))
        lines = (
            task.title,
            f"{task.source_language} to {len(targets)}: {shown}",
            _joined(task.labels),
            task.origin,
        )
        # Lines, not columns: a name on the hub alone may take half a terminal.
        table.add_row(f"[bold]{escape(task.name)}[/]", escape("\n".join(lines)))
    return table


def _describe(task: Task) -> None:
    output.print(f"source: {escape(task.source_language)}")
    targets = escape(_joined(task.target_languages))
    output.print(f"targets: {targets}", soft_wrap=True)
    output.print(f"dev languages by default: {escape(_joined(task.dev_languages) or 'none')}")
    matched = f"parallel by {task.parallel}" if task.parallel else "not parallel"
    output.print(f"{'pairs of texts' if task.is_pair else 'single texts'}, {matched}")
    output.print(
        f"encoder {escape(task.default_model)}, epochs {task.epochs:g}, batches of"
        f" {task.batch_size}, at most {task.max_length} tokens"
    )
    output.print(f"from {escape(task.origin)}", soft_wrap=True)


def _say_how_to_get(task: Task) -> None:
    hub = task.origin.removeprefix("hub: ")
    output.print(
        f"\nIts data is not here yet: a search fetches it, where there is network; or run `hf"
        f" download --repo-type dataset {escape(hub)} --local-dir DATA` elsewhere, copy DATA here"
        f" and write {escape(task.name)}@DATA",
        soft_wrap=True,
    )


def _show_examples(task: Task, examples: int) -> None:
    """Show items in all languages side by side: the same item, where the task is parallel."""
    shown = task.languages_with("dev")[:_ROWS_OF_EXAMPLES]
    dev = {language: task.read(language, "dev").to_pylist() for language in shown}
    by_id = {language: {item["id"]: item for item in items} for language, items in dev.items()}
    for number, first in enumerate(dev[task.source_language][:examples]):
        output.print(f"\n[bold]{escape(first['id'])}[/] {escape(task.labels[first['label']])}")
        for language, items in dev.items():
            item = by_id[language].get(first["id"]) if task.parallel else _nth(items, number)
            if item is None:
                continue
            pair = f"  [dim]=>[/] {escape(item['text_pair'])}" if "text_pair" in item else ""
            label = "" if task.parallel else f"  [dim]({escape(task.labels[item['label']])})[/]"
            text = f"{escape(item['text'])}{pair}{label}"
            output.print(f"  [magenta]{escape(language)}[/]  {text}", soft_wrap=True)


def _nth(items: list[dict[str, Any]], number: int) -> dict[str, Any] | None:
    return items[number] if number < len(items) else None


def _describe_babel(dev_languages: tuple[str, ...]) -> None:
    from rxtune.testbed import LANGUAGES

    columns = ("code", "name", "distance", "shared words", "order", "what differs", "text")
    table = plain_table(*columns, right=("shared words", "text"))
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
