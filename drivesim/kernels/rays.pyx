# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Rays and what they hit; see drivesim/town/rays.py."""

cimport numpy as cnp
from libc.math cimport sqrtf

from drivesim.kernels.arrays cimport counts, octets, row, single_table, singles, integers

cnp.import_array()

cdef float FAR
cdef cnp.uint8_t SKY, GROUND, STATIC, MOVING


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global FAR, SKY, GROUND, STATIC, MOVING
    FAR = names["FAR"]
    SKY, GROUND, STATIC, MOVING = names["SKY"], names["GROUND"], names["STATIC"], names["MOVING"]


def ground_reach(cnp.ndarray origin, cnp.ndarray direction):
    cdef Py_ssize_t rays = cnp.PyArray_DIM(direction, 0), i
    cdef float* origin_ = singles(origin, 3 * rays, "rays.origin")
    cdef float* direction_ = singles(direction, 3 * rays, "rays.direction")
    cdef cnp.ndarray reach = row(cnp.NPY_FLOAT32, rays)
    cdef float* reach_ = singles(reach, rays, "reach")
    cdef float down, far
    for i in range(rays):
        down = direction_[3 * i + 2]
        far = FAR
        if down < 0:
            far = origin_[3 * i + 2] / -(down if down < <float> -1e-9 else <float> -1e-9)
        reach_[i] = far if far < FAR else FAR
    return reach


def scenery_or_ground(cnp.ndarray face, cnp.ndarray depth, cnp.ndarray reach):
    cdef Py_ssize_t rays = cnp.PyArray_SIZE(face), i
    cdef cnp.int32_t* face_ = counts(face, rays, "hits.face")
    cdef float* depth_ = singles(depth, rays, "hits.depth")
    cdef float* reach_ = singles(reach, rays, "reach")
    cdef cnp.ndarray kind = row(cnp.NPY_UINT8, rays), nearer = row(cnp.NPY_FLOAT32, rays)
    cdef cnp.uint8_t* kind_ = octets(kind, rays, "kind")
    cdef float* nearer_ = singles(nearer, rays, "depth")
    for i in range(rays):
        kind_[i] = STATIC if face_[i] >= 0 else (GROUND if reach_[i] < FAR else SKY)
        nearer_[i] = depth_[i] if face_[i] >= 0 else reach_[i]
    return kind, nearer


def rows_of_kinds(cnp.ndarray kind):
    cdef Py_ssize_t rays = cnp.PyArray_SIZE(kind), i, place
    cdef cnp.uint8_t* kind_ = octets(kind, rays, "hits.kind")
    cdef Py_ssize_t[4] found
    cdef cnp.int64_t* rows_[4]
    cdef list rows = []
    found[0] = found[1] = found[2] = found[3] = 0
    for i in range(rays):
        if kind_[i] > 3:
            raise ValueError(f"hits.kind: found {kind_[i]}, accepted 0 .. 3")
        found[kind_[i]] += 1
    for place in range(4):
        rows.append(row(cnp.NPY_INT64, found[place]))
        rows_[place] = integers(rows[place], found[place], "rows")
        found[place] = 0
    for i in range(rays):
        rows_[kind_[i]][found[kind_[i]]] = i
        found[kind_[i]] += 1
    return rows[SKY], rows[GROUND], rows[STATIC], rows[MOVING]


def surface_at(
    cnp.ndarray origin, cnp.ndarray direction, cnp.ndarray pixel, cnp.ndarray depth, cnp.ndarray face, cnp.ndarray rows
):
    cdef Py_ssize_t rays = cnp.PyArray_SIZE(face), count = cnp.PyArray_SIZE(rows), i
    cdef float* origin_ = singles(origin, 3 * rays, "rays.origin")
    cdef float* direction_ = singles(direction, 3 * rays, "rays.direction")
    cdef float* pixel_ = singles(pixel, rays, "rays.pixel")
    cdef float* depth_ = singles(depth, rays, "hits.depth")
    cdef cnp.int32_t* face_ = counts(face, rays, "hits.face")
    cdef cnp.int64_t* rows_ = integers(rows, count, "rows")
    cdef cnp.ndarray far = row(cnp.NPY_FLOAT32, count), faces = row(cnp.NPY_INT32, count)
    cdef cnp.ndarray way = single_table(3, count), point = single_table(3, count)
    cdef cnp.ndarray norm = row(cnp.NPY_FLOAT32, count), size = row(cnp.NPY_FLOAT32, count)
    cdef float* far_ = singles(far, count, "depth")
    cdef cnp.int32_t* faces_ = counts(faces, count, "face")
    cdef float* way_ = singles(way, 3 * count, "direction")
    cdef float* point_ = singles(point, 3 * count, "point")
    cdef float* norm_ = singles(norm, count, "norm")
    cdef float* size_ = singles(size, count, "size")
    cdef cnp.int64_t ray
    cdef float x, y, z, length
    for i in range(count):
        ray = rows_[i]
        if ray < 0 or ray >= rays:
            raise IndexError(f"rows: found {ray}, accepted 0 .. {rays - 1}")
        x, y, z, length = direction_[3 * ray], direction_[3 * ray + 1], direction_[3 * ray + 2], depth_[ray]
        far_[i], faces_[i], size_[i] = length, face_[ray], length * pixel_[ray]
        way_[i], way_[count + i], way_[2 * count + i] = x, y, z
        norm_[i] = sqrtf(x * x + y * y + z * z)
        point_[i] = origin_[3 * ray] + x * length
        point_[count + i] = origin_[3 * ray + 1] + y * length
        point_[2 * count + i] = origin_[3 * ray + 2] + z * length
    return far, faces, way, norm, size, point
