# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Who contends for junctions; see drivesim/traffic/intent.py."""

cimport numpy as cnp
from libc.string cimport memset

from drivesim.kernels.arrays cimport flags, floats, integers, row, table

from drivesim.kernels import require

cnp.import_array()

cdef enum:
    LANES = 28

cdef double SIGHT, PAST, EASY, QUEUE, AT_LINE, PICKS_UP, LOOKOUT


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global SIGHT, PAST, EASY, QUEUE, AT_LINE, PICKS_UP, LOOKOUT
    require(names, PATH_LANES=LANES)
    SIGHT, PAST, EASY, QUEUE = names["SIGHT"], names["PAST_LINE"], names["_EASY_BRAKING"], names["_QUEUE_SPEED"]
    AT_LINE, PICKS_UP, LOOKOUT = names["_AT_LINE"], names["_PICKS_UP"], names["_LOOKOUT"]


def approaches(
    cnp.ndarray s, cnp.ndarray speed, cnp.ndarray granted, cnp.ndarray waiting, cnp.ndarray half_length,
    cnp.ndarray eagerness, cnp.ndarray entry, cnp.ndarray clear, cnp.ndarray observer, cnp.ndarray gap,
    cnp.ndarray seen_speed, int more,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(s), pairs = cnp.PyArray_SIZE(observer), count = vehicles + more, i, p
    cdef double* s_ = floats(s, vehicles, "motion.s")
    cdef double* speed_ = floats(speed, vehicles, "motion.speed")
    cdef double* granted_ = floats(granted, vehicles, "motion.granted")
    cdef double* waiting_ = floats(waiting, vehicles, "motion.waiting")
    cdef double* half_ = floats(half_length, vehicles, "bodies.half_length")
    cdef double* eagerness_ = floats(eagerness, vehicles, "bodies.eagerness")
    cdef double* entry_ = floats(entry, vehicles, "entry")
    cdef double* clear_ = floats(clear, vehicles, "clear")
    cdef cnp.int64_t* observer_ = integers(observer, pairs, "sight.observer")
    cdef double* gap_ = floats(gap, pairs, "sight.gap")
    cdef double* seen_speed_ = floats(seen_speed, pairs, "sight.speed")
    cdef cnp.ndarray numbers = table(cnp.NPY_FLOAT64, 7, count), answers = table(cnp.NPY_BOOL, 4, count)
    cdef double* front = floats(numbers, 7 * count, "numbers")
    cdef cnp.npy_bool* inside = flags(answers, 4 * count, "answers")
    cdef cnp.npy_bool* held = inside + count
    cdef cnp.npy_bool* able = held + count
    cdef cnp.npy_bool* claims = able + count
    cdef double distance, square
    memset(front, 0, 7 * count * sizeof(double))
    memset(inside, 0, 4 * count * sizeof(cnp.npy_bool))
    for i in range(vehicles):
        claims[i] = True
    for p in range(pairs):
        i = observer_[p]
        if not 0 <= i < vehicles:
            raise ValueError(f"sight.observer: found {i}, accepted 0 to {vehicles - 1}")
        if seen_speed_[p] < QUEUE and gap_[p] < clear_[i] - s_[i] + half_[i] + 2.0:
            claims[i] = False
    for i in range(vehicles):
        front[i] = s_[i] + half_[i]
        front[count + i], front[2 * count + i], front[3 * count + i] = 2.0 * half_[i], speed_[i], eagerness_[i]
        distance, square = entry_[i] - front[i], speed_[i] * speed_[i]
        front[4 * count + i], front[6 * count + i] = entry_[i], PICKS_UP
        front[5 * count + i] = waiting_[i] if distance < AT_LINE else 0.0
        held[i] = granted_[i] >= clear_[i] - 0.5
        inside[i] = distance < PAST or (held[i] and distance < square * (0.5 / EASY))
        able[i] = claims[i] and distance < LOOKOUT + 0.35 * square
    return numbers, answers


def near_lanes(
    cnp.ndarray lane_start, cnp.ndarray lane_end, cnp.ndarray controlled, cnp.ndarray lanes, cnp.ndarray front,
    cnp.ndarray length, cnp.ndarray ids, cnp.ndarray rank,
):
    cdef Py_ssize_t vehicles = cnp.PyArray_SIZE(front), known = cnp.PyArray_SIZE(ids), i, k, cell, found = 0
    cdef Py_ssize_t low, high, middle
    cdef double* start_ = floats(lane_start, vehicles * LANES, "paths.lane_start")
    cdef double* end_ = floats(lane_end, vehicles * LANES, "paths.lane_end")
    cdef cnp.npy_bool* controlled_ = flags(controlled, vehicles * LANES, "paths.controlled")
    cdef cnp.int64_t* lanes_ = integers(lanes, vehicles * LANES, "paths.lanes")
    cdef double* front_ = floats(front, vehicles, "front")
    cdef double* length_ = floats(length, vehicles, "length")
    cdef cnp.int64_t* ids_ = integers(ids, known, "graph.ids")
    cdef cnp.int64_t* rank_ = integers(rank, known, "tables.rank")
    cdef cnp.ndarray owner = row(cnp.NPY_INT64, vehicles * LANES), lane = row(cnp.NPY_INT64, vehicles * LANES)
    cdef cnp.ndarray start = row(cnp.NPY_FLOAT64, vehicles * LANES)
    cdef cnp.int64_t* owner_ = integers(owner, vehicles * LANES, "owner")
    cdef cnp.int64_t* lane_ = integers(lane, vehicles * LANES, "lane")
    cdef double* begin = floats(start, vehicles * LANES, "start")
    for i in range(vehicles):
        for k in range(LANES):
            cell = LANES * i + k
            if not (start_[cell] < front_[i] + SIGHT and controlled_[cell] and end_[cell] > front_[i] - length_[i]):
                continue
            low, high = 0, known
            while low < high:
                middle = (low + high) // 2
                if ids_[middle] < lanes_[cell]:
                    low = middle + 1
                else:
                    high = middle
            if low < known and ids_[low] == lanes_[cell] and rank_[low] >= 0:
                owner_[found], lane_[found], begin[found] = i, low, start_[cell]
                found += 1
    return owner[:found], lane[:found], start[:found]
