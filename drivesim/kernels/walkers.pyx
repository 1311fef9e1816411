# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""People on foot; see drivesim/traffic/walkers.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, fabs, sqrt

from drivesim.kernels.arrays cimport complexes, floats, integers, least, most, row

cnp.import_array()

cdef int WAITS
cdef double ARRIVED, AGILITY, STRIDE, PATIENCE, ROOM, BUBBLE


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global WAITS, ARRIVED, AGILITY, STRIDE, PATIENCE, ROOM, BUBBLE
    WAITS, ARRIVED, AGILITY = names["WAITING"], names["_ARRIVED"], names["_AGILITY"]
    STRIDE, PATIENCE, ROOM, BUBBLE = names["_STRIDE"], names["_PATIENCE"], names["_ROOM"], names["_BUBBLE"]


cdef inline double way_to_goal(
    double* source, double* target, double* side, double* position, Py_ssize_t w, double* x, double* y
) noexcept nogil:
    """The way that is left to the goal beside the target node, and its length [m]."""
    cdef double dx = target[2 * w] - source[2 * w], dy = target[2 * w + 1] - source[2 * w + 1]
    cdef double by = side[w] / most(sqrt(dx * dx + dy * dy), 1e-6)
    x[0] = target[2 * w] + dy * by - position[2 * w]
    y[0] = target[2 * w + 1] - dx * by - position[2 * w + 1]
    return sqrt(x[0] * x[0] + y[0] * y[0])


def steered(
    cnp.ndarray position, cnp.ndarray velocity, cnp.ndarray direction, cnp.ndarray source, cnp.ndarray target,
    cnp.ndarray pace, cnp.ndarray side, cnp.ndarray phase, cnp.ndarray waiting, cnp.ndarray place, cnp.ndarray facing,
    cnp.ndarray speed, cnp.ndarray half_length, cnp.ndarray half_width, Py_ssize_t vehicles, double dt,
):
    cdef Py_ssize_t walkers = cnp.PyArray_SIZE(position), count = cnp.PyArray_SIZE(place), w, j
    cdef double* position_ = complexes(position, walkers, "walkers.position")
    cdef double* velocity_ = complexes(velocity, walkers, "walkers.velocity")
    cdef double* direction_ = complexes(direction, walkers, "walkers.direction")
    cdef double* source_ = complexes(source, walkers, "walkers.source")
    cdef double* target_ = complexes(target, walkers, "walkers.target")
    cdef double* pace_ = floats(pace, walkers, "walkers.pace")
    cdef double* side_ = floats(side, walkers, "walkers.side")
    cdef cnp.int64_t* phase_ = integers(phase, walkers, "walkers.phase")
    cdef double* waiting_ = floats(waiting, walkers, "walkers.waiting")
    cdef double* place_ = complexes(place, count, "objects.position")
    cdef double* facing_ = complexes(facing, count, "objects.direction")
    cdef double* speed_ = floats(speed, count, "objects.speed")
    cdef double* length_ = floats(half_length, count, "objects.half_length")
    cdef double* width_ = floats(half_width, count, "objects.half_width")
    cdef cnp.ndarray chosen = row(cnp.NPY_COMPLEX128, walkers), turned = row(cnp.NPY_COMPLEX128, walkers)
    cdef cnp.ndarray stood = row(cnp.NPY_FLOAT64, walkers)
    cdef double* chosen_ = complexes(chosen, walkers, "chosen")
    cdef double* turned_ = complexes(turned, walkers, "turned")
    cdef double* stood_ = floats(stood, walkers, "stood")
    cdef double share = least(1.0, AGILITY * dt), kept = 1.0 - share, x, y, by, ahead_x, ahead_y, dx, dy, push
    cdef bint blocked, goes
    for w in range(walkers):
        by = 1.0 / most(way_to_goal(source_, target_, side_, position_, w, &x, &y), 1e-6)
        ahead_x, ahead_y = x * by, y * by
        x, y = position_[2 * w] + STRIDE * ahead_x, position_[2 * w + 1] + STRIDE * ahead_y
        blocked = False
        for j in range(count):
            dx, dy = x - place_[2 * j], y - place_[2 * j + 1]
            if not fabs(dx * facing_[2 * j] + dy * facing_[2 * j + 1]) < length_[j] + BUBBLE:
                continue
            if not fabs(dy * facing_[2 * j] - dx * facing_[2 * j + 1]) < width_[j] + BUBBLE:
                continue
            if j < vehicles or (
                ahead_x * facing_[2 * j] + ahead_y * facing_[2 * j + 1] > 0.3 and speed_[j] > 0.2
            ):
                blocked = True
                break
        goes = phase_[w] != WAITS and (not blocked or waiting_[w] > PATIENCE)
        push = share * pace_[w] if goes else 0.0
        chosen_[2 * w] = velocity_[2 * w] * kept + push * ahead_x
        chosen_[2 * w + 1] = velocity_[2 * w + 1] * kept + push * ahead_y
        x, y = direction_[2 * w] + share * ahead_x, direction_[2 * w + 1] + share * ahead_y
        by = 1.0 / most(sqrt(x * x + y * y), 1e-6)
        turned_[2 * w], turned_[2 * w + 1] = x * by, y * by
        stood_[w] = most(waiting_[w] + (-dt if goes else dt), 0.0)
    return chosen, turned, stood


def deciding(
    cnp.ndarray position, cnp.ndarray source, cnp.ndarray target, cnp.ndarray side, cnp.ndarray phase
):
    cdef Py_ssize_t walkers = cnp.PyArray_SIZE(position), w
    cdef double* position_ = complexes(position, walkers, "walkers.position")
    cdef double* source_ = complexes(source, walkers, "walkers.source")
    cdef double* target_ = complexes(target, walkers, "walkers.target")
    cdef double* side_ = floats(side, walkers, "walkers.side")
    cdef cnp.int64_t* phase_ = integers(phase, walkers, "walkers.phase")
    cdef double x, y
    cdef list rows = []
    for w in range(walkers):
        if way_to_goal(source_, target_, side_, position_, w, &x, &y) < ARRIVED or phase_[w] == WAITS:
            rows.append(w)
    return rows


def is_free(
    double complex source, double complex target, cnp.ndarray place, cnp.ndarray facing, cnp.ndarray speed,
    cnp.ndarray half_length, Py_ssize_t vehicles, double braking,
):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(place), j
    cdef double* place_ = complexes(place, count, "objects.position")
    cdef double* facing_ = complexes(facing, count, "objects.direction")
    cdef double* speed_ = floats(speed, count, "objects.speed")
    cdef double* half_ = floats(half_length, count, "objects.half_length")
    cdef double way_x = target.real - source.real, way_y = target.imag - source.imag
    cdef double length = sqrt(way_x * way_x + way_y * way_y), x, y, along, across, distance
    cdef double fx = way_x / length, fy = way_y / length
    if vehicles > count:
        raise ValueError(f"vehicles: found {vehicles}, accepted 0 to {count}")
    for j in range(vehicles):
        x, y = place_[2 * j] - source.real, place_[2 * j + 1] - source.imag
        along, across = x * fx + y * fy, y * fx - x * fy
        if fabs(across) < half_[j] + ROOM and along > -half_[j] and along < length + half_[j]:
            return False
        x = source.real + 0.5 * way_x - place_[2 * j]
        y = source.imag + 0.5 * way_y - place_[2 * j + 1]
        distance = x * facing_[2 * j] + y * facing_[2 * j + 1] - half_[j] - 2.0
        across = y * facing_[2 * j] - x * facing_[2 * j + 1]
        if (
            distance > -2.0 and fabs(across) < 0.5 * length + 2.0 and speed_[j] > 0.8
            and distance < speed_[j] * speed_[j] / (2.0 * braking) + speed_[j]
        ):
            return False
    return True


def nearest_node(cnp.ndarray nodes, double complex place):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(nodes), v, best = 0
    cdef double* nodes_ = complexes(nodes, count, "graph.nodes")
    cdef double x, y, squared, nearest = INFINITY
    for v in range(count):
        x, y = nodes_[2 * v] - place.real, nodes_[2 * v + 1] - place.imag
        squared = x * x + y * y
        if squared < nearest:
            nearest, best = squared, v
    return best
