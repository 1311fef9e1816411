# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Who comes close to a body; see drivesim/events.py."""

cimport numpy as cnp

from drivesim.kernels.arrays cimport floats

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


def corners_at(cnp.ndarray pose, double front, double rear, double side):
    cdef double* pose_ = floats(pose, 16, "ego.pose")
    cdef double c = pose_[0], x = pose_[3], s = pose_[4], y = pose_[7]
    return [
        (x + c * front - s * side, y + s * front + c * side),
        (x + c * rear - s * side, y + s * rear + c * side),
        (x + c * rear - s * -side, y + s * rear + c * -side),
        (x + c * front - s * -side, y + s * front + c * -side),
    ]


def near_rows(cnp.ndarray position, cnp.ndarray size, double x, double y, double extent):
    cdef Py_ssize_t tracks = cnp.PyArray_DIM(position, 0), i
    cdef double* position_ = floats(position, 3 * tracks, "tracks.position")
    cdef double* size_ = floats(size, 3 * tracks, "tracks.size")
    cdef double dx, dy, reach
    cdef list rows = []
    for i in range(tracks):
        dx, dy = position_[3 * i] - x, position_[3 * i + 1] - y
        reach = 0.5 * (size_[3 * i] + size_[3 * i + 1] + extent)
        if dx * dx + dy * dy < reach * reach:
            rows.append(i)
    return rows
