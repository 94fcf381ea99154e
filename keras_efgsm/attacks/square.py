"""The Square attack."""

import math

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.attacks.square_l2 import search_windows
from keras_efgsm.attacks.square_search import MOST_HALVINGS, Search, halvings
from keras_efgsm.checks import NORMS, check_count, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class Square(Attack):
    """Square attack: random search with squares, through logits alone.

    Andriushchenko et al. 2020, "Square attack: a query-efficient black-box adversarial attack via
    random search", for L-infinity, on the margin. It starts from vertical stripes of `x - epsilon`
    and `x + epsilon`; each query sets a square at a random place to one of the two, channel by
    channel, and keeps it if the margin falls. No gradient enters, so it sees through models whose
    gradients mislead.

    Each image has squares of its own, which depend on seed, step and sample id alone. A square
    that would change nothing has its signs turned round, where the paper draws again. An image is
    left alone once it is turned, and the search ends when all of the batch are; those that were
    not turned come back with the smallest margin found.

    In an L2 ball a share of the queries may put more of the change into one window than the
    published search does, see `gathering`.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        queries: how often each image asks for logits, the start included. Defaults to `5000`.
        p_init: share of the pixels that the first squares cover, in (0, 1]. It is halved nine
            times on the schedule of the paper, rescaled to `queries`. Defaults to `0.8`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.
        gathering: share of the queries, in an L2 ball alone, that gather the change in one window.
            0 is the published search. Defaults to `0.5`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = Square(epsilon=0.3, queries=5000)(classifier, x, y)
    ```
    """

    kind = "square"
    evaluation_options = ("queries",)
    needs_gradient = False
    norms = NORMS
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        queries: int = 5000,
        p_init: float = 0.8,
        norm: str = "linf",
        gathering: float = 0.5,
    ):
        self.norm = norm
        super().__init__(epsilon=epsilon)
        self.gathering = check_number(gathering, "gathering", minimum=0.0, maximum=1.0)
        self.queries = check_count(queries, "queries")
        self.p_init = check_number(p_init, "p_init", minimum=0.0, maximum=1.0, strict=True)

    @property
    def budget(self) -> Budget:
        return Budget(steps=None, queries=self.queries)

    @property
    def starts_at_random(self) -> bool:
        return True

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        search = self._search(x, noise)

        def margin_of(state: Tensor) -> Tensor:
            margin = equations.margin(logits_fn(search.images(state)), labels)
            # A black box may not say how many logits it returns; a loop has to know.
            return ops.reshape(margin, ops.shape(labels))

        def unturned(query: Tensor, state: Tensor, margin: Tensor) -> Tensor:
            return ops.any(margin >= 0.0)

        def ask(query: Tensor, state: Tensor, margin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            changed = search.change(state, query)
            asked = margin_of(changed)
            better = ops.logical_and(asked < margin, margin >= 0.0)
            state = ops.where(equations.per_sample(better, x), changed, state)
            return query + 1, state, ops.where(better, asked, margin)

        _, state, _ = ops.while_loop(
            unturned,
            ask,
            (1, search.start, margin_of(search.start)),
            maximum_iterations=self.queries - 1,
        )
        return Perturbed(images=search.images(state))

    def _search(self, x: Tensor, noise: Noise) -> Search:
        given = (x, self.epsilon, noise, self.queries, self.p_init)
        if self.norm == "l2":
            return search_windows(*given, self.gathering)
        return search_squares(*given)


def search_squares(x: Tensor, epsilon: float, noise: Noise, queries: int, p_init: float) -> Search:
    """The search for L-infinity: the ends of the ball, square by square.

    Args:
        x: clean images `(B, H, W, C)`.
        epsilon: radius in pixels of [0, 1].
        noise: noise of these samples.
        queries: how many there are.
        p_init: share of the pixels that the first squares cover.
    """
    low, high = equations.ball_bounds(x, epsilon)
    sides = ops.convert_to_tensor(window_sides(queries, p_init, *x.shape[1:3]))
    stripes = noise.uniform((1, *x.shape[2:])) < 0.5
    return Search(
        # Which pixels are at the upper end is one byte a pixel; the images follow from it.
        start=ops.logical_and(stripes, ops.ones_like(x, dtype="bool")),
        images=lambda is_high: ops.where(is_high, high, low),
        change=lambda is_high, query: draw_squares(is_high, noise, query, ops.take(sides, query)),
    )


def window_sides(queries: int, p_init: float, height: int, width: int) -> np.ndarray:
    """Side of the square in pixels at each query, `(queries,)`; the first is that of the start.

    The square covers about the share p of the pixels, `round(sqrt(p * height * width))` on a side
    but at least one pixel and less than the image. p is halved after 10, 50, 200, 500, 1000, 2000,
    4000, 6000 and 8000 of 10,000 queries (section 3 of Andriushchenko et al.).

    Args:
        queries: how many queries there are.
        p_init: share of the pixels at first.
        height: of the image in pixels.
        width: of the image in pixels.

    Example:

    ```python
    window_sides(4, p_init=0.8, height=28, width=28)  # [25, 3, 2, 2]
    ```
    """
    largest = max(min(height, width) - 1, 1)
    sides = [round(math.sqrt(p_init / 2**h * height * width)) for h in range(MOST_HALVINGS + 1)]
    found: np.ndarray = np.clip(sides, 1, largest).astype("int32")[halvings(queries)]
    return found


def draw_squares(is_high: Tensor, noise: Noise, query: Tensor, side: Tensor) -> Tensor:
    """Sets a random square of each image to a random end of the ball, channel by channel.

    Args:
        is_high: which pixels are at the upper end `(B, H, W, C)`, bool.
        noise: noise of these samples.
        query: number of the query, from 1; each has noise of its own.
        side: of the squares, in pixels.

    Returns:
        `is_high` with the squares in it; every image differs from what it was.
    """
    _, height, width, channels = is_high.shape
    draws = noise.uniform((2 + channels,), stream=query)

    def within(draw: Tensor, size: int) -> Tensor:
        first = ops.floor(draw * ops.cast(size - side + 1, "float32"))
        index = ops.cast(ops.arange(size), "float32") - first[:, None]
        return ops.logical_and(index >= 0.0, index < ops.cast(side, "float32"))

    rows = within(draws[:, 0], height)[:, :, None, None]
    columns = within(draws[:, 1], width)[:, None, :, None]
    inside = ops.logical_and(rows, columns)
    ends = draws[:, None, None, 2:] < 0.5
    differs = ops.logical_and(inside, ops.not_equal(is_high, ends))
    changes = ops.any(differs, axis=(1, 2, 3), keepdims=True)
    return ops.where(inside, ops.equal(ends, changes), is_high)
