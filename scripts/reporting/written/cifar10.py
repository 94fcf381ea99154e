"""The tables on CIFAR-10 as JPEG."""

from statistics import fmean, median

from reporting.result_table import ResultTable
from reporting.written.figures import (
    Run,
    accuracy_after,
    evaluation,
    load,
    run,
    seeds,
    summary,
)
from reporting.written.table import cascade, percent, pieces, table

CPU_SEEDS = tuple(f"cifar10_jpeg75/cpu{seed}" for seed in ("", "-seed1", "-seed2"))
"""Runs of the preset `cifar10-cpu`, by seed."""

_RIVALS = {"N-FGSM": "cpu-n-fgsm", "PGD-7": "cpu-pgd7"}

_RECIPE = "cifar10_jpeg75/mnist-recipe/ablation.json"
_SPEEDS = {"Xeon, AMX": "benchmark.json", "EPYC, AVX-512": "benchmark-avx512.json"}


@table
def cifar10_cpu() -> ResultTable:
    """What the preset `cifar10-cpu` withstands."""
    runs = [run(path) for path in CPU_SEEDS]
    found = [one.evaluation for one in runs]
    everything = [one.metrics for one in runs]
    images, test_images = found[0].num_images, everything[0]["test_images"]

    def line(name: str, images: int, shares: list[float]) -> list[str]:
        each = [percent(share, 1) for share in shares]
        return [name, f"{images:,}", *each, f"**{percent(fmean(shares), 1)}**"]

    words = [name for name, _ in cascade(found[0].attacks, found[0].natural_accuracy)]
    lines = [
        line("none", test_images, [one["natural_accuracy"] for one in everything]),
        line("none", images, [one.natural_accuracy for one in found]),
    ]
    for number, name in enumerate(words[1:]):
        after = [one.attacks[number].robust_accuracy for one in found]
        lines.append(line(name, images, after))
    kept = [str(one["stop"]["restored_epoch"]) for one in everything]
    lines.append(["epoch that was kept", "", *kept, ""])
    headings = ("attack, epsilon 8/255", "images", *(f"seed {one['seed']}" for one in everything))
    return ResultTable((*headings, "mean"), lines)


@table
def cifar10_equal_seconds() -> ResultTable:
    """The preset beside other methods on its network, each for as many seconds."""
    paths = {name: f"cifar10_jpeg75/{folder}" for name, folder in _RIVALS.items()}
    ours = [run(path) for path in CPU_SEEDS]
    runs = {f"**eFGSM, seed {one.metrics['seed']}**": one for one in ours}
    runs |= {name: run(path) for name, path in paths.items()}

    def line(name: str, one: Run) -> list[str]:
        metrics, attacked = one.metrics, one.evaluation
        return [
            name,
            str(metrics["epochs"]),
            f"{metrics['training_seconds']:,.0f}",
            str(metrics["stop"]["restored_epoch"] or metrics["epochs"]),
            percent(metrics["natural_accuracy"], 1),
            percent(attacked.attacks[0].robust_accuracy, 1),
            f"**{percent(accuracy_after(attacked, 'apgd-t'), 1)}**",
        ]

    headings = ("training", "epochs", "seconds", "epoch kept", "natural", "APGD-CE", "`adp`")
    return ResultTable(headings, [line(name, one) for name, one in runs.items()])


@table
def cifar10_images_a_second() -> ResultTable:
    """Images a second of eFGSM and FGSM-RS here, and of FGSM-RS in PyTorch."""
    found = [load(f"cifar10_jpeg75/{file}")["images_per_second"] for file in _SPEEDS.values()]

    def cell(rates: list[float]) -> str:
        return f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"

    rows = [[name, *(cell(each[name]) for each in found)] for name in found[0]]
    return ResultTable(("training", *_SPEEDS), rows)


@table
def cifar10_speed_ratios() -> ResultTable:
    """Ratios of these speeds, round by round."""
    found = [load(f"cifar10_jpeg75/{file}")["ratios"] for file in _SPEEDS.values()]
    return ResultTable(
        ("in the rounds' own ratios", "over", *_SPEEDS),
        [
            [
                both[0]["of"],
                both[0]["over"],
                *(f"{r['median']:.2f} ({r['lowest']:.2f} to {r['highest']:.2f})" for r in both),
            ]
            for both in zip(*found, strict=True)
        ],
    )


@table
def cifar10_tried() -> ResultTable:
    """Steps to the boundary and of epsilon, after 3 epochs and at the end."""
    rows = []
    short = "cpu-step"
    for variant, what in (
        ("base", "step to the boundary, 3 epochs"),
        ("step", "a step of epsilon (`--step-size 0.03137`), 3 epochs"),
    ):
        row = summary(f"cifar10_jpeg75/{short}/ablation.json", variant)
        rows.append([what, short, row["natural_accuracy"], row["robust_accuracy"]])
    for folder, what in (
        ("cpu-boundary-step", "step to the boundary, 28 epochs"),
        ("cpu", "a step of epsilon, 36 epochs: `cifar10-cpu`"),
    ):
        found = evaluation(f"cifar10_jpeg75/{folder}/evaluation.json")
        rows.append([what, folder, found.natural_accuracy, found.worst_case_accuracy])
    return ResultTable(
        ("what", "seed", "natural", "robust", "figures"),
        [
            [
                what,
                "0",
                percent(natural, 1),
                percent(robust, 1),
                f"[{folder}](../results/cifar10_jpeg75/{folder})",
            ]
            for what, folder, natural, robust in rows
        ],
    )


@table
def cifar10_small() -> ResultTable:
    """What the small run withstands."""
    found = evaluation("cifar10_jpeg75/small/evaluation.json")
    rows = cascade(found.attacks, found.natural_accuracy)
    return ResultTable(("attack", "accuracy so far"), rows)


@table
def cifar10_pieces() -> ResultTable:
    """What each piece of `cifar10-small` is worth."""
    return pieces(load("cifar10_jpeg75/ablation.json")["summary"])


@table
def cifar10_by_the_recipe_of_mnist() -> ResultTable:
    """The recipe of `mnist` on CIFAR-10."""
    reports = seeds(_RECIPE, "report")

    def line(name: str, images: str, shares: list[float]) -> list[str]:
        mean = percent(sum(shares) / len(shares), 1)
        return [name, images, *(percent(share, 1) for share in shares), mean]

    def after(position: int) -> list[float]:
        return [report["attacks"][position]["robust_accuracy"] for report in reports]

    images = f"{reports[0]['num_images']}"
    return ResultTable(
        ("", "images", "seed 0", "seed 1", "seed 2", "mean"),
        [
            line("natural", "10,000", seeds(_RECIPE, "natural_accuracy_all")),
            line("APGD-CE", images, after(0)),
            line("then targeted APGD", images, after(1)),
            line("then targeted FAB, then Square (`standard`)", images, after(-1)),
        ],
    )
