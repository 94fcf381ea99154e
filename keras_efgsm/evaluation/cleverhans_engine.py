"""PGD run by cleverhans: an implementation by others to hold the native one against."""

from collections.abc import Sequence

import keras

from keras_efgsm.attacks import PGD, Attack
from keras_efgsm.attacks.losses import margin_loss
from keras_efgsm.backend import BACKEND
from keras_efgsm.evaluation.native_engine import BatchAttack
from keras_efgsm.typing import LogitsFn, Tensor


def compile_cleverhans(
    attack: Attack,
    logits_fn: LogitsFn,
    seed: int,
    reads: Sequence[keras.Variable] = (),
) -> BatchAttack:
    """Compiles cleverhans' `projected_gradient_descent` with the options of a `PGD`.

    The random start is cleverhans' own, drawn batch after batch: reproducible with the same seed
    and batch size, but not the one of the native engine.

    Args:
        attack: a `PGD`, of any loss.
        logits_fn: maps images `(B, H, W, C)` to logits `(B, K)`.
        seed: seed of the random starts.
        reads: as in `compile_native`.

    Returns:
        As `compile_native`.

    Raises:
        ImportError: if cleverhans is not installed.
        ValueError: if the attack is not a `PGD`, its step is larger than the ball, or Keras runs on
            another backend than TensorFlow.

    Example:

    ```python
    run = compile_cleverhans(PGD(epsilon=0.3, loss="cw"), classifier, seed=0)
    x_adv = run(x, y, ops.arange(len(x)), ops.convert_to_tensor(0))
    ```
    """
    if type(attack) is not PGD:
        raise ValueError(
            'The engine "cleverhans" runs `PGD` only; use engine="native" for other attacks. '
            f"Received: attack={type(attack).__name__}"
        )
    if attack.step_size > attack.epsilon:
        raise ValueError(
            "cleverhans refuses a step that is larger than the ball. "
            f"Received: step_size={attack.step_size:g}, epsilon={attack.epsilon:g}"
        )
    if BACKEND != "tensorflow":
        raise ValueError(
            'The engine "cleverhans" runs on TensorFlow alone; use engine="native", or evaluate '
            f"the saved classifier with KERAS_BACKEND=tensorflow. Received: backend={BACKEND!r}"
        )
    import tensorflow as tf

    from keras_efgsm.backend.tensorflow.graphs import traced_by_shape

    try:
        from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent
    except ImportError as error:
        raise ImportError(
            'The engine "cleverhans" needs an optional dependency: '
            f"pip install keras-efgsm[cleverhans] ({error})"
        ) from error

    # cleverhans' inner tf.function is keyed on these two objects: a new lambda for each batch
    # would be a new trace for each batch.
    model_fn = tf.autograph.experimental.do_not_convert(logits_fn)
    cw_loss = tf.autograph.experimental.do_not_convert(_cw_loss)
    loss_fn = cw_loss if attack.loss == "cw" else None  # None is its own cross-entropy

    # AutoGraph turns cleverhans' Python loop into one of the graph, as the number of steps is a
    # tensor; an unrolled loop of 100 steps takes longer to build than a batch to attack.
    def run(x: Tensor, labels: Tensor, ids: Tensor, restart: Tensor) -> Tensor:
        # In a graph this seeds that graph alone; cleverhans takes no seed, and the global one
        # belongs to the caller.
        tf.compat.v1.set_random_seed(seed)
        return projected_gradient_descent(
            model_fn,
            x,
            attack.epsilon,
            attack.step_size,
            tf.constant(attack.steps),
            attack.ball.order,
            loss_fn=loss_fn,
            clip_min=0.0,
            clip_max=1.0,
            y=labels,
            rand_init=attack.random_start,
        )

    return traced_by_shape(tf.function(run))


def _cw_loss(labels: Tensor, logits: Tensor) -> Tensor:
    return margin_loss(logits, labels)
