"""What a run looks like while it goes on: a panel that moves on a terminal, or plain lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from egru.output import progress_console
from egru.running import Progress, Stimulus

SHOWN_SYMBOLS = 600
LINE_SECONDS = 1.0
_VISIBLE = {"\n": "⏎\n", "\t": "⇥\t"}


@contextmanager
def watching(stimulus: Stimulus, title: str, *, plain: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Show a run on stderr for the time of a ``with``.

    Args:
        stimulus: What is streamed.
        title: What answers.
        plain: Lines instead of a panel.

    Yields:
        What is to be called with every progress; None when nobody watches.
    """
    if plain:
        yield _lines()
    elif progress_console.is_terminal:
        with Live(console=progress_console, refresh_per_second=8, transient=True) as live:
            yield lambda progress: live.update(_panel(progress, stimulus, title))
    else:
        yield None


def _lines() -> Callable[[Progress], None]:
    last = monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if monotonic() - last >= LINE_SECONDS or len(progress.answers) == progress.total:
            last = monotonic()
            figures = ", ".join(f"{name} {value}" for name, value in _figures(progress).items())
            progress_console.print(figures, soft_wrap=True, highlight=False)

    return show


def _panel(progress: Progress, stimulus: Stimulus, title: str) -> Panel:
    figures = Table.grid(padding=(0, 2))
    for name, value in _figures(progress).items():
        figures.add_row(Text(name, style="dim"), value)
    legend = Text("green: foreseen, red: not; reversed: the next symbol as the device sees it", style="dim")
    return Panel(Group(shown_text(progress, stimulus), "", figures, legend), title=title)


def shown_text(progress: Progress, stimulus: Stimulus) -> Text:
    """Return the end of the text so far, each symbol coloured by whether the answer before it foresaw it, then the latest answer."""
    text, count = Text(), len(progress.answers)
    for place in range(max(0, count - SHOWN_SYMBOLS), count):
        hit = place > 0 and progress.answers[place - 1].symbol == progress.tokens[place]
        text.append(_visible(stimulus.vocabulary[progress.tokens[place]]) + stimulus.separator, style="green" if hit else "red")
    if count:
        text.append(_visible(stimulus.vocabulary[progress.answers[-1].symbol]), style="reverse")
    return text


def _figures(progress: Progress) -> dict[str, str]:
    count = len(progress.answers)
    figures = {"answers": f"{count} of {progress.total}", "tokens per second": f"{count / max(progress.seconds, 1e-9):,.1f}"}
    counters = progress.counters
    if counters is not None and counters.steps:
        figures["events per second"] = f"{counters.events / progress.counted_seconds:,.0f}"
        figures["events per step"] = f"{counters.events / counters.steps:,.1f}"
        figures["cycles per step"] = f"{counters.cycles / counters.steps:,.1f}"
    return figures | {"retries": str(progress.link.retries)}


def _visible(symbol: str) -> str:
    return _VISIBLE.get(symbol, symbol)
