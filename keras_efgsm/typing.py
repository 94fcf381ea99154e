"""Names of types that the whole package shares.

Tensors are those of the Keras backend, which have no common class, so their shapes and dtypes are
said in docstrings: B images of a batch, H x W pixels, C channels, K classes.
"""

import argparse
from collections.abc import Callable
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of the Keras backend, or what `keras.ops` converts to one."""

LogitsFn: TypeAlias = Callable[[Tensor], Tensor]
"""Maps images `(B, H, W, C)` to logits `(B, K)`: a Keras classifier, or a function."""

ImageShape: TypeAlias = tuple[int, int, int]
"""`(H, W, C)` of one image."""

Config: TypeAlias = dict[str, Any]
"""What `get_config` returns and `from_config` takes."""

Logs: TypeAlias = dict[str, Any] | None
"""What Keras gives a callback: values of metrics by name."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What the parser of a command is added to."""
