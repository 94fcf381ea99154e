"""The optimizer of the CIFAR recipes, whose weight decay is not that of Keras."""

from typing import Any

import keras
from keras import ops

from keras_efgsm.checks import check_number
from keras_efgsm.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="keras_efgsm")
class L2SGD(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    """Gradient descent with momentum on the loss plus `l2 / 2 * ||w||^2`.

    What the literature on CIFAR means by a weight decay of 5e-4, and what PyTorch's `SGD` does: the
    gradient is `g + l2 * w`, and its decay goes through the momentum. `weight_decay=` of Keras'
    own `SGD` takes `learning_rate * weight_decay * w` off the weights beside the momentum, with a
    momentum of 0.9 a tenth as much in the long run. As in the code of Wong et al. and Rice et al.
    the decay is on all trainable weights, those of batch norm and the biases included.

    Args:
        learning_rate: as in `keras.optimizers.SGD`.
        momentum: as there. Defaults to `0.9`.
        nesterov: as there. Defaults to `True`.
        l2: factor of the weights in the gradient, >= 0. Defaults to `5e-4`.
        **kwargs: as `keras.optimizers.SGD` takes them.

    Raises:
        ValueError: if `l2` is out of range.

    Example:

    ```python
    trainer.compile(optimizer=L2SGD(0.1, momentum=0.9, l2=5e-4))
    ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = True,
        l2: float = 5e-4,
        name: str = "l2_sgd",
        **kwargs: Any,
    ):
        super().__init__(learning_rate, momentum, nesterov, name=name, **kwargs)
        self.l2 = check_number(l2, "l2", minimum=0.0)

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        decay = ops.multiply(variable, ops.cast(self.l2, variable.dtype))
        gradient = ops.add(ops.cast(gradient, variable.dtype), decay)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> Config:
        return {**super().get_config(), "l2": self.l2}
