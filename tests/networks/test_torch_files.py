"""Files of PyTorch, written here as `torch.save` writes them, without PyTorch."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import keras
import numpy as np
import pytest

from keras_efgsm.networks import efficientnet_lite0, read_torch_tensors
from keras_efgsm.networks.classifiers.efficientnet_lite0 import _converted
from keras_efgsm.networks.torch_files import _MAGIC

SIDE = 32


class FloatStorage:
    """As a pickle names it."""


class LongStorage:
    """As a pickle names it."""


def _rebuild_tensor_v2(*_):
    """As a pickle names it."""


class Stored:
    """A run of numbers that a pickle refers to."""

    def __init__(self, array):
        self.array = array


class Tensor:
    """A view of a run of numbers."""

    def __init__(self, array, *, offset=0, shape=None, strides=None):
        array = np.array(array, order="C")
        self.stored = Stored(array.ravel())
        self.shape = array.shape if shape is None else shape
        natural = tuple(step // array.itemsize for step in array.strides)
        self.offset, self.strides = offset, natural if strides is None else strides

    def __reduce__(self):
        view = (self.stored, self.offset, self.shape, self.strides, False, OrderedDict())
        return _rebuild_tensor_v2, view


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    """Modules of PyTorch's names, for the pickles alone."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for part, module in (
        (FloatStorage, "torch"),
        (LongStorage, "torch"),
        (_rebuild_tensor_v2, "torch._utils"),
    ):
        monkeypatch.setattr(part, "__module__", module)
        setattr(modules[module], part.__name__, part)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def pickled(value, legacy, protocol=2):
    """The pickle of a value and the runs of numbers that it refers to, by key."""
    stored = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if not isinstance(item, Stored):
                return None
            key = str(len(stored))
            stored[key] = item.array
            kind = FloatStorage if item.array.dtype == np.float32 else LongStorage
            about = ("storage", kind, key, "cpu", item.array.size)
            return (*about, None) if legacy else about

    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue(), stored


def write(path, value, *, legacy):
    text, stored = pickled(value, legacy)
    if legacy:
        about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        parts = [pickle.dumps(part, 2) for part in (_MAGIC, 1001, about)]
        parts += [text, pickle.dumps(list(stored), 2)]
        for array in stored.values():
            parts += [struct.pack("<q", array.size), array.tobytes()]
        path.write_bytes(b"".join(parts))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", text)
        archive.writestr("m/byteorder", "little")
        for key, array in stored.items():
            archive.writestr(f"m/data/{key}", array.tobytes())
    return path


both = pytest.mark.parametrize("legacy", [True, False], ids=["before 1.6", "archive"])


@both
def test_tensors_come_back_by_name_in_their_order(legacy, tmp_path):
    a = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    state = OrderedDict(
        {
            "b.weight": Tensor(a),
            "b.turned": Tensor(a, shape=(4, 3), strides=(1, 4)),
            "a.rest": Tensor(a, offset=12, shape=(3, 4), strides=(4, 1)),
            "a.count": Tensor(np.array(7)),
        }
    )
    found = read_torch_tensors(write(tmp_path / "m.pth", state, legacy=legacy))
    assert list(found) == list(state)
    np.testing.assert_array_equal(found["b.weight"], a)
    np.testing.assert_array_equal(found["b.turned"], a[0].T)
    np.testing.assert_array_equal(found["a.rest"], a[1])
    assert found["a.count"] == 7 and found["a.count"].dtype == np.int64


@both
def test_a_file_that_asks_for_other_code_is_refused_and_runs_none(legacy, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for value in ({"a": Evil()}, Evil(), {"a": Tensor(np.ones(2, "float32")), "b": print}):
        path = write(tmp_path / "m.pth", value, legacy=legacy)
        with pytest.raises(ValueError, match=r"asks for .* Received: path="):
            read_torch_tensors(path)
    assert not (tmp_path / "ran").exists()


@both
@pytest.mark.parametrize(
    "view",
    [
        {"shape": (10**9,), "strides": (0,)},
        {"offset": 3, "shape": (2,), "strides": (1,)},
        {"shape": (2, 2), "strides": (1,)},
        {"shape": (2,), "strides": (-1,)},
        {"offset": -1},
    ],
)
def test_a_tensor_beyond_its_numbers_is_refused(legacy, view, tmp_path):
    state = {"a": Tensor(np.ones(4, "float32"), **view)}
    with pytest.raises(ValueError, match="torch.save"):
        read_torch_tensors(write(tmp_path / "m.pth", state, legacy=legacy))


@both
def test_a_damaged_file_is_refused(legacy, tmp_path):
    path = write(tmp_path / "m.pth", {"a": Tensor(np.ones(400, "float32"))}, legacy=legacy)
    whole = path.read_bytes()
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="Received: path="):
            read_torch_tensors(path)
    path.write_bytes(write(path, {"a": 1}, legacy=legacy).read_bytes())
    with pytest.raises(ValueError, match="'a' is no tensor"):
        read_torch_tensors(path)
    with pytest.raises(FileNotFoundError, match="Received: path="):
        read_torch_tensors(tmp_path / "none.pth")


# The network that such a file is read for.


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return efficientnet_lite0((SIDE, SIDE, 3), 1000)


def published(network):
    """A state as the published file has it, of random numbers: its names, axes and order."""
    random, state = np.random.default_rng(0), OrderedDict()
    for number, layer in enumerate(layer for layer in network.layers if layer.weights):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
        elif isinstance(layer, keras.layers.Dense):
            names, shapes = ("weight", "bias"), [shapes[0][::-1], shapes[1]]
        else:
            axes = (3, 2, 0, 1) if not layer.name.endswith("depthwise") else (2, 3, 0, 1)
            names, shapes = ("weight",), [tuple(shapes[0][axis] for axis in axes)]
        for name, shape in zip(names, shapes, strict=True):
            array = random.random(shape, dtype="float32") + 0.5
            state[f"_layer{number}.{name}"] = Tensor(array)
        if len(names) == 4:
            state[f"_layer{number}.num_batches_tracked"] = Tensor(np.array(1))
    return state


def test_the_published_weights_go_into_the_layers_in_their_order(network, tmp_path):
    path = write(tmp_path / "m.pth", published(network), legacy=True)
    tensors = read_torch_tensors(path)
    ours = efficientnet_lite0((SIDE, SIDE, 3), 1000, weights=path)
    stem, logits = ours.get_layer("stem"), ours.get_layer("logits")
    np.testing.assert_array_equal(
        np.asarray(stem.kernel)[1, 2, 0, 5], tensors["_layer0.weight"][5, 0, 1, 2]
    )
    np.testing.assert_array_equal(
        np.asarray(ours.get_layer("stem_norm").moving_variance), tensors["_layer1.running_var"]
    )
    last = next(reversed(tensors)).partition(".")[0]
    np.testing.assert_array_equal(np.asarray(logits.kernel).T, tensors[f"{last}.weight"])
    # Of other classes the last layer is a new one.
    few = efficientnet_lite0((SIDE, SIDE, 3), 7, weights=path)
    assert few.output_shape == (None, 7)
    np.testing.assert_array_equal(np.asarray(few.get_layer("stem").kernel), np.asarray(stem.kernel))


def test_weights_of_another_network_are_refused(network, tmp_path):
    state = published(network)
    first = next(iter(state))
    other = OrderedDict(state | {first: Tensor(np.ones((8, 3, 3, 3), "float32"))})
    with pytest.raises(ValueError, match=r"_layer0 does not fit stem.* Received: weights="):
        efficientnet_lite0(
            (SIDE, SIDE, 3), 1000, weights=write(tmp_path / "a.pth", other, legacy=False)
        )
    del state[first]
    with pytest.raises(ValueError, match=r"must hold the \d+ layers.* Received: weights="):
        efficientnet_lite0(
            (SIDE, SIDE, 3), 1000, weights=write(tmp_path / "b.pth", state, legacy=False)
        )


def test_a_depthwise_kernel_is_turned_to_height_width_channel(network):
    layer = network.get_layer("stage1_1_depthwise")
    kernel = np.arange(32 * 9, dtype="float32").reshape(32, 1, 3, 3)
    (turned,) = _converted(layer, {"weight": kernel})
    assert turned.shape == tuple(layer.kernel.shape) == (3, 3, 32, 1)
    assert turned[1, 2, 5, 0] == kernel[5, 0, 1, 2]
