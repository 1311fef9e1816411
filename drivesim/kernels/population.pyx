# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Who is out of reach; see drivesim/traffic/population.py."""

cimport numpy as cnp

from drivesim.kernels.arrays cimport complexes, floats

cnp.import_array()

cdef double END, FAR_AT_END, FAR_AND_STUCK


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global END, FAR_AT_END, FAR_AND_STUCK
    END, FAR_AT_END, FAR_AND_STUCK = names["_END"], names["_FAR_AT_END"], names["_FAR_AND_STUCK"]


def staying(
    cnp.ndarray position, cnp.ndarray s, cnp.ndarray end, cnp.ndarray waiting, double complex ego, double vanish,
    double patience,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(position), i
    cdef double* position_ = complexes(position, vehicles, "motion.position")
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* end_ = floats(end, vehicles, "paths.end")
    cdef double* waiting_ = floats(waiting, vehicles, "motion.waiting")
    cdef double x, y, squared
    cdef list rows = []
    for i in range(vehicles):
        x, y = position_[2 * i] - ego.real, position_[2 * i + 1] - ego.imag
        squared = x * x + y * y
        if squared > vanish * vanish or (end_[i] - s_[i] < END and squared > FAR_AT_END * FAR_AT_END):
            continue
        if waiting_[i] > patience and squared > FAR_AND_STUCK * FAR_AND_STUCK:
            continue
        rows.append(i)
    return rows


def within(cnp.ndarray position, double complex place, double reach):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(position), i
    cdef double* position_ = complexes(position, count, "position")
    cdef double x, y
    cdef list rows = []
    for i in range(count):
        x, y = position_[2 * i] - place.real, position_[2 * i + 1] - place.imag
        if not x * x + y * y > reach * reach:
            rows.append(i)
    return rows
