"""Images for pages: as PNG text, perturbations in colours of their sign, several in a row."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np


def png_text(pixels: np.ndarray) -> str:
    """A PNG in base64.

    Args:
        pixels: floats in [0, 1] of shape `(H, W, 1)` or `(H, W, 3)`; beyond is clipped.

    Raises:
        ValueError: for another number of channels.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(
            "A picture must have shape (height, width, 1 or 3). "
            f"Received: pixels.shape={pixels.shape}"
        )
    levels = np.round(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    height, width, channels = levels.shape
    # Each row begins with the number of its filter, 0: none.
    rows = np.pad(levels.reshape(height, -1), ((0, 0), (1, 0)))
    colour_type = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return base64.b64encode(data).decode("ascii")


def signed_colours(perturbation: np.ndarray, epsilon: float) -> np.ndarray:
    """A perturbation as a picture: what it adds and what it takes away, scaled to epsilon.

    Of grey images white means no change, red is brighter by epsilon, blue darker. Of colour images
    grey means no change, and each channel is lighter where it was raised.

    Args:
        perturbation: `(H, W, C)`, in pixels of [0, 1].
        epsilon: what is shown at full strength.

    Returns:
        `(H, W, 3)` in [0, 1].
    """
    scaled = np.clip(perturbation / epsilon, -1.0, 1.0)
    if perturbation.shape[2] != 1:
        return 0.5 + 0.5 * scaled
    strength, rises = np.abs(scaled), scaled > 0
    colour = np.where(rises, np.array([0.75, 0.05, 0.10]), np.array([0.05, 0.25, 0.75]))
    return 1.0 - strength * (1.0 - colour)


def side_by_side(panels: Sequence[np.ndarray], *, gap: int = 4, shade: float = 1.0) -> np.ndarray:
    """Pictures of the same size, or batches of them, in a row.

    Args:
        panels: each `(..., H, W, C)` in [0, 1]; grey ones are drawn in colour beside coloured ones.
        gap: pixels between two. Defaults to `4`.
        shade: of the gap. Defaults to `1.0`, white.

    Returns:
        The row, `(..., H, W', C)`.

    Example:

    ```python
    side_by_side([np.zeros((2, 8, 8, 1)), np.ones((2, 8, 8, 3))]).shape  # (2, 8, 20, 3)
    ```
    """
    channels = max(panel.shape[-1] for panel in panels)
    between = np.full((*panels[0].shape[:-2], gap, channels), shade, panels[0].dtype)
    row: list[np.ndarray] = []
    for panel in panels:
        row += [np.repeat(panel, channels // panel.shape[-1], axis=-1), between]
    return np.concatenate(row[:-1], axis=-2)
