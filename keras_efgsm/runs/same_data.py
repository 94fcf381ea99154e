"""Whether the images of a run are still those that it was trained on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_efgsm.data import ImageData
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.records import DataRecord, MetricsRecord
from keras_efgsm.runs.folder import RunFolder

_SPLITS = {"train": "training images", "test": "test images", "validation": "validation images"}
# Hexadecimal digits of a digest that workers compare: their sum over replicas stays in 64 bits.
_COMPARED = 12


def check_data_fit(train: ImageData, test: ImageData) -> None:
    """Checks that a run can be tested on its test images, before it is trained.

    Args:
        train: the training images.
        test: the test images.

    Raises:
        ValueError: if size, channels or classes are others, or the classes are in another order.
    """
    if test.image_shape != train.image_shape:
        height, width, channels = train.image_shape
        raise ValueError(
            f"The test images must have the shape {train.image_shape} of the training images; "
            f"`--image-size {height} {width} --channels {channels}` (`image_size=`, `channels=`) "
            "brings all images of a data set to it. "
            f"Received: {test.name!r} with images of shape {test.image_shape}"
        )
    if test.class_names != train.class_names:
        differing = train.record().differences(test.record())
        raise ValueError(
            "The test images must have the classes of the training images, in the same order "
            f"({next(text for text in differing if text.startswith('class'))}). "
            f"Received: {test.name!r} with classes {_listed(test.class_names)}, "
            f"{train.name!r} with classes {_listed(train.class_names)}"
        )


def untrained_note(train: ImageData, test: ImageData) -> str:
    """The sentence that test images are of classes which no training image has; empty if none are.

    Args:
        train: the training images.
        test: the test images, of the same classes.
    """
    labels = np.setdiff1d(test.labels, train.labels)
    if not len(labels):
        return ""
    names = ", ".join(repr(train.class_names[label]) for label in labels[:5])
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"there are test images but no training images of {names}{more}"


def check_same_data(
    stored: Mapping[str, Any] | None, now: Mapping[str, DataRecord], checkpoint: str
) -> None:
    """Checks that a run goes on with the images that it was begun with.

    Args:
        stored: what its checkpoint says of them, by split; None of one that an earlier version
            wrote, which is said.
        now: what they are now, by split.
        checkpoint: name of the checkpoint.

    Raises:
        ValueError: if they are others; it says in what.
    """
    if stored is None:
        print(
            f"{checkpoint} is of an earlier version and does not say which images it is of; they "
            "are taken to be the same"
        )
        return
    changed = changes({name: DataRecord.from_dict(values) for name, values in stored.items()}, now)
    if changed:
        raise ValueError(
            f"A run must be resumed with the images that it was begun with. Changed: {changed}. "
            "Put them back as they were, or train anew in another folder. "
            f"Received: checkpoint={checkpoint}"
        )


def check_workers_agree(now: Mapping[str, DataRecord], agreement: Agreement) -> None:
    """Checks that all workers have the same images.

    Args:
        now: what this worker has, by split.
        agreement: with the other workers.

    Raises:
        ValueError: if one has others.
    """
    if agreement.workers == 1:
        return
    codes = [
        int(digest[:_COMPARED], 16)
        for record in now.values()
        for digest in (record.images, record.labels)
    ]
    others = (agreement.gather(codes) != codes).any(axis=1).nonzero()[0]
    if len(others):
        raise ValueError(
            "All workers must have the same images and labels. "
            f"Received: others on worker {others[0]} than on worker {agreement.shard.index}"
        )


def check_classes(folder: RunFolder, data: ImageData) -> None:
    """Checks that images do not have the classes of a run in another order.

    Args:
        folder: the run's folder.
        data: images that its classifier is to be measured on.

    Raises:
        ValueError: if they have: each label would name another class.
    """
    metrics = _metrics(folder)
    names = metrics.class_names if metrics is not None else None
    if names and names != data.class_names and sorted(names) == sorted(data.class_names):
        raise ValueError(
            "The images must have the classes of the run in the same order: "
            f"{_listed(names)}. Received: {data.name!r} with classes {_listed(data.class_names)}"
        )


def changed_since(folder: RunFolder, data: ImageData, split: str) -> str:
    """The sentence that the images of a run are others than those it was trained with.

    Args:
        folder: the run's folder.
        data: the images of its data set as they are now.
        split: `"train"` or `"test"`; nothing is known of others.

    Returns:
        Empty if they are the same, or the run does not say what they were.
    """
    metrics = _metrics(folder)
    then = metrics.data if metrics is not None else None
    if not then or split not in then:
        return ""
    changed = changes(then, {split: data.record()})
    return (
        f"the images of the run's data set have changed since its training: {changed}"
        if changed
        else ""
    )


def changes(then: Mapping[str, DataRecord], now: Mapping[str, DataRecord]) -> str:
    """What changed of the images, in words; empty where nothing did.

    Args:
        then: what they were, by split; a split that is not in both is passed over.
        now: what they are.
    """
    found = []
    for split, name in _SPLITS.items():
        if split in then and split in now:
            differing = then[split].differences(now[split])
            found += [f"{name} ({', '.join(differing)})"] if differing else []
    return "; ".join(found)


def _metrics(folder: RunFolder) -> MetricsRecord | None:
    """What the run says of its data; None of one that is not finished or whose file is damaged."""
    try:
        return MetricsRecord.read(folder.metrics)
    except (OSError, ValueError):
        return None


def _listed(names: tuple[str, ...]) -> str:
    return f"{list(names[:10])}{' ...' if len(names) > 10 else ''}"
