"""Builds the classifier that a user specifies."""

import keras

from keras_efgsm.networks import freezing
from keras_efgsm.networks.applications import application
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.own_models import from_file, from_function
from keras_efgsm.networks.precision import FixedPrecision
from keras_efgsm.networks.requirements import check_classifier
from keras_efgsm.networks.specs import kind_of_spec
from keras_efgsm.networks.table import CLASSIFIERS, NamedClassifier


def build_classifier(
    spec: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    activation: str = "relu",
    freeze_until: str | None = None,
) -> keras.Model:
    """Makes, or loads, the classifier of a run and checks that it takes the run's images.

    Args:
        spec: a name in `CLASSIFIERS`; a path that ends in `.keras`, whose model keeps its weights
            and its precision; `package.module:function`, called with `image_shape` and
            `num_classes`; or `keras.applications:NAME[:WEIGHTS]`, see `application`. New layers
            follow the global dtype policy.
        image_shape: `(H, W, C)` of the images.
        num_classes: number of classes K.
        activation: any Keras activation, for networks by name; others bring their own. Defaults
            to `"relu"`.
        freeze_until: name of the last layer that is not trained, see `freeze_until`; None to train
            all. Defaults to `None`.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        FileNotFoundError: if there is no such file.
        FixedPrecision: if a saved model computes in another precision than the one asked for.
        ValueError: if it is not a classifier of such images and classes; the error names the
            option that mends it.

    Example:

    ```python
    model = build_classifier("strided4", (64, 64, 3), num_classes=5)
    ```
    """
    kind = kind_of_spec(spec)
    image_shape = check_image_shape(image_shape, spec)
    received = f"Received: classifier={spec!r}"
    if kind != "name" and activation != "relu":
        raise ValueError(
            "`activation` is for networks by name; other classifiers bring their own, leave it at "
            f"'relu'. {received}, activation={activation!r}"
        )
    if kind == "name":
        model = CLASSIFIERS[spec](image_shape, num_classes, activation=activation)
    elif kind == "application":
        model = application(spec, image_shape, num_classes)
    elif kind == "file":
        model = from_file(spec)
    else:
        model = from_function(spec, image_shape, num_classes)
    if not isinstance(CLASSIFIERS.get(spec), NamedClassifier):
        _check(model, spec, image_shape, num_classes)
    if kind == "file":
        _check_precision(model, spec)
    if freeze_until is not None:
        freezing.freeze_until(model, freeze_until)
    return model


def _check(
    model: keras.Model, spec: str, image_shape: tuple[int, int, int], num_classes: int
) -> None:
    received = f"Received: classifier={spec!r}"
    try:
        classes = check_classifier(model)
    except ValueError as error:
        raise ValueError(f"{spec!r} cannot be trained: {error}") from error
    taken = tuple(model.input_shape[1:])
    if taken != image_shape:
        options = []
        if taken[:2] != image_shape[:2]:
            options.append("--image-size {} {}".format(*taken[:2]))
        if taken[2] != image_shape[2]:
            options.append(f"--channels {taken[2]}")
        raise ValueError(
            f"The classifier takes images of shape {taken}, the data has {image_shape}; bring "
            f"them to it by `{' '.join(options)}`. {received}, image_shape={image_shape}"
        )
    if classes != num_classes:
        raise ValueError(
            f"The classifier has {classes} logits, the data {num_classes} classes; give it a last "
            f"layer of {num_classes}. {received}, num_classes={num_classes}"
        )


def _check_precision(model: keras.Model, spec: str) -> None:
    wanted = keras.config.dtype_policy().compute_dtype
    found = {
        layer.compute_dtype
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if layer.weights
    }
    if wanted not in found:
        raise FixedPrecision(
            f"A saved classifier computes in the precision that it was saved in, "
            f"{' and '.join(sorted(found))}; ask for no other by `--dtype-policy`. "
            f"Received: classifier={spec!r}, dtype_policy={keras.config.dtype_policy().name!r}"
        )
