"""Results of an ablation: summed up over seeds, and as a table."""

import math
from typing import Any

from experiments.ablation.variants import BASE
from keras_efgsm.recipes.config import TrainingConfig
from reporting.result_table import ResultTable, difference, spread


def summarise(results: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each variant: means over its seeds, and differences to the base with the same."""
    rows: dict[str, list[str]] = {}
    for name in results:
        rows.setdefault(name.rpartition("-seed")[0], []).append(name)
    # By seed, whichever was there first.
    rows = {variant: sorted(names, key=_seed_of) for variant, names in rows.items()}
    means = ("natural_accuracy", "robust_accuracy", "margin_robust_accuracy", "training_seconds")
    summary = []
    for variant, names in rows.items():
        of_base = [BASE + name.removeprefix(variant) for name in names]
        differences = [
            results[name]["robust_accuracy"] - results[base]["robust_accuracy"]
            for name, base in zip(names, of_base, strict=True)
            if base in results
        ]
        summary.append(
            {
                "variant": variant,
                "changes": results[names[0]]["changes"],
                "seeds": [_seed_of(name) for name in names],
                **{key: sum(results[n][key] for n in names) / len(names) for key in means},
                "natural_spread": spread([results[n]["natural_accuracy"] for n in names]),
                "robust_spread": spread([results[n]["robust_accuracy"] for n in names]),
                "difference": sum(differences) / len(differences) if differences else None,
                "differences": differences,
            }
        )
    return summary


def _seed_of(name: str) -> int:
    return int(name.rpartition("-seed")[2])


_HEADINGS = ("variant", "change", "natural", "robust", "to base", "margin-robust", "seconds")


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the summary as text."""
    compared = row["differences"] if row["variant"] != BASE else []
    several = len(row["seeds"]) > 1
    seeds = f" ({len(row['seeds'])} seeds)" if several else ""

    def figure(name: str) -> str:
        # Half the range over the seeds beside their mean.
        half = 50 * row[f"{name}_spread"]
        return f"{row[f'{name}_accuracy']:.2%}" + (f" ±{half:.2f}" if several else "")

    return [
        row["variant"] + seeds,
        row["changes"],
        figure("natural"),
        figure("robust"),
        difference(compared) if compared else "",
        f"{row['margin_robust_accuracy']:.1%}",
        f"{row['training_seconds']:.0f}",
    ]


def title_of(attack: dict[str, Any], base: TrainingConfig, results: dict[str, Any]) -> str:
    """What the table is about, and how much of a difference is chance.

    Args:
        attack: name of the `attacks`, number of `images`, and `validation_images` if they are.
        base: the configuration.
        results: of the runs, by name.
    """
    first = next(iter(results.values()))
    robust = max(first["robust_accuracy"], 1 / attack["images"])
    chance = math.sqrt(robust * (1 - robust) / attack["images"])
    return (
        f"{base.dataset}, {first['train_images']:,} training images, {base.epochs} epochs, "
        f"{attack['attacks']} on {attack['images']} "
        f"{'held-out training' if attack.get('validation_images') else 'test'} images, "
        f"epsilon {base.epsilon:.4g}; ± half the range over seeds; to base with the 95 % interval "
        f"by the seeds; one standard error of a "
        f"robust accuracy by the images alone: {100 * chance:.1f} points"
    )


def table_of(summary: list[dict[str, Any]], title: str) -> ResultTable:
    """The summary as a table."""
    return ResultTable(_HEADINGS, [cells(row) for row in summary], title, words=2)
