"""The one place that knows a framework: gradients and per-sample storage.

`keras.ops` has no gradients and no scatter into a variable in place; another Keras backend is one
more module here with the same names.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_efgsm.backend.tensorflow import (
        SampleTable,
        TrainStep,
        WeightAverager,
        compiled,
        enable_determinism,
        input_gradient,
        rival_margins_and_gradients,
    )
else:
    raise ImportError(
        "keras_efgsm runs on the TensorFlow backend of Keras; set KERAS_BACKEND=tensorflow before "
        f"importing keras. Received: keras.backend.backend()={keras.backend.backend()!r}"
    )

__all__ = [
    "SampleTable",
    "TrainStep",
    "WeightAverager",
    "compiled",
    "enable_determinism",
    "input_gradient",
    "rival_margins_and_gradients",
]
