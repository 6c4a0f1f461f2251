"""The compiled kernels as Python functions on NumPy arrays, and the packed weights they take."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness_native.compiling import library

Array = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]

_REALS = {"float32": "float", "float64": "double"}
_ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register."""


class Kernels:
    """The kernels for one floating-point type.

    Every array is C-contiguous and of that type; ids are int64. The C file says what each function does.

    Raises: NoCompilerError where they can't be compiled.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._library = library(_REALS[dtype.name])
        self._library.packed_size.restype = ctypes.c_int64

    def call(self, name: str, *arguments: int | float | Array | Ids | None) -> None:
        """Call a kernel: numbers by value, arrays by their address, None as no array."""
        self._library[name](*(_as_c(argument) for argument in arguments))

    def pack(self, B: Array, room: "Workspace") -> Array:
        """Return B (k, n), of any strides, laid out for the kernels' products."""
        k, n = B.shape
        size = int(self._library.packed_size(_as_c(k), _as_c(n)))
        packed = room.array("packed", (size,))
        row, column = (stride // B.itemsize for stride in B.strides)
        address = ctypes.c_void_p(B.__array_interface__["data"][0])
        self._library.pack(address, _as_c(k), _as_c(n), _as_c(row), _as_c(column), _as_c(packed))
        return packed


def require_rows(ids: Ids, num_rows: int) -> None:
    """Raise IndexError where an id names no row of a table: the kernels would read and write beyond it."""
    # A negative id is a large one where it is read without its sign.
    if ids.size and int(ids.view(np.uint64).max()) >= num_rows:
        raise IndexError(f"a token's id is {ids[(ids < 0) | (ids >= num_rows)][0]}, of a table of {num_rows} rows")


class Workspace:
    """Arrays that serve every minibatch of one shape again: a fresh one would cost its page faults each time."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._arrays: dict[tuple[str, tuple[int, ...]], Array] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return the array of this name and shape, its contents whatever was left there."""
        array = self._arrays.get((name, shape))
        if array is None:
            array = self._arrays[name, shape] = _aligned(shape, self._dtype)
        return array


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def _as_c(argument: int | float | Array | Ids | None) -> Any:
    if argument is None:
        return None
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    assert argument.flags.c_contiguous
    return ctypes.c_void_p(argument.__array_interface__["data"][0])
