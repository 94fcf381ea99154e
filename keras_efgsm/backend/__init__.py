"""The one place that knows a framework: gradients, the training step and per-sample storage.

`keras.ops` has no gradients and no scatter into a variable in place; each Keras backend is one
module here with the same names.
"""

import keras

BACKEND = keras.backend.backend()

if BACKEND == "tensorflow":
    from keras_efgsm.backend import tensorflow as _backend
elif BACKEND == "jax":
    from keras_efgsm.backend import jax as _backend
else:
    raise ImportError(
        "keras_efgsm runs on the TensorFlow and JAX backends of Keras; set KERAS_BACKEND to one of "
        f"them before importing keras. Received: keras.backend.backend()={BACKEND!r}"
    )

HostTable = _backend.HostTable
SampleTable = _backend.SampleTable
TrainStep = _backend.TrainStep
WeightAverager = _backend.WeightAverager
batch_positions = _backend.batch_positions
accelerators = _backend.accelerators
call_on_host = _backend.call_on_host
compiled = _backend.compiled
compiled_once = _backend.compiled_once
enable_determinism = _backend.enable_determinism
use_fast_layers = _backend.use_fast_layers
input_gradient = _backend.input_gradient
is_symbolic = _backend.is_symbolic
replica_count = _backend.replica_count
without_empty_batch = _backend.without_empty_batch
rival_margins_and_gradients = _backend.rival_margins_and_gradients

__all__ = [
    "BACKEND",
    "HostTable",
    "SampleTable",
    "TrainStep",
    "WeightAverager",
    "accelerators",
    "batch_positions",
    "call_on_host",
    "compiled",
    "compiled_once",
    "enable_determinism",
    "input_gradient",
    "is_symbolic",
    "replica_count",
    "rival_margins_and_gradients",
    "use_fast_layers",
    "without_empty_batch",
]
