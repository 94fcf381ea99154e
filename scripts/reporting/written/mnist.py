"""The tables on MNIST."""

from statistics import fmean

from keras_efgsm.records import EvaluationRecord
from reporting.result_table import ResultTable
from reporting.windows_table import windows_table
from reporting.written.attacks import attack_by_attack
from reporting.written.figures import accuracy_after, evaluation, load, seeds
from reporting.written.table import cascade, means, percent, pieces, table

_ADP, _STANDARD = "mnist-threshold/adp/ablation.json", "mnist-threshold/standard/ablation.json"
_DEEP, _THOUSAND = "mnist-threshold/deep/ablation.json", "mnist-threshold/adp-1000/ablation.json"
_MNIST = "mnist/standard/ablation.json"
_WORDS = {
    "apgd-ce": "APGD-CE",
    "apgd-dlr": "APGD-DLR",
    "apgd-t": "targeted APGD",
    "square": "Square",
}


@table
def mnist_preset() -> ResultTable:
    """What the preset `mnist` withstands, attack by attack: means, lowest and highest, interval."""
    return attack_by_attack(_MNIST)


@table
def mnist_misleading_windows() -> ResultTable:
    """Where gradients point the wrong way, on images that Square alone turns and on others."""
    return windows_table(load("mnist/misleading_windows.json")["rows"])


@table
def mnist_curves() -> ResultTable:
    """A curve that only rises, one that may fall, and a threshold, before the same network."""
    words = {
        "base": "a curve that only rises (`tone-curve`)",
        "free-curve": "curves that may fall (`free-curve`)",
        "threshold": "a threshold that is built in (`threshold`)",
    }
    found: dict[str, list[EvaluationRecord]] = {}
    for name, run in sorted(load("mnist/curves/ablation.json")["runs"].items()):
        variant = name.rpartition("-seed")[0]
        found.setdefault(variant, []).append(EvaluationRecord.from_dict(run["report"]))
    rows = []
    for variant, said in words.items():
        reports = found[variant]
        left = [
            fmean(accuracy_after(one, name) for one in reports)
            for name in ("apgd-ce", "apgd-t", "square")
        ]
        natural = fmean(one.natural_accuracy for one in reports)
        cells = [percent(share, 1) for share in (natural, *left)]
        rows.append([said, str(len(reports)), *cells, f"{100 * (left[1] - left[2]):.1f}"])
    return ResultTable(
        ("seen through", "seeds", "natural", "APGD-CE", "`adp`", "then Square", "Square took"), rows
    )


@table
def mnist_threshold() -> ResultTable:
    """What the preset `mnist-threshold` withstands: means of three seeds, lowest and highest."""
    two_thousand = [EvaluationRecord.from_dict(r) for r in seeds(_STANDARD, "report")]
    return ResultTable(
        ("", "images", "accuracy"),
        [
            ["natural", "10,000", means(seeds(_ADP, "natural_accuracy"))],
            [
                "`adp`: APGD-CE (100 steps), targeted APGD (9 x 100 steps)",
                "10,000",
                means(seeds(_ADP, "robust_accuracy"), bold=True),
            ],
            [
                "`adp`, first 2,000 images",
                "2,000",
                means([accuracy_after(found, "apgd-t") for found in two_thousand]),
            ],
            [
                "**`standard`: these, targeted FAB (9 x 100 steps), Square (5,000 queries)**",
                "2,000",
                means(seeds(_STANDARD, "robust_accuracy"), bold=True),
            ],
        ],
    )


@table
def mnist_deep() -> ResultTable:
    """The deeper network beside the preset `mnist-threshold`, on the same images."""
    both = (_DEEP, _THOUSAND)
    return ResultTable(
        ("", "images", "`mnist-threshold-deep`", "`mnist-threshold`"),
        [
            ["natural", "10,000", *(means(seeds(f, "natural_accuracy_all")) for f in both)],
            [
                "`adp`",
                "the first 1,000",
                *(means(seeds(f, "robust_accuracy"), digits=1) for f in both),
            ],
        ],
    )


@table
def mnist_threshold_attacks() -> ResultTable:
    """What attacks made for the threshold find."""
    words = {"standard": "`standard`", "adp": "`adp`", "start": "random start"}

    def said(name: str) -> str:
        for word, better in words.items():
            name = name.replace(word, better)
        return name.replace("through steepness", "straight through a threshold of steepness")

    return ResultTable(
        ("on the first 200 test images, seed 0", "robust alone", "with all before"),
        [
            [
                said(row["attacks"]),
                percent(row["robust_accuracy"], 1),
                percent(row["with_all_before"], 1),
            ]
            for row in load("mnist-threshold/attack_threshold.json")["rows"]
        ],
    )


@table
def mnist_pieces() -> ResultTable:
    """What each piece of the preset `mnist-threshold` is worth."""
    return pieces(load("mnist-threshold/ablation/ablation.json")["summary"])


@table
def l2_with_art() -> ResultTable:
    """Another library's attacks in L2 beside ours."""
    return _with_art("mnist/l2_with_art.json")


@table
def standard_in_l2() -> ResultTable:
    """All four attacks in L2, one after the other."""
    found = evaluation("mnist/standard_l2.json")
    rows = cascade(found.attacks, found.natural_accuracy)
    return ResultTable(("attack", "accuracy so far"), rows)


@table
def linf_with_art() -> ResultTable:
    """Another library's attacks in L-infinity beside ours."""
    return _with_art("mnist/linf_with_art.json")


@table
def distances_with_art() -> ResultTable:
    """Distances to the boundary by another library's attacks beside ours."""
    names = {"deepfool": "DeepFool", "cw": "Carlini & Wagner"}
    norms = {"l2": "L2", "linf": "L-infinity"}
    lines = []
    for row in load("mnist/distances/check-plain.json"):
        asked = row["options"]
        searches = f"{asked['searches']} searches of " if "searches" in asked else ""
        lines.append(
            [
                f"{names[row['name']]}, {norms[row['norm']]}",
                {"native": "ours", "art": "theirs"}[row["engine"]],
                f"{searches}{asked['steps']:,} steps",
                f"{row['num_found']} of {row['num_attacked']}",
                "-" if row["median"] is None else f"{row['median']:.4f}",
                f"{row['seconds']:.0f} s",
            ]
        )
    return ResultTable(("attack", "by", "at most", "found", "median", "time"), lines)


def _with_art(path: str) -> ResultTable:
    rows: dict[str, dict[str, str]] = {}
    for found in load(path)["attacks"]:
        if " and " in found["name"]:
            continue  # the worst case over several
        rounds = "9 x " if found["name"] == "apgd-t" else ""
        unit = "queries" if found["name"] == "square" else "iterations"
        name = f"{_WORDS[found['name']]}, {rounds}{found['steps']:,} {unit}"
        said = f"{percent(found['robust_accuracy'], 1)} in {found['seconds']:.1f} s"
        rows.setdefault(name, {})[found["engine"]] = said
    return ResultTable(
        ("attack", "theirs", "ours"),
        [[name, row.get("art", "-"), row.get("ours", "-")] for name, row in rows.items()],
    )
