"""Drawings as SVG inside a page: their text is text, their colours are those of the page."""

import io
import re
from typing import Any
from xml.etree import ElementTree

from keras_efgsm.pictures.palette import page_colours


def inline_svg(figure: Any, name: str, *, title: str, description: str) -> str:
    """A figure as SVG to be put into an HTML page: its text is text, in the page's font.

    Args:
        figure: as `new_figure` makes it, drawn in the colours of `PAGE`.
        name: begins every id, so that no two pictures of a page have the same.
        title: what it shows, for a pointer that rests on it.
        description: the same with its figures, for who cannot see it.

    Returns:
        The element `svg`, without namespaces, metadata, ground and fonts.
    """
    import matplotlib

    # The ground is that of the page.
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    written = io.StringIO()
    # The salt makes ids that do not change from one drawing to the next.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg")
    root = ElementTree.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            # A style inside would be one of the whole page.
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', written.getvalue()))
    colours = page_colours()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text, element.tail = (element.text or "").strip(), None
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(
            (key, _for_page(key, value, name, colours))
            for key, value in attributes.items()
            if (key != "id" or value in used) and not value.startswith("rotate(-0 ")
        )
    size = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": size, "role": "img", "aria-label": description})
    heading = ElementTree.Element("title")
    heading.text = title
    root.insert(0, heading)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _for_page(key: str, value: str, name: str, colours: dict[str, str]) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return f"#{name}-{value.removeprefix('#')}"
    # A hundredth of a point is not seen.
    value = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", value)
    value = value.replace("url(#", f"url(#{name}-")
    value = re.sub(r"(?:^|(?<=; ))font(?:-family|-size)?: [^;]*;? ?", "", value)
    return re.sub(r"#[0-9a-f]{6}", lambda found: colours.get(found[0], found[0]), value)
