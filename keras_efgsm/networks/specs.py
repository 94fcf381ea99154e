"""The four ways to specify a classifier, told apart without importing Keras."""

import difflib
import re
from typing import Any, NamedTuple

from keras_efgsm.networks.table import CLASSIFIERS

APPLICATION_PREFIX = "keras.applications:"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Application(NamedTuple):
    """The requirements of a network of `keras.applications` on its images.

    Attributes:
        pixels: `"bytes"` for 0 to 255, which the network normalises by itself; `"unit"` for -1 to
            1; `"torch"` for pixels normalised by ImageNet's statistics; `"caffe"` for blue, green,
            red of 0 to 255 without ImageNet's mean.
        smallest: fewest pixels of the height and of the width.
    """

    pixels: str
    smallest: int


def _applications(names: str, pixels: str, smallest: int = 32) -> dict[str, Application]:
    return dict.fromkeys(names.split(), Application(pixels, smallest))


APPLICATIONS: dict[str, Application] = {
    **_applications("ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge", "bytes"),
    **_applications("ConvNeXtXLarge", "bytes"),
    **_applications("DenseNet121 DenseNet169 DenseNet201", "torch"),
    **_applications("EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3", "bytes"),
    **_applications("EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7", "bytes"),
    **_applications("EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2", "bytes"),
    **_applications("EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L", "bytes"),
    **_applications("InceptionV3 InceptionResNetV2", "unit", smallest=75),
    **_applications("MobileNet MobileNetV2", "unit"),
    **_applications("MobileNetV3Small MobileNetV3Large", "bytes"),
    **_applications("NASNetMobile NASNetLarge", "unit"),
    **_applications("ResNet50 ResNet101 ResNet152", "caffe"),
    **_applications("ResNet50V2 ResNet101V2 ResNet152V2", "unit"),
    **_applications("VGG16 VGG19", "caffe"),
    **_applications("Xception", "unit", smallest=71),
}


class ApplicationSpec(NamedTuple):
    """`keras.applications:NAME[:WEIGHTS]`, read.

    Attributes:
        name: of the application.
        weights: `"none"`, `"imagenet"` or a path.
    """

    name: str
    weights: str


def check_classifier_spec(spec: Any) -> None:
    """Checks which network is asked for, without making it and without importing Keras.

    Whether a file or a function is there shows only when it is built: a run that is read back
    need not have them any more.

    Args:
        spec: a name in `CLASSIFIERS`; a path that ends in `.keras`; `package.module:function`; or
            `keras.applications:NAME[:WEIGHTS]`, with weights `none`, the default, `imagenet` or a
            path.

    Raises:
        ValueError: if it is none of these, or there is no such name; the nearest ones are named.

    Example:

    ```python
    check_classifier_spec("keras.applications:MobileNetV3Small")
    ```
    """
    kind_of_spec(spec)


def kind_of_spec(spec: Any) -> str:
    """Which of the four ways it is: `"name"`, `"application"`, `"file"` or `"function"`.

    Args:
        spec: see `check_classifier_spec`.

    Raises:
        ValueError: if it is none of them.
    """
    received = f"Received: classifier={spec!r}"
    if not isinstance(spec, str):
        raise ValueError(f"`classifier` must be a string. {received}")
    if spec in CLASSIFIERS:
        return "name"
    # Before the ending: the path of an application's weights may have any.
    if spec.startswith(APPLICATION_PREFIX):
        read_application(spec)
        return "application"
    if spec.endswith(".keras"):
        return "file"
    if _FUNCTION.fullmatch(spec):
        return "function"
    raise ValueError(
        f"`classifier` must be the name of a network ({nearest(spec, CLASSIFIERS)}), a path that "
        "ends in `.keras`, a function `package.module:function` or `keras.applications:NAME`. "
        f"{received}"
    )


def read_application(spec: str) -> ApplicationSpec:
    """Reads `keras.applications:NAME[:WEIGHTS]`.

    Args:
        spec: begins with `keras.applications:`.

    Raises:
        ValueError: if there is no such application, or its weights are left empty.
    """
    name, colon, weights = spec.removeprefix(APPLICATION_PREFIX).partition(":")
    if name not in APPLICATIONS:
        raise ValueError(
            f"`keras.applications` has no network {name!r} ({nearest(name, APPLICATIONS)}). "
            f"Received: classifier={spec!r}"
        )
    if colon and not weights:
        raise ValueError(
            "The weights of an application must be `none`, `imagenet` or a path. "
            f"Received: classifier={spec!r}"
        )
    return ApplicationSpec(name, weights or "none")


def nearest(name: str, names: Any, count: int = 5) -> str:
    """Words for the names nearest to one that there is not: "the nearest: ...".

    Args:
        name: what was given.
        names: those that there are.
        count: how many are named at most. Defaults to 5.
    """
    folded = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), list(folded), n=count, cutoff=0.4)
    if found:
        return "the nearest: " + ", ".join(repr(folded[each]) for each in found)
    return "such as " + ", ".join(repr(each) for each in list(names)[:count])
