"""Writes the tables of README.md and docs/ again, from the files of results: `make tables`.

    python scripts/reporting/tables.py [--check]

A table stands between `<!-- table: NAME -->` and `<!-- end of NAME -->`; nothing is trained or
attacked. A new one is a function of `reporting/written` with `@table`, and its two lines on a page.
`--check` writes nothing and ends with status 1 if a page is not what its figures say.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path[:0] = [str(Path(__file__).parents[1])]

import argparse
import re
from collections.abc import Sequence

from keras_efgsm.atomic_file import write_atomically
from reporting.written import TABLES
from reporting.written.figures import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_MARKED = re.compile(r"(<!-- table: ([a-z0-9-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    stale = [page for page in PAGES if rewritten(before := page.read_text("utf-8")) != before]
    for page in stale:
        if not check:
            write_atomically(page, rewritten(page.read_text("utf-8")))
        print(f"{'not what its figures say' if check else 'written'}: {page.relative_to(ROOT)}")
    return int(check and bool(stale))


def rewritten(text: str) -> str:
    """A page with all its tables made again.

    Args:
        text: of the page.

    Raises:
        KeyError: if it has a table that is not in `TABLES`.
    """
    return _MARKED.sub(lambda found: found[1] + TABLES[found[2]]().markdown() + found[3], text)


if __name__ == "__main__":
    sys.exit(main())
