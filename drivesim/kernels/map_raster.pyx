# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What the ground is at a few places; see drivesim/map_raster.py."""

cimport numpy as cnp
from libc.math cimport floor

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


def any_bits(cnp.ndarray bits, double x0, double y0, double per_metre, int mask, list places):
    cdef double x, y, row, column
    cdef list answers = []
    if bits is None or cnp.PyArray_TYPE(bits) != cnp.NPY_UINT8 or cnp.PyArray_NDIM(bits) != 2:
        raise ValueError("bits: found another array, accepted uint8 [H, W]")
    for x, y in places:
        row, column = floor((y - y0) * per_metre), floor((x - x0) * per_metre)
        answers.append(
            0 <= row < cnp.PyArray_DIM(bits, 0)
            and 0 <= column < cnp.PyArray_DIM(bits, 1)
            and ((<cnp.uint8_t*> cnp.PyArray_GETPTR2(bits, <cnp.npy_intp> row, <cnp.npy_intp> column))[0] & mask) != 0
        )
    return answers
