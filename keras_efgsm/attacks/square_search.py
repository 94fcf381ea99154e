"""What the two searches of the Square attack share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_efgsm.typing import Tensor

# After so many of ten thousand queries the share of changed pixels is halved once more.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)

MOST_HALVINGS = len(_HALVINGS)
"""How often the share of changed pixels is halved."""


class Search(NamedTuple):
    """A random search in a ball.

    Attributes:
        start: where it begins, `(B, H, W, C)`, in a form of its own.
        images: what images a state stands for.
        change: a state and the number of the query, from 1, to the state that is tried.
    """

    start: Tensor
    images: Callable[[Tensor], Tensor]
    change: Callable[[Tensor, Tensor], Tensor]


def halvings(queries: int) -> np.ndarray:
    """How often the share of changed pixels is halved before each query, `(queries,)`.

    After 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries (section 3 of
    Andriushchenko et al. 2020), rescaled to as many as there are.

    Args:
        queries: how many there are, the start included.

    Example:

    ```python
    halvings(4)  # [0, 6, 7, 8]
    ```
    """
    of_ten_thousand = np.arange(queries) * 10_000 // queries
    return np.searchsorted(_HALVINGS, of_ten_thousand)
