"""The tables on what a training costs: an epoch of each method, and the storages of momentum."""

from statistics import fmean, median

from keras_efgsm.recipes.methods import METHODS
from reporting.result_table import ResultTable, spread
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def training_methods() -> ResultTable:
    """Every method with its paper, its passes, and its epoch over an ordinary one."""
    measured = load("methods.json")["ratios"]
    return ResultTable(
        ("`--method`", "what it is", "paper", "passes", "epoch time over ordinary"),
        [
            [
                f"`{name}`",
                method.title,
                method.paper,
                f"{method.passes(method.options):.2f}",
                f"{measured[name]:.2f}" if name in measured else "-",
            ]
            for name, method in METHODS.items()
        ],
    )


@table
def mnist_threshold_epochs() -> ResultTable:
    """An epoch on the network of `mnist-threshold`, over an ordinary one of the same network."""
    rows = []
    for said, name in (
        ("two cores", "benchmark"),
        ("one core", "benchmark-one-core"),
        ("two cores, momentum as float16", "benchmark-float16"),
    ):
        ratios = load(f"mnist-threshold/{name}.json")["ratios"]
        found = (ratios["eFGSM"], ratios["eFGSM with re-constructor"])
        rows.append([said, *(f"{ratio:.2f}" for ratio in found), f"`{name}.json`"])
    headings = ("times an ordinary epoch", "eFGSM", "with the dense re-constructor", "file")
    return ResultTable(headings, rows)


@table
def momentum_storages() -> ResultTable:
    """What each storage of the momentum takes, and what it does to signs and accuracy."""
    rows = []
    for dtype, found in load("benchmark.json")["storage"].items():
        robust = [run["pgd_accuracy"] for run in found["runs"]]
        rows.append(
            [
                f"`{dtype}`",
                f"{found['runs'][0]['momentum_bytes'] / 1e6:.0f} MB",
                percent(found["differing_signs"], 3),
                f"{percent(fmean(robust))} ({100 * spread(robust):.1f})",
                f"{median(run['peak_bytes'] for run in found['runs']) / 1e9:.2f} GB",
            ]
        )
    headings = ("storage", "momentum", "signs unlike float32", "PGD-40 (spread)", "peak memory")
    return ResultTable(headings, rows)
