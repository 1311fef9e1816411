# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Car following and motion along the paths; see drivesim/traffic/driving.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, sqrt

from drivesim.kernels.arrays cimport complexes, floats, integers, least, most, row, table

from drivesim.kernels import require

cnp.import_array()

cdef enum:
    POINTS = 240
    JUNCTIONS = 6

cdef int CROSSES
cdef double MOVES, PAST, AXLES, VEHICLES, EGO, PEOPLE, CROSSING_PEOPLE, PEOPLE_GAP


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global CROSSES, MOVES, PAST, AXLES, VEHICLES, EGO, PEOPLE, CROSSING_PEOPLE, PEOPLE_GAP
    require(names, PATH_POINTS=POINTS, PATH_JUNCTIONS=JUNCTIONS)
    CROSSES, MOVES, PAST, AXLES = names["CROSSING"], names["STANDING"], names["PAST_LINE"], 2.0 * names["AXLE_SHARE"]
    VEHICLES, EGO = names["_VEHICLE_MARGIN"], names["_EGO_MARGIN"]
    PEOPLE, CROSSING_PEOPLE, PEOPLE_GAP = names["_WALKER_MARGIN"], names["_CROSSING_MARGIN"], names["_WALKER_GAP"]


def assembled(
    cnp.ndarray position, cnp.ndarray direction, cnp.ndarray speed, double complex ego, double complex ego_direction,
    double ego_speed, cnp.ndarray people, cnp.ndarray facing, cnp.ndarray velocity, cnp.ndarray phase,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(position), walkers = cnp.PyArray_SIZE(people), i
    cdef Py_ssize_t count = vehicles + 1 + walkers, w
    cdef double* position_ = complexes(position, vehicles, "motion.position")
    cdef double* direction_ = complexes(direction, vehicles, "motion.direction")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* people_ = complexes(people, walkers, "walkers.position")
    cdef double* facing_ = complexes(facing, walkers, "walkers.direction")
    cdef double* velocity_ = complexes(velocity, walkers, "walkers.velocity")
    cdef cnp.int64_t* phase_ = integers(phase, walkers, "walkers.phase")
    cdef cnp.ndarray place = row(cnp.NPY_COMPLEX128, count), heading = row(cnp.NPY_COMPLEX128, count)
    cdef cnp.ndarray pace = row(cnp.NPY_FLOAT64, count), margin = row(cnp.NPY_FLOAT64, count)
    cdef double* place_ = complexes(place, count, "place")
    cdef double* heading_ = complexes(heading, count, "heading")
    cdef double* pace_ = floats(pace, count, "pace")
    cdef double* margin_ = floats(margin, count, "margin")
    cdef double x, y
    for i in range(2 * vehicles):
        place_[i], heading_[i] = position_[i], direction_[i]
    for i in range(vehicles):
        pace_[i], margin_[i] = speed_[i], VEHICLES
    place_[2 * vehicles], place_[2 * vehicles + 1] = ego.real, ego.imag
    heading_[2 * vehicles], heading_[2 * vehicles + 1] = ego_direction.real, ego_direction.imag
    pace_[vehicles], margin_[vehicles] = ego_speed, EGO
    for w in range(walkers):
        i = vehicles + 1 + w
        place_[2 * i], place_[2 * i + 1] = people_[2 * w], people_[2 * w + 1]
        heading_[2 * i], heading_[2 * i + 1] = facing_[2 * w], facing_[2 * w + 1]
        x, y = velocity_[2 * w], velocity_[2 * w + 1]
        pace_[i] = sqrt(x * x + y * y)
        margin_[i] = CROSSING_PEOPLE if phase_[w] == CROSSES and pace_[i] > MOVES else PEOPLE
    return place, heading, pace, margin


def next_junction(cnp.ndarray entry, cnp.ndarray clear, cnp.ndarray s, cnp.ndarray half_length):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), i, k
    cdef double* entry_ = floats(entry, vehicles * JUNCTIONS, "paths.entry")
    cdef double* clear_ = floats(clear, vehicles * JUNCTIONS, "paths.clear")
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* half_length_ = floats(half_length, vehicles, "bodies.half_length")
    cdef cnp.ndarray line = row(cnp.NPY_FLOAT64, vehicles), end = row(cnp.NPY_FLOAT64, vehicles)
    cdef double* line_ = floats(line, vehicles, "line")
    cdef double* end_ = floats(end, vehicles, "end")
    cdef double rear
    for i in range(vehicles):
        rear = s_[i] - half_length_[i]
        for k in range(JUNCTIONS):
            if clear_[JUNCTIONS * i + k] > rear:
                break
        else:
            k = 0
        line_[i], end_[i] = entry_[JUNCTIONS * i + k], clear_[JUNCTIONS * i + k]
    return line, end


def stop_lines(
    cnp.ndarray s, cnp.ndarray half_length, cnp.ndarray entry, cnp.ndarray clear, cnp.ndarray granted,
    cnp.ndarray hold, cnp.ndarray blocked, cnp.ndarray path_end,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), i
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* half_length_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* entry_ = floats(entry, vehicles, "entry")
    cdef double* clear_ = floats(clear, vehicles, "clear")
    cdef double* granted_ = floats(granted, vehicles, "granted")
    cdef double* hold_ = floats(hold, vehicles, "hold")
    cdef double* blocked_ = floats(blocked, vehicles, "paths.blocked")
    cdef double* end_ = floats(path_end, vehicles, "paths.end")
    cdef cnp.ndarray line = row(cnp.NPY_FLOAT64, vehicles)
    cdef double* line_ = floats(line, vehicles, "line")
    for i in range(vehicles):
        if granted_[i] >= clear_[i] - 0.5 or entry_[i] - (s_[i] + half_length_[i]) < PAST:
            line_[i] = hold_[i]
        else:
            line_[i] = entry_[i]
        line_[i] = least(end_[i], least(blocked_[i], line_[i]))
    return line


def accelerations(
    tuple model, cnp.ndarray s, cnp.ndarray speed, cnp.ndarray half_length, cnp.ndarray eagerness,
    cnp.ndarray top_speed, cnp.ndarray allowed, cnp.ndarray observer, cnp.ndarray seen, cnp.ndarray gap,
    cnp.ndarray seen_speed, cnp.ndarray stop,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), pairs = cnp.PyArray_SIZE(observer), i, p
    cdef double strongest = model[0], hardest = model[2], headway = model[3], standstill = model[4]
    cdef double approach = 0.5 / sqrt(strongest * <double> model[1])
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* half_length_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* eagerness_ = floats(eagerness, vehicles, "bodies.eagerness")
    cdef double* top_ = floats(top_speed, vehicles, "bodies.top_speed")
    cdef double* allowed_ = floats(allowed, vehicles * POINTS, "paths.speed")
    cdef cnp.int64_t* observer_ = integers(observer, pairs, "sight.observer")
    cdef cnp.int64_t* seen_ = integers(seen, pairs, "sight.seen")
    cdef double* gap_ = floats(gap, pairs, "sight.gap")
    cdef double* seen_speed_ = floats(seen_speed, pairs, "sight.speed")
    cdef double* stop_ = floats(stop, vehicles, "stop")
    cdef cnp.ndarray rate = row(cnp.NPY_FLOAT64, vehicles)
    cdef double* rate_ = floats(rate, vehicles, "rate")
    cdef double v, leader, wanted, room, ratio, square, free, distance, needed
    for i in range(vehicles):
        rate_[i] = 0.0  # s* / gap to the most restrictive leader, until it is known
    for p in range(pairs):
        i = observer_[p]
        if not 0 <= i < vehicles:
            raise ValueError(f"sight.observer: found {i}, accepted 0 to {vehicles - 1}")
        room = gap_[p] - (PEOPLE_GAP if seen_[p] > vehicles else 0.0)
        v, leader = speed_[i], most(seen_speed_[p], 0.0)
        wanted = standstill + most(v * headway + v * (v - leader) * approach, 0.0)
        rate_[i] = most(wanted / most(room, 0.1), rate_[i])
    for i in range(vehicles):
        if not 0.0 <= s_[i] < POINTS:
            raise ValueError(f"motion.s: found {s_[i]}, accepted 0 to {POINTS}")
        p = POINTS * i + <Py_ssize_t> s_[i]
        v = speed_[i]
        ratio = v / most(least(allowed_[p] * eagerness_[i], top_[i]), 0.1)
        square = ratio * ratio
        free = most(1.0 - square * square, -1.2)
        free = most(strongest * (free - rate_[i] * rate_[i]), -hardest)
        distance = stop_[i] - s_[i] - half_length_[i]
        needed = v * v / (2.0 * most(distance, 0.05))
        needed = -needed if needed > 1.4 else INFINITY
        if distance < 0.3:
            needed = least(needed, -2.0)
        rate_[i] = most(least(free, needed), -hardest)
    return rate


def moved(
    cnp.ndarray half_length, cnp.ndarray points, cnp.ndarray s, cnp.ndarray speed, cnp.ndarray acceleration,
    cnp.ndarray waiting, double dt,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), i, j
    cdef double* half_length_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* points_ = complexes(points, vehicles * POINTS, "paths.points")
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* acceleration_ = floats(acceleration, vehicles, "motion.acceleration")
    cdef double* waiting_ = floats(waiting, vehicles, "motion.waiting")
    cdef cnp.ndarray numbers = table(cnp.NPY_FLOAT64, 4, vehicles)
    cdef double* along = floats(numbers, 4 * vehicles, "along")
    cdef double* pace = along + vehicles
    cdef double* change = pace + vehicles
    cdef double* standing = change + vehicles
    cdef cnp.ndarray position = row(cnp.NPY_COMPLEX128, vehicles), direction = row(cnp.NPY_COMPLEX128, vehicles)
    cdef double* position_ = complexes(position, vehicles, "position")
    cdef double* direction_ = complexes(direction, vehicles, "direction")
    cdef double* p
    cdef double frequency = 1.0 / dt, half = 0.5 * dt, reach, at, share, x, y, length
    cdef double[2] xs
    cdef double[2] ys
    for i in range(vehicles):
        pace[i] = most(acceleration_[i] * dt + speed_[i], 0.0)
        along[i] = least((speed_[i] + pace[i]) * half + s_[i], POINTS - 12.0)
        if not along[i] >= 0.0:
            raise ValueError(f"motion.s: found {along[i]}, accepted >= 0")
        standing[i] = waiting_[i] + dt if pace[i] < MOVES else 0.0
        change[i] = (pace[i] - speed_[i]) * frequency
        reach = AXLES * half_length_[i]
        for j in range(2):
            at = along[i] + reach if j else most(along[i] - reach, 0.0)
            if at >= POINTS - 1:
                raise ValueError(f"motion.s: found an axle at {at}, accepted less than {POINTS - 1}")
            share = at - <double> <cnp.int64_t> at
            p = points_ + 2 * (POINTS * i + <cnp.int64_t> at)
            xs[j] = (p[2] - p[0]) * share + p[0]
            ys[j] = (p[3] - p[1]) * share + p[1]
        position_[2 * i], position_[2 * i + 1] = (xs[1] + xs[0]) * 0.5, (ys[1] + ys[0]) * 0.5
        x, y = xs[1] - xs[0], ys[1] - ys[0]
        length = sqrt(x * x + y * y)
        direction_[2 * i], direction_[2 * i + 1] = x / length, y / length
    return numbers[0], numbers[1], numbers[2], position, direction, numbers[3]
