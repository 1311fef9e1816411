# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Traffic as tracks; see drivesim/traffic/model.py."""

cimport numpy as cnp
from libc.string cimport memcpy, memset

from drivesim.kernels.arrays cimport complexes, floats, row, table

cnp.import_array()


def configure(dict names):
    """There are no constants to take over."""


def placed(
    cnp.ndarray rest, cnp.ndarray position, cnp.ndarray direction, cnp.ndarray speed, cnp.ndarray people,
    cnp.ndarray facing, cnp.ndarray velocity,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(position), walkers = cnp.PyArray_SIZE(people), i
    cdef Py_ssize_t moving = vehicles + walkers, tracks = cnp.PyArray_DIM(rest, 0)
    cdef double* rest_ = floats(rest, 3 * tracks, "rest")
    cdef double* position_ = complexes(position, vehicles, "motion.position")
    cdef double* direction_ = complexes(direction, vehicles, "motion.direction")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* people_ = complexes(people, walkers, "walkers.position")
    cdef double* facing_ = complexes(facing, walkers, "walkers.direction")
    cdef double* velocity_ = complexes(velocity, walkers, "walkers.velocity")
    cdef cnp.ndarray place = table(cnp.NPY_FLOAT64, tracks, 3), pace = table(cnp.NPY_FLOAT64, tracks, 2)
    cdef cnp.ndarray cosine = row(cnp.NPY_FLOAT64, moving), sine = row(cnp.NPY_FLOAT64, moving)
    cdef double* place_ = floats(place, 3 * tracks, "place")
    cdef double* pace_ = floats(pace, 2 * tracks, "pace")
    cdef double* cosine_ = floats(cosine, moving, "cosine")
    cdef double* sine_ = floats(sine, moving, "sine")
    if moving > tracks:
        raise ValueError(f"rest: found {tracks} rows, accepted at least {moving}")
    memcpy(place_, rest_, 3 * tracks * sizeof(double))
    memset(pace_, 0, 2 * tracks * sizeof(double))
    for i in range(vehicles):
        place_[3 * i], place_[3 * i + 1] = position_[2 * i], position_[2 * i + 1]
        cosine_[i], sine_[i] = direction_[2 * i], direction_[2 * i + 1]
        pace_[2 * i], pace_[2 * i + 1] = cosine_[i] * speed_[i], sine_[i] * speed_[i]
    for i in range(walkers):
        place_[3 * (vehicles + i)], place_[3 * (vehicles + i) + 1] = people_[2 * i], people_[2 * i + 1]
        cosine_[vehicles + i], sine_[vehicles + i] = facing_[2 * i], facing_[2 * i + 1]
        pace_[2 * (vehicles + i)], pace_[2 * (vehicles + i) + 1] = velocity_[2 * i], velocity_[2 * i + 1]
    return place, pace, cosine, sine
