# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Where there is room for newcomers; see drivesim/traffic/newcomers.py."""

cimport numpy as cnp
from libc.math cimport fabs, sqrt

from drivesim.kernels.arrays cimport complexes, floats, integers, most, row

cnp.import_array()

cdef double VANISH, STAY, EGO_HALF


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global VANISH, STAY, EGO_HALF
    VANISH, STAY, EGO_HALF = names["VANISH"], names["_STAY"], names["_EGO_HALF"]


def places_in(
    cnp.ndarray place, cnp.ndarray motion, double complex ego, double complex velocity, double inner, double outer
):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(place), k, found = 0
    cdef double* place_ = complexes(place, count, "tables.place")
    cdef double* motion_ = complexes(motion, count, "tables.place_motion")
    cdef cnp.ndarray rows = row(cnp.NPY_INT64, count)
    cdef cnp.int64_t* rows_ = integers(rows, count, "rows")
    cdef double x, y, squared, mx, my, a, b, near = inner * inner, far = outer * outer, vanish = VANISH * VANISH
    for k in range(count):
        x, y = place_[2 * k] - ego.real, place_[2 * k + 1] - ego.imag
        squared = x * x + y * y
        if not near < squared < far:
            continue
        mx, my = motion_[2 * k] - velocity.real, motion_[2 * k + 1] - velocity.imag
        a, b = most(mx * mx + my * my, 0.1), x * mx + y * my
        if sqrt(most(b * b + a * (vanish - squared), 0.0)) - b > STAY * a:
            rows_[found] = k
            found += 1
    return rows[:found]


def first_free(
    cnp.ndarray position, cnp.ndarray speed, cnp.ndarray half_length, double complex ego, double ego_speed,
    cnp.ndarray places, cnp.ndarray speeds, double half,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(position), tries = cnp.PyArray_SIZE(places), i, t
    cdef double* position_ = complexes(position, vehicles, "motion.position")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* half_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* places_ = complexes(places, tries, "places")
    cdef double* speeds_ = floats(speeds, tries, "speeds")
    cdef double x, y, room
    for t in range(tries):
        for i in range(vehicles + 1):
            if i < vehicles:
                x, y = position_[2 * i] - places_[2 * t], position_[2 * i + 1] - places_[2 * t + 1]
                room = half_[i] + (half + 5.0) + 0.5 * fabs(speed_[i] - speeds_[t]) + 0.4 * speeds_[t]
            else:
                x, y = ego.real - places_[2 * t], ego.imag - places_[2 * t + 1]
                room = EGO_HALF + (half + 5.0) + 0.5 * fabs(ego_speed - speeds_[t]) + 0.4 * speeds_[t]
            if x * x + y * y < room * room:
                break
        else:
            return t
    return -1
