"""ImageNet worked out on paper: prints the tables of docs/imagenet.md, or writes them there.

    python scripts/benchmarks/scale/imagenet.py [--write]

All of it is arithmetic from the figures of `Assumptions`, which are stated and not measured, and
from the library's own count of passes; the last table quotes measurements from results/scale/.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from keras_efgsm.atomic_file import atomic_file
from keras_efgsm.networks import multiply_adds
from keras_efgsm.networks.reconstructors.subpixel import subpixel_reconstructor
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.records import read_json
from keras_efgsm.records.wording import size as format_bytes

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "imagenet.md"
BEGIN, END = "<!-- begin: python scripts/benchmarks/scale/imagenet.py -->", "<!-- end -->"


@dataclass(frozen=True)
class Assumptions:
    """What the arithmetic starts from; none of it was measured by this project."""

    images: int = 1_281_167
    size: int = 224
    classes: int = 1000
    batch: int = 256
    epochs: int = 90
    # Ordinary training of a ResNet-50 in bfloat16 on one data-centre accelerator.
    images_per_second: int = 2500
    # Multiply-adds of a forward pass of ResNet-50.
    classifier_macs: float = 4.1e9
    # One PCIe 4 NVMe drive: bytes a second read in blocks of 128 kB, 4 kB reads a second, and
    # bytes that may be written in its life.
    drive_bandwidth: float = 6e9
    drive_reads: float = 8e5
    drive_endurance: float = 1.2e15
    link_bandwidth: float = 25e9
    workers: int = 8
    checkpoint_bandwidth: float = 1e9


GIVEN = Assumptions()


def gamma_bytes(size: int, item: int = 1) -> int:
    """Bytes of Gamma at a resolution and bytes a value."""
    return GIVEN.images * size * size * 3 * item


def markdown(header: tuple[str, ...], rows: list[tuple]) -> list[str]:
    """A table."""
    lines = [header, ("---",) + ("---:",) * (len(header) - 1), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def storage() -> list[str]:
    """Size of Gamma and what it needs of a host or of each worker."""
    rows = []
    for name, size, item in (
        ("float32, 224 x 224", 224, 4),
        ("float16, 224 x 224", 224, 2),
        ("int8, 224 x 224 (ours)", 224, 1),
        ("int8, 112 x 112, each value for 2 x 2 pixels", 112, 1),
        ("int8, 56 x 56, each value for 4 x 4 pixels", 56, 1),
    ):
        total = gamma_bytes(size, item)
        rows.append(
            (
                name,
                format_bytes(total),
                format_bytes(total // GIVEN.workers),
                format_bytes(2 * total),
            )
        )
    header = ("Gamma", "size", f"each of {GIVEN.workers} workers", "two checkpoints")
    return markdown(header, rows)


def traffic() -> list[str]:
    """What a step moves."""
    rate = GIVEN.images_per_second / METHODS["efgsm"].passes(METHODS["efgsm"].options)
    rows = []
    for name, size in (("int8, 224 x 224", 224), ("int8, 112 x 112", 112)):
        row = size * size * 3
        step, second = row * GIVEN.batch, row * rate
        rows.append(
            (
                name,
                format_bytes(row),
                f"{format_bytes(step)} + {format_bytes(step)}",
                f"{format_bytes(round(second))}/s + {format_bytes(round(second))}/s",
                f"{2 * second / GIVEN.link_bandwidth:.1%}",
                f"{2 * second / GIVEN.drive_bandwidth:.1%}",
                f"{rate * -(-row // 4096) / GIVEN.drive_reads:.1%}",
                f"{GIVEN.epochs * gamma_bytes(size) / GIVEN.drive_endurance:.1%}",
            )
        )
    header = (
        "Gamma",
        "a row",
        f"read + write, a step of {GIVEN.batch}",
        f"read + write at {rate:.0f} images/s",
        "of the link to the device",
        "of a drive's bandwidth",
        "of its 4 kB reads",
        f"of its life, {GIVEN.epochs} epochs",
    )
    return markdown(header, rows)


def cost() -> list[str]:
    """Passes and hours of each method."""
    hour = GIVEN.images * GIVEN.epochs / GIVEN.images_per_second / 3600
    rows = []
    for title, name, changes in (
        ("ordinary training", "standard", {}),
        ("FGSM-RS", "fgsm-rs", {}),
        ("eFGSM, runner-up class", "efgsm", {}),
        ("AdvFree, 4 replays", "free", {"replays": 4}),
        ("PGD-2", "pgd", {"steps": 2}),
        ("PGD-3", "pgd", {"steps": 3}),
        ("PGD-10", "pgd", {"steps": 10}),
        ("TRADES, 10 steps", "trades", {"steps": 10}),
    ):
        method = METHODS[name]
        passes = method.passes(method.complete(changes))
        note = ""
        if name == "free":
            # Each image is seen as often as it is replayed, in as many fewer epochs.
            passes, note = passes / changes["replays"], f", {GIVEN.epochs} / 4 epochs"
        rows.append((title + note, f"{passes:.2f}", f"{passes * hour:.0f}"))
    return markdown(("method", "passes an image and epoch", f"hours, {GIVEN.epochs} epochs"), rows)


def reconstructor() -> list[str]:
    """What a re-constructor adds to a step of eFGSM."""
    efgsm = METHODS["efgsm"].passes(METHODS["efgsm"].options)
    rows = []
    shape = (GIVEN.size, GIVEN.size, 3)
    small = subpixel_reconstructor(shape, GIVEN.classes, (4, 32, 16), "small")
    for name, parameters, macs in (
        ("small one of pixel blocks", f"{small.count_params() / 1e6:.1f} M", multiply_adds(small)),
        ("as costly as the classifier, as in the paper", "-", GIVEN.classifier_macs),
    ):
        extra = macs / GIVEN.classifier_macs
        row = (name, parameters, f"{macs / 1e9:.2f} G", f"{extra:.2f}", f"{efgsm + extra:.2f}")
        rows.append(row)
    header = ("re-constructor", "parameters", "multiply-adds", "passes it adds", "eFGSM with it")
    return markdown(header, rows)


def measured() -> list[str]:
    """The runs of `scripts/benchmarks/scale/momentum.py`, from their records."""
    path = ROOT / "results" / "scale" / "momentum.json"
    if not path.exists():
        return ["Not measured yet: `python scripts/benchmarks/scale/momentum.py`."]
    record = read_json(path)
    rows = []
    for mode, result in record["results"].items():
        rows.append(
            (
                mode,
                f"{result['images_per_second']:.0f}",
                f"{result['ratio_to_memory']:.2f}",
                f"{result['cpu_milliseconds_per_image']:.2f}",
                format_bytes(result["peak_bytes"]["VmHWM"]),
            )
        )
    cold = record["results"]["disk, cold"]
    options, row_bytes = record["options"], record["options"]["image_size"] ** 2 * 3
    rates = [(row_bytes, options["batch"], cold["store_alone"])]
    store = path.with_name("store.json")
    if store.exists():
        alone = read_json(store)
        rates.append((alone["row_bytes"], alone["options"]["batch"], alone["store_alone"]))
    header = ("store", "images/s", "of memory", "CPU ms an image", "peak resident memory")
    lines = [
        f"Gamma {format_bytes(cold['momentum_bytes'])} as int8 ({options['image_size']} x "
        f"{options['image_size']} x 3), limit {format_bytes(record['limit_bytes'])} for the whole "
        f"process, batch {options['batch']}, residual network of {cold['parameters']:,} weights, "
        f"median of {options['rounds']} turns of {options['steps']} steps, {record['hardware']}:",
        "",
        *markdown(header, rows),
        "",
        f"The losses of all turns are the same bits: {'yes' if record['same_losses'] else 'no'}.",
        "",
    ]
    rows = [
        (
            format_bytes(size),
            batch,
            f"{rate['rows_per_second']:.0f}",
            f"{format_bytes(round(rate['rows_per_second'] * size))}/s",
            f"{rate['rows_per_second_written_through']:.0f}",
        )
        for size, batch, rate in rates
    ]
    header = (
        "the store alone, nothing cached: a row",
        "batch",
        "rows/s read and written",
        "each way",
        "rows/s, all on the disk in the end",
    )
    return [*lines, *markdown(header, rows)]


def tables() -> str:
    """All of what the page quotes."""
    parts = (
        ("Storage (arithmetic)", storage()),
        ("Traffic (arithmetic)", traffic()),
        ("Cost (arithmetic)", cost()),
        ("Re-constructor (arithmetic)", reconstructor()),
        ("Measured on a synthetic set", measured()),
    )
    return "\n".join("\n".join([f"### {title}", "", *lines, ""]) for title, lines in parts)


def main() -> None:
    """Prints the tables, or puts them into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    options = parser.parse_args()
    if not options.write:
        print(tables())
        return
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    with atomic_file(PAGE) as file:
        file.write(f"{before}{BEGIN}\n{tables()}{END}{after}".encode())


if __name__ == "__main__":
    main()
