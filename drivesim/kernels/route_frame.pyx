# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where something is on a route; see drivesim/route_frame.py."""

cimport numpy as cnp
from libc.math cimport atan2, cos, sin

from drivesim.kernels.arrays cimport floats, table

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


cdef Py_ssize_t nearest(double* route, double x, double y, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Row of the point nearest to a place among those from `begin` to before `end`, of which there is one."""
    cdef double dx = route[3 * begin] - x, dy = route[3 * begin + 1] - y, least = dx * dx + dy * dy, squared
    cdef Py_ssize_t row, best = begin
    for row in range(begin + 1, end):
        dx, dy = route[3 * row] - x, route[3 * row + 1] - y
        squared = dx * dx + dy * dy
        if squared < least:
            least, best = squared, row
    return best


def nearest_row(cnp.ndarray route, double x, double y, Py_ssize_t begin, Py_ssize_t end):
    cdef Py_ssize_t rows = cnp.PyArray_DIM(route, 0)
    cdef double* route_ = floats(route, 3 * rows, "route")
    begin, end = max(begin, 0), min(end, rows)
    if begin >= end:
        raise ValueError(f"route: found no point from {begin} on among {rows}, accepted at least one")
    return nearest(route_, x, y, begin, end)


def foot(cnp.ndarray route, cnp.ndarray pose):
    cdef Py_ssize_t rows = cnp.PyArray_DIM(route, 0), row
    cdef double* route_ = floats(route, 3 * rows, "route")
    cdef double* pose_ = floats(pose, 16, "ego.pose")
    cdef double ex = pose_[0], x = pose_[3], ey = pose_[4], y = pose_[7], px, py, c, s
    if not rows:
        raise ValueError("route: found no point, accepted at least one")
    row = nearest(route_, x, y, 0, rows)
    px, py, c, s = route_[3 * row], route_[3 * row + 1], cos(route_[3 * row + 2]), sin(route_[3 * row + 2])
    return (
        row, c * (x - px) + s * (y - py), c * (y - py) - s * (x - px), atan2(c * ey - s * ex, c * ex + s * ey), (c, s)
    )


def moved_along(cnp.ndarray chosen, cnp.ndarray cosine, cnp.ndarray sine, double along, cnp.ndarray pose):
    cdef Py_ssize_t count = cnp.PyArray_DIM(chosen, 0), k
    cdef double* chosen_ = floats(chosen, 3 * count, "route")
    cdef double* cosine_ = floats(cosine, count, "cosine")
    cdef double* sine_ = floats(sine, count, "sine")
    cdef double* pose_ = floats(pose, 16, "ego.pose")
    cdef cnp.ndarray points = table(cnp.NPY_FLOAT64, count, 2)
    cdef double* points_ = floats(points, 2 * count, "points")
    cdef double c = pose_[0], x = pose_[3], s = pose_[4], y = pose_[7], dx, dy
    for k in range(count):
        dx = chosen_[3 * k] + along * cosine_[k] - x
        dy = chosen_[3 * k + 1] + along * sine_[k] - y
        points_[2 * k], points_[2 * k + 1] = c * dx + s * dy, c * dy - s * dx
    return points
