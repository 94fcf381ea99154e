"""Equations as MathML, which browsers typeset themselves: no script, no font, no network."""

import html
import re

from latex2mathml.converter import convert

# What `pymdownx.arithmatex` leaves of `$...$` and `$$...$$`.
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def typeset(page: str) -> str:
    """Replaces LaTeX by MathML.

    Args:
        page: HTML, as Markdown with `arithmatex` makes it.
    """
    page = _INLINE.sub(lambda found: _mathml(found[1], "inline"), page)
    return _BLOCK.sub(
        lambda found: f'<div class="equation">{_mathml(found[1], "block")}</div>', page
    )


def _mathml(latex: str, display: str) -> str:
    return convert(html.unescape(latex).strip(), display=display)
