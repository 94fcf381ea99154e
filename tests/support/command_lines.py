"""A line of each command that does its work on the files of `tests/fuzz/conftest.py`."""

COMMAND_LINES = {
    "train": (
        *("train", "d.npz", "--classifier", "mine.keras", "--epsilon", "0.1", "--method", "efgsm"),
        *("--reconstructor", "none", "--probe-images", "0", "--batch-size", "20", "--epochs", "1"),
        *("--dtype-policy", "float32", "--out", "new", "--quiet"),
    ),
    "methods": ("methods", "--only", "efgsm"),
    "tune": (
        *("tune", "d.npz", "--classifier", "mine.keras", "--epsilon", "0.1", "--method", "efgsm"),
        *("--reconstructor", "none", "--batch-size", "20", "--trials", "1", "--epochs", "1"),
        *("--validation-images", "20", "--out", "new", "--quiet"),
    ),
    "evaluate": ("evaluate", "run", "--attacks", "square", "--queries", "2"),
    "compare": (
        *("compare", "run", "mine.keras", "--attacks", "square", "--queries", "2"),
        *("--num-images", "20", "--json", "compared.json"),
    ),
    "diagnose": ("diagnose", "run", "--num-images", "40"),
    "distance": ("distance", "run", "--attacks", "deepfool", "--num-images", "20"),
    "universal": ("universal", "run", "--steps", "2", "--num-images", "20"),
    "report": ("report", "run", "--num-images", "20"),
    "tensorboard": ("tensorboard", "run", "--port", "0"),
    "export": ("export", "run", "--to", "new", "--forms", "tflite"),
    "measure": ("measure", "exported/1", "--run", "run", "--attacks", "square", "--queries", "2"),
    "serve-config": ("serve-config", "exported", "--out", "new"),
    "serve-request": ("serve-request", "a.npy", "--model", "m"),
    "quickstart": ("quickstart", "--out", "new"),
}
