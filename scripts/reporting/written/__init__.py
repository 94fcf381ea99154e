"""The tables that `make tables` writes into pages, by the data that they are of."""

from reporting.written import cifar10, defences, exports, fine_tuning, mnist, overview
from reporting.written.table import TABLES

__all__ = ["TABLES", "cifar10", "defences", "exports", "fine_tuning", "mnist", "overview"]
