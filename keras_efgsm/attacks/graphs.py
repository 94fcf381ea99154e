"""The compiled graphs of `attack(classifier, x, y)`, kept between calls."""

import copy
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeAlias

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import compiled_once, is_symbolic
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor

Graph: TypeAlias = Callable[..., tuple[Tensor, Tensor]]
"""One round: images, labels, the two words of the seed, number of the round, the images and
survivors so far; returns images and survivors."""

# Graphs of one classifier; of more, that used longest ago goes.
_MOST_GRAPHS = 32
# Options that tell themselves apart by their value.
_PLAIN = (bool, int, float, str, type(None))


class Perturbing(Protocol):
    """The part of an `Attack` that a graph holds."""

    uses_momentum: bool

    @property
    def rounds(self) -> int:
        """How many calls of `perturb` make the whole attack."""

    def initial_momentum(self, x: Tensor) -> Tensor:
        """The momentum of samples not seen before."""

    def perturb(
        self, logits_fn: LogitsFn, x: Tensor, labels: Tensor, noise: Noise, momentum: Tensor, /
    ) -> Any:
        """What `Attack.perturb` returns, with the `images`."""


class CompiledAttacks:
    """Graphs by classifier, attack and shape.

    A classifier is referred to weakly, by its graphs as well, so that it can go, and its graphs
    with it. What cannot be told apart from one call to the next is compiled anew: an attack with
    options that are no plain values, and a function, which may read anything.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graphs: weakref.WeakKeyDictionary[
            keras.layers.Layer, OrderedDict[Hashable, Graph]
        ] = weakref.WeakKeyDictionary()

    def of(self, attack: Perturbing, classifier: LogitsFn, x: Tensor) -> Graph:
        """The graph of an attack on a classifier, for images of one shape.

        Args:
            attack: the attack; a later change of it is that of another attack.
            classifier: a Keras model or function that returns logits.
            x: images `(B, H, W, C)`, of which the shape matters.
        """
        options = _options(attack)
        # Within a graph of the caller's, that one is kept.
        if options is None or not isinstance(classifier, keras.layers.Layer) or in_graph(x):
            return _graph(attack, lambda: classifier, _reads(classifier))
        # A layer that was added, or quantised, has other variables.
        variables = tuple(map(id, classifier.variables))
        key = (type(attack), options, tuple(x.shape), variables)
        with self._lock:
            graphs = self._graphs.setdefault(classifier, OrderedDict())
            if key not in graphs:
                found = weakref.ref(classifier)
                graphs[key] = _graph(copy.copy(attack), found, _reads(classifier))
            graphs.move_to_end(key)
            while len(graphs) > _MOST_GRAPHS:
                graphs.popitem(last=False)
            return graphs[key]

    def count(self, classifier: LogitsFn) -> int:
        """How many graphs are kept for a classifier."""
        with self._lock:
            return len(self._graphs.get(classifier, ()))


def in_graph(*tensors: Any) -> bool:
    """Whether the caller is compiling a graph of its own, in which tensors have no values.

    Args:
        *tensors: what it was given.
    """
    return any(map(is_symbolic, tensors))


def _options(attack: Perturbing) -> Hashable | None:
    """What the attack depends on, or None if its options are no plain values."""
    options = vars(attack)
    if not all(isinstance(value, _PLAIN) for value in options.values()):
        return None
    # With their types, as 1 equals 1.0 and True.
    return tuple((name, type(value), options[name]) for name, value in sorted(options.items()))


def _reads(classifier: Any) -> list[keras.Variable]:
    """The variables of which a graph reads the value at each call."""
    return list(classifier.variables) if isinstance(classifier, keras.layers.Layer) else []


def _graph(attack: Perturbing, classifier: Callable[[], Any], reads: list[keras.Variable]) -> Graph:
    def run(
        x: Tensor,
        labels: Tensor,
        low: Tensor,
        high: Tensor,
        step: Tensor,
        images: Tensor,
        withstood: Tensor,
    ) -> tuple[Tensor, Tensor]:
        logits_fn = evaluation_logits(classifier())
        momentum = attack.initial_momentum(x) if attack.uses_momentum else None
        noise = Noise((low, high), step, ops.arange(x.shape[0], dtype="int32"))
        made = attack.perturb(logits_fn, x, labels, noise, momentum).images
        if attack.rounds == 1:
            return made, withstood
        held = still_correct(logits_fn(made), labels)
        images = ops.where(equations.per_sample(withstood, x), made, images)
        return images, ops.logical_and(withstood, held)

    # In one graph for all rounds: step by step, thousands of queries would take minutes.
    graph: Graph = compiled_once(run, reads)
    return graph
