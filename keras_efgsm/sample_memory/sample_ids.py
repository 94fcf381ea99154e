"""Numbers for the samples of a user's own `tf.data` pipeline."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


def with_sample_ids(dataset: "tf.data.Dataset") -> "tf.data.Dataset":
    """Numbers the samples of a finite dataset, so that each can have its own momentum.

    The numbers count samples in the order in which they come. They must name
    the same sample in every epoch: call this before `.shuffle(...)` and before
    `.repeat(...)`.

    Args:
        dataset: a finite `tf.data.Dataset`, batched or not, of `(x, y)`, of
            `(x, y, sample_weight)` or of dicts `{"image": x, "label": y}` as
            tensorflow-datasets yields them; `x` is `(height, width, channels)`
            or `(b, height, width, channels)`.

    Returns:
        Dataset of `({"image": x, "id": i}, y)`, or with the `sample_weight`
        after it; `i` is int32 of shape `()` or `(b,)`.

    Raises:
        ValueError: if it is not a dataset, is endless, is shuffled anew in each
            epoch, has ids already, or has elements of another form.

    Example:

    ```python
    import tensorflow as tf
    from keras_efgsm.data import with_sample_ids

    pairs = tf.data.Dataset.from_tensor_slices((tf.zeros((10, 8, 8, 1)), tf.zeros(10, tf.int32)))
    numbered = with_sample_ids(pairs).shuffle(10).batch(4)
    ```
    """
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            "`dataset` must be a `tf.data.Dataset`; make one of arrays with "
            "`tf.data.Dataset.from_tensor_slices((images, labels))`. "
            f"Received: dataset={type(dataset).__name__}"
        )
    spec = dataset.element_spec
    take_apart = _take_apart(spec)
    image = take_apart(spec)[0]
    rank = image.shape.rank if isinstance(image, tf.TensorSpec) else None
    if rank not in (3, 4):
        raise ValueError(
            "the images of `dataset` must be of shape (height, width, channels), or with a batch "
            f"in front of that. Received: image={image}"
        )
    if reshuffles(dataset):
        raise ValueError(
            "`dataset` is shuffled anew in each epoch, so that a number would name another sample "
            "each time: call `with_sample_ids` before `.shuffle(...)`, and read files with "
            "`shuffle_files=False`. Received: dataset with a reshuffling shuffle"
        )
    length = int(dataset.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "`dataset` must be finite, so that its samples can be numbered: call "
            "`with_sample_ids` before `.repeat()`. Received: dataset.cardinality()=INFINITE"
        )

    def number(first: tf.Tensor, element: Any) -> tuple[tf.Tensor, tuple[Any, ...]]:
        x, *rest = take_apart(element)
        count = tf.shape(x)[0] if rank == 4 else 1
        ids = tf.range(first, first + count) if rank == 4 else first
        return first + count, ({"image": x, "id": ids}, *rest)

    numbered = dataset.scan(tf.constant(0, tf.int32), number)
    if length >= 0:
        numbered = numbered.apply(tf.data.experimental.assert_cardinality(length))
    return numbered


def _take_apart(spec: Any) -> Callable[[Any], tuple[Any, ...]]:
    """How to take `(x, y)` or `(x, y, sample_weight)` out of an element."""
    if isinstance(spec, dict) and {"image", "label"} <= set(spec):
        return lambda element: (element["image"], element["label"])
    if isinstance(spec, tuple) and len(spec) in (2, 3):
        inputs = spec[0]
        if not isinstance(inputs, dict):
            return lambda element: element
        if "id" in inputs:
            raise ValueError(
                "the samples of `dataset` have ids already; use it as it is. "
                f"Received: dataset.element_spec[0] with keys {sorted(inputs)}"
            )
        if set(inputs) == {"image"}:
            return lambda element: (element[0]["image"], *element[1:])
    raise ValueError(
        "the elements of `dataset` must be (x, y), (x, y, sample_weight) or dicts with "
        f'"image" and "label". Received: dataset.element_spec={spec}'
    )


def reshuffles(dataset: Any) -> bool:
    """Whether a shuffle upstream gives another order in each epoch, as far as can be seen.

    Only TensorFlow's private names tell; where they are gone, nothing is found.

    Args:
        dataset: a `tf.data.Dataset`.
    """
    if getattr(dataset, "_reshuffle_each_iteration", False):
        return True
    inputs = getattr(dataset, "_inputs", None)
    try:
        return any(reshuffles(upstream) for upstream in inputs()) if inputs else False
    except (TypeError, AttributeError, NotImplementedError):
        return False
