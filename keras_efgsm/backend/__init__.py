"""The one place that knows a framework: gradients, Keras's training step, per-sample storage.

`keras.ops` has no gradients and no scatter into a variable in place; each Keras backend is one
folder here with the same names.
"""

from typing import TYPE_CHECKING

import keras

BACKEND: str = keras.backend.backend()

if TYPE_CHECKING or BACKEND == "tensorflow":
    from keras_efgsm.backend.tensorflow import (
        HostTable,
        SampleTable,
        WeightAverager,
        accelerators,
        apply_gradients,
        batch_positions,
        batch_to_build_on,
        call_on_host,
        compiled,
        compiled_once,
        enable_determinism,
        epoch_logs,
        input_gradient,
        is_symbolic,
        own_train_function,
        replica_count,
        rival_margins_and_gradients,
        share_of_batch,
        take_test_step,
        take_train_step,
        use_fast_layers,
        weight_and_image_gradients,
        weight_gradients,
        without_empty_batch,
    )
elif BACKEND == "jax":
    from keras_efgsm.backend.jax import (
        HostTable,
        SampleTable,
        WeightAverager,
        accelerators,
        apply_gradients,
        batch_positions,
        batch_to_build_on,
        call_on_host,
        compiled,
        compiled_once,
        enable_determinism,
        epoch_logs,
        input_gradient,
        is_symbolic,
        own_train_function,
        replica_count,
        rival_margins_and_gradients,
        share_of_batch,
        take_test_step,
        take_train_step,
        use_fast_layers,
        weight_and_image_gradients,
        weight_gradients,
        without_empty_batch,
    )
else:
    raise ImportError(
        "keras_efgsm runs on the TensorFlow and JAX backends of Keras; set KERAS_BACKEND to one of "
        f"them before importing keras. Received: keras.backend.backend()={BACKEND!r}"
    )

__all__ = [
    "BACKEND",
    "HostTable",
    "SampleTable",
    "WeightAverager",
    "accelerators",
    "apply_gradients",
    "batch_positions",
    "batch_to_build_on",
    "call_on_host",
    "compiled",
    "compiled_once",
    "enable_determinism",
    "epoch_logs",
    "input_gradient",
    "is_symbolic",
    "own_train_function",
    "replica_count",
    "rival_margins_and_gradients",
    "share_of_batch",
    "take_test_step",
    "take_train_step",
    "use_fast_layers",
    "weight_and_image_gradients",
    "weight_gradients",
    "without_empty_batch",
]
