"""A network that takes pixels of 0..255, for pixels in [0, 1]."""

import keras

from keras_efgsm.networks.first_layers import read_first_layers


def for_unit_pixels(model: keras.Model) -> keras.Model:
    """Puts the scaling from [0, 1] to 0..255 in front of a network, as part of a new one.

    For networks of `keras.applications` with `include_preprocessing=True`, and others that begin
    with a `Rescaling(1 / 255)` or a normalisation of bytes. Attacks, exports and their radius then
    see pixels in [0, 1]. The new network shares the weights of a model of floats; one that takes
    integers is made again for floats with a copy of its weights, as a cast has no gradient.

    Args:
        model: functional or sequential, images `(B, H, W, C)` of 0..255 in.

    Raises:
        ValueError: if the model does not take such images.

    Example:

    ```python
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    classifier = for_unit_pixels(model)
    ```
    """
    inputs = getattr(model, "inputs", None) if isinstance(model, keras.Model) else None
    if not inputs or len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "`model` must be a functional or built sequential model of one batch of images. "
            f"Received: model={type(model).__name__}, "
            f"inputs={[tuple(tensor.shape) for tensor in inputs or ()]}"
        )
    dtype = str(inputs[0].dtype)
    is_integer = "float" not in dtype
    if not is_integer and read_first_layers(model).takes_bytes is None:
        raise ValueError(
            "`model` must take pixels of 0..255, but no first layer of it scales them down: give "
            f"it pixels in [0, 1] as it is. Received: model={model.name!r}"
        )
    pixels = keras.Input(inputs[0].shape[1:], name="image")
    # In half precision numbers from 128 to 255 are whole: of an attack nothing were left.
    scaled = keras.layers.Rescaling(255.0, dtype="float32", name="to_255")(pixels)
    if is_integer:
        again = keras.models.clone_model(
            model, input_tensors=keras.Input(inputs[0].shape[1:], name="bytes")
        )
        again.set_weights(model.get_weights())
        model = again
    return keras.Model(pixels, model(scaled), name=model.name)
