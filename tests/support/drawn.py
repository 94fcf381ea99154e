"""Tests whose cases are drawn."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REASON = "hundreds of drawn cases"


def few_or_many(few: int, many: int) -> pytest.MarkDecorator:
    """A parameter `cases`: a few for `make test`, many for `make exhaustive`."""
    slow = pytest.param(many, marks=pytest.mark.exhaustive(reason=REASON), id="many")
    return pytest.mark.parametrize("cases", [pytest.param(few, id="few"), slow])


def hold(check: Callable[[Any], None], drawn: st.SearchStrategy[Any], cases: int) -> None:
    """Lets a check hold for drawn values.

    Args:
        check: takes a value, and raises if something is wrong.
        drawn: where values come from.
        cases: how many; as many times more as the profile says.
    """
    total = cases * settings.default.max_examples

    @settings(max_examples=total)
    @given(drawn)
    def case(value: Any) -> None:
        check(value)

    case()
