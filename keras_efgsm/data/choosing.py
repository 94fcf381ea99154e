"""Some images of a data set: the first ones, or some of each class where it is sorted by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FIRST = "first"


class Chosen(NamedTuple):
    """Some images of a data set.

    Attributes:
        indices: which, integers `(m,)` that rise.
        selection: how they were chosen: `"first"`, or `"by class, seed 0"`.
        missing: the classes that the data set has images of and the choice has not.
    """

    indices: np.ndarray
    selection: str
    missing: tuple[int, ...]


def choose_images(labels: np.ndarray, count: int | None, seed: int = 0) -> Chosen:
    """Chooses images of a data set, of every class where there is room.

    Of a data set that comes shuffled these are the first ones; of one that is sorted by class, as
    folders are, as many of each class as its share is, drawn with the seed.

    Args:
        labels: integers `(n,)`, all of them.
        count: how many, at most n; None for all.
        seed: number from 0 of the draw. Defaults to 0.

    Example:

    ```python
    import numpy as np
    from keras_efgsm.data.choosing import choose_images

    choose_images(np.repeat([0, 1, 2, 3], 10), 8).missing  # ()
    ```
    """
    labels = np.asarray(labels)
    if count is None or count >= len(labels):
        return Chosen(np.arange(len(labels)), FIRST, ())
    selection, indices = FIRST, np.arange(count)
    if is_sorted_by_class(labels):
        selection, indices = f"by class, seed {seed}", draw_by_class(labels, count, seed)
    missing = np.setdiff1d(labels, labels[indices])
    return Chosen(indices, selection, tuple(int(label) for label in missing))


def is_sorted_by_class(labels: np.ndarray) -> bool:
    """Returns whether neighbours share their class far more often than in a random order.

    Args:
        labels: integers `(n,)`.
    """
    # Not `bincount`, which makes room for every number up to the largest label.
    total, (_, counts) = len(labels), np.unique(labels, return_counts=True)
    if total < 2:
        return False
    # How often the class changes from one image to the next in a random order, on average.
    expected = (total - 1) * (1.0 - (counts * (counts - 1.0)).sum() / (total * (total - 1.0)))
    changes = int((labels[1:] != labels[:-1]).sum())
    return bool(0 < changes <= expected / 2)


def draw_by_class(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws so many images, the same share of every class and at least one where there is room.

    Args:
        labels: integers `(n,)`.
        count: how many, at most n.
        seed: number from 0 of the draw; a larger `count` takes in what a smaller one has.

    Returns:
        Their numbers, integers `(count,)` that rise.
    """
    # The k-th drawn of m images of a class has the place (k + 1/2) / m, and the lowest are taken.
    # RandomState, unlike the newer generators, promises the same numbers in every version.
    labels = np.asarray(labels)
    places, first = np.empty(len(labels)), []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = np.random.RandomState([seed, label]).permutation(members)
        places[order] = (np.arange(len(order)) + 0.5) / len(order)
        first.append(order[0])
    # One of each class before a second of any. What decides among images at the same place must not
    # be their order, which is that of the classes.
    places[first] = -1.0
    ranked = np.lexsort((np.random.RandomState(seed).permutation(len(labels)), places))
    return np.sort(ranked[:count])


def missing_note(
    missing: Sequence[int],
    class_names: Sequence[str] | None,
    count: int,
    num_classes: int,
    option: str = "--num-images",
) -> str:
    """Returns the sentence that warns of classes without an image; empty if there are none.

    Args:
        missing: their numbers.
        class_names: the names of the classes, if they are known.
        count: how many images were chosen.
        num_classes: how many classes the data set has images of.
        option: what chose so many. Defaults to `"--num-images"`.
    """
    if not missing:
        return ""
    named = [repr(class_names[i]) if class_names else str(i) for i in missing[:5]]
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return (
        f"{len(missing)} of {num_classes} classes have no image among the {count}: "
        f"{', '.join(named)}{more}; a larger `{option}` has some of each"
    )
