"""Makes small folders of images whose classes can be learned: shapes, letters, photographs.

    python tests/support/image_folders.py KIND OUT [--per-class N] [--seed S]

KIND is `colour` (24 x 20 RGB JPEGs of 4 classes), `letters` (36 x 36 grey PNGs of 26 classes) or
`photographs` (JPEGs of 3 classes, from 48 to 144 pixels high and wide). No TensorFlow is needed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SHAPES = ("bar", "cross", "disc", "square")
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SCENES = ("forest", "sea", "town")


def colour_image(label: int, random: np.random.Generator) -> Image.Image:
    """Returns a bright shape on a dark ground of any colour, 24 pixels high and 20 wide."""
    ground, shape = random.integers(0, 90, 3), random.integers(150, 256, 3)
    image = Image.new("RGB", (20, 24), tuple(int(c) for c in ground))
    x, y = 10 + int(random.integers(-2, 3)), 12 + int(random.integers(-3, 4))
    draw, ink = ImageDraw.Draw(image), tuple(int(c) for c in shape)
    if SHAPES[label] == "bar":
        draw.rectangle((x - 7, y - 2, x + 7, y + 2), fill=ink)
    elif SHAPES[label] == "cross":
        draw.line((x - 6, y - 6, x + 6, y + 6), fill=ink, width=3)
        draw.line((x - 6, y + 6, x + 6, y - 6), fill=ink, width=3)
    elif SHAPES[label] == "disc":
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline=ink, width=3)
    else:
        draw.rectangle((x - 5, y - 5, x + 5, y + 5), fill=ink)
    return _noisy(image, 12, random)


def letter_image(label: int, random: np.random.Generator) -> Image.Image:
    """Returns a grey letter, moved, turned a little and of another size each time, 36 x 36."""
    image = Image.new("L", (36, 36), 20)
    font = ImageFont.load_default(size=int(random.integers(24, 31)))
    at = (18 + int(random.integers(-2, 3)), 18 + int(random.integers(-2, 3)))
    ImageDraw.Draw(image).text(at, LETTERS[label], fill=230, font=font, anchor="mm")
    turned = image.rotate(float(random.uniform(-10, 10)), Image.Resampling.BILINEAR, fillcolor=20)
    return _noisy(turned, 10, random)


def photograph(label: int, random: np.random.Generator) -> Image.Image:
    """Returns a scene: trunks on green, waves on blue, lit windows on grey; its size is drawn."""
    height, width = (int(side) for side in random.integers(48, 145, 2))
    ground = ((40, 110, 50), (40, 90, 170), (110, 105, 100))[label]
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = random.uniform(0, width), random.uniform(0, height)
        if SCENES[label] == "forest":
            draw.rectangle((x, y * 0.3, x + width * 0.04, height), fill=(70, 50, 30))
        elif SCENES[label] == "sea":
            draw.arc((x - width * 0.2, y, x + width * 0.2, y + 12), 0, 180, (200, 220, 240), 2)
        else:
            draw.rectangle((x, y, x + width * 0.08, y + height * 0.1), fill=(240, 220, 120))
    return _noisy(image.filter(ImageFilter.GaussianBlur(0.7)), 12, random)


# How an image is drawn, the classes, and the endings of the files.
KINDS: dict[str, tuple[Callable, tuple[str, ...], tuple[str, ...]]] = {
    "colour": (colour_image, SHAPES, (".jpg",)),
    "letters": (letter_image, LETTERS, (".png",)),
    "photographs": (photograph, SCENES, (".jpg", ".JPG", ".jpeg")),
}


def make_folder(
    kind: str, out: str | Path, per_class: int = 20, *, test_per_class: int = 0, seed: int = 0
) -> Path:
    """Writes a folder of images; the same arguments give the same files.

    Args:
        kind: a name of `KINDS`.
        out: the folder; its parents are made.
        per_class: images of each class.
        test_per_class: images of each class of a test part; with it the folder is divided into
            `train` and `test`, without it there are class folders alone.
        seed: number of the draw.

    Returns:
        `out` as a path.
    """
    draw, names, suffixes = KINDS[kind]
    random, out = np.random.default_rng(seed), Path(out)
    parts = {"train": per_class, "test": test_per_class} if test_per_class else {"": per_class}
    for part, count in parts.items():
        for label, name in enumerate(names):
            (out / part / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                file = out / part / name / f"{number:04d}{suffixes[number % len(suffixes)]}"
                draw(label, random).save(file, **({} if file.suffix == ".png" else {"quality": 92}))
    return out


def _noisy(image: Image.Image, sigma: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, "float32")
    return Image.fromarray(
        np.clip(pixels + random.normal(0, sigma, pixels.shape), 0, 255).astype("uint8")
    )


def main() -> None:
    """Writes one folder and says what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out")
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--test-per-class", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = make_folder(
        options.kind,
        options.out,
        options.per_class,
        test_per_class=options.test_per_class,
        seed=options.seed,
    )
    print(f"{sum(file.is_file() for file in out.rglob('*'))} images in {out}")


if __name__ == "__main__":
    main()
