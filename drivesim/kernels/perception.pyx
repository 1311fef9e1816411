# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What lies ahead of every vehicle; see drivesim/traffic/perception.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, fabs

from drivesim.kernels.arrays cimport complexes, floats, integers, least, most, row

from drivesim.kernels import require

cnp.import_array()

cdef enum:
    SAMPLES = 20
    POINTS = 240

cdef int SPACING
cdef double RANGE, WIDEST, LEAVING


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global SPACING, RANGE, WIDEST, LEAVING
    require(names, SAMPLES=SAMPLES, PATH_POINTS=POINTS)
    SPACING, RANGE = names["SAMPLE_SPACING"], names["RANGE"]
    WIDEST, LEAVING = names["_WIDEST"], names["LEAVING_MARGIN"]


def in_the_way(
    cnp.ndarray s, cnp.ndarray half_length, cnp.ndarray half_width, cnp.ndarray points, cnp.ndarray heading,
    cnp.ndarray place, cnp.ndarray facing, cnp.ndarray speed, cnp.ndarray length, cnp.ndarray width,
    cnp.ndarray margin,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), count = cnp.PyArray_SIZE(place), i, j, k, best, found = 0
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* half_length_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* half_width_ = floats(half_width, vehicles, "bodies.half_width")
    cdef double* points_ = complexes(points, vehicles * POINTS, "paths.points")
    cdef double* heading_ = complexes(heading, vehicles * POINTS, "paths.heading")
    cdef double* place_ = complexes(place, count, "objects.position")
    cdef double* facing_ = complexes(facing, count, "objects.direction")
    cdef double* speed_ = floats(speed, count, "objects.speed")
    cdef double* length_ = floats(length, count, "objects.half_length")
    cdef double* width_ = floats(width, count, "objects.half_width")
    cdef double* margin_ = floats(margin, count, "objects.margin")
    cdef cnp.ndarray observer = row(cnp.NPY_INT64, vehicles * count), seen = row(cnp.NPY_INT64, vehicles * count)
    cdef cnp.ndarray gap = row(cnp.NPY_FLOAT64, vehicles * count), pace = row(cnp.NPY_FLOAT64, vehicles * count)
    cdef cnp.ndarray reach = row(cnp.NPY_FLOAT64, count)
    cdef cnp.int64_t* observer_ = integers(observer, vehicles * count, "observer")
    cdef cnp.int64_t* seen_ = integers(seen, vehicles * count, "seen")
    cdef double* gap_ = floats(gap, vehicles * count, "gap")
    cdef double* pace_ = floats(pace, vehicles * count, "speed")
    cdef double* reach_ = floats(reach, count, "reach")
    cdef double[SAMPLES] xs
    cdef double[SAMPLES] ys
    cdef cnp.int64_t[SAMPLES] at
    cdef cnp.int64_t whole
    cdef double front, x0, x1, y0, y1, px, py, far, dx, dy, squared, nearest
    cdef double fx, fy, along, lateral, cosine, sine, extent, breadth, clearance, allowed
    for j in range(count):
        reach_[j] = most(margin_[j], 0.0) + length_[j] + width_[j] + WIDEST
    for i in range(vehicles):
        front = s_[i] + half_length_[i]
        whole = <cnp.int64_t> front
        x0 = y0 = INFINITY
        x1 = y1 = -INFINITY
        for k in range(SAMPLES):
            at[k] = whole + SPACING * k
            if at[k] > POINTS - 1:
                at[k] = POINTS - 1
            if at[k] < 0:
                raise ValueError(f"motion.s: found a bumper at {front} m, accepted >= 0")
            at[k] += POINTS * i
            xs[k], ys[k] = points_[2 * at[k]], points_[2 * at[k] + 1]
            x0, x1 = least(xs[k], x0), most(xs[k], x1)
            y0, y1 = least(ys[k], y0), most(ys[k], y1)
        for j in range(count):
            px, py, far = place_[2 * j], place_[2 * j + 1], reach_[j]
            if j == i or px - x1 >= far or x0 - px >= far or py - y1 >= far or y0 - py >= far:
                continue
            nearest, best = INFINITY, 0
            for k in range(SAMPLES):
                dx, dy = px - xs[k], py - ys[k]
                squared = dx * dx + dy * dy
                if squared < nearest:
                    nearest, best = squared, k
            if not nearest < far * far:
                continue
            fx, fy = heading_[2 * at[best]], heading_[2 * at[best] + 1]
            dx, dy = px - xs[best], py - ys[best]
            along = dx * fx + dy * fy + <double> (at[best] - POINTS * i) - front
            lateral = dy * fx - dx * fy
            cosine = facing_[2 * j] * fx + facing_[2 * j + 1] * fy
            sine = facing_[2 * j + 1] * fx - facing_[2 * j] * fy
            extent = fabs(cosine) * length_[j] + fabs(sine) * width_[j]
            breadth = fabs(sine) * length_[j] + fabs(cosine) * width_[j]
            clearance = fabs(lateral) - breadth - half_width_[i]
            allowed = margin_[j]
            if lateral * (sine * speed_[j]) > 0.0:
                allowed = least(allowed, LEAVING)
            if clearance < allowed and along + extent > 0.0 and along < RANGE + 2.0:
                observer_[found], seen_[found] = i, j
                gap_[found], pace_[found] = along - extent, cosine * speed_[j]
                found += 1
    return observer[:found], seen[:found], gap[:found], pace[:found]
