"""Objects that are made from options, list them again and are restored from them."""

import inspect
from typing import Any, Self

from keras_efgsm.typing import Config

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Configured:
    """Base of objects that keep each option of their constructor as an attribute of its name.

    Their configuration, which Keras saves and loads, follows from the constructor's signature, and
    so does what they print.

    Example:

    ```python
    attack = PGD(epsilon=0.3, steps=10)
    attack.get_config()["steps"]  # 10
    PGD.from_config(attack.get_config())
    ```
    """

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the constructor's options, in its order."""
        parameters = inspect.signature(cls).parameters.values()
        return tuple(p.name for p in parameters if p.kind in _NAMED)

    def get_config(self) -> Config:
        """The options that make the same object again.

        Raises:
            TypeError: if an option is not kept as an attribute of its name.
        """
        names = self.option_names()
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise TypeError(
                f"{type(self).__name__} must keep each option as an attribute of its name, or "
                f"override `get_config`. Received: options without an attribute={missing}"
            )
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The object of a configuration.

        Args:
            config: what `get_config` returned.
        """
        return cls(**config)

    def __repr__(self) -> str:
        told: dict[str, Any] = {
            name: getattr(self, name) for name in self.option_names() if hasattr(self, name)
        }
        options = ", ".join(f"{name}={value!r}" for name, value in told.items())
        return f"{type(self).__name__}({options})"
