# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The ego on an arc; see drivesim/vehicle.py."""

cimport numpy as cnp
from libc.math cimport atan2, cos, fabs, sin

from drivesim.kernels.arrays cimport floats, table

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


cdef inline double sinc(double angle) noexcept nogil:
    return sin(angle) / angle if fabs(angle) > 1e-8 else 1.0


def along_arc(cnp.ndarray pose, double travel, double curvature):
    cdef double* pose_ = floats(pose, 16, "ego.pose")
    cdef double yaw = atan2(pose_[4], pose_[0]), half = 0.5 * curvature * travel
    cdef double chord = travel * sinc(half), c = cos(yaw + 2.0 * half), s = sin(yaw + 2.0 * half)
    cdef cnp.ndarray later = table(cnp.NPY_FLOAT64, 4, 4)
    cdef double* later_ = floats(later, 16, "pose")
    later_[0], later_[1], later_[2], later_[3] = c, -s, 0.0, pose_[3] + chord * cos(yaw + half)
    later_[4], later_[5], later_[6], later_[7] = s, c, 0.0, pose_[7] + chord * sin(yaw + half)
    later_[8], later_[9], later_[10], later_[11] = 0.0, 0.0, 1.0, pose_[11]
    later_[12], later_[13], later_[14], later_[15] = 0.0, 0.0, 0.0, 1.0
    return later
