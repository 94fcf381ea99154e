"""What a training step asks of the replicas that take it together: on JAX there is one."""

from typing import Any

import keras

from keras_efgsm.typing import Tensor


def use_fast_layers(network: keras.Model) -> None:
    """Leaves the network as it is: XLA fuses its operations by itself."""


def replica_count() -> int:
    """How many replicas take a step together: one."""
    return 1


def without_empty_batch(element: Any) -> tuple[Any, None]:
    """The batch as it is: the one replica has all of it."""
    return element, None


def batch_positions(count: Tensor) -> Tensor:
    """Positions of a batch of so many images, int32 `(count,)`."""
    return keras.ops.arange(count, dtype="int32")


def share_of_batch(count: Tensor) -> None:
    """The part of the global batch that this replica has; None as it has all of it."""
