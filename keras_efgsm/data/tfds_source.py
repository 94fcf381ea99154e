"""Image-classification data sets by their tensorflow-datasets name."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np

from keras_efgsm.data.digests import DIGEST_BYTES, digests_of_images
from keras_efgsm.data.image_channels import check_channels, with_channels
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_header import opened_image
from keras_efgsm.data.image_size import check_image_size, empty_images, resize_image
from keras_efgsm.data.source import LoadOptions, Source
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.splitting import held_out_count, held_out_note, split_off_test
from keras_efgsm.data.tfds_builder import find_builder, is_name, resolve_data_dir
from keras_efgsm.limits import check_num_classes

# tensorflow-datasets is imported inside the functions: the rest of the package works without it,
# also in the months when its newest release and TensorFlow's do not agree.


def load_tfds(
    name: str,
    split: str,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
) -> ImageData:
    """Loads an image-classification data set of tensorflow-datasets into memory.

    Images come in the order in which they are stored. Features other than the
    image and its label are left undecoded.

    Args:
        name: `"mnist"`, `"mnist/3.0.1"`, `"name/config"`, ...; also a prepared
            folder `data_dir/name/version` that no builder is registered for.
        split: `"train"`, `"test"`, `"train[:1000]"`, ...
        data_dir: folder of prepared data sets. Defaults to the environment
            variable `TFDS_DATA_DIR`, or where that is not set to the default
            of tensorflow-datasets.
        image_size: side of a square or `(height, width)` in pixels to which
            every image is resized. Defaults to `None`, which asks that all
            images already are of one size.
        channels: 1 for grey, 3 for colour, 4 for colour with alpha. Defaults to those they have.

    Raises:
        ValueError: if the data set cannot be had (the message says what to
            try), has no such split or is not one of 8-bit images with one
            class label each.

    Example:

    ```python
    from keras_efgsm.data import load_tfds

    data = load_tfds("mnist", "test")
    assert data.image_shape == (28, 28, 1)
    ```
    """
    size = check_image_size(image_size)
    check_channels(channels)
    base = resolve_data_dir(data_dir)
    builder = find_builder(name, base)
    image_key, label_key = _supervised_keys(name, builder.info)
    count = _num_examples(name, split, builder.info)

    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={
            key: tfds.decode.SkipDecoding()
            for key in builder.info.features
            if key not in (image_key, label_key)
        },
        # One shard after the other, so that the order is that on disk.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    # Images of varying size can only be batched one by one.
    static = builder.info.features[image_key].shape
    batched = size is None and None not in static
    images, labels, digests = None, np.empty(count, "int64"), None
    if size is not None or channels is not None:
        # Of what is stored: resized pixels may differ by a rounding on another machine.
        digests = np.empty((count, DIGEST_BYTES), "uint8")
    start = 0
    for element in (dataset.batch(1024) if batched else dataset.batch(1)).prefetch(2):
        stored = element[image_key].numpy()
        pixels = with_channels(resize_image(stored, size), channels)
        if images is None:
            images = empty_images(count, pixels.shape[1:])
        if pixels.shape[1:] != images.shape[1:]:
            raise ValueError(
                f"the images of {name!r} vary in size or channels: give "
                "`image_size=(height, width)` to resize them (`--image-size H W` on the command "
                "line), or `channels=3` (`--channels 3`) to convert them. "
                f"Received: image.shape={pixels.shape[1:]} after {images.shape[1:]}"
            )
        images[start : start + len(pixels)] = pixels
        labels[start : start + len(pixels)] = element[label_key].numpy()
        if digests is not None:
            digests[start : start + len(pixels)] = digests_of_images(stored)
        start += len(pixels)
    assert images is not None  # there is no split without an image
    return ImageData(
        images[:start],
        labels[:start],
        tuple(builder.info.features[label_key].names),
        name=f"{builder.info.full_name}:{split}",
        digests=None if digests is None else digests[:start],
    )


class TfdsSource(Source):
    """Data sets of tensorflow-datasets, prepared or downloaded."""

    accepts = (
        'a name of tensorflow-datasets, such as "mnist" or "cifar10", prepared in `data_dir` '
        "(`--data-dir`) or to be downloaded"
    )

    def claims(self, dataset: str, options: LoadOptions) -> bool:
        return is_name(dataset)

    def describe(self, dataset: str, options: LoadOptions) -> SourceFacts:
        builder = find_builder(dataset, resolve_data_dir(options.data_dir))
        info = builder.info
        image_key, label_key = _supervised_keys(dataset, info)
        parts, notes = _parts(dataset, info)
        counts = {part: _num_examples(dataset, split, info) for part, split in parts.items()}
        shape = info.features[image_key].shape
        if None in shape:
            sizes, channels = _read_shapes(builder, set(parts.values()), image_key, shape)
        else:
            total = sum(counts.values())
            sizes, channels = Counter({shape[:2]: total}), Counter({shape[2]: total})
        if "test" not in counts:
            labels = _read_labels(builder, label_key)
            held = held_out_count(labels, options.test_share)
            counts = {"train": len(labels) - held, "test": held}
            notes.append(
                held_out_note("test split", held, len(labels), options.test_share, options.seed)
            )
        names = tuple(info.features[label_key].names)
        return SourceFacts(
            info.full_name, "tfds", names, counts, sizes, channels, notes=tuple(notes)
        )

    def load(self, dataset: str, split: str, options: LoadOptions) -> ImageData:
        how = options.data_dir, options.image_size, options.channels
        if split not in ("train", "test"):
            return load_tfds(dataset, split, *how)
        info = find_builder(dataset, resolve_data_dir(options.data_dir)).info
        parts, _ = _parts(dataset, info)
        if "test" in parts:
            return load_tfds(dataset, parts[split], *how)
        everything = load_tfds(dataset, "train", *how)
        return split_off_test(everything, split, options.test_share, options.seed)


def _parts(name: str, info: Any) -> tuple[dict[str, str], list[str]]:
    """The splits of the data set that are trained and tested on, and what is to be said of them."""
    splits = info.splits
    if "train" not in splits or "test" in splits:
        return {part: part for part in ("train", "test")}, []
    if "validation" in splits:
        note = f"{name!r} has no test split: its validation split is tested on"
        return {"train": "train", "test": "validation"}, [note]
    return {"train": "train"}, []


def _read_labels(builder: Any, label_key: str) -> np.ndarray:
    import tensorflow_datasets as tfds

    skipped = {key: tfds.decode.SkipDecoding() for key in builder.info.features if key != label_key}
    dataset = builder.as_dataset(split="train", decoders=skipped, shuffle_files=False)
    return np.array([int(element[label_key]) for element in dataset])


def _read_shapes(
    builder: Any, splits: set[str], image_key: str, shape: tuple[int | None, ...]
) -> tuple[Counter[tuple[int, int]], Counter[int]]:
    """Sizes and channels by the headers of the stored files."""
    import io

    import tensorflow_datasets as tfds

    sizes: Counter[tuple[int, int]] = Counter()
    channels: Counter[int] = Counter()
    skipped = {key: tfds.decode.SkipDecoding() for key in builder.info.features}
    for split in sorted(splits):
        for element in builder.as_dataset(split=split, decoders=skipped, shuffle_files=False):
            with opened_image(io.BytesIO(element[image_key].numpy())) as image:
                sizes[image.height, image.width] += 1
                channels[shape[2] or len(image.getbands())] += 1
    return sizes, channels


def _supervised_keys(name: str, info: Any) -> tuple[str, str]:
    """Which features are the image and its class."""
    import tensorflow_datasets as tfds

    features = info.features
    kinds = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [k for k, f in kinds.items() if type(f) is tfds.features.Image]
    labels = [k for k, f in kinds.items() if type(f) is tfds.features.ClassLabel]
    # Data sets with several labels, such as cifar100, say which one is meant.
    if info.supervised_keys and len(info.supervised_keys) == 2:
        image, label = info.supervised_keys
        if image in images and label in labels:
            images, labels = [image], [label]
    if len(images) != 1 or len(labels) != 1:
        found = {k: type(f).__name__ for k, f in kinds.items()} or type(features).__name__
        raise ValueError(
            "the data set must be one for image classification: one Image and one ClassLabel "
            f"feature. Received: name={name!r} with features {found}"
        )
    check_num_classes(features[labels[0]].num_classes, f"name={name!r}")
    dtype = np.dtype(features[images[0]].np_dtype)
    if dtype != np.uint8:
        raise ValueError(
            f"the images of the data set must have 8-bit pixels. "
            f"Received: name={name!r} with pixels of {dtype}"
        )
    return images[0], labels[0]


def _num_examples(name: str, split: str, info: Any) -> int:
    try:
        count: int = info.splits[split].num_examples
    except (KeyError, ValueError, AttributeError, TypeError, AssertionError) as error:
        raise ValueError(
            f"`split` must be a split of {name!r} or a slice of one: "
            f"{', '.join(repr(s) for s in info.splits)}. Received: split={split!r}"
        ) from error
    if not count:
        raise ValueError(
            f"`split` must hold images, but this one of {name!r} is empty. "
            f"Received: split={split!r}"
        )
    return count
