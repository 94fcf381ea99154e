"""Folders as users have them: without test images, with links, copies and what systems leave."""

import shutil

import numpy as np
import pytest
from PIL import Image

from keras_efgsm.data import describe_source, load_data
from keras_efgsm.data.folder_files import read_layout
from support.image_folders import KINDS, make_folder


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Four classes of ten images, in no parts."""
    return make_folder("colour", tmp_path_factory.mktemp("data") / "shapes", 10)


@pytest.fixture
def copy(shapes, tmp_path):
    return shutil.copytree(shapes, tmp_path / "copy")


def names(root, seed=0, share=0.1):
    layout = read_layout(root, share, seed)
    return {s: [str(f.relative_to(root)) for f in part.files] for s, part in layout.parts.items()}


def test_without_a_test_folder_a_share_of_each_class_is_held_out_and_said(shapes):
    train, test = (load_data(shapes, s, test_share=0.2, seed=3) for s in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [8] * 4
    assert np.bincount(test.labels).tolist() == [2] * 4
    assert train.name == "folder:shapes[without 0.2, seed 3]"
    assert test.name == "folder:shapes[held out 0.2, seed 3]"
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in test.images}
    facts = describe_source(shapes, test_share=0.2, seed=3)
    assert facts.num_images == {"train": 32, "test": 8}
    assert facts.notes == (
        "there is no `test/` folder: 8 of 40 images, 20% of each class, are held out as test "
        "images (seed 3)",
    )


def test_the_draw_is_one_of_the_seed_and_not_of_the_file_system(shapes, monkeypatch):
    before = names(shapes)
    assert sorted(before["train"] + before["test"]) == sorted(
        str(f.relative_to(shapes)) for f in shapes.glob("*/*.jpg")
    )
    import os

    walk = os.walk

    def backwards(*args, **options):
        for at, folders, files in walk(*args, **options):
            yield at, folders, files[::-1]

    monkeypatch.setattr("os.walk", backwards)
    assert names(shapes) == before
    assert names(shapes, seed=1)["test"] != before["test"]


def test_copies_and_links_of_an_image_stay_on_one_side(copy):
    for folder in copy.iterdir():
        for file in sorted(folder.iterdir()):
            shutil.copy(file, file.with_name(f"copy-of-{file.name}"))
            file.with_name(f"link-to-{file.name}").symlink_to(file)
    layout = read_layout(copy, 0.5, 0)
    train, test = ({f.name[-8:] + f.parent.name for f in p.files} for p in layout.parts.values())
    assert len(layout.parts["test"]) == 60 and not train & test


def test_one_more_image_of_a_class_leaves_the_draw_of_the_others(copy):
    before = names(copy)["test"]
    Image.new("RGB", (20, 24)).save(copy / "bar" / "zzz.png")
    after = names(copy)["test"]
    assert [n for n in after if "bar" not in n] == [n for n in before if "bar" not in n]


def test_a_class_of_one_image_is_refused_also_if_it_is_there_twice(copy):
    for file in sorted((copy / "disc").iterdir())[1:]:
        file.unlink()
    shutil.copy(copy / "disc" / "0000.jpg", copy / "disc" / "0001.jpg")
    with pytest.raises(ValueError, match="two different images.*Received: class 'disc' with 1"):
        load_data(copy)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_each_class_has_an_image_on_either_side_whatever_the_share(copy, share):
    parts = read_layout(copy, share, 0).parts
    assert all(set(part.labels) == {0, 1, 2, 3} for part in parts.values())


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(shapes, share):
    with pytest.raises(ValueError, match="Received: test_share="):
        load_data(shapes, test_share=share)


def test_what_systems_leave_behind_is_no_image_and_no_class(copy):
    before = names(copy)
    for name in (".DS_Store", "Thumbs.db", "._0000.jpg", ".hidden.jpg"):
        (copy / "bar" / name).write_bytes(b"no image")
        (copy / name).write_bytes(b"no image")
    for name in ("__MACOSX", ".ipynb_checkpoints", "@eaDir"):
        (copy / name).mkdir()
        (copy / name / "1.jpg").write_bytes(b"no image")
    assert names(copy) == before
    assert len(describe_source(copy).notes) == 1


def test_files_that_are_passed_over_are_said(copy):
    (copy / "bar" / "notes.TXT").write_text("no image")
    (copy / "bar" / "1.heic").write_bytes(b"no image")
    shutil.copy(copy / "bar" / "0000.jpg", copy / "loose.jpg")
    notes = " ".join(describe_source(copy).notes)
    assert "passed over: 1 x .heic, 1 x .txt" in notes and "1 images beside the class" in notes


def test_links_are_followed_and_a_broken_one_is_named(copy, tmp_path):
    shutil.move(copy / "disc", tmp_path / "elsewhere")
    (copy / "disc").symlink_to(tmp_path / "elsewhere")
    (copy / "bar" / "round").symlink_to(copy / "bar")
    # Where the images of the other classes lie as well.
    (copy / "bar" / "above").symlink_to("..")
    assert describe_source(copy).num_images == {"train": 36, "test": 4}
    (copy / "bar" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"every link.*Received: file=.*gone\.jpg"):
        load_data(copy)


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "Testing"), ("train", "val")]
)
def test_parts_are_found_under_the_names_that_they_have(tmp_path, train, test):
    make_folder("colour", tmp_path, 3, test_per_class=2)
    (tmp_path / "train").rename(tmp_path / train)
    (tmp_path / "test").rename(tmp_path / test)
    facts = describe_source(tmp_path)
    assert facts.num_images == {"train": 12, "test": 8}
    assert facts.class_names == KINDS["colour"][1]
    assert facts.notes == (("the images of `val/` are the test images",) if test == "val" else ())


def test_a_train_folder_alone_is_not_taken_for_a_class(tmp_path):
    make_folder("colour", tmp_path / "train", 4)
    assert describe_source(tmp_path).class_names == KINDS["colour"][1]


def test_a_class_may_be_called_train(copy):
    (copy / "disc").rename(copy / "train")
    (copy / "cross").rename(copy / "test")
    assert describe_source(copy).class_names == ("bar", "square", "test", "train")


def test_a_class_without_test_images_is_said_and_keeps_its_number(tmp_path):
    make_folder("colour", tmp_path, 3, test_per_class=2)
    shutil.rmtree(tmp_path / "test" / "bar")
    assert "`test/` has no images of 'bar'" in describe_source(tmp_path).notes
    assert load_data(tmp_path, "test").labels.tolist() == [1, 1, 2, 2, 3, 3]


def test_test_images_without_classes_are_refused(tmp_path):
    make_folder("colour", tmp_path, 3, test_per_class=2)
    shutil.rmtree(tmp_path / "test")
    shutil.copytree(tmp_path / "train" / "bar", tmp_path / "test")
    with pytest.raises(ValueError, match="`test` must hold one sub-folder"):
        describe_source(tmp_path)


def test_a_test_image_of_another_size_is_found_before_the_training(tmp_path):
    make_folder("colour", tmp_path, 3, test_per_class=2)
    Image.new("RGB", (9, 7)).save(tmp_path / "test" / "bar" / "odd.png")
    with pytest.raises(ValueError, match=r"smallest 7 x 9 \(bar/odd\.png\)"):
        load_data(tmp_path, "train")


def test_mixed_photographs_ask_for_a_size_and_are_read_at_it(tmp_path):
    root = make_folder("photographs", tmp_path / "photographs", 5)
    facts = describe_source(root)
    assert facts.image_size is None and len(facts.sizes) > 5 and facts.num_channels == 3
    message = (
        r"They have \d+ \(height x width\): smallest \d+ x \d+.*, most frequent \d+ x \d+ "
        r"\(\d+ of 15 images\), largest \d+ x \d+.*`--image-size H W`.*Received: image_size=None"
    )
    for ask in (facts.image_shape, lambda: load_data(root)):
        with pytest.raises(ValueError, match=message):
            ask()
    assert facts.image_shape((8, 12), 1) == (8, 12, 1)
    assert load_data(root, image_size=(8, 12), channels=1).images.shape == (12, 8, 12, 1)


def test_images_larger_than_memory_are_refused_before_one_is_read(shapes, monkeypatch):
    monkeypatch.setattr("keras_efgsm.data.image_size._physical_memory", lambda: 1000)
    with pytest.raises(ValueError, match="must fit into memory: 36 of 24 x 20"):
        load_data(shapes)


def test_photographs_are_never_all_in_memory_at_their_own_size(tmp_path):
    import tracemalloc

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(6):
            Image.new("RGB", (900, 900), (number, 0, 0)).save(tmp_path / name / f"{number}.bmp")
    load_data(tmp_path, image_size=8)  # TensorFlow is there now
    tracemalloc.start()
    load_data(tmp_path, image_size=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    import os

    # Of 2.4 MB each; as many at once as there are processors, each at most three times.
    assert peak < min(3 * (os.cpu_count() or 1) + 1, 24) * 900 * 900 * 3


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m"])
def test_a_class_name_that_would_write_on_a_terminal_is_refused(copy, name):
    (copy / "disc").rename(copy / name)
    with pytest.raises(ValueError, match="printable"):
        load_data(copy)


@pytest.mark.parametrize("kind", KINDS)
def test_the_made_folders_can_be_learned_and_are_made_again_the_same(kind, tmp_path):
    first = make_folder(kind, tmp_path / "1", 8)
    again = make_folder(kind, tmp_path / "2", 8)
    files = sorted(f.relative_to(first) for f in first.rglob("*.*"))
    assert files == sorted(f.relative_to(again) for f in again.rglob("*.*"))
    assert all((first / f).read_bytes() == (again / f).read_bytes() for f in files)
    size = None if kind != "photographs" else (16, 16)
    train, test = (load_data(first, s, image_size=size, test_share=0.25) for s in ("train", "test"))
    # The nearest of the classes' mean images, far above chance. The colour of a shape is drawn at
    # random, so that its brightness alone is compared; that of a scene is its class.
    seen = [d.pixels() if kind == "photographs" else d.pixels().mean(-1) for d in (train, test)]
    flat = [pixels.reshape(len(pixels), -1) for pixels in seen]
    flat = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in flat]
    means = np.stack([flat[0][train.labels == k].mean(0) for k in range(train.num_classes)])
    nearest = ((flat[1][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == test.labels).mean() > 2 / train.num_classes
