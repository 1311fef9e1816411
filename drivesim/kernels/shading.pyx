# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Light on surfaces; see drivesim/town/shading.py."""

cimport numpy as cnp
from libc.string cimport memcpy, memset

from drivesim.kernels.arrays cimport counts, integers, octets, row, single_table, singles, table, words

cnp.import_array()

cdef extern from "math.h" nogil:
    float fabsf(float x)
    float floorf(float x)


cdef float WET_DARKENING


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global WET_DARKENING
    WET_DARKENING = names["WET_DARKENING"]


cdef inline float pulses(float x, float width) noexcept nogil:
    cdef float whole = floorf(x)
    cdef float part = x - whole - <float> 0.5 * (<float> 1 - width)
    part = part if part > 0 else 0
    return whole * width + (part if part < width else width)


cdef inline float covered(float x, float footprint, float width) noexcept nogil:
    cdef float half = <float> 0.5 * footprint
    return (pulses(x + half, width) - pulses(x - half, width)) / footprint


def of_faces(cnp.ndarray face, cnp.ndarray normals, cnp.ndarray colors):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(face), faces = cnp.PyArray_DIM(normals, 1), i, k
    cdef cnp.int32_t* face_ = counts(face, count, "face")
    cdef float* normals_ = singles(normals, 3 * faces, "normals")
    cdef float* colors_ = singles(colors, 3 * faces, "colors")
    cdef cnp.ndarray normal = single_table(3, count), color = single_table(3, count)
    cdef float* normal_ = singles(normal, 3 * count, "normal")
    cdef float* color_ = singles(color, 3 * count, "color")
    cdef cnp.int32_t at
    for i in range(count):
        at = face_[i]
        if at < 0 or at >= faces:
            raise IndexError(f"face: found {at}, accepted 0 .. {faces - 1}")
        for k in range(3):
            normal_[k * count + i], color_[k * count + i] = normals_[k * faces + at], colors_[k * faces + at]
    return normal, color


def glazed(
    cnp.ndarray rows, cnp.ndarray color, cnp.ndarray face, cnp.ndarray normal, cnp.ndarray direction, cnp.ndarray norm,
    cnp.ndarray size, cnp.ndarray point, cnp.ndarray start, cnp.ndarray along, cnp.ndarray pattern, cnp.ndarray pane,
):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(rows), surfaces = cnp.PyArray_SIZE(face), walls = cnp.PyArray_DIM(start, 1)
    cdef Py_ssize_t i, k, at
    cdef cnp.int64_t* rows_ = integers(rows, count, "rows")
    cdef float* color_ = singles(color, 3 * surfaces, "color")
    cdef cnp.int32_t* face_ = counts(face, surfaces, "face")
    cdef float* normal_ = singles(normal, 3 * surfaces, "normal")
    cdef float* direction_ = singles(direction, 3 * surfaces, "direction")
    cdef float* norm_ = singles(norm, surfaces, "norm")
    cdef float* size_ = singles(size, surfaces, "size")
    cdef float* point_ = singles(point, 3 * surfaces, "point")
    cdef float* start_ = singles(start, 2 * walls, "start")
    cdef float* along_ = singles(along, 2 * walls, "along")
    cdef float* pattern_ = singles(pattern, 4 * walls, "pattern")
    cdef float* pane_ = singles(pane, 3, "pane")
    cdef cnp.ndarray out = single_table(3, surfaces), wall = row(cnp.NPY_INT32, count)
    cdef cnp.ndarray share = row(cnp.NPY_FLOAT32, count), u = row(cnp.NPY_FLOAT32, count)
    cdef cnp.ndarray v = row(cnp.NPY_FLOAT32, count), blur = row(cnp.NPY_FLOAT32, count)
    cdef float* out_ = singles(out, 3 * surfaces, "out")
    cdef cnp.int32_t* wall_ = counts(wall, count, "wall")
    cdef float* share_ = singles(share, count, "share")
    cdef float* u_ = singles(u, count, "u")
    cdef float* v_ = singles(v, count, "v")
    cdef float* blur_ = singles(blur, count, "blur")
    cdef cnp.int32_t one
    cdef float facing, place, fu, fv, plain
    memcpy(out_, color_, 3 * surfaces * sizeof(float))
    for i in range(count):
        at = rows_[i]
        if at < 0 or at >= surfaces:
            raise IndexError(f"rows: found {at}, accepted 0 .. {surfaces - 1}")
        one = face_[at] >> 1
        if one < 0 or one >= walls:
            raise IndexError(f"face: found {face_[at]}, accepted those of {walls} walls")
        facing = normal_[at] * direction_[at] + normal_[surfaces + at] * direction_[surfaces + at]
        facing = fabsf(facing + normal_[2 * surfaces + at] * direction_[2 * surfaces + at]) / norm_[at]
        facing = facing if facing > <float> 0.05 else <float> 0.05
        place = (point_[at] - start_[one]) * along_[one]
        place = place + (point_[surfaces + at] - start_[walls + one]) * along_[walls + one]
        wall_[i], u_[i], v_[i] = one, place * pattern_[one], point_[2 * surfaces + at] * pattern_[walls + one]
        fu, fv = size_[at] / facing * pattern_[one], size_[at] * pattern_[walls + one]
        fu = fu if fu > <float> 1e-3 else <float> 1e-3
        fv = fv if fv > <float> 1e-3 else <float> 1e-3
        share_[i] = covered(u_[i], fu, pattern_[2 * walls + one]) * covered(v_[i], fv, pattern_[3 * walls + one])
        blur_[i] = fu if fu > fv else fv
        for k in range(3):
            plain = color_[k * surfaces + at]
            out_[k * surfaces + at] = plain + share_[i] * (pane_[k] - plain)
    return out, wall, share, u, v, blur


def window_light(
    cnp.ndarray keys, cnp.ndarray wall, cnp.ndarray window, cnp.ndarray u, cnp.ndarray v, cnp.ndarray blur,
    double lit_windows, double brightness, cnp.ndarray color,
):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(wall), walls = cnp.PyArray_SIZE(keys), i, k
    cdef cnp.uint32_t* keys_ = words(keys, walls, "keys")
    cdef cnp.int32_t* wall_ = counts(wall, count, "wall")
    cdef float* window_ = singles(window, count, "window")
    cdef float* u_ = singles(u, count, "u")
    cdef float* v_ = singles(v, count, "v")
    cdef float* blur_ = singles(blur, count, "blur")
    cdef float* color_ = singles(color, 3, "color")
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef float step = 0.45 / 255, bright = brightness, sharp
    cdef double mean = lit_windows * 0.775, lit
    cdef cnp.uint32_t key, limit = <cnp.uint32_t> (lit_windows * 65536)
    for i in range(count):
        if wall_[i] < 0 or wall_[i] >= walls:
            raise IndexError(f"wall: found {wall_[i]}, accepted 0 .. {walls - 1}")
        # Through whole numbers with a sign, so that a place just beside a wall is defined, too.
        key = keys_[wall_[i]] + <cnp.uint32_t> (<cnp.int64_t> u_[i]) * <cnp.uint32_t> 19349663
        key = key ^ <cnp.uint32_t> (<cnp.int64_t> v_[i]) * <cnp.uint32_t> 83492791
        key = (key ^ (key >> 15)) * <cnp.uint32_t> 2246822519
        lit = 0.55 + <double> (key & 255) * <double> step if (key >> 16) < limit else 0.0
        sharp = <float> 1.5 - blur_[i]
        sharp = sharp if sharp > 0 else 0
        sharp = sharp if sharp < 1 else 1
        lit = mean + <double> sharp * (lit - mean)
        lit = <double> window_[i] * lit * <double> bright
        for k in range(3):
            out_[k * count + i] = <float> (lit * <double> color_[k])
    return out


def wetted(cnp.ndarray color, cnp.ndarray wet, cnp.ndarray grazing, cnp.ndarray horizon):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(wet), i, k
    cdef float* color_ = singles(color, 3 * count, "color")
    cdef float* wet_ = singles(wet, count, "wet")
    cdef float* grazing_ = singles(grazing, count, "grazing")
    cdef float* horizon_ = singles(horizon, 3, "horizon")
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef float steep, mirror, dark, plain
    for i in range(count):
        steep = <float> 3 * grazing_[i]
        steep = <float> 1 - (steep if steep < 1 else 1)
        mirror = wet_[i] * (<float> 0.06 + <float> 0.55 * (steep * steep))
        dark = <float> 1 - WET_DARKENING * wet_[i]
        for k in range(3):
            plain = color_[k * count + i] * dark
            out_[k * count + i] = plain + mirror * (<float> 0.8 * horizon_[k] - plain)
    return out


def daylight(cnp.ndarray normal_z, cnp.ndarray toward, cnp.ndarray sky, cnp.ndarray bounce, cnp.ndarray sun):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(toward), i, k
    cdef float* normal_z_ = singles(normal_z, count, "normal_z")
    cdef float* toward_ = singles(toward, count, "toward")
    cdef float* sky_ = singles(sky, 3, "sky")
    cdef float* bounce_ = singles(bounce, 3, "bounce")
    cdef float* sun_ = singles(sun, 3, "sun")
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef float least, span, most
    for k in range(3):
        least, span, most = bounce_[k], sky_[k] - bounce_[k], sun_[k]
        for i in range(count):
            out_[k * count + i] = least + (<float> 0.5 + <float> 0.5 * normal_z_[i]) * span + toward_[i] * most
    return out


def in_air(cnp.ndarray color, cnp.ndarray share, cnp.ndarray horizon):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(share), i, k
    cdef float* color_ = singles(color, 3 * count, "color")
    cdef float* share_ = singles(share, count, "share")
    cdef float* horizon_ = singles(horizon, 3, "horizon")
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef float far
    for k in range(3):
        far = horizon_[k]
        for i in range(count):
            out_[k * count + i] = (color_[k * count + i] - far) * share_[i] + far
    return out


def put_together(Py_ssize_t count, list parts):
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "out")
    cdef cnp.ndarray rows, color
    cdef cnp.int64_t* rows_
    cdef float* color_
    cdef Py_ssize_t size, i, k
    memset(out_, 0, 3 * count * sizeof(float))
    for rows, color in parts:
        size = cnp.PyArray_SIZE(rows)
        rows_, color_ = integers(rows, size, "rows"), singles(color, 3 * size, "color")
        if size and (rows_[0] < 0 or rows_[size - 1] >= count):
            raise IndexError(f"rows: found {rows_[0]} .. {rows_[size - 1]}, accepted 0 .. {count - 1}, ascending")
        for k in range(3):
            for i in range(size):
                out_[k * count + rows_[i]] = color_[k * size + i]
    return out


def as_bytes(cnp.ndarray color):
    cdef Py_ssize_t count = cnp.PyArray_DIM(color, 1), i, k
    cdef float* color_ = singles(color, 3 * count, "color")
    cdef cnp.ndarray out = table(cnp.NPY_UINT8, count, 3)
    cdef cnp.uint8_t* out_ = octets(out, 3 * count, "out")
    cdef float scaled
    for i in range(count):
        for k in range(3):
            scaled = color_[k * count + i] * <float> 255 + <float> 0.5
            scaled = scaled if scaled > 0 else 0
            out_[3 * i + k] = <cnp.uint8_t> (scaled if scaled < 255 else 255)
    return out
