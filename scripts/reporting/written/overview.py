"""What README and docs/results.md show first."""

from statistics import fmean

from keras_efgsm.records import EvaluationRecord
from reporting.result_table import ResultTable
from reporting.written.cifar10 import CPU_SEEDS
from reporting.written.fashion_mnist import PRESET
from reporting.written.figures import accuracy_after, evaluation, packaged, run, seeds, summary
from reporting.written.table import percent, table

_MNIST = "mnist/standard/ablation.json"
_HEADINGS = ("data, epsilon", "preset", "natural", "`adp`", "`standard`")


@table
def headline() -> ResultTable:
    """What README shows."""
    return ResultTable(
        _HEADINGS,
        [
            _mnist("`mnist`", " of 10,000 images"),
            _mnist_threshold("`mnist-threshold`, one built in", " of 2,000"),
            _mnist_joint("`mnist-joint`, the paper's loss", " of 10,000"),
            _fashion_mnist("`fashion-mnist`", " of 1,000"),
            _cifar10_cpu("`cifar10-cpu`", " of 1,000"),
            _cifar10_small("`cifar10-small`, 10 minutes", " of 500"),
        ],
    )


@table
def all_results() -> ResultTable:
    """The first table of docs/results.md."""
    deep = "mnist-threshold/deep/ablation.json"
    return ResultTable(
        _HEADINGS,
        [
            _mnist("[`mnist`](mnist.md), whose threshold is learned", ""),
            _mnist_threshold(
                "[`mnist-threshold`](mnist_threshold.md), behind a built-in one", " (2,000 images)"
            ),
            [
                "MNIST, 0.3",
                "[`mnist-threshold-deep`](mnist_threshold.md#a-deeper-network), behind one too",
                percent(fmean(seeds(deep, "natural_accuracy_all"))),
                f"{percent(summary(deep)['robust_accuracy'])} (1,000 images)",
                "not run",
            ],
            _mnist_joint("`mnist-joint`, which sees the pixels themselves", ""),
            _fashion_mnist("[`fashion-mnist`](fashion_mnist.md)", " (1,000 images)"),
            _cifar10_cpu("[`cifar10-cpu`](cifar10.md)", " (1,000 images)"),
            _cifar10_small("[`cifar10-small`](cifar10.md#the-small-run)", " (500 images)"),
        ],
    )


def _mnist(name: str, images: str) -> list[str]:
    return _of_seeds("MNIST, 0.3", _MNIST, name, images)


def _of_seeds(data: str, path: str, name: str, images: str) -> list[str]:
    """Means over the seeds of a preset under `standard`."""
    found = [EvaluationRecord.from_dict(report) for report in seeds(path, "report")]
    return [
        data,
        name,
        percent(fmean(one.natural_accuracy for one in found)),
        percent(fmean(accuracy_after(one, "apgd-t") for one in found)),
        f"**{percent(fmean(one.worst_case_accuracy for one in found))}**{images}",
    ]


def _fashion_mnist(name: str, images: str) -> list[str]:
    return _of_seeds("Fashion-MNIST, 0.1", PRESET, name, images)


def _mnist_threshold(name: str, images: str) -> list[str]:
    adp, standard = (
        summary("mnist-threshold/adp/ablation.json"),
        summary("mnist-threshold/standard/ablation.json"),
    )
    return [
        "MNIST, 0.3",
        name,
        percent(adp["natural_accuracy"]),
        percent(adp["robust_accuracy"]),
        f"**{percent(standard['robust_accuracy'])}**{images}",
    ]


def _mnist_joint(name: str, images: str) -> list[str]:
    found = packaged("mnist-joint").evaluation
    return [
        "MNIST, 0.3",
        name,
        percent(found.natural_accuracy),
        percent(accuracy_after(found, "apgd-t")),
        f"**{percent(found.worst_case_accuracy)}**{images}",
    ]


def _cifar10_cpu(name: str, images: str) -> list[str]:
    found = [run(path) for path in CPU_SEEDS]
    natural = fmean(one.metrics["natural_accuracy"] for one in found)
    adp = fmean(accuracy_after(one.evaluation, "apgd-t") for one in found)
    cells = [percent(natural, 1), f"{percent(adp, 1)}{images}", "not run"]
    return ["CIFAR-10 as JPEG, 8/255", name, *cells]


def _cifar10_small(name: str, images: str) -> list[str]:
    found = evaluation("cifar10_jpeg75/small/evaluation.json")
    return [
        "CIFAR-10 as JPEG, 8/255",
        name,
        percent(found.natural_accuracy, 1),
        percent(accuracy_after(found, "apgd-t"), 1),
        f"**{percent(found.worst_case_accuracy, 1)}**{images}",
    ]
