# %% [markdown]
# # Your own photographs
#
# A folder with a sub-folder of images for each class is all that a robust classifier takes. Here
# the pictures are drawn, so that nothing has to be downloaded: forests, seas and towns, 48 x 48
# pixels. With a folder of yours, leave out the drawing.

# %%
SCALE = 1.0  # of the number of pictures and epochs; 0.2 is a quick look

# %%
import shlex
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from keras_efgsm.cli import main
from keras_efgsm.records import EvaluationRecord

CLASSES = ("forest", "sea", "town")
SIDE = 48


def picture(label: int, random: np.random.Generator) -> Image.Image:
    """Draws trunks on green, waves on blue or lit windows on grey, with noise."""
    image = Image.new("RGB", (SIDE, SIDE), ((40, 110, 50), (40, 90, 170), (110, 105, 100))[label])
    draw = ImageDraw.Draw(image)
    for _ in range(10):
        x, y = random.uniform(0, SIDE, 2)
        if CLASSES[label] == "forest":
            draw.rectangle((x, y * 0.3, x + 2, SIDE), fill=(70, 50, 30))
        elif CLASSES[label] == "sea":
            draw.arc((x - 10, y, x + 10, y + 8), 0, 180, (200, 220, 240), 2)
        else:
            draw.rectangle((x, y, x + 4, y + 5), fill=(240, 220, 120))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), "float32")
    noisy = pixels + random.normal(0, 12, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype("uint8"))


random = np.random.default_rng(0)
for label, name in enumerate(CLASSES):
    folder = Path("photographs", name)
    folder.mkdir(parents=True)
    for number in range(round(200 * SCALE)):
        picture(label, random).save(folder / f"{number:04d}.png")

# %% [markdown]
# ## Train
#
# In a terminal this is `keras-efgsm train photographs --epsilon 4/255`, without anything else:
# network, augmentation, schedule and epochs follow from the size and number of the images, and
# the command says what it chose. `main` is the same command from Python. The smaller network is
# chosen here as two cores are slow.
#
# Epsilon is the most that an attack may change a pixel by: 4/255 to 8/255 are usual for
# photographs.


# %%
def keras_efgsm(command: str) -> None:
    """Runs a command of the terminal."""
    print(f"$ keras-efgsm {command}")
    assert main(shlex.split(command)) == 0


epochs = max(5, round(12 * SCALE))
keras_efgsm(
    "train photographs --epsilon 4/255 --classifier strided-narrow "
    f"--epochs {epochs} --out runs/photographs --quiet"
)

# %% [markdown]
# ## Measure
#
# A tenth of each class was held out. `quick` is a first look; `--attacks standard` is what a
# figure that is to be published takes.

# %%
keras_efgsm("evaluate runs/photographs --attacks quick")
robust = EvaluationRecord.read("runs/photographs/evaluation.json").robust_accuracy
keras_efgsm("report runs/photographs --out photographs.html --num-images 8")

# %% [markdown]
# ## Hand over, and ask
#
# The export is an ordinary SavedModel with a card. It takes PNG and JPEG files and needs
# TensorFlow alone, neither Keras nor this library.

# %%
keras_efgsm("export runs/photographs --to exported_models/photographs --forms saved-model")

import tensorflow as tf

model = tf.saved_model.load("exported_models/photographs/1")
random = np.random.default_rng(1)
right = 0
for number in range(30):
    label = number % len(CLASSES)
    picture(label, random).save("new.png")
    answer = model.signatures["serving_bytes"](
        image_bytes=tf.constant([Path("new.png").read_bytes()])
    )
    right += answer["label"].numpy()[0].decode() == CLASSES[label]
print(f"{right} of 30 new pictures named rightly; {100 * robust:.0f} % withstand the attack")

# %%
assert right >= 27, f"{right} of 30 new pictures"
assert robust >= 0.7, f"robust accuracy {robust}"
assert Path("photographs.html").is_file()
