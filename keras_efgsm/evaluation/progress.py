"""The progress bar of an evaluation."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from keras_efgsm.records.wording import percent


class _RobustShare(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"robust so far {percent(float(task.fields['robust']))}")


def progress_bar(wanted: bool) -> Progress:
    """A bar with attack, round, images, robust share so far and time left.

    Args:
        wanted: whether to show it; outside a terminal there is none anyhow.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RobustShare(),
        # A batch may take a minute, and the usual window of 30 s would see none.
        TimeRemainingColumn(),
        console=console,
        # What comes after it says the same.
        transient=True,
        disable=not (wanted and console.is_terminal),
        speed_estimate_period=600.0,
    )
