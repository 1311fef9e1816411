# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Who may enter a junction; see drivesim/traffic/junctions.py."""

cimport numpy as cnp
from libc.math cimport INFINITY, sqrt

from drivesim.kernels.arrays cimport flags, floats, integers, least, most, row

cnp.import_array()

cdef double CONSIDERED, BEFORE, AFTER, PATIENCE, URGENCY, HELD, HOLD_BEFORE


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global CONSIDERED, BEFORE, AFTER, PATIENCE, URGENCY, HELD, HOLD_BEFORE
    CONSIDERED, BEFORE, AFTER, PATIENCE = names["CONSIDERED"], names["_BEFORE"], names["_AFTER"], names["_PATIENCE"]
    URGENCY, HELD, HOLD_BEFORE = names["_URGENCY"], names["_HELD"], names["_HOLD_BEFORE"]


cdef inline double duration(double distance, double speed, double acceleration, double top) noexcept nogil:
    cdef double end = sqrt(speed * speed + 2.0 * acceleration * distance)
    return most(2.0 * distance / most(speed + end, 1e-3), distance / top)


def settled(
    cnp.ndarray rank, cnp.ndarray conflict_in, cnp.ndarray conflict_out, cnp.ndarray limit, cnp.ndarray priority,
    cnp.ndarray front, cnp.ndarray length, cnp.ndarray speed, cnp.ndarray top, cnp.ndarray entry, cnp.ndarray inside,
    cnp.ndarray held, cnp.ndarray able, cnp.ndarray claims, cnp.ndarray waiting, cnp.ndarray picks_up,
    cnp.ndarray owner, cnp.ndarray lane, cnp.ndarray start,
):
    cdef Py_ssize_t lanes = cnp.PyArray_SIZE(rank), vehicles = cnp.PyArray_SIZE(front), rows = cnp.PyArray_SIZE(owner)
    cdef Py_ssize_t ranks = cnp.PyArray_DIM(conflict_in, 0), a, b, v, o, there, back
    cdef cnp.int64_t* rank_ = integers(rank, lanes, "tables.rank")
    cdef double* in_ = floats(conflict_in, ranks * ranks, "tables.conflict_in")
    cdef double* out_ = floats(conflict_out, ranks * ranks, "tables.conflict_out")
    cdef double* limit_ = floats(limit, lanes, "tables.limit")
    cdef cnp.int64_t* priority_ = integers(priority, lanes, "graph.priority")
    cdef double* front_ = floats(front, vehicles, "front")
    cdef double* length_ = floats(length, vehicles, "length")
    cdef double* speed_ = floats(speed, vehicles, "speed")
    cdef double* top_ = floats(top, vehicles, "top")
    cdef double* entry_ = floats(entry, vehicles, "entry")
    cdef cnp.npy_bool* inside_ = flags(inside, vehicles, "inside")
    cdef cnp.npy_bool* held_ = flags(held, vehicles, "held")
    cdef cnp.npy_bool* able_ = flags(able, vehicles, "able")
    cdef cnp.npy_bool* claims_ = flags(claims, vehicles, "claims")
    cdef double* waiting_ = floats(waiting, vehicles, "waiting")
    cdef double* picks_up_ = floats(picks_up, vehicles, "picks_up")
    cdef cnp.int64_t* owner_ = integers(owner, rows, "owner")
    cdef cnp.int64_t* lane_ = integers(lane, rows, "lane")
    cdef double* start_ = floats(start, rows, "start")
    cdef cnp.ndarray grant = row(cnp.NPY_BOOL, vehicles), hold = row(cnp.NPY_FLOAT64, vehicles)
    cdef cnp.ndarray claim = row(cnp.NPY_FLOAT64, vehicles), first = row(cnp.NPY_FLOAT64, vehicles)
    cdef cnp.npy_bool* grant_ = flags(grant, vehicles, "grant")
    cdef double* hold_ = floats(hold, vehicles, "hold")
    cdef double* claim_ = floats(claim, vehicles, "claim")
    cdef double* first_ = floats(first, vehicles, "first")
    cdef double top_a, top_b, zone_a, zone_b, near_a, near_b, far_a, far_b, in_a, in_b, out_a, out_b
    for v in range(vehicles):
        grant_[v] = inside_[v] or able_[v]
        hold_[v], claim_[v], first_[v] = INFINITY, 0.0, INFINITY
    for a in range(rows):
        if not (0 <= owner_[a] < vehicles and 0 <= lane_[a] < lanes and 0 <= rank_[lane_[a]] < ranks):
            raise ValueError(f"lane: found lane {lane_[a]} of vehicle {owner_[a]}, accepted lanes that have a rank")
        first_[owner_[a]] = least(start_[a], first_[owner_[a]])
    for a in range(rows):
        if start_[a] == first_[owner_[a]]:
            claim_[owner_[a]] = <double> priority_[lane_[a]]
    for v in range(vehicles):
        claim_[v] = claim_[v] + URGENCY * most(waiting_[v] - PATIENCE, 0.0) + HELD * <double> held_[v] - 1e-3 * <double> v
    for a in range(rows):
        v = owner_[a]
        zone_a, top_a = start_[a] - front_[v], most(speed_[v], limit_[lane_[a]] * top_[v])
        for b in range(rows):
            o = owner_[b]
            if o == v or not (inside_[o] or (claims_[o] and claim_[o] > claim_[v])):
                continue
            there, back = ranks * rank_[lane_[a]] + rank_[lane_[b]], ranks * rank_[lane_[b]] + rank_[lane_[a]]
            if not in_[there] < INFINITY:
                continue
            zone_b, top_b = start_[b] - front_[o], most(speed_[o], limit_[lane_[b]] * top_[o])
            near_a, far_a = zone_a + in_[there], zone_a + out_[there] + length_[v]
            near_b, far_b = zone_b + in_[back], zone_b + out_[back] + length_[o]
            if far_b <= 0.0:
                continue
            in_a = duration(most(near_a, 0.0), speed_[v], picks_up_[v], top_a)
            out_b = duration(most(far_b, 0.0), speed_[o], picks_up_[o], top_b)
            if not out_b + BEFORE > in_a:
                continue
            out_a = duration(most(far_a, 0.0), speed_[v], picks_up_[v], top_a)
            in_b = duration(most(near_b, 0.0), speed_[o], picks_up_[o], top_b)
            if not in_b < out_a + AFTER:
                continue
            if near_a < entry_[v] - front_[v] + CONSIDERED:
                grant_[v] = inside_[v]
            if inside_[v] and inside_[o] and near_a > 0.0 and (in_b < in_a or (in_b == in_a and o < v)):
                hold_[v] = least(front_[v] + near_a - HOLD_BEFORE, hold_[v])
    return grant, hold
