"""TensorFlow: gradients by `tf.GradientTape`, per-sample storage in a `tf.Variable`."""

from keras_efgsm.backend.fast_layers import use_fast_layers
from keras_efgsm.backend.tensorflow.averaging import WeightAverager
from keras_efgsm.backend.tensorflow.checked_batches import checked_step, with_checked_batches
from keras_efgsm.backend.tensorflow.gradients import (
    apply_gradients,
    input_gradient,
    rival_margins_and_gradients,
    weight_and_image_gradients,
    weight_gradients,
)
from keras_efgsm.backend.tensorflow.graphs import (
    accelerators,
    call_on_host,
    compiled,
    compiled_once,
    enable_determinism,
    is_symbolic,
    traced_once,
)
from keras_efgsm.backend.tensorflow.keras_step import (
    batch_to_build_on,
    epoch_logs,
    own_train_function,
    take_test_step,
    take_train_step,
)
from keras_efgsm.backend.tensorflow.tables import HostTable, SampleTable
from keras_efgsm.distribution.replicas import (
    batch_positions,
    replica_count,
    share_of_batch,
    without_empty_batch,
)

__all__ = [
    "HostTable",
    "SampleTable",
    "WeightAverager",
    "accelerators",
    "apply_gradients",
    "batch_positions",
    "batch_to_build_on",
    "call_on_host",
    "checked_step",
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
    "traced_once",
    "use_fast_layers",
    "weight_and_image_gradients",
    "weight_gradients",
    "with_checked_batches",
    "without_empty_batch",
]
