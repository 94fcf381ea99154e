# %% [markdown]
# # Serving and asking
#
# A robust model leaves as a SavedModel that TensorFlow Serving mounts. Its signatures take float
# pixels, bytes, or whole PNG and JPEG files, and refuse wrong ones inside the graph.

# %%
SCALE = 1.0  # of the number of images that are asked about

# %%
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_efgsm import export_classifier, load_data, load_robust, robust_models
from keras_efgsm.serving import answers_of, ask, container_command, load_inputs, write_config

# %% [markdown]
# ## Export
#
# `digits` is one of the robust models that come with the package. Each export is the next integer
# version; the card beside it says how to load each file.

# %%
classifier, about = load_robust("digits"), robust_models()["digits"]
result = export_classifier(
    classifier,
    "exported_models/digits",
    class_names=about.class_names,
    forms=["saved-model"],
    figures=about.evaluation.to_dict(),
    license=about.license,
)
print(result.model_card.read_text()[:600])

# %% [markdown]
# ## TensorFlow Serving's files
#
# In a terminal: `keras-efgsm serve-config exported_models/digits --out serving`.

# %%
write_config("exported_models/digits", "serving")
folder, config = Path("exported_models/digits"), Path("serving")
print(" ".join(container_command("digits", folder, config)))

# %% [markdown]
# ## Ask
#
# Where a `tensorflow_model_server` is installed, it is started and asked as any client would; in
# a terminal `keras-efgsm serve-request 0.png --model digits`. Where there is none, the
# SavedModel's signature is called with the same inputs, which is what the server does with them.

# %%
data = load_data("digits", "test").take(max(4, round(20 * SCALE)))
files = [f"{number}.png" for number in range(len(data))]
for file, image in zip(files, data.images, strict=True):
    Image.fromarray(image[..., 0]).save(file)

binary = shutil.which("tensorflow_model_server")
if binary:
    words = [binary, "--port=8500", "--rest_api_port=8501", "--model_name=digits"]
    server = subprocess.Popen([*words, f"--model_base_path={folder.resolve()}"])
    try:
        for _ in range(60):
            time.sleep(1)
            try:
                answers = ask(files, "digits")
                break
            except OSError:
                continue
    finally:
        server.terminate()
        server.wait()
else:
    signature, inputs = load_inputs(files)
    served = tf.saved_model.load(str(result.saved_model))
    outputs = served.signatures[signature](
        **{name: tf.constant(list(value)) for name, value in inputs.items()}
    )
    answers = answers_of({name: value.numpy() for name, value in outputs.items()})
for file, answer in list(zip(files, answers, strict=True))[:5]:
    print(f"{file}: {answer.label}, {100 * answer.probability:.1f} %")

# %%
logits = np.asarray(classifier(data.pixels(), training=False))
assert [answer.class_id for answer in answers] == logits.argmax(axis=1).tolist()
assert [answer.label for answer in answers] == [data.class_names[k] for k in logits.argmax(axis=1)]
assert np.mean(logits.argmax(axis=1) == data.labels) > 0.8
assert (config / "models.config").is_file()
