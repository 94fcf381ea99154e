"""The image files of a folder: its classes, its train and test part, in an order of their own."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_efgsm.checks import check_printable
from keras_efgsm.data.digests import digest_of_file
from keras_efgsm.data.image_header import SUFFIXES, ImageHeader, read_header
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.splitting import draw_held_out, held_out_note
from keras_efgsm.limits import check_num_classes

# Sub-folders of these names, in any case, are the parts of a divided data set.
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
# What systems put beside a user's folders; names that begin with a dot are passed over as well.
_OF_THE_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
_NO_DATA = {"thumbs.db", "desktop.ini"}

# What is said of images, by the attributes of their headers.
_SAID = {
    "turned": "{} photographs are turned upright as their EXIF data say",
    "unturned": "{} PNG files are to be turned by their EXIF data, which is not done; save them "
    "upright",
    "deep": "{} images have 16 bits, of which the upper 8 are used",
    "animated": "{} files are animations, of which the first frame is used",
    "alpha": "{} images have an alpha channel, which `--channels 1` or `--channels 3` leaves out: "
    "what it hides is shown",
}


@dataclass(frozen=True)
class ImageFiles:
    """Files of images with their classes.

    Args:
        files: the files, by class and then by name.
        labels: int32 `(n,)`, one for each.
    """

    files: tuple[Path, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def chosen(self, mask: np.ndarray) -> ImageFiles:
        """Returns those where `mask`, bool `(n,)`, is true."""
        files = tuple(f for f, taken in zip(self.files, mask, strict=True) if taken)
        return ImageFiles(files, self.labels[mask])

    def headers(self) -> list[ImageHeader]:
        """Reads the header of every file.

        Raises:
            ValueError: if a file cannot be read; the message names it.
        """
        return [read_header(file) for file in self.files]


@dataclass(frozen=True)
class FolderLayout:
    """A folder of images, divided into what is trained on and what is tested on.

    Args:
        root: the folder.
        class_names: sorted names of the class sub-folders.
        parts: the files of each split.
        held_out: whether the test part was drawn out of one set.
        notes: sentences about what was found.
    """

    root: Path
    class_names: tuple[str, ...]
    parts: dict[str, ImageFiles]
    held_out: bool
    notes: tuple[str, ...]


def read_layout(path: Path, test_share: float, seed: int) -> FolderLayout:
    """Finds the images of a folder, and splits test images off where it has none.

    Args:
        path: a folder with one sub-folder of images per class, or with a sub-folder `train` of that
            form and, if there is one, `test` (`val`, `validation`).
        test_share: share of each class to hold out where there is no test part.
        seed: number of that draw.

    Raises:
        ValueError: if the folder, a class or a file in it cannot be used.
    """
    train_folder, test_folder = _parts(path)
    names = class_folders(train_folder)
    train, notes = class_files(train_folder, names)
    if test_folder is None:
        held = draw_held_out(_keys(train.files), train.labels, names, test_share, seed)
        parts = {"train": train.chosen(~held), "test": train.chosen(held)}
        notes.append(held_out_note("`test/` folder", int(held.sum()), len(train), test_share, seed))
    else:
        test, of_test = _test_files(path, test_folder, names)
        parts = {"train": train, "test": test}
        notes += [note for note in of_test if note not in notes]
    return FolderLayout(path, tuple(names), parts, test_folder is None, tuple(notes))


def class_folders(root: Path) -> list[str]:
    """Returns the sorted names of the class sub-folders of `root`.

    Raises:
        ValueError: if `root` is not a folder or has fewer than two sub-folders.
    """
    if not root.is_dir():
        state = "a file" if root.exists() else "no such folder"
        raise ValueError(
            "`path` must be a folder that holds one sub-folder of images per class. "
            f"Received: path={str(root)!r} ({state})"
        )
    names = sorted(folder.name for folder in _sub_folders(root))
    check_num_classes(len(names), f"path={str(root)!r}")
    check_printable(names, "class_names")
    if len(names) < 2:
        if names:
            state = f"the only sub-folder is {names[0]!r}"
        elif any(_is_image(file) for file in root.iterdir()):
            state = "it holds images but no sub-folders"
        else:
            state = "the folder is empty"
        raise ValueError(
            "`path` must hold at least two sub-folders, one per class, with the images of that "
            f"class in each. Received: path={str(root)!r} ({state})"
        )
    return names


def class_files(
    root: Path, names: Sequence[str], *, may_lack: bool = False
) -> tuple[ImageFiles, list[str]]:
    """Finds the images of each class, in nested folders too.

    Args:
        root: the folder of the class sub-folders.
        names: their names, in the order of the labels.
        may_lack: whether a class may have no image. Defaults to `False`.

    Returns:
        The files, and sentences about what was passed over.

    Raises:
        ValueError: if a class has no image, or a link leads nowhere.
    """
    files: list[Path] = []
    labels: list[int] = []
    others: Counter[str] = Counter()
    for label, name in enumerate(names):
        found = []
        strange: Counter[str] = Counter()
        for file in _walk(root / name):
            if _is_image(file):
                found.append(file)
            else:
                strange[file.suffix.lower() or file.name] += 1
        others += strange
        if not found and not may_lack:
            kind, count = (strange.most_common(1) or [("", 0)])[0]
            only = f" but {count} x {kind}; convert those if they are, or" if count else ";"
            raise ValueError(
                f"every class sub-folder must hold images ({', '.join(SUFFIXES)}), but {name!r} "
                f"holds none{only} remove it if it is no class. Received: path={str(root)!r}"
            )
        files += sorted(found)
        labels += [label] * len(found)
    notes = []
    if others:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(others.items())[:5])
        notes.append(f"files that are no images by their ending are passed over: {kinds}")
    loose = sum(_is_image(file) for file in root.iterdir())
    if loose:
        notes.append(f"{loose} images beside the class folders of {root.name}/ are passed over")
    return ImageFiles(tuple(files), np.array(labels, "int32")), notes


def folder_facts(
    name: str, class_names: tuple[str, ...], parts: dict[str, ImageFiles], notes: Sequence[str] = ()
) -> SourceFacts:
    """Reads the headers of all files and returns what they say.

    Args:
        name: what the data set is called.
        class_names: in the order of the labels.
        parts: the files of each split.
        notes: sentences to go before those about the files.

    Raises:
        ValueError: if a file cannot be read; the message names it.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    channels: Counter[int] = Counter()
    examples: dict[tuple[int, int] | int, str] = {}
    found: Counter[str] = Counter()
    for part in parts.values():
        for file, header in zip(part.files, part.headers(), strict=True):
            size = (header.height, header.width)
            for key in (size, header.channels):
                examples.setdefault(key, f"{file.parent.name}/{file.name}")
            sizes[size] += 1
            channels[header.channels] += 1
            found.update(name for name in _SAID if getattr(header, name))
    said = [*notes, *(text.format(found[name]) for name, text in _SAID.items() if found[name])]
    counts = {split: len(part) for split, part in parts.items()}
    return SourceFacts(name, "folder", class_names, counts, sizes, channels, tuple(said), examples)


def _parts(path: Path) -> tuple[Path, Path | None]:
    """The folders of the two splits; the folder itself and None where it is not divided."""
    folders = {f.name.lower(): f for f in _sub_folders(path)} if path.is_dir() else {}
    train = next((folders[n] for n in TRAIN_NAMES if n in folders), None)
    test = next((folders[n] for n in TEST_NAMES if n in folders), None)
    if train is None:
        return path, None
    only_parts = set(folders) <= {*TRAIN_NAMES, *TEST_NAMES}
    # A class may be called "train", beside "bus" and "tram": its folder holds images.
    of_classes = bool(_sub_folders(train)) and not any(_is_image(f) for f in train.iterdir())
    if ((of_classes or test is not None) and only_parts) or (of_classes and test is not None):
        return train, test
    return path, None


def _test_files(path: Path, folder: Path, names: Sequence[str]) -> tuple[ImageFiles, list[str]]:
    """The files of the test part, whose classes are those of the training part."""
    unknown = sorted({f.name for f in _sub_folders(folder)} - set(names))
    if unknown:
        raise ValueError(
            f"the class sub-folders of `{folder.name}` must be those of the training images, but "
            f"these are not the same class sub-folders: only `{folder.name}` has "
            f"{', '.join(map(repr, unknown))}. Received: dataset={str(path)!r}"
        )
    test, notes = class_files(folder, names, may_lack=True)
    if not len(test):
        raise ValueError(
            f"`{folder.name}` must hold one sub-folder of images per class, but holds no image in "
            f"one; without it test images are held out. Received: dataset={str(path)!r}"
        )
    lacking = [name for label, name in enumerate(names) if label not in test.labels]
    if lacking:
        notes.append(f"`{folder.name}/` has no images of {', '.join(map(repr, lacking))}")
    if folder.name.lower() not in TEST_NAMES[:2]:
        notes.append(f"the images of `{folder.name}/` are the test images")
    return test, notes


def _sub_folders(root: Path) -> list[Path]:
    return [f for f in root.iterdir() if f.is_dir() and not _is_hidden(f.name)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_THE_SYSTEM or name.lower() in _NO_DATA


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not _is_hidden(file.name) and not file.is_dir()


def _walk(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones, links followed, none twice.

    A link to a folder above this one is not followed, as all classes lie there.
    """
    found, seen = [], set()
    above = {str(parent) for parent in Path(os.path.realpath(folder)).parents}
    for at, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(at)
        if real in seen or real in above:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in files:
            file = Path(at, name)
            if _is_hidden(name):
                continue
            if not file.exists():
                raise ValueError(
                    "every link must lead to a file that is there; mend or remove it. "
                    f"Received: file={str(file)!r}"
                )
            found.append(file)
    return found


def _keys(files: Sequence[Path]) -> list[Hashable]:
    """What identifies the image of each file: copies and links have the same."""
    states = [file.stat() for file in files]
    sizes = Counter(state.st_size for state in states)
    return [
        # A file whose length no other has needs not be read.
        _digest(str(file), state.st_size, state.st_mtime_ns)
        if sizes[state.st_size] > 1
        else state.st_size
        for file, state in zip(files, states, strict=True)
    ]


@functools.lru_cache(maxsize=2**20)
def _digest(file: str, size: int, modified: int) -> bytes:
    return digest_of_file(file).tobytes()
