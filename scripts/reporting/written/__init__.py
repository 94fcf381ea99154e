"""The tables that `make tables` writes into pages, by the data that they are of."""

from reporting.written import (
    cifar10,
    costs,
    courses,
    defences,
    exports,
    fashion_mnist,
    fine_tuning,
    mnist,
    overfitting,
    overview,
    pieces,
    searches,
)
from reporting.written.table import TABLES

__all__ = [
    "TABLES",
    "cifar10",
    "costs",
    "courses",
    "defences",
    "exports",
    "fashion_mnist",
    "fine_tuning",
    "mnist",
    "overfitting",
    "overview",
    "pieces",
    "searches",
]
