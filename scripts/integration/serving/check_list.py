"""Checks with their evidence: run one by one, shown as they end, listed in a table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Args:
        part: which part of the list it belongs to.
        name: what should hold.
        passed: whether it does.
        evidence: what was seen.
    """

    part: str
    name: str
    passed: bool
    evidence: str


@dataclass
class CheckList:
    """All checks of one run.

    Args:
        console: where each is shown when it ends.
        checks: those that were run. Defaults to none yet.
    """

    console: Console
    checks: list[Check] = field(default_factory=list)

    def run(self, part: str, name: str, check: Callable[[], str]) -> bool:
        """Runs a check; whatever it raises is a failure. Returns whether it passed.

        Args:
            part: which part of the list it belongs to.
            name: what should hold.
            check: returns the evidence.
        """
        try:
            done = Check(part, name, True, _one_line(check()))
        except Exception as error:
            done = Check(part, name, False, _one_line(f"{type(error).__name__}: {error}"))
        self.checks.append(done)
        word = "PASS" if done.passed else "FAIL"
        self.console.print(f"{word}  {part}: {name}: {done.evidence}", markup=False, soft_wrap=True)
        return done.passed

    @property
    def failed(self) -> list[Check]:
        """Those that did not pass."""
        return [check for check in self.checks if not check.passed]

    def print_table(self, title: str) -> None:
        """Prints all of them.

        Args:
            title: of the table.
        """
        table = Table(title=title, show_lines=False)
        for heading in ("part", "check", "", "evidence"):
            table.add_column(heading, overflow="fold")
        for check in self.checks:
            word = "[green]PASS[/]" if check.passed else "[red]FAIL[/]"
            evidence = check.evidence.replace("[", "\\[")
            table.add_row(check.part, check.name.replace("[", "\\["), word, evidence)
        self.console.print(table)


def expect(condition: object, message: str) -> None:
    """Raises if something does not hold; unlike `assert`, also under `python -O`.

    Args:
        condition: what should hold.
        message: what is said if it does not.

    Raises:
        AssertionError: if it does not.
    """
    if not condition:
        raise AssertionError(message)


def _one_line(text: str, most: int = 240) -> str:
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= most else f"{line[: most - 3]}..."
