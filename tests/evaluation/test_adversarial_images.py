import numpy as np
import pytest
from PIL import Image

from keras_efgsm.evaluation import ENGINES, evaluate_robustness
from keras_efgsm.evaluation.image_file import ImageFile
from keras_efgsm.report.adversarial_pictures import write_pictures
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

ATTACKS = [Raise(epsilon=EPSILON, channel=1), Raise(epsilon=EPSILON, channel=2)]


class Interrupted(Exception):
    pass


@pytest.fixture
def interrupt(monkeypatch):
    """Stops the native engine at a call, after the images are made and before they are known."""
    compile_native, made, at = ENGINES["native"], [], []

    def compile_stopping(attack, logits_fn, seed, reads):
        run = compile_native(attack, logits_fn, seed, reads)

        def stopping(*arguments):
            x_adv = run(*arguments)
            made.append(attack.name)
            if at and len(made) == at[0]:
                raise Interrupted
            return x_adv

        return stopping

    monkeypatch.setitem(ENGINES, "native", compile_stopping)
    return at


def evaluate(**options):
    options = {"progress": False, "keep_adversarial": True, "batch_size": 2, **options}
    return evaluate_robustness(channel_classifier(), (PIXELS, LABELS), ATTACKS, **options)


def read(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def report(uncompiled):
    return evaluate()


def test_of_each_image_that_was_turned_the_first_adversarial_one_is_kept(report, tmp_path):
    report.adversarial.write(tmp_path / "adversarial.npz")
    found = read(tmp_path / "adversarial.npz")
    # Image 1 withstands, 3 as well, and 5 is misclassified clean.
    assert found["index"].tolist() == [0, 2, 4]
    assert found["label"].tolist() == [0, 0, 2]
    assert found["predicted"].tolist() == [1, 2, 1]
    assert found["attack"].tolist() == ["raise-1", "raise-2", "raise-1"]
    assert found["epsilon"].tolist() == [EPSILON] * 3
    x_adv = found["x_adv"]
    assert x_adv.dtype == "float32" and x_adv.shape == (3, 2, 2, 3)
    sign = np.array([[-1, 1, -1], [-1, -1, 1], [-1, 1, -1]])[:, None, None]
    np.testing.assert_allclose(x_adv, PIXELS[found["index"]] + 0.0999 * sign, atol=1e-6)
    # Bit by bit what the classifier saw: it says the same again.
    again = np.asarray(channel_classifier()(x_adv)).argmax(axis=1)
    assert again.tolist() == found["predicted"].tolist()


@pytest.mark.parametrize("channels", [(1, 2), (2, 1)])
def test_of_two_attacks_that_turn_an_image_the_first_one_s_is_kept(channels):
    x = np.full((1, 2, 2, 3), (0.55, 0.5, 0.5), "float32")
    attacks = [Raise(epsilon=EPSILON, channel=channel) for channel in channels]
    report = evaluate_robustness(
        channel_classifier(), (x, [0]), attacks, keep_adversarial=True, progress=False
    )
    assert [int(attack.robust.sum()) for attack in report.attacks] == [0, 0]
    found = report.adversarial
    assert found.predicted.tolist() == [channels[0]]
    ((_, _, x_adv),) = found.batches()
    assert x_adv[0, 0, 0].argmax() == channels[0]


def test_interrupted_and_resumed_it_holds_the_same_images(report, interrupt, tmp_path):
    report.adversarial.write(tmp_path / "whole.npz")
    state = tmp_path / "evaluation.partial.npz"
    # In the second batch of the first attack, and in the first of the second.
    for call in (2, 3):
        interrupt[:] = [call]
        with pytest.raises(Interrupted):
            evaluate(state=state)
    assert (tmp_path / "evaluation.partial.images").exists()
    interrupt.clear()
    resumed = evaluate(state=state)
    resumed.adversarial.write(tmp_path / "resumed.npz")
    whole, again = read(tmp_path / "whole.npz"), read(tmp_path / "resumed.npz")
    assert whole.keys() == again.keys()
    assert all((whole[name] == again[name]).all() for name in whole)
    resumed.write_json(tmp_path / "evaluation.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "evaluation.json",
        "resumed.npz",
        "whole.npz",
    ]


def test_a_state_that_kept_no_images_does_not_go_on_as_one_that_did(interrupt, tmp_path):
    state = tmp_path / "state.npz"
    interrupt[:] = [2]
    with pytest.raises(Interrupted):
        evaluate(state=state, keep_adversarial=False)
    with pytest.raises(ValueError, match="They differ in: adversarial images"):
        evaluate(state=state)
    state.unlink()
    interrupt[:] = [4]
    with pytest.raises(Interrupted):
        evaluate(state=state)
    (tmp_path / "state.images").unlink()
    with pytest.raises(ValueError, match=r"must lie beside its state.*no state\.images"):
        evaluate(state=state)


def test_pictures_show_clean_adversarial_and_difference(report, tmp_path):
    folder = tmp_path / "pictures"
    write_pictures(report.adversarial, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["000000-label0-as1.png", "000002-label0-as2.png", "000004-label2-as1.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
    picture = np.asarray(Image.open(folder / names[0]))
    # 2 x 2 pixels, each 48 times as large, and two gaps of 4.
    assert picture.shape == (96, 3 * 96 + 8, 3)
    clean, adversarial, difference = picture[50, 50], picture[50, 150], picture[50, 250]
    assert clean.tolist() == [153, 128, 102]
    assert adversarial.tolist() == [128, 153, 77]
    # Of grey at full strength but for a thousandth.
    assert difference.tolist() == [0, 255, 0]
    with pytest.raises(ValueError, match=r"must be new or empty.*Received: save-images="):
        write_pictures(report.adversarial, folder)


def test_pictures_that_cannot_be_written_leave_no_folder(report, tmp_path, monkeypatch):
    def full(self, *arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_pictures(report.adversarial, tmp_path / "pictures")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_images_says_which_one_is_missing(tmp_path):
    file = ImageFile((2, 2, 3), tmp_path / "x.images")
    file.write(np.array([2, 0]), PIXELS[:2])
    file.flush()
    again = ImageFile((2, 2, 3), tmp_path / "x.images")
    assert (again.read(np.array([0, 2])) == PIXELS[[1, 0]]).all()
    with pytest.raises(OSError, match="missing image=3"):
        again.read(np.array([3]))
