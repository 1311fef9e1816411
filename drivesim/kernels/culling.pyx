# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where objects can be seen at all; see drivesim/town/culling.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, ceil, floor
from libc.string cimport memset

from drivesim.kernels.arrays cimport flags, floats, least, most

cnp.import_array()

cdef enum:
    CORNERS = 8

cdef double NEAR


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global NEAR
    NEAR = names["NEAR"]


def around(cnp.ndarray corners, Py_ssize_t height, Py_ssize_t width):
    cdef Py_ssize_t views = cnp.PyArray_DIM(corners, 0), boxes = cnp.PyArray_DIM(corners, 1), view, box, i, j, row
    cdef double* corners_ = floats(corners, 3 * CORNERS * views * boxes, "corners")
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = views, height, width
    cdef cnp.ndarray mask = cnp.PyArray_EMPTY(3, shape, cnp.NPY_BOOL, 0)
    cdef cnp.npy_bool* mask_ = flags(mask, views * height * width, "mask")
    cdef double* first
    cdef double* second
    cdef double low_u, high_u, low_v, high_v, u, v, d, share
    cdef Py_ssize_t begin, end, top, bottom
    memset(mask_, 0, views * height * width)
    for view in range(views):
        for box in range(boxes):
            low_u = low_v = INFINITY
            high_u = high_v = -INFINITY
            for i in range(CORNERS):
                first = corners_ + 3 * (CORNERS * (view * boxes + box) + i)
                if not first[2] > NEAR:
                    continue
                u, v = first[0] / first[2], first[1] / first[2]
                low_u, high_u, low_v, high_v = least(u, low_u), most(u, high_u), least(v, low_v), most(v, high_v)
                for j in range(CORNERS):  # where the lines to corners behind meet the plane
                    second = corners_ + 3 * (CORNERS * (view * boxes + box) + j)
                    if second[2] > NEAR:
                        continue
                    share = (NEAR - first[2]) / (second[2] - first[2])
                    d = first[2] + share * (second[2] - first[2])
                    u = (first[0] + share * (second[0] - first[0])) / d
                    v = (first[1] + share * (second[1] - first[1])) / d
                    low_u, high_u, low_v, high_v = least(u, low_u), most(u, high_u), least(v, low_v), most(v, high_v)
            low_u, low_v = most(floor(low_u) - 1, 0), most(floor(low_v) - 1, 0)
            high_u, high_v = least(ceil(high_u) + 1, width), least(ceil(high_v) + 1, height)
            if not (low_u < high_u and low_v < high_v):
                continue
            begin, end, top, bottom = <Py_ssize_t> low_u, <Py_ssize_t> high_u, <Py_ssize_t> low_v, <Py_ssize_t> high_v
            for row in range(top, bottom):
                memset(mask_ + (view * height + row) * width + begin, 1, end - begin)
    return mask
