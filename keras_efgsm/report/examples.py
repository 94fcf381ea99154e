"""The images of a report: before and after the attack, and growing in epsilon until they flip."""

from collections.abc import Sequence
from typing import NamedTuple

from keras_efgsm.attacks.ball import BALLS
from keras_efgsm.records.report_curves import ExamplePart, FilmPart, MeasuredPart
from keras_efgsm.records.wording import number, percent, radius, short_radius
from keras_efgsm.report.films import FILM_STEPS
from keras_efgsm.report.measurements import SHOWN_STEPS
from keras_efgsm.report.run_charts import STEP, measured_on


class Tile(NamedTuple):
    """A picture of an example.

    Attributes:
        label: what it is.
        png: in base64.
        alt: what it shows, for who cannot see it.
        lines: what is said below it.
        is_lost: whether the model takes it for another class. Defaults to `False`.
    """

    label: str
    png: str
    alt: str
    lines: list[str]
    is_lost: bool = False


class Example(NamedTuple):
    """An image and what was made of it.

    Attributes:
        height: in pixels.
        width: in pixels.
        tiles: clean, attacked, change, and rebuilt where there is a re-constructor; of a film the
            frames.
        caption: how it went.
    """

    height: int
    width: int
    tiles: list[Tile]
    caption: str


class Examples(NamedTuple):
    """Several images.

    Attributes:
        text: how they were made.
        images: the images.
    """

    text: str
    images: list[Example]


def examples_of(measured: MeasuredPart) -> Examples:
    """Images before and after the attack, with what was changed.

    Args:
        measured: what the report measured.
    """
    full = BALLS[measured.norm or "linf"].strength
    text = (
        f"The first images that PGD-CW ({SHOWN_STEPS} iterations, epsilon "
        f"{radius(measured.epsilon, measured.norm)}, {STEP}) turned, and the first that withstood "
        f"it; {measured_on(measured)}. Percentages are the probability of the predicted class. The "
        f"change is amplified, scaled to {full}, and has its sign: red is brighter, blue "
        "darker, white unchanged; in colour images grey is unchanged and each channel lighter "
        "where it was raised."
    )
    if any(example.reconstruction for example in measured.examples):
        text += (
            " The reconstruction is what the re-constructor makes of the probabilities of the "
            "adversarial image."
        )
    return Examples(text, [_example(example, measured) for example in measured.examples])


def _example(example: ExamplePart, measured: MeasuredPart) -> Example:
    names = measured.class_names
    truth = names[example.label]
    tiles = []
    # Short labels: four tiles share the width of a phone.
    seen = (("clean", "clean", example.clean), ("attacked", "adversarial", example.adversarial))
    for label, kind, picture in seen:
        number_of_class = picture.predicted or 0
        predicted = names[number_of_class]
        alt = f"{kind} image of class {truth}, predicted {predicted}"
        said = [predicted, percent(picture.probability, 1)]
        tiles.append(Tile(label, picture.png, alt, said, number_of_class != example.label))
    change = number(example.largest_change)
    alt = f"perturbation of an image of class {truth}, at most {change} a pixel"
    tiles.insert(1, Tile("change", example.perturbation.png, alt, [f"≤ {change}"]))
    if example.reconstruction:
        alt = f"reconstruction from the adversarial image of class {truth}"
        tiles.append(Tile("rebuilt", example.reconstruction.png, alt, []))
    ended = example.adversarial.predicted or 0
    outcome = "withstood" if ended == example.label else f"turned to {names[ended]}"
    height, width = example.size
    return Example(height, width, tiles, f"True class {truth}: {outcome}.")


def films_of(measured: MeasuredPart, most: int | None = None) -> Examples | None:
    """Images attacked with a growing epsilon, each until the model takes it for another class.

    Args:
        measured: what the report measured.
        most: how many images; None for all. Defaults to `None`.

    Returns:
        None where there are none.
    """
    films: Sequence[FilmPart] = measured.films or ()
    if not films:
        return None
    text = (
        f"The first images of their classes that the model classifies correctly, under PGD-CW "
        f"({FILM_STEPS} iterations, {STEP}) with a growing epsilon, until it takes them for "
        f"another class; {measured_on(measured)}."
    )
    return Examples(text, [_film(film, measured) for film in films[:most]])


def _film(film: FilmPart, measured: MeasuredPart) -> Example:
    names = measured.class_names
    truth = names[film.label]
    tiles = []
    for frame in film.frames:
        predicted = names[frame.predicted]
        at = short_radius(frame.epsilon) if frame.epsilon else "clean"
        alt = f"image of class {truth} at epsilon {at}, predicted {predicted}"
        said = [predicted, percent(frame.probability, 0)]
        tiles.append(Tile(at, frame.png, alt, said, frame.predicted != film.label))
    last = film.frames[-1]
    outcome = (
        f"withstood up to {radius(last.epsilon, measured.norm)}"
        if last.predicted == film.label
        else f"taken for {names[last.predicted]} at {radius(last.epsilon, measured.norm)}"
    )
    height, width = film.size
    return Example(height, width, tiles, f"True class {truth}: {outcome}.")
