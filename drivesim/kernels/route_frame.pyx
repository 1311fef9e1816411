# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where something is on a route; see drivesim/route_frame.py."""

cimport numpy as cnp

from drivesim.kernels.arrays cimport floats

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


def nearest_row(cnp.ndarray route, double x, double y, Py_ssize_t begin, Py_ssize_t end):
    cdef Py_ssize_t rows = cnp.PyArray_DIM(route, 0), row, best = begin
    cdef double* route_ = floats(route, 3 * rows, "route")
    cdef double dx, dy, squared, least
    begin, end = max(begin, 0), min(end, rows)
    if begin >= end:
        raise ValueError(f"route: found no point from {begin} on among {rows}, accepted at least one")
    dx, dy = route_[3 * begin] - x, route_[3 * begin + 1] - y
    least, best = dx * dx + dy * dy, begin
    for row in range(begin + 1, end):
        dx, dy = route_[3 * row] - x, route_[3 * row + 1] - y
        squared = dx * dx + dy * dy
        if squared < least:
            least, best = squared, row
    return best
