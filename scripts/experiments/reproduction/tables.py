"""The paper's tables with our figures beside its own, as Markdown."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.reproduction import paper
from experiments.reproduction.rows import LAMBDAS, Scale, lambda_row
from reporting.result_table import ResultTable

Results = dict[str, list[dict[str, Any]]]

TITLES = {
    "ours": "eFGSM with re-constructor (ours)",
    "madry": "PGD (Madry)",
    "trades": "TRADES",
    "free": "AdvFree",
    "advtrain": "AdvTrain",
    "rec": "REC",
}
FIGURES = ("natural_accuracy", "adp", "pgd-ce", "pgd-cw")


def _percent(values: Iterable[float]) -> str:
    """Mean in per cent, with the spread of several seeds."""
    values = [100 * value for value in values]
    mean = f"{statistics.mean(values):.2f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.2f} to {max(values):.2f})"


def _pair(ours: str, theirs: float | None) -> str:
    return f"{ours} / {'-' if theirs is None else f'{theirs:.2f}'}"


def _accuracies(measured: list[dict], theirs: Sequence[float] | None) -> list[str]:
    theirs = theirs or (None,) * len(FIGURES)
    return [
        _pair(_percent(one[figure] for one in measured), value)
        for figure, value in zip(FIGURES, theirs, strict=True)
    ]


def table_1(dataset: str, results: Results) -> str:
    """Training time and accuracy of the methods."""
    rows = []
    for name, (total, epoch, natural, robust) in paper.TABLE_1[dataset].items():
        measured = results[name]
        seconds = statistics.median(one["seconds"] for one in measured)
        each = min(one["fastest_epoch_seconds"] for one in measured)
        rows.append(
            [
                TITLES[name],
                str(measured[0]["epochs"]),
                f"{seconds:.0f} / {total}",
                f"{each:.1f} / {epoch}",
                _pair(_percent(one["natural_accuracy"] for one in measured), natural),
                _pair(_percent(one["adp"] for one in measured), robust),
                _percent(one["with_black_box"] for one in measured),
            ]
        )
    heads = ("method", "epochs", "training, s", "epoch, s", "natural, %", "adp, %", "+ Square, %")
    return ResultTable(heads, rows).markdown()


def table_of_own_networks(dataset: str, timed: dict[str, Any]) -> str:
    """Epoch times on the networks of the methods' own papers."""
    if not timed:
        return "Not timed for this data set.\n"
    base = timed["ours"]["seconds_per_epoch"]
    theirs = {name: epoch for name, (_, epoch, _, _) in paper.TABLE_1[dataset].items()}
    rows = [
        [
            TITLES[name],
            f"{found['parameters']:,}",
            f"{found['seconds_per_epoch']:.1f} / {theirs[name]}",
            f"{found['seconds_per_epoch'] / base:.1f} / {theirs[name] / theirs['ours']:.1f}",
        ]
        for name, found in timed.items()
    ]
    return ResultTable(("method", "parameters", "epoch, s", "over ours"), rows).markdown()


def table_of_lambdas(dataset: str, results: Results, smoothing: bool, chosen: float) -> str:
    """Tables 2 and 3: accuracy by lambda, with and without label smoothing."""
    theirs = (paper.TABLE_2 if smoothing else paper.TABLE_3)[dataset]
    rows = []
    for value in LAMBDAS[dataset]:
        is_ours = smoothing and value == chosen
        measured = results["ours" if is_ours else lambda_row(value, smoothing)]
        rows.append([f"{value:g}", *_accuracies(measured, theirs[value])])
    return ResultTable(
        ("lambda", "natural, %", "adp, %", "PGD-CE, %", "PGD-CW, %"), rows
    ).markdown()


def table_4(dataset: str, results: Results) -> str:
    """What eFGSM and the re-constructor do alone and together."""
    rows = [
        [TITLES[name] if name != "ours" else "Combined (ours)", *_accuracies(results[name], theirs)]
        for name, theirs in paper.TABLE_4[dataset].items()
    ]
    return ResultTable(
        ("technique", "natural, %", "adp, %", "PGD-CE, %", "PGD-CW, %"), rows
    ).markdown()


def table_5(dataset: str, transfer: dict[str, Any]) -> str:
    """Attacks transferred from other models."""
    rows = [
        [
            source,
            _pair(_percent([found["robust_accuracy"]]), paper.TABLE_5[dataset].get(source)),
            _percent([found["on_itself"]]),
        ]
        for source, found in transfer.items()
    ]
    return ResultTable(
        ("source", "accuracy of ours, %", "accuracy of the source itself, %"), rows
    ).markdown()


def page(
    dataset: str,
    scale_name: str,
    scale: Scale,
    results: Results,
    transfer: dict[str, Any],
    high_risk: dict[str, Any],
    timed: dict[str, Any],
    facts: dict[str, Any],
) -> str:
    """The whole results page."""
    chosen = facts["lambda"]
    ours = results["ours"]
    robust = ours[0]["adp"]
    trades = results["trades-efgsm"]
    (printed,) = results["printed-momentum"]
    images = "all" if scale.train_images is None else f"the first {scale.train_images:,}"
    risk = high_risk["high_risk"]
    return f"""# The paper's tables on {facts["data_name"]}, scale {scale_name}

`{facts["command"]}`

Each cell is ours / the paper's. Ours: {images} training images, the first {scale.test_images:,}
test images, epsilon {facts["epsilon"]:.4g}, attack seed 0, one classifier network of
{ours[0]["parameters"]["classifier"]:,} parameters for every method. "adp" is APGD-CE and then
targeted APGD ({scale.steps} steps, {scale.targets} targets), the worst case image by image;
PGD-CE and PGD-CW make {scale.steps} steps of epsilon / 30 from one random start. Seeds
{", ".join(map(str, scale.seeds))} for our method, also without re-constructor (mean, and lowest to
highest), seed
{scale.seeds[0]} for the others. {facts["hardware"]}; TensorFlow {facts["versions"]["tensorflow"]},
Keras {facts["versions"]["keras"]}. The seconds are of a machine that may have done other work
meanwhile; those of an epoch are the fastest one's, and an epoch of AdvFree makes all its replays.

The paper trains its method for 40 (MNIST) and 50 epochs (CIFAR-10) and the others for much longer;
at this scale all of them are trained less, and not one of them to its best.

## Table 1: methods

The last column, which the paper has not, adds {scale.queries:,} queries of Square on what is left:
the lowest figure is the one to believe.

{table_1(dataset, results)}
On the networks of their own papers, from the median of {scale.timed_steps} steps each in one run:

{table_of_own_networks(dataset, timed)}
With the momentum of equation 13 as it is printed, `sign(x_adv - x)`, in place of the gradient's
sign (see docs/method.md): natural {100 * printed["natural_accuracy"]:.2f} %, adp
{100 * printed["adp"]:.2f} %, with Square {100 * printed["with_black_box"]:.2f} % (seed
{scale.seeds[0]}).

## Table 2: lambda

{table_of_lambdas(dataset, results, True, chosen)}
## Table 3: lambda without label smoothing

{table_of_lambdas(dataset, results, False, chosen)}
## Table 4: the two techniques

{table_4(dataset, results)}
## Table 5: attacks transferred from other models

PGD-CE-20 made on the source and tried on ours (seed {scale.seeds[0]}).

{table_5(dataset, transfer)}
The same model under the attacks of its own gradients: {100 * robust:.2f} % (adp).

## Early-stopping estimate

{100 * risk:.1f} % of {high_risk["images"]:,} test images are at high risk by equation 9 (the paper:
{paper.HIGH_RISK[dataset]} %): their linearised distance to the nearest boundary is below epsilon,
or they are misclassified. Under adp {100 * (1 - ours[0]["adp"]):.1f} % fall. The median linearised
distance is {high_risk["median_distance"]:.3f}.

## TRADES with eFGSM

Natural {_percent(one["natural_accuracy"] for one in trades)} %, adp
{_percent(one["adp"] for one in trades)} % after {trades[0]["epochs"]} epochs in
{trades[0]["seconds"]:.0f} s (the paper, CIFAR-10 alone: adp {paper.TRADES_EFGSM["cifar10"]} %).

## Figures 2 and 3

PGD-CE on the first {scale.curve_images:,} test images, by iterations and by epsilon; the step is
the larger of epsilon / 30 and epsilon / iterations.

![robust accuracy by iterations](figure2.png)
![robust accuracy by epsilon](figure3.png)
"""
