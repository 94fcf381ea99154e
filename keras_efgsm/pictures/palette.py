"""The colours of pictures and pages, light and dark, in one place.

The hues of the lines are those of Okabe & Ito, which people with any colour vision tell apart,
darkened on light ground and lightened on dark ground until text in them has a contrast of 4.5 to 1.
No line is known by its colour alone: each has dashes and a marker of its own as well.
"""

import dataclasses
from dataclasses import dataclass

DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 2), (9, 3, 2, 3), (4, 4), (12, 4))
"""Lengths of line and gap in points by which lines are told apart without their colours."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of the points of each line, likewise."""


@dataclass(frozen=True)
class Palette:
    """The colours of a theme.

    Args:
        page: the ground of a page.
        panel: the ground of a picture, table or box on it.
        text: letters.
        soft: letters of less weight, and axes.
        edge: borders.
        grid: lines behind a drawing, and empty bars.
        link: links and the focus.
        warn: letters of a warning.
        warn_panel: the ground of one.
        kept: of what withstood.
        lost: of what did not.
        shade: of a shadow where a table goes on.
        lines: of lines and bars, by their number.
    """

    page: str
    panel: str
    text: str
    soft: str
    edge: str
    grid: str
    link: str
    warn: str
    warn_panel: str
    kept: str
    lost: str
    shade: str
    lines: tuple[str, ...]

    def variables(self) -> dict[str, str]:
        """The colours by the names that a style sheet gives them, such as `--text` and `--c0`."""
        named = {
            f"--{field.name.replace('_', '-')}": getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "lines"
        }
        return named | {f"--c{index}": colour for index, colour in enumerate(self.lines)}


LIGHT = Palette(
    page="#f6f7f9",
    panel="#ffffff",
    text="#1a1d21",
    soft="#50575f",
    edge="#cfd5db",
    grid="#dde2e7",
    link="#0a4d99",
    warn="#7a2e00",
    warn_panel="#fff1e0",
    kept="#0072b2",
    lost="#d55e00",
    shade="#9aa3ab",
    lines=("#0072b2", "#b34700", "#00735a", "#96366f", "#7a5c00", "#4d4d4d"),
)
DARK = Palette(
    page="#121518",
    panel="#1b2024",
    text="#e8ebee",
    soft="#aab3bb",
    edge="#3b444c",
    grid="#313940",
    link="#8dc1ff",
    warn="#ffc48a",
    warn_panel="#3a2610",
    kept="#2f7fb0",
    lost="#b9521c",
    shade="#000000",
    lines=("#6fc0f0", "#ff9d5c", "#3ccfa4", "#e7a0ca", "#f0cf5a", "#c3c9cf"),
)
THEMES = {"light": LIGHT, "dark": DARK}
"""By name."""


def _placeholders() -> Palette:
    """A colour for each that no other has, to be replaced by the variables of a page."""
    names = [field.name for field in dataclasses.fields(Palette) if field.name != "lines"]
    colours = {name: f"#0000{number:02x}" for number, name in enumerate(names, 1)}
    lines = tuple(f"#0001{number:02x}" for number in range(len(LIGHT.lines)))
    return Palette(**colours, lines=lines)


PAGE = _placeholders()
"""For a drawing inside a page, which has the colours of the page's theme: see `inline_svg`."""


def page_colours() -> dict[str, str]:
    """What a page writes for each colour of `PAGE`, such as `"var(--text)"`."""
    return {colour: f"var({name})" for name, colour in PAGE.variables().items()}


def style_variables() -> str:
    """The style sheet that defines the colours of both themes; on paper those of the light one.

    Example:

    ```python
    "--c0: #0072b2;" in style_variables()  # True
    ```
    """

    def rules(palette: Palette) -> str:
        return " ".join(f"{name}: {colour};" for name, colour in palette.variables().items())

    return (
        f":root {{ color-scheme: light dark; {rules(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {rules(DARK)} }} }}\n"
        f"@media print {{ :root {{ color-scheme: light; {rules(LIGHT)} }} }}\n"
    )
