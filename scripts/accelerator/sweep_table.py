"""The variants of a sweep as a Markdown table."""

from typing import Any

from accelerator.variants import BASE


def sweep_table(sweep: dict[str, Any]) -> str:
    """Natural and robust accuracy of each variant beside the base.

    Args:
        sweep: the content of `sweep.json`.
    """
    variants = sweep["variants"]
    base = variants.get(BASE, {}).get("robust_accuracy")
    lines = [
        f"{sweep['base']['classifier']}, {sweep['epochs']} epochs, "
        f"{sweep['train_images']:,} images, {sweep['held_out']:,} held-out images, "
        f"{sweep['hardware']}",
        "",
        "| variant | change | natural | robust | to base | training s |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in variants.items():
        to_base = (
            "" if base is None or name == BASE else f"{100 * (row['robust_accuracy'] - base):+.1f}"
        )
        lines.append(
            f"| {name} | {row['changes']}{': failed' if 'failed' in row else ''} | "
            f"{row['natural_accuracy']:.1%} | {row['robust_accuracy']:.1%} | {to_base} | "
            f"{row.get('training_seconds', 0.0):.1f} |"
        )
    return "\n".join(lines) + "\n"
