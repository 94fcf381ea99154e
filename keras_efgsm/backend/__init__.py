"""The one place that knows a framework: gradients, Keras's training step, per-sample storage.

`keras.ops` has no gradients and no scatter into a variable in place; each Keras backend is one
folder here with the same names, those of its `__all__`.
"""

from typing import TYPE_CHECKING

import keras

BACKEND: str = keras.backend.backend()

# A star, so that the names stand where they are made alone; a type checker follows it.
if TYPE_CHECKING or BACKEND == "tensorflow":
    from keras_efgsm.backend.tensorflow import *  # noqa: F403
elif BACKEND == "jax":
    from keras_efgsm.backend.jax import *  # noqa: F403
else:
    raise ImportError(
        "keras_efgsm runs on the TensorFlow and JAX backends of Keras; set KERAS_BACKEND to one of "
        f"them before importing keras. Received: keras.backend.backend()={BACKEND!r}"
    )
