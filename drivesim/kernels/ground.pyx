# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The colours of the ground; see drivesim/town/ground.py."""

cimport numpy as cnp

from drivesim.kernels.arrays cimport counts, octets, row, single_table, singles, words

from drivesim.kernels import require

cnp.import_array()

cdef extern from "math.h" nogil:
    float frexpf(float x, int* exponent)
    float hypotf(float x, float y)

cdef enum:
    COUNT = 4

cdef float RESOLUTION, FINE, PER_METRE, PER_METRE_COARSE, SCALE
cdef float[COUNT] ALONG
cdef float[COUNT] ACROSS


def configure(dict names):
    """Takes over the constants of the numpy version."""
    global RESOLUTION, FINE, PER_METRE, PER_METRE_COARSE, SCALE
    taps = names["TAPS"]
    require({"TAPS": len(taps)}, TAPS=COUNT)
    for tap in range(COUNT):
        ALONG[tap], ACROSS[tap] = taps[tap]
    RESOLUTION = names["RESOLUTION"]
    FINE = 2.0 * names["RESOLUTION"]
    PER_METRE, PER_METRE_COARSE = 1.0 / names["RESOLUTION"], 1.0 / (2.0 * names["RESOLUTION"])
    SCALE = 1.0 / (255 * COUNT)


def footprints(cnp.ndarray direction, cnp.ndarray norm, cnp.ndarray size):
    cdef Py_ssize_t count = cnp.PyArray_SIZE(norm), i
    cdef float* direction_ = singles(direction, 3 * count, "direction")
    cdef float* norm_ = singles(norm, count, "norm")
    cdef float* size_ = singles(size, count, "size")
    cdef cnp.ndarray grazing = row(cnp.NPY_FLOAT32, count), along = single_table(2, count)
    cdef cnp.ndarray across = single_table(2, count)
    cdef float* grazing_ = singles(grazing, count, "grazing")
    cdef float* along_ = singles(along, 2 * count, "along")
    cdef float* across_ = singles(across, 2 * count, "across")
    cdef float x, y, sine, flat, long
    for i in range(count):
        sine = -direction_[2 * count + i] / norm_[i]
        sine = sine if sine > <float> 1e-3 else <float> 1e-3
        flat = hypotf(direction_[i], direction_[count + i])
        flat = flat if flat > <float> 1e-6 else <float> 1e-6
        x, y, long = direction_[i] / flat, direction_[count + i] / flat, size_[i] / sine
        grazing_[i] = sine
        along_[i], along_[count + i] = x * long, y * long
        across_[i], across_[count + i] = -y * size_[i], x * size_[i]
    return grazing, along, across


cdef inline int within(int place, int end) noexcept nogil:
    place = 0 if place < 0 else place
    return end - 1 if place > end - 1 else place


def mean_colors(
    cnp.ndarray xy, cnp.ndarray along, cnp.ndarray across, cnp.ndarray paint, cnp.ndarray paint_shape,
    cnp.ndarray palette, cnp.ndarray colors, cnp.ndarray offset, cnp.ndarray shape,
):
    cdef Py_ssize_t count = cnp.PyArray_DIM(xy, 1), levels = cnp.PyArray_SIZE(offset), i
    cdef float* xy_ = singles(xy, 2 * count, "xy")
    cdef float* along_ = singles(along, 2 * count, "along")
    cdef float* across_ = singles(across, 2 * count, "across")
    cdef cnp.int32_t* paint_shape_ = counts(paint_shape, 2, "paint.shape")
    cdef int rows = paint_shape_[0], columns = paint_shape_[1]
    cdef cnp.uint8_t* paint_ = octets(paint, <Py_ssize_t> rows * columns, "paint.texels")
    cdef cnp.uint32_t* palette_ = words(palette, 256, "palette")
    cdef cnp.uint32_t* colors_ = words(colors, cnp.PyArray_SIZE(colors), "colors.texels")
    cdef cnp.int32_t* offset_ = counts(offset, levels, "colors.offset")
    cdef cnp.int32_t* shape_ = counts(shape, 2 * levels, "colors.shape")
    cdef cnp.ndarray out = single_table(3, count)
    cdef float* out_ = singles(out, 3 * count, "color")
    cdef float size, wide, u, v, ax, ay, bx, by
    cdef int tap, level = 0, high = 0, broad = 0, start = 0, x, y
    cdef cnp.uint32_t color, red, green, blue
    for level in range(levels):
        if <Py_ssize_t> offset_[level] + <Py_ssize_t> shape_[level] * shape_[levels + level] > cnp.PyArray_SIZE(colors):
            raise ValueError(f"colors.shape: found more texels in level {level} than there are")
    for i in range(count):
        ax, ay, bx, by = along_[i], along_[count + i], across_[i], across_[count + i]
        size, wide = hypotf(bx, by), <float> 0.25 * hypotf(ax, ay)
        size = size if size > wide else wide
        red = green = blue = 0
        if not size < FINE:
            frexpf(size * PER_METRE_COARSE, &level)
            level = within(level - 1, <int> levels)
            high, broad, start = shape_[level], shape_[levels + level], offset_[level]
        for tap in range(COUNT):
            u = xy_[i] + (ALONG[tap] * ax + ACROSS[tap] * bx)
            v = xy_[count + i] + (ALONG[tap] * ay + ACROSS[tap] * by)
            if size < FINE:
                x, y = within(<int> (u * PER_METRE), columns), within(<int> (v * PER_METRE), rows)
                color = palette_[paint_[<Py_ssize_t> y * columns + x]]
            else:
                x = within((<int> (u * PER_METRE_COARSE)) >> level, broad)
                y = within((<int> (v * PER_METRE_COARSE)) >> level, high)
                color = colors_[<Py_ssize_t> start + y * broad + x]
            red += color & 255
            green += (color >> 8) & 255
            blue += (color >> 16) & 255
        out_[i] = <float> red * SCALE
        out_[count + i] = <float> green * SCALE
        out_[2 * count + i] = <float> blue * SCALE
    return out
