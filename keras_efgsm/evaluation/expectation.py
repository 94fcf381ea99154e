"""A randomised classifier as its mean over draws: expectation over transformation."""

import os

import keras

from keras_efgsm.attacks.logits import expected_logits
from keras_efgsm.backend import traced_once
from keras_efgsm.checks import check_count
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier

_UNTRUSTWORTHY = (
    "{model} answers the same images differently at each call. What an attack on single draws "
    "does not find says little: this figure is not to be trusted. Average gradients and decisions "
    "over draws, as in --eot 20 (in Python eot=20)."
)


def with_eot(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    draws: int,
    image_shape: tuple[int, ...] | None = None,
) -> EvaluatedModel:
    """A classifier whose logits are the mean over independent draws, see `expected_logits`.

    Every attack then averages its gradients and its decisions over so many draws, and so does the
    verdict: it is the classifier that averages its own answers. One draw changes nothing.

    Args:
        model: a classifier or where one lies, see `load_classifier`.
        draws: over how many draws each pass averages, at least 1.
        image_shape: of the images, as of `load_classifier`. Defaults to that of the model.

    Raises:
        ValueError: if it is no classifier, or `draws` no count.

    Example:

    ```python
    evaluate_robustness(with_eot(classifier, 20), (x, y), PGD(epsilon=0.3))
    ```
    """
    check_count(draws, "eot")
    model = load_classifier(model, image_shape=image_shape)
    if draws == 1:
        return model
    # The answers are those of a single draw, which say whether it is random.
    return EvaluatedModel(
        logits_fn=expected_logits(traced_once(model.logits_fn), draws),
        image_shape=model.image_shape,
        num_classes=model.num_classes,
        description=model.description,
        differentiable=model.differentiable,
        digest=lambda: f"{model.identity()}, mean of {draws} draws",
        twin=model.twin,
        variables=model.variables,
        doubts=model.doubts,
        draws=draws * model.draws,
        one_draw=model.logits_fn if model.one_draw is None else model.one_draw,
    ).knowing(model.answers)


def doubts_of(model: EvaluatedModel) -> tuple[str, ...]:
    """What a result says of the classifier itself: why its figure is not to be trusted.

    Args:
        model: the classifier as it is attacked.
    """
    if model.answers.is_random and model.draws == 1:
        return (*model.doubts, _UNTRUSTWORTHY.format(model=model.description))
    return model.doubts
