"""Images under attacks of growing radius, each until the model takes it for another class."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_efgsm.evaluation.open_pgd import pgd_options
from keras_efgsm.pictures.png import png_text

FILM_STEPS = 50
_FILM_FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_MOST_FILMS = 4


def film_radii(epsilon: float, whole: float = 1.0) -> list[float]:
    """The radii at which images are shown.

    Args:
        epsilon: that of the evaluation.
        whole: the radius that reaches any image. Defaults to that of L-infinity.
    """
    return [r for factor in _FILM_FACTORS if (r := round(factor * epsilon, 6)) < whole]


def measure_films(
    attack: Callable[..., Any],
    predict: Callable[..., Any],
    x: np.ndarray,
    labels: np.ndarray,
    clean: np.ndarray,
    radii: list[float],
    *,
    on_attack: Callable[[], None],
) -> list[dict[str, Any]]:
    """Attacks a few images at each radius.

    Args:
        attack: the function of `open_pgd` that attacks them.
        predict: maps images to probabilities `(B, K)`.
        x: clean images `(n, H, W, C)`.
        labels: true classes `(n,)`.
        clean: probabilities `(n, K)` of the clean images.
        radii: in pixels of [0, 1], rising.
        on_attack: called after each radius.

    Returns:
        A `FilmPart` for each image, ready for JSON; none of images that have no picture.
    """
    chosen = choose_films(labels, clean.argmax(axis=1) == labels)
    if x.shape[3] not in (1, 3) or len(chosen) == 0:
        for _ in radii:
            on_attack()
        return []
    films: list[dict[str, Any]] = [
        {
            "label": int(labels[index]),
            "size": [int(side) for side in x.shape[1:3]],
            "frames": [{"epsilon": 0.0, **picture(x[index], clean[index])}],
        }
        for index in chosen
    ]
    images, truth = ops.convert_to_tensor(x[chosen]), ops.convert_to_tensor(labels[chosen])
    ids = ops.convert_to_tensor(chosen.astype("int32"))
    for radius in radii:
        x_adv, _ = attack(images, truth, ids, *pgd_options(radius, FILM_STEPS))
        given = np.asarray(predict(x_adv))
        for film, pixels, probabilities in zip(films, np.asarray(x_adv), given, strict=True):
            if film["frames"][-1]["predicted"] == film["label"]:
                film["frames"].append({"epsilon": radius, **picture(pixels, probabilities)})
        on_attack()
    return films


def choose_films(labels: np.ndarray, was_right: np.ndarray) -> np.ndarray:
    """The first images of different classes that were classified correctly.

    Args:
        labels: true classes `(n,)`.
        was_right: whether `(n,)` each clean image was classified correctly.
    """
    right = np.flatnonzero(was_right)
    _, first = np.unique(labels[right], return_index=True)
    chosen: np.ndarray = right[np.sort(first)][:_MOST_FILMS]
    return chosen


def picture(pixels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """An image and what the model makes of it, ready for JSON.

    Args:
        pixels: `(H, W, C)` in [0, 1].
        probabilities: of the classes, `(K,)`.
    """
    predicted = int(probabilities.argmax())
    return {
        "png": png_text(pixels),
        "predicted": predicted,
        "probability": float(probabilities[predicted]),
    }
