"""Operations that tf2onnx has no rule for, in terms of those that ONNX has.

`gelu` of Keras is made of Erfc, and `celu` of Expm1. Both lose digits to a difference here where
their values are near zero, of which nothing is left in float32 logits: at most 6e-8 of 1.
"""

from typing import Any

import numpy as np


def _one(graph: Any, like: Any) -> Any:
    from tf2onnx import utils

    kind = utils.map_onnx_to_numpy_type(graph.get_dtype(like.output[0]))
    return graph.make_const(utils.make_name("one"), np.array(1, kind)).output[0]


def _erfc(graph: Any, node: Any, name: str, args: Any) -> None:
    """1 - erf(x)."""
    del name, args
    _replace(graph, node, "Erf", lambda found, one: [one, found])


def _expm1(graph: Any, node: Any, name: str, args: Any) -> None:
    """exp(x) - 1."""
    del name, args
    _replace(graph, node, "Exp", lambda found, one: [found, one])


def _replace(graph: Any, node: Any, operation: str, difference: Any) -> None:
    """Puts the difference of an operation and 1, either way, in place of a node."""
    one = _one(graph, node)
    shapes, types = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    found = graph.make_node(operation, node.input, shapes=shapes, dtypes=types).output[0]
    graph.make_node(
        "Sub",
        difference(found, one),
        outputs=node.output,
        name=node.name,
        shapes=shapes,
        dtypes=types,
    )


HANDLERS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, []), "Expm1": (_expm1, [])}
"""The argument `custom_op_handlers` of tf2onnx."""
