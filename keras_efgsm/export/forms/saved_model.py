"""The form `saved-model`: for TensorFlow and TensorFlow Serving."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from keras_efgsm.export.markdown import fence, table
from keras_efgsm.form import Contract, Form, Given, Runner, Words
from keras_efgsm.form_table import register_form
from keras_efgsm.typing import Tensor

if TYPE_CHECKING:
    import keras
    import numpy as np


SAVED_MODEL = "saved-model"
SAVED_MODEL_FILE = "saved_model.pb"


class SavedModel(Form):
    """The folder `N`, which needs neither Keras nor this library to run."""

    name = SAVED_MODEL
    ending = ""
    what = "SavedModel for TensorFlow and TensorFlow Serving, float32"
    tolerance = 1e-5
    limits = (
        "`serving_uint8` and `serving_bytes` see 8 bits per channel; the figures were measured on "
        "float pixels.",
    )
    options: ClassVar[Mapping[str, Any]] = {"warm_up_batch_sizes": (1, 8)}

    def check_options(self, options: Mapping[str, Any]) -> None:
        from keras_efgsm.export.warm_up import check_batch_sizes

        check_batch_sizes(options["warm_up_batch_sizes"])

    def write(self, classifier: "keras.Model", path: Path, given: Given) -> None:
        from keras_efgsm.export import contents, saved_model, warm_up

        contract = given.contract
        saved_model.write_saved_model(
            classifier, path, contract.class_names, resizes=contract.resizes
        )
        contents.check_holds_only(path, classifier)
        sizes = given.options["warm_up_batch_sizes"]
        warm_up.write_warm_up_requests(path, given.name, contract.image_shape, sizes)

    def load(self, path: Path) -> "SavedModelRunner":
        return SavedModelRunner(path)

    def load_output(self, path: Path, output: str) -> "SavedModelRunner":
        return SavedModelRunner(path, output)

    def content(self, path: Path) -> tuple[Path, ...]:
        return path / SAVED_MODEL_FILE, *sorted(path.glob("variables/*"))

    def is_form_of(self, path: Path) -> bool:
        return (path / SAVED_MODEL_FILE).is_file()

    def description(self, path: Path) -> str:
        # The folder's own name is only a version number.
        return "/".join(path.resolve().parts[-2:])

    def words(self, path: Path, contract: Contract, calibration: str | None) -> Words:
        del calibration
        return Words(self.what, "see below", "see below", (_signatures(path.name, contract),))

    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        del others
        shape = ", ".join(map(str, contract.image_shape))
        code = f"""import tensorflow as tf
model = tf.saved_model.load("{file}")  # keep it: the signature alone does not keep the weights
serve = model.signatures["serving_default"]
answer = serve(image=tf.zeros((1, {shape})))
print(answer["probabilities"].numpy())
file = tf.io.encode_png(tf.zeros(({shape}), tf.uint8))  # or tf.io.read_file("image.png")
answer = model.signatures["serving_bytes"](image_bytes=file[tf.newaxis])
print(answer["label"].numpy(), answer["class_id"].numpy())"""
        serving = f"""docker run -p 8501:8501 -v "$PWD:/models/{name}" -e MODEL_NAME={name} \\
  tensorflow/serving"""
        return "\n\n".join(
            [
                "As a SavedModel:",
                fence(code, "python"),
                "With TensorFlow Serving, which takes the highest version of the mounted folder:",
                fence(serving, "sh"),
            ]
        )


def _signatures(folder: str, contract: Contract) -> str:
    height, width, channels = contract.image_shape
    batch, answer = contract.batch, contract.answer
    kinds = "PNG" if channels == 4 else "PNG or JPEG"
    size = "of any size" if contract.resizes else f"of {height} x {width} pixels"
    named = f"`class_id` int64 (batch,), `label` string (batch,), `probabilities` float32 {answer}"
    logits = f"`logits` float32 {answer}, `probabilities` float32 {answer}"
    rows = [
        ("`serving_default`", f"`image` float32 {batch} in [0, 1]", logits),
        ("`serving_uint8`", f"`image` uint8 {batch}", named),
        ("`serving_bytes`", f"`image_bytes` string (batch,), whole {kinds} files {size}", named),
    ]
    refused = (
        "Inside the graph, with an error that names the input, are refused: another size or rank, "
        "an empty batch, pixels that are NaN, infinite or outside [0, 1], and what is not a "
        f"{kinds} file"
    )
    if contract.resizes:
        refused += (
            f". Files are resized to {height} x {width} pixels as the training images were, by "
            "antialiased bilinear interpolation; too large ones are refused by their header, "
            "before they are decoded. "
        )
    else:
        refused += ", and files of another size by their header, before they are decoded. "
    refused += (
        f"Files with another number of channels are converted to {channels}"
        + ("" if channels == 4 else ", and a JPEG is turned as its EXIF data say, a PNG is not")
        + ". The labels are an "
        "asset, and warm-up requests for each signature lie in `assets.extra`."
    )
    header = ("signature", "input", "outputs")
    return f"Signatures of `{folder}/`:\n\n{table(header, rows)}\n\n{refused}"


class SavedModelRunner(Runner):
    """Logits of a SavedModel through its signature `serving_default`, with gradients.

    Args:
        path: the folder with `saved_model.pb`.
        output: the name of the output that holds the logits. Defaults to `logits`, or the only one.

    Raises:
        ValueError: if it cannot be read, has no such output, does not map one batch of images to
            logits, or Keras does not run on TensorFlow.
    """

    differentiable = True

    def __init__(self, path: Path, output: str | None = None):
        from keras_efgsm.backend import BACKEND

        received = f"Received: path={str(path)!r}"
        if BACKEND != "tensorflow":
            raise ValueError(
                "A SavedModel is run by TensorFlow: evaluate it with KERAS_BACKEND=tensorflow, or "
                f"the run or `.keras` file that it was exported from. {received}, "
                f"backend={BACKEND!r}"
            )
        import tensorflow as tf

        try:
            # It owns the variables: it must live as long as the signature.
            self._loaded = tf.saved_model.load(str(path))
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"The SavedModel cannot be loaded. {type(error).__name__}: {reason} {received}"
            ) from error
        signature = self._loaded.signatures.get("serving_default")
        if signature is None:
            raise ValueError(
                "The SavedModel must have a signature `serving_default`. "
                f"{received}, signatures={sorted(self._loaded.signatures)}"
            )
        inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
        self._entry, self._answer = _entry(inputs, received), _answer(outputs, output, received)
        self.image_shape = tuple(inputs[self._entry].shape.as_list()[1:])
        answer = outputs[self._answer].shape
        # Where the graph does not say it, `load_classifier` has still seen the answers.
        self.num_classes = int(answer[-1] or 0) if answer.rank else 0

    def logits(self, images: "np.ndarray") -> "np.ndarray":
        import tensorflow as tf

        logits: np.ndarray = self.logits_fn(tf.constant(images)).numpy()
        return logits

    def logits_fn(self, images: Tensor) -> Tensor:
        import tensorflow as tf

        # A signature knows no batch size, and neither do its logits and the gradient that comes
        # back; a loop over steps wants shapes that stay. The gradient of a reshape has one.
        if images.shape.is_fully_defined():
            images = tf.reshape(images, images.shape)
        signature = self._loaded.signatures["serving_default"]
        logits = signature(**{self._entry: images})[self._answer]
        logits.set_shape((images.shape[0], *logits.shape[1:]))
        return logits


def _entry(inputs: Mapping[str, Any], received: str) -> str:
    """The name of the one input, a batch of float32 images."""
    name, spec = next(iter(inputs.items()))
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if len(inputs) != 1 or spec.dtype.name != "float32" or len(shape) != 4 or None in shape[1:]:
        described = [f"{k}: {v.dtype.name} {v.shape}" for k, v in inputs.items()]
        raise ValueError(
            "`serving_default` must take one batch of float32 images (batch, height, width, "
            f"channels). {received}, inputs={described}"
        )
    if shape[0] is not None:
        raise ValueError(
            f"`serving_default` must take batches of any size. {received}, shape={tuple(shape)}"
        )
    return name


def _answer(outputs: Mapping[str, Any], named: str | None, received: str) -> str:
    """The name of the output that was named, of the only one, or of that which is logits."""
    if named is not None and named not in outputs:
        raise ValueError(
            "`output_name` (`--output-name`) must be an output of `serving_default`. "
            f"{received}, outputs={sorted(outputs)}, output_name={named!r}"
        )
    name = named or ("logits" if "logits" in outputs else next(iter(outputs)))
    if name not in ("logits", named) and len(outputs) != 1:
        raise ValueError(
            "`serving_default` must return one output, or one named `logits`; of several "
            f"`--output-name` says which (in Python `output_name`). {received}, "
            f"outputs={sorted(outputs)}"
        )
    return name


register_form(SavedModel())
