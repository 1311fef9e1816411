# cython: language_level=3
"""Layouts painted in the colours of a palette and textured, as planes; see drivesim/generators/stage/inputs.py.

Addresses of memory come in. Whoever calls answers for type, order and size.
"""

from libc.stdint cimport uint8_t, uint16_t, uintptr_t

cdef extern from *:
    """
    #include "drivesim/nn/bfloat16.h"

    #define MOST 32  /* features of a palette */

    typedef struct {
        long images, views, pixels, channels, maps, stripes, objects, texture, along, across, up;
    } sizes;

    /* One picture: layout [pixels, channels], places [pixels, 3], rays [pixels, 3], palette [F, 3] and its doubt
       [F, F] of F = maps + 5 features, table of textures; out [pixels, channels + 3 + 4 + texture]. */
    static void paint_picture(const sizes *n, const uint8_t *layout, const uint8_t *places, const float *rays,
                              const float *color, const float *doubt, const uint16_t *table, const uint16_t *share,
                              uint16_t *out) {
        const long features = n->maps + 5;
        for (long p = 0; p < n->pixels; p++) {
            for (long c = 0; c < n->channels; c++) out[c] = share[layout[c]];
            out += n->channels;
            for (long c = 0; c < 3; c++) out[c] = share[places[c]];
            out += 3;

            const float height = rays[2];  /* what is said of the pixel: the few numbers that are not zero */
            float said[MOST];
            long which[MOST], known = 0;
            if (height < 0.0f) {
                for (long c = 0; c < n->maps; c++)
                    if (layout[c]) which[known] = c, said[known++] = layout[c] / 255.0f;
                if (layout[n->stripes]) which[known] = n->maps, said[known++] = layout[n->stripes] / 255.0f;
                which[known] = n->maps + 1, said[known++] = 1.0f;
                which[known] = n->maps + 2, said[known++] = -height;
            } else {
                which[known] = n->maps + 3, said[known++] = 1.0f;
                which[known] = n->maps + 4, said[known++] = height;
            }
            float painted[3] = {0.0f, 0.0f, 0.0f}, unsure = 0.0f, square = 0.0f;
            for (long i = 0; i < known; i++) {
                const float *column = color + 3 * which[i], *row = doubt + features * which[i];
                float sum = 0.0f;
                for (long c = 0; c < 3; c++) painted[c] += said[i] * column[c];
                for (long j = 0; j < known; j++) sum += row[which[j]] * said[j];
                unsure += sum * said[i];
                square += said[i] * said[i];
            }
            for (long c = 0; c < 3; c++)
                out[c] = narrowed(painted[c] < -1.0f ? -1.0f : painted[c] > 1.0f ? 1.0f : painted[c]);
            out[3] = narrowed(unsure / square);
            out += 4;

            const uint8_t *boxes = layout + n->maps;
            long box = 0;
            for (long c = 1; c < n->objects; c++) box = boxes[c] > boxes[box] ? c : box;
            long cell = 0;
            if (boxes[box]) {
                cell = box * n->along + (places[0] * n->along >> 8);
                cell = cell * n->across + (places[1] * n->across >> 8);
                cell = cell * n->up + (places[2] * n->up >> 8) + 1;
            }
            for (long c = 0; c < n->texture; c++) out[c] = table[cell * n->texture + c];
            out += n->texture;
            layout += n->channels, places += 3, rays += 3;
        }
    }

    static void paint_pictures(const sizes *n, const uint8_t *layout, const uint8_t *places, const float *rays,
                               const float *color, const float *doubt, const uint16_t *table, uint16_t *out) {
        const long features = n->maps + 5, planes = n->channels + 3 + 4 + n->texture;
        uint16_t share[256];
        for (int i = 0; i < 256; i++) share[i] = narrowed(i / 255.0f);
        #pragma omp parallel for if (n->images > 1)
        for (long image = 0; image < n->images; image++) {
            const long world = image / n->views, before = image * n->pixels;
            paint_picture(n, layout + before * n->channels, places + before * 3, rays + before * 3,
                          color + world * features * 3, doubt + world * features * features, table, share,
                          out + before * planes);
        }
    }
    """
    ctypedef struct sizes:
        long images, views, pixels, channels, maps, stripes, objects, texture, along, across, up
    const long MOST
    void paint_pictures(
        const sizes* n, const uint8_t* layout, const uint8_t* places, const float* rays, const float* color,
        const float* doubt, const uint16_t* table, uint16_t* out
    ) nogil


def planes(
    uintptr_t layout, uintptr_t places, uintptr_t rays, uintptr_t color, uintptr_t doubt, uintptr_t table,
    uintptr_t out, long worlds, long views, long pixels, long channels, long maps, long stripes,
    long objects, tuple cells, long texture,
):
    """Writes bfloat16 planes [worlds * views, pixels, channels + 3 + 4 + texture]."""
    if maps + 5 > MOST:
        raise ValueError(f"maps: found {maps}, accepted up to {MOST - 5}")
    cdef sizes n
    n.images, n.views, n.pixels, n.channels, n.maps, n.objects = worlds * views, views, pixels, channels, maps, objects
    n.stripes, n.texture, (n.along, n.across, n.up) = stripes, texture, cells
    with nogil:
        paint_pictures(
            &n, <const uint8_t*> layout, <const uint8_t*> places, <const float*> rays, <const float*> color,
            <const float*> doubt, <const uint16_t*> table, <uint16_t*> out,
        )
