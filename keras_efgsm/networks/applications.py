"""Networks of `keras.applications` as classifiers of pixels in [0, 1] that return logits."""

from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from keras_efgsm.networks.blocks import image_input, logits_model
from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.specs import APPLICATIONS, read_application
from keras_efgsm.typing import Tensor

_IMAGENET = PixelStatistics(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# Of blue, green and red, from 0 to 255.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def application(
    spec: str, image_shape: tuple[int, int, int], num_classes: int, name: str | None = None
) -> keras.Model:
    """A network of `keras.applications`: its features, their mean over the image, logits.

    One flat model: its preprocessing is inside, in float32 whatever the dtype policy, so that
    attacks, exports and their radius see pixels of [0, 1]; grey images become three equal channels.
    The published classification head is replaced by one dense layer.

    Args:
        spec: `keras.applications:NAME[:WEIGHTS]`; weights `none`, random ones, the default,
            `imagenet`, which Keras downloads, or the path of a file of the application's weights
            without its head (`include_top=False`).
        image_shape: `(H, W, C)`, of 1 or 3 channels.
        num_classes: number of logits K.
        name: name of the model. Defaults to the application's, in small letters.

    Raises:
        ValueError: if there is no such application, it does not take images of this size, its
            weights cannot be had or do not fit.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    model = application("keras.applications:MobileNetV3Small", (64, 64, 3), 10)
    ```
    """
    asked = read_application(spec)
    known = APPLICATIONS[asked.name]
    inputs, x = image_input(image_shape, network=asked.name, minimum=known.smallest)
    if x.shape[-1] not in (1, 3):
        raise ValueError(
            f"{asked.name} takes images of 1 or 3 channels; choose with `--channels`. "
            f"Received: image_shape={tuple(image_shape)}"
        )
    if x.shape[-1] == 1:
        x = layers.Concatenate(dtype="float32", name="three_channels")([x, x, x])
    build = getattr(keras.applications, asked.name)
    features = _with_weights(build, _preprocessed(x, known.pixels), asked.weights, spec)
    _compute_pixels_in_float32(features)
    if len(features.outputs[0].shape) == 4:
        pooled = layers.GlobalAveragePooling2D(name="mean")(features.outputs[0])
    else:
        pooled = features.outputs[0]
    return logits_model(inputs, pooled, num_classes, name or asked.name.lower())


def _preprocessed(x: Tensor, pixels: str) -> Tensor:
    """Pixels of [0, 1] `(B, H, W, 3)` as an application takes them, see `Application`."""
    if pixels == "torch":
        variance = [value**2 for value in _IMAGENET.std]
        return layers.Normalization(
            mean=list(_IMAGENET.mean), variance=variance, dtype="float32", name="pixels"
        )(x)
    if pixels == "unit":
        return layers.Rescaling(2.0, -1.0, dtype="float32", name="pixels")(x)
    if pixels == "caffe":
        reversed_channels = ops.flip(x, axis=-1)
        offset = [-value for value in _CAFFE_MEAN]
        return layers.Rescaling(255.0, offset, dtype="float32", name="pixels")(reversed_channels)
    return layers.Rescaling(255.0, dtype="float32", name="pixels")(x)


def _with_weights(build: Any, x: Tensor, weights: str, spec: str) -> keras.Model:
    options = {"include_top": False, "pooling": "avg"}
    received = f"Received: classifier={spec!r}"
    if weights == "imagenet":
        try:
            return build(weights="imagenet", input_tensor=x, **options)
        # `get_file` raises a bare Exception where there is no network.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                "The ImageNet weights cannot be had or do not fit; download them elsewhere and "
                f"give their path in place of `imagenet`. {type(error).__name__}: {reason} "
                f"{received}"
            ) from error
    model = build(weights=None, input_tensor=x, **options)
    if weights == "none":
        return model
    if not Path(weights).is_file():
        raise ValueError(
            "The weights of an application must be `none`, `imagenet` or the path of a file. "
            f"{received}"
        )
    # As Keras makes it: files may count the layers, of which ours has some more.
    plain = build(weights=None, input_shape=tuple(x.shape[1:]), **options)
    try:
        plain.load_weights(weights)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            "The file must hold the weights of the application made with `include_top=False`. "
            f"{type(error).__name__}: {reason} {received}"
        ) from error
    model.set_weights(plain.get_weights())
    return model


def _compute_pixels_in_float32(model: keras.Model) -> None:
    """Has an application's own preprocessing, the layers before its first kernel, in float32.

    In bfloat16 numbers from 128 to 255 are whole: of an adversarial example nothing were left.
    """
    for layer in model.layers:
        if layer.trainable_weights:
            return
        layer.dtype_policy = "float32"
