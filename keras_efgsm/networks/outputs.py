"""What a classifier returns, read as logits: which output, one number as two, probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_efgsm.checks import check_choice
from keras_efgsm.typing import Tensor

OUTPUTS = ("auto", "logits", "probabilities")
"""What the numbers may be said to be, see `Output`."""

LOGARITHM = "log of its probabilities"
"""What a report says of a classifier whose softmax could not be taken off."""

# The least number whose logarithm float32 has without leaving its normal range.
_TINY = float(np.finfo("float32").tiny)


class Output(NamedTuple):
    """What a classifier returns, as far as its user says it.

    Attributes:
        kind: `"auto"`, logits, unless they look like probabilities, which is refused; `"logits"`,
            whatever they look like; `"probabilities"`, whose softmax or sigmoid is taken off, or
            whose logarithm is taken where it cannot be.
        name: which of several outputs it is: its key, its name or its place. Defaults to the only
            one, or the one named `logits`.
    """

    kind: str = "auto"
    name: str | None = None


def check_output(output: str, output_name: str | None) -> Output:
    """The two options as one.

    Args:
        output: one of `OUTPUTS`.
        output_name: see `Output`.

    Raises:
        ValueError: if there is no such kind.
    """
    name = None if output_name is None else str(output_name)
    return Output(check_choice(output, "output", OUTPUTS), name)


def choose_output(outputs: Any, name: str | None = None, names: Sequence[str] = ()) -> Any:
    """Of several outputs the one that holds the answer.

    Args:
        outputs: a tensor, or a dict, list or tuple of them.
        name: which one. Defaults to the only one, or that named `logits`.
        names: of the outputs of a list. Defaults to their places, from 0.

    Returns:
        The tensor; `outputs` as they are where nothing tells which of them it is.

    Raises:
        ValueError: if there is none of that name.

    Example:

    ```python
    choose_output({"logits": 1.0, "features": 2.0})  # 1.0
    ```
    """
    if not isinstance(outputs, (dict, list, tuple)):
        if name is None or name in names:
            return outputs
        raise ValueError(
            "`output_name` (`--output-name`) chooses among several outputs, but there is one. "
            f"Received: output_name={name!r}"
        )
    if isinstance(outputs, dict):
        by_name = {str(key): value for key, value in outputs.items()}
    elif len(set(names)) == len(outputs):
        by_name = dict(zip(names, outputs, strict=True))
    else:
        by_name = {str(place): value for place, value in enumerate(outputs)}
    if name is not None:
        if name not in by_name:
            raise ValueError(
                f"`output_name` (`--output-name`) must be one of {', '.join(by_name)}. "
                f"Received: output_name={name!r}"
            )
        return by_name[name]
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    return by_name.get("logits", outputs)


def is_one_number(shape: Sequence[int | None]) -> bool:
    """Whether an output of this shape, `(B,)` or `(B, 1)`, is one number for each image."""
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def two_logits(logit: Tensor) -> Tensor:
    """The logits `[0, z]` of the classes 0 and 1, whose softmax is the sigmoid of z.

    Args:
        logit: z of class 1 against class 0, `(B,)` or `(B, 1)`.

    Returns:
        `(B, 2)`.
    """
    if len(logit.shape) == 1:
        logit = ops.expand_dims(logit, 1)
    return ops.concatenate([ops.zeros_like(logit), logit], axis=1)


def read_logits(outputs: Any) -> Any:
    """Float32 logits `(B, K)` of what a classifier returned, as far as that speaks for itself.

    Of several outputs it is the only one, or that named `logits`; one logit is read as two.

    Args:
        outputs: a tensor, or a dict, list or tuple of them.

    Returns:
        The logits; several outputs as they are where nothing tells which of them it is, which
        `check_answers` refuses.
    """
    answer = choose_output(outputs)
    if isinstance(answer, (dict, list, tuple)):
        return outputs
    logits = ops.cast(answer, "float32")
    return two_logits(logits) if is_one_number(logits.shape) else logits


def logits_of_probabilities(probabilities: Tensor) -> Tensor:
    """Logits of probabilities whose softmax or sigmoid cannot be taken off.

    `log p`, which a softmax turns into p again; of one probability p of class 1 the log-odds
    `log p - log(1 - p)`, read as two logits. A probability that rounds to 0 or 1 has no gradient:
    whoever attacks says so.

    Args:
        probabilities: `(B, K)`, `(B, 1)` or `(B,)`, in [0, 1].
    """
    p = ops.cast(probabilities, "float32")
    if not is_one_number(p.shape):
        return ops.log(ops.maximum(p, _TINY))
    return two_logits(ops.log(ops.maximum(p, _TINY)) - ops.log(ops.maximum(1.0 - p, _TINY)))


def check_probabilities(outputs: np.ndarray) -> None:
    """Refuses outputs that are said to be probabilities and are none.

    Args:
        outputs: those of a few images.

    Raises:
        ValueError: if one is outside [0, 1].
    """
    if not ((outputs >= 0.0) & (outputs <= 1.0 + 1e-3)).all():
        raise ValueError(
            '`output="probabilities"` (`--output probabilities`) is for a classifier that returns '
            "probabilities; leave it out for one that returns logits. Received: outputs on random "
            f"images from {outputs.min():.4g} to {outputs.max():.4g}"
        )


def saturation_doubt(name: str) -> str:
    """The sentence on a classifier whose logits are the logarithms of its probabilities.

    Args:
        name: what the classifier is called.
    """
    return (
        f"The logits of {name} are the logarithms of its probabilities, as no softmax or sigmoid "
        "could be taken off its end: where a probability rounds to 0 or 1 its gradient is lost, "
        "and attacks by gradients find less than there is."
    )
