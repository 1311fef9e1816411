# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Boxes as the cameras see them; see drivesim/box_view.py."""

cimport numpy as cnp
from libc.string cimport memset

from drivesim.kernels.arrays cimport counts, integers, singles

cnp.import_array()

cdef extern from "math.h" nogil:
    float ceilf(float x)
    float fabsf(float x)
    float floorf(float x)
    float rintf(float x)

cdef enum:
    EDGES = 4
    CORNERS = 5  # the first one again at the end

cdef float NEAR, FAR


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global NEAR, FAR
    NEAR, FAR = names["NEAR"], names["FAR"]


cdef inline float larger(float a, float b) noexcept nogil:
    return a if a > b else b


cdef inline float smaller(float a, float b) noexcept nogil:
    return a if a < b else b


def drawn(cnp.ndarray polygons, cnp.ndarray view, Py_ssize_t views, Py_ssize_t h, Py_ssize_t w):
    cdef Py_ssize_t faces = cnp.PyArray_SIZE(view), i, k, row, column
    cdef float* polygons_ = singles(polygons, 3 * CORNERS * faces, "polygons")
    cdef cnp.int64_t* view_ = integers(view, faces, "view")
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = views, h, w
    cdef cnp.ndarray index = cnp.PyArray_EMPTY(3, shape, cnp.NPY_INT32, 0)
    cdef cnp.int32_t* index_ = counts(index, views * h * w, "index")
    cdef cnp.int32_t* pixels
    cdef float[CORNERS] x
    cdef float[CORNERS] y
    cdef float[CORNERS] d
    cdef float[EDGES] slope
    cdef float[EDGES] intercept
    cdef bint[EDGES] lower
    cdef float low_u, high_u, low_v, high_v, near, u, v, a, b, c, first, last, bound
    cdef Py_ssize_t top, bottom, begin, end
    memset(index_, 0, views * h * w * sizeof(cnp.int32_t))
    for i in range(faces):
        if view_[i] < 0 or view_[i] >= views:
            raise IndexError(f"view: found {view_[i]}, accepted 0 .. {views - 1}")
        near = low_u = low_v = high_u = high_v = 0
        for k in range(CORNERS):
            x[k], y[k] = polygons_[k * faces + i], polygons_[(CORNERS + k) * faces + i]
            d[k] = polygons_[(2 * CORNERS + k) * faces + i]
            u, v = x[k] / larger(d[k], NEAR), y[k] / larger(d[k], NEAR)
            low_u, high_u = smaller(u, low_u) if k else u, larger(u, high_u) if k else u
            low_v, high_v = smaller(v, low_v) if k else v, larger(v, high_v) if k else v
            near = smaller(d[k], near) if k else d[k]
        if near < NEAR:
            low_u, high_u, low_v, high_v = 0, w - 1, 0, h - 1
        else:
            low_u, high_u = larger(rintf(low_u), 0), smaller(rintf(high_u), w - 1)
            low_v, high_v = larger(rintf(low_v), 0), smaller(rintf(high_v), h - 1)
        if low_v > high_v or low_u > high_u:
            continue
        for k in range(EDGES):
            a, b = y[k] * d[k + 1] - d[k] * y[k + 1], d[k + 1] * x[k] - x[k + 1] * d[k]
            c = x[k + 1] * y[k] - y[k + 1] * x[k] + <float> 0.5 * larger(fabsf(a), fabsf(b))
            if a == 0:
                a = <float> -1e-9
            slope[k], intercept[k], lower[k] = b / a, c / a, a < 0
        top, bottom = <Py_ssize_t> low_v, <Py_ssize_t> high_v
        for row in range(top, bottom + 1):
            first, last = -FAR, FAR
            for k in range(EDGES):
                bound = slope[k] * <float> row + intercept[k]
                if lower[k]:
                    first = larger(bound, first)
                else:
                    last = smaller(bound, last)
            first, last = larger(ceilf(first), low_u), smaller(floorf(last), high_u)
            if first > last:
                continue
            begin, end = <Py_ssize_t> first, <Py_ssize_t> last
            pixels = index_ + (view_[i] * h + row) * w
            for column in range(begin, end + 1):
                pixels[column] = <cnp.int32_t> i + 1
    return index
