"""What commands read from and write to: language, output form, connector."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from databank.cli.jsontext import json_text, time_text

if TYPE_CHECKING:
    from rich.console import Console

    from databank.client.session import Session
    from schemas.wire import Text

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Surface:
    """The common options, which may stand anywhere on the command line."""

    environment: Mapping[str, str]
    language: str = "ko"
    is_json: bool = False
    is_debug: bool = False
    connector: str | None = None
    token: str | None = None

    def say(self, ko: str, en: str) -> str:
        """Return the text in the chosen language."""
        return en if self.language == "en" else ko

    def text(self, text: Text) -> str:
        """Return a text in the chosen language."""
        return text.in_language(self.language)

    def time(self, value: datetime, *, has_seconds: bool = False) -> str:
        """Return a time as people in Korea read it."""
        return time_text(value, has_seconds=has_seconds)

    def console(self, *, is_error: bool = False) -> Console:
        """Return the terminal; colours only there, and never with NO_COLOR."""
        from rich.console import Console

        stream = sys.stderr if is_error else sys.stdout
        width = None if stream.isatty() else 200
        no_color = "NO_COLOR" in self.environment
        return Console(file=stream, width=width, no_color=no_color, highlight=False)

    def note(self, text: str) -> None:
        """Say something beside the result, on standard error."""
        self.console(is_error=True).print(text, markup=False)

    def result(self, value: Any, human: str) -> None:  # noqa: ANN401 - any JSON value
        """Print a command's result: JSON for programs, a sentence for people."""
        if self.is_json:
            typer.echo(json_text(value))
        else:
            typer.echo(human)

    def table(
        self,
        value: Any,  # noqa: ANN401 - any JSON value
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        numbers: Sequence[int] = (),
        title: str | None = None,
    ) -> None:
        """Print a command's result: JSON for programs, a table for people."""
        if self.is_json:
            typer.echo(json_text(value))
            return
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=None if title is None else escape(title), title_justify="left")
        for index, head in enumerate(heads):
            table.add_column(escape(head), justify="right" if index in numbers else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        self.console().print(table)

    def session(self) -> Session:
        """Return a session with the connector that options, environment or profile name.

        Raises:
            databank.client.profile.NoProfileError: None of them does.
        """
        from databank.client.profile import find_profile
        from databank.client.session import Session

        return Session(find_profile(self.connector, self.token, environment=self.environment))

    def progress(self, label: str, items: Iterable[_Item], total: int) -> Iterator[_Item]:
        """Pass items on and draw a bar; at a terminal only. Items count by their length."""
        if not sys.stderr.isatty():
            yield from items
            return
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(
            *columns, TimeRemainingColumn(), console=self.console(is_error=True)
        ) as progress:
            task = progress.add_task(escape(label), total=total)
            for item in items:
                yield item
                progress.advance(task, len(item))  # type: ignore[arg-type] # sized by contract

    @contextmanager
    def byte_bar(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """Give a function that draws how many bytes of how many are there; at a terminal only.

        The bar begins with the first bytes, so that a question may be asked before.
        """
        if not sys.stderr.isatty():
            yield lambda *_: None
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        progress = Progress(*columns, console=self.console(is_error=True))
        task = progress.add_task(label, total=None)

        def draw(done: int, total: int) -> None:
            progress.start()
            progress.update(task, completed=done, total=total)

        try:
            yield draw
        finally:
            progress.stop()


def surface_of(context: typer.Context) -> Surface:
    """Return the command's surface."""
    surface = context.find_object(Surface)
    assert surface is not None
    return surface
