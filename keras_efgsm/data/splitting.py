"""Test images for a data set that has none: a part of every class, held out by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np

from keras_efgsm.data.image_data import ImageData


def draw_held_out(
    keys: Sequence[Hashable],
    labels: np.ndarray,
    class_names: Sequence[str],
    share: float,
    seed: int,
) -> np.ndarray:
    """Draws the images that are held out, the same share of every class.

    Images of one key are one image: they all go to the same side. Each class gives at least one
    image to either side. Each is drawn by itself, so that one more image leaves others as they are.

    Args:
        keys: what identifies each image, in an order that does not change from run to run.
        labels: integers `(n,)`.
        class_names: the name of each class.
        share: between 0 and 1.
        seed: number from 0 of the draw.

    Returns:
        Bool `(n,)`: whether an image is held out.

    Raises:
        ValueError: if a class has no two images of its own.
    """
    members: list[list[Hashable]] = [[] for _ in class_names]
    for key, label in zip(keys, labels, strict=True):
        members[label].append(key)
    held: dict[Hashable, bool] = {}
    for label, name in enumerate(class_names):
        distinct = list(dict.fromkeys(members[label]))
        if len(distinct) < 2:
            raise ValueError(
                "every class must have two different images or more, one to train on and one to "
                "hold out as test image; add images, or give test images of their own "
                f"(a folder `test/`). Received: class {name!r} with {len(distinct)}"
            )
        wanted = _share_of(len(distinct), share)
        # RandomState, unlike the newer generators, promises the same numbers in every version.
        order = np.random.RandomState([seed, label]).permutation(len(distinct))
        # An image that is in two classes has its side already.
        wanted -= sum(held.get(key, False) for key in distinct)
        for number, key in enumerate(k for k in (distinct[i] for i in order) if k not in held):
            held[key] = number < wanted
    drawn = np.array([held[key] for key in keys])
    for label, name in enumerate(class_names):
        if len(set(drawn[np.asarray(labels) == label])) < 2:
            raise ValueError(
                "every class must have images of its own, but the same images are in several "
                f"classes. Received: class {name!r}"
            )
    return drawn


def split_off_test(data: ImageData, split: str, share: float, seed: int) -> ImageData:
    """Returns one side of a data set that comes without test images.

    Args:
        data: all images.
        split: `"train"` for the rest, `"test"` for the held-out part.
        share: share of the held-out part, between 0 and 1.
        seed: number from 0 of the draw.

    Raises:
        ValueError: if a class has no two images.
    """
    keys = [hashlib.sha256(image).digest() for image in np.ascontiguousarray(data.images)]
    held = draw_held_out(keys, data.labels, data.class_names, share, seed)
    chosen = held if split == "test" else ~held
    return data.subset(chosen, held_out_name(data.name, split, share, seed))


def held_out_count(labels: np.ndarray, share: float) -> int:
    """Returns how many images are held out where no image is there twice.

    Args:
        labels: integers `(n,)`, the class of each image.
        share: share of the held-out part.
    """
    # Not `bincount`, which makes room for every number up to the largest label.
    _, counts = np.unique(labels, return_counts=True)
    return sum(_share_of(int(members), share) for members in counts)


def _share_of(members: int, share: float) -> int:
    return min(max(int(share * members + 0.5), 1), members - 1)


def held_out_name(name: str, split: str, share: float, seed: int) -> str:
    """Returns how records call one side of a data set that is split by a seed."""
    part = "held out" if split == "test" else "without"
    return f"{name}[{part} {share:g}, seed {seed}]"


def held_out_note(where: str, count: int, total: int, share: float, seed: int) -> str:
    """Returns the sentence that says that test images were held out.

    Args:
        where: what there is none of, such as ``"`test/` folder"``.
        count: how many images are held out.
        total: of how many.
        share: the share that was asked for.
        seed: number of the draw.
    """
    return (
        f"there is no {where}: {count} of {total} images, {share:.0%} of each class, are held out "
        f"as test images (seed {seed})"
    )
