# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Columns of paths; see drivesim/traffic/paths.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, ceil, fabs, sqrt

from drivesim.kernels.arrays cimport complexes, flags, floats, integers, least, most, row, table

from drivesim.kernels import require

cnp.import_array()

cdef enum:
    POINTS = 240
    LANES = 28
    JUNCTIONS = 6

cdef double BRAKING, LATERAL, STOP_BEFORE, CLEARANCE


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global BRAKING, LATERAL, STOP_BEFORE, CLEARANCE
    require(names, PATH_POINTS=POINTS, PATH_LANES=LANES, PATH_JUNCTIONS=JUNCTIONS)
    BRAKING, LATERAL = 2.0 * names["GENTLE_BRAKING"], names["LATERAL_ACCELERATION"]
    STOP_BEFORE, CLEARANCE = names["STOP_BEFORE"], names["_CLEARANCE"]


cdef cnp.ndarray one(double value):
    cdef cnp.ndarray array = row(cnp.NPY_FLOAT64, 1)
    floats(array, 1, "one")[0] = value
    return array


def profile(cnp.ndarray points, list limits, list ends):
    cdef double* points_ = complexes(points, POINTS, "points")
    cdef cnp.ndarray heading = table(cnp.NPY_COMPLEX128, 1, POINTS), speed = table(cnp.NPY_FLOAT64, 1, POINTS)
    cdef double* heading_ = complexes(heading, POINTS, "heading")
    cdef double* speed_ = floats(speed, POINTS, "speed")
    cdef Py_ssize_t lanes = len(limits), k, lane, begin = 0, end
    cdef double x, y, length, value = 0.0, turn, reachable = INFINITY
    for k in range(POINTS - 1):
        x, y = points_[2 * k + 2] - points_[2 * k], points_[2 * k + 3] - points_[2 * k + 1]
        length = sqrt(x * x + y * y)
        heading_[2 * k], heading_[2 * k + 1] = x / length, y / length
    heading_[2 * POINTS - 2], heading_[2 * POINTS - 1] = heading_[2 * POINTS - 4], heading_[2 * POINTS - 3]
    for lane in range(lanes):
        value = limits[lane]
        end = <Py_ssize_t> most(least(ceil(<double> ends[lane]), POINTS), 0.0) if lane < lanes - 1 else POINTS
        for k in range(begin, end):
            speed_[k] = value
        begin = max(end, begin)
    for k in range(POINTS - 1, -1, -1):
        value = speed_[k] * speed_[k]
        if 0 < k < POINTS - 1:
            turn = heading_[2 * k + 3] * heading_[2 * k - 2] - heading_[2 * k + 2] * heading_[2 * k - 1]
            value = least(LATERAL / most(fabs(turn) * 0.5, 1e-4), value)
        reachable = least(value + BRAKING * k, reachable)
        speed_[k] = sqrt(reachable - BRAKING * k)
    return heading, speed


def lane_columns(list begins, list ends, list ids, list controlled, list blocked):
    cdef Py_ssize_t count = len(ids), lane, junction = -1
    cdef cnp.ndarray lanes = table(cnp.NPY_INT64, 1, LANES), rules = table(cnp.NPY_BOOL, 1, LANES)
    cdef cnp.ndarray start = table(cnp.NPY_FLOAT64, 1, LANES), end = table(cnp.NPY_FLOAT64, 1, LANES)
    cdef cnp.ndarray entry = table(cnp.NPY_FLOAT64, 1, JUNCTIONS), clear = table(cnp.NPY_FLOAT64, 1, JUNCTIONS)
    cdef cnp.int64_t* lanes_ = integers(lanes, LANES, "lanes")
    cdef cnp.npy_bool* rules_ = flags(rules, LANES, "controlled")
    cdef double* start_ = floats(start, LANES, "start")
    cdef double* end_ = floats(end, LANES, "end")
    cdef double* entry_ = floats(entry, JUNCTIONS, "entry")
    cdef double* clear_ = floats(clear, JUNCTIONS, "clear")
    cdef double obstacle = INFINITY, place
    if count > LANES:
        raise ValueError(f"lanes: found {count}, accepted at most {LANES}")
    for lane in range(LANES):
        lanes_[lane], rules_[lane], start_[lane], end_[lane] = -1, False, INFINITY, INFINITY
    for lane in range(JUNCTIONS):
        entry_[lane] = clear_[lane] = INFINITY
    for lane in range(count):
        lanes_[lane], rules_[lane], start_[lane], end_[lane] = ids[lane], controlled[lane], begins[lane], ends[lane]
        place = start_[lane] + <double> blocked[lane]
        if place > CLEARANCE:
            obstacle = least(place, obstacle)
    for lane in range(count):
        if not rules_[lane]:
            continue
        if lane == 0 or not rules_[lane - 1]:
            if junction == JUNCTIONS - 1:
                break
            junction += 1
            entry_[junction] = start_[lane] - STOP_BEFORE
        clear_[junction] = end_[lane]
    return (
        one(least(end_[count - 1], POINTS - 2.0)), one(obstacle - CLEARANCE), lanes, start, end, rules, entry, clear
    )
