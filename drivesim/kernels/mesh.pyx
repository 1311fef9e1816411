# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Triangles; see drivesim/town/mesh.py."""

cimport numpy as cnp
from libc.math cimport sqrtf

from drivesim.kernels.arrays cimport counts, single_table, singles

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


def face_normals(cnp.ndarray vertices, cnp.ndarray faces):
    cdef Py_ssize_t points = cnp.PyArray_DIM(vertices, 0), count = cnp.PyArray_DIM(faces, 0), i, k
    cdef float* vertices_ = singles(vertices, 3 * points, "vertices")
    cdef cnp.int32_t* faces_ = counts(faces, 3 * count, "faces")
    cdef cnp.ndarray out = single_table(count, 3)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef float* a
    cdef float* b
    cdef float* c
    cdef float x, y, z, bx, by, bz, cx, cy, cz, length
    for i in range(count):
        for k in range(3):
            if faces_[3 * i + k] < 0 or faces_[3 * i + k] >= points:
                raise IndexError(f"faces: found vertex {faces_[3 * i + k]}, accepted 0 .. {points - 1}")
        a, b, c = vertices_ + 3 * faces_[3 * i], vertices_ + 3 * faces_[3 * i + 1], vertices_ + 3 * faces_[3 * i + 2]
        bx, by, bz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        cx, cy, cz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        x, y, z = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        length = sqrtf(x * x + y * y + z * z)
        length = length if length > <float> 1e-12 else <float> 1e-12
        out_[3 * i], out_[3 * i + 1], out_[3 * i + 2] = x / length, y / length, z / length
    return out
