"""Images to ask an export about, and what `tf.saved_model.load` says of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from integration.serving.check_list import expect
from integration.serving.png_files import encode_png
from keras_efgsm.serving.answers import byte_vector

TOLERANCE = 1e-5  # of logits and probabilities; classes and labels must be the same
SIGNATURES = ("serving_bytes", "serving_default", "serving_uint8")


@dataclass(frozen=True)
class Reference:
    """Inputs for each signature, and the outputs they should have.

    Args:
        shape: `(height, width, channels)` of one image.
        inputs: signature to input name to array.
        outputs: signature to output name to array.
    """

    shape: tuple[int, int, int]
    inputs: dict[str, dict[str, np.ndarray]]
    outputs: dict[str, dict[str, np.ndarray]]

    def difference(self, signature: str, outputs: dict[str, Any]) -> float:
        """Returns the largest difference of numbers; classes and labels must be equal.

        Args:
            signature: the name of the signature.
            outputs: what was answered to its input.

        Raises:
            AssertionError: if something else was answered.
        """
        expected = self.outputs[signature]
        expect(set(outputs) == set(expected), f"{signature}: outputs {sorted(outputs)}")
        largest = 0.0
        for name, values in expected.items():
            got = np.asarray(outputs[name])
            expect(got.shape == values.shape, f"{signature}: {name} of shape {got.shape}")
            if values.dtype.kind == "f":
                largest = max(largest, float(np.abs(got.astype("float64") - values).max()))
            else:
                same = [_text(g) == _text(v) for g, v in zip(got, values, strict=True)]
                expect(all(same), f"{signature}: {name} is {got.tolist()}, not {values.tolist()}")
        expect(largest <= TOLERANCE, f"{signature}: differs by {largest:g}")
        return largest


def make_reference(saved_model: Path, num_images: int = 8, seed: int = 0) -> Reference:
    """Returns the answers of `tf.saved_model.load` to random images, the last files being JPEG.

    Args:
        saved_model: the folder with `saved_model.pb`.
        num_images: how many. Defaults to 8.
        seed: of the images. Defaults to 0.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    image = loaded.signatures["serving_default"].structured_input_signature[1]["image"]
    shape = tuple(image.shape[1:])
    images = np.random.default_rng(seed).integers(0, 256, (num_images, *shape), "uint8")
    files = [encode_png(image) for image in images]
    if shape[2] in (1, 3):
        jpegs = [tf.io.encode_jpeg(image).numpy() for image in images]
        half = num_images // 2
        files[half:] = jpegs[half:]
    inputs = {
        "serving_default": {"image": (images / 255).astype("float32")},
        "serving_uint8": {"image": images},
        "serving_bytes": {"image_bytes": byte_vector(files)},
    }
    there = [name for name in SIGNATURES if name in loaded.signatures]
    outputs = {}
    for name in there:
        feeds = {key: tf.constant(value) for key, value in inputs[name].items()}
        answer = loaded.signatures[name](**feeds)
        outputs[name] = {key: value.numpy() for key, value in answer.items()}
    return Reference(shape, {name: inputs[name] for name in there}, outputs)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
