"""TensorFlow's C library, as it lies in the wheel, by ctypes: no `import tensorflow`."""

import ctypes
import functools
import importlib.util
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

# The wheel's shared objects that hold the C API: Linux, macOS, Windows.
_NAMES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib", "tensorflow_cc.dll")


class Output(ctypes.Structure):
    """TF_Output: the output number `index` of an operation."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes with their length."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


# tensorflow/c/c_api.h, tf_status.h, tf_tensor.h, tf_tstring.h: result, then arguments.
_FUNCTIONS = {
    "TF_Version": (c_char_p,),
    "TF_NewStatus": (c_void_p,),
    "TF_DeleteStatus": (None, c_void_p),
    "TF_GetCode": (c_int, c_void_p),
    "TF_Message": (c_char_p, c_void_p),
    "TF_NewBuffer": (POINTER(Buffer),),
    "TF_DeleteBuffer": (None, POINTER(Buffer)),
    "TF_NewGraph": (c_void_p,),
    "TF_DeleteGraph": (None, c_void_p),
    "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
    "TF_NewSessionOptions": (c_void_p,),
    "TF_DeleteSessionOptions": (None, c_void_p),
    "TF_LoadSessionFromSavedModel": (
        *(c_void_p, c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int),
        *(c_void_p, POINTER(Buffer), c_void_p),
    ),
    "TF_CloseSession": (None, c_void_p, c_void_p),
    "TF_DeleteSession": (None, c_void_p, c_void_p),
    "TF_SessionRun": (
        *(None, c_void_p, c_void_p),
        *(POINTER(Output), POINTER(c_void_p), c_int),
        *(POINTER(Output), POINTER(c_void_p), c_int),
        *(POINTER(c_void_p), c_int, c_void_p, c_void_p),
    ),
    "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
    "TF_DeleteTensor": (None, c_void_p),
    "TF_TensorType": (c_int, c_void_p),
    "TF_NumDims": (c_int, c_void_p),
    "TF_Dim": (c_int64, c_void_p, c_int),
    "TF_TensorByteSize": (c_size_t, c_void_p),
    "TF_TensorData": (c_void_p, c_void_p),
    "TF_StringInit": (None, c_void_p),
    "TF_StringCopy": (None, c_void_p, c_char_p, c_size_t),
    "TF_StringGetDataPointer": (c_void_p, c_void_p),
    "TF_StringGetSize": (c_size_t, c_void_p),
    "TF_StringDealloc": (None, c_void_p),
}


@functools.cache
def tensorflow_library() -> ctypes.CDLL:
    """Returns the library with the result and argument types of its functions set.

    Raises:
        RuntimeError: if TensorFlow is not installed, or its wheel has no such library.

    Example:

    ```python
    tensorflow_library().TF_Version()  # b"2.21.0"
    ```
    """
    # Finding a module does not import it.
    found = importlib.util.find_spec("tensorflow")
    folders = [Path(p) for p in (found.submodule_search_locations or [])] if found else []
    paths = [folder / name for folder in folders for name in _NAMES if (folder / name).exists()]
    if not paths:
        raise RuntimeError(
            f"An installed TensorFlow with one of {', '.join(_NAMES)} is needed. "
            f"Received: folders={[str(f) for f in folders]}"
        )
    library = ctypes.CDLL(str(paths[0]))
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
