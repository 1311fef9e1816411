# cython: language_level=3
"""Pictures warped to where the cameras are now, as torch does it in drivesim/generators/stage/inputs.py.

Addresses of memory come in. Whoever calls answers for type, order and size.
"""

from libc.stdint cimport uint16_t, uintptr_t
from libc.stdlib cimport free, malloc

cdef extern from *:
    """
    #include <math.h>
    #include <string.h>
    #include "drivesim/nn/bfloat16.h"

    typedef struct {
        long images, views, height, width;  /* of the pictures */
        long h, w;                          /* of rays and known points */
        long rows, columns, distances;      /* of the logits, without the one for the ground */
    } sizes;

    typedef struct { float matrix[9], offset[3]; long id; } camera;

    /* Ego points to pixels of a camera: K R^T (x - t). */
    static camera camera_of(const float *k, const float *pose, long id) {
        camera made;
        made.id = id;
        for (int i = 0; i < 3; i++) {
            made.offset[i] = 0.0f;
            for (int j = 0; j < 3; j++) {
                float sum = 0.0f;
                for (int m = 0; m < 3; m++) sum += k[3 * i + m] * pose[4 * j + m];
                made.matrix[3 * i + j] = sum;
                made.offset[i] -= sum * pose[4 * j + 3];
            }
        }
        return made;
    }

    static int sees(const camera *from, const float *point, float *u, float *v) {
        float seen[3];
        for (int i = 0; i < 3; i++)
            seen[i] = from->offset[i] + from->matrix[3 * i] * point[0] + from->matrix[3 * i + 1] * point[1] +
                      from->matrix[3 * i + 2] * point[2];
        float depth = seen[2] > 1e-3f ? seen[2] : 1e-3f;
        *u = seen[0] / depth, *v = seen[1] / depth;
        return seen[2] > 0.1f && fabsf(*u - 0.5f) < 0.5f && fabsf(*v - 0.5f) < 0.5f;
    }

    static inline float between(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
    static inline long within(long x, long last) { return x < 0 ? 0 : x > last ? last : x; }

    /* Weights of four neighbours at t in [0, 1) past the second (Keys' cubic convolution, a = -0.75 as in torch). */
    static void cubic(float t, float *weight) {
        const float a = -0.75f;
        for (int i = 0; i < 4; i++) {
            float x = fabsf(t + 1.0f - i);
            weight[i] = x <= 1.0f ? ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f
                                  : ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a;
        }
    }

    #define WIDEST 8  /* pixels along a cell */

    /* A cell of times x times samples of an atlas [views * height, width, 4] in which pictures lie below each other. The
       first sample is at (row, column) of picture `id`; the others follow one pixel apart, so all have the same weights. */
    static void sample_cell(const sizes *n, const float *atlas, long id, float row, float column, long times,
                            uint16_t *out) {
        float top = floorf(row), left = floorf(column), down[4], across[4], lines[WIDEST + 3][WIDEST][4];
        const long first = (long)top - 1 + n->height * id, begin = (long)left - 1;
        cubic(row - top, down);
        cubic(column - left, across);
        for (long i = 0; i < times + 3; i++) {
            const float *line = atlas + 4 * n->width * within(first + i, n->views * n->height - 1);
            for (long j = 0; j < times; j++) {
                float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                for (int m = 0; m < 4; m++) {
                    const float *pixel = line + 4 * within(begin + j + m, n->width - 1);
                    for (int c = 0; c < 4; c++) sum[c] += across[m] * pixel[c];
                }
                for (int c = 0; c < 4; c++) lines[i][j][c] = sum[c];
            }
        }
        for (long i = 0; i < times; i++)
            for (long j = 0; j < times; j++) {
                float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                for (int m = 0; m < 4; m++)
                    for (int c = 0; c < 4; c++) sum[c] += down[m] * lines[i + m][j][c];
                for (int c = 0; c < 3; c++) out[3 * (i * n->width + j) + c] = narrowed(sum[c]);
            }
    }

    /* The samples of a cell around (u, v); rows stay within their picture. */
    static void sample(const sizes *n, const float *atlas, long id, float u, float v, long times, uint16_t *out) {
        float row = v * n->height - 0.5f * times, last = n->height - 1.0f;
        float column = between(u * n->width - 0.5f * times, -3.0f - times, n->width + 3.0f);
        if (row >= 0.0f && row + times - 1 <= last) {
            sample_cell(n, atlas, id, row, column, times, out);
            return;
        }
        for (long i = 0; i < times; i++)
            for (long j = 0; j < times; j++)
                sample_cell(n, atlas, id, between(row + i, 0.0f, last), column + j, 1, out + 3 * (i * n->width + j));
    }

    /* What logits [1 + D, cells] say: mean inverse distances, and whether the known ground is believed. */
    static void estimate(const sizes *n, const float *logits, const float *distances, float *inverse, float *believed) {
        const long cells = n->rows * n->columns;
        for (long i = 0; i < cells; i++) {
            float most = -INFINITY, total = 0.0f, mean = 0.0f;
            for (long d = 1; d <= n->distances; d++) most = fmaxf(most, logits[d * cells + i]);
            for (long d = 1; d <= n->distances; d++) {
                float share = expf(logits[d * cells + i] - most);
                total += share, mean += share / distances[d - 1];
            }
            inverse[i] = mean / total;
            believed[i] = logits[i] > most + logf(total);
        }
    }

    /* The new picture of one camera [height, width, 3], and masks [rows, columns, 6]: share that was seen before, four
       times the inverse distance, whether the ground is believed; mean viewing ray. */
    static void warp_picture(const sizes *n, long view, const float *atlas, const float *logits, const float *distances,
                             const float *known, const float *rays, const float *k, const float *poses,
                             const float *motion, uint16_t *out, uint16_t *masks) {
        const long up = n->h / n->rows, times = n->height / n->h, cells = n->rows * n->columns;
        float inverse[cells], believed[cells], counted[cells], looking[cells][3];
        camera ring[3];
        for (int i = 0; i < 3; i++) {
            long id = (view + (i == 0 ? 0 : i == 1 ? n->views - 1 : 1)) % n->views;
            ring[i] = camera_of(k + 9 * id, poses + 16 * id, id);
        }
        float centre[3];
        for (int i = 0; i < 3; i++) {
            centre[i] = motion[4 * i + 3];
            for (int j = 0; j < 3; j++) centre[i] += motion[4 * i + j] * poses[16 * view + 4 * j + 3];
        }
        estimate(n, logits, distances, inverse, believed);
        memset(counted, 0, sizeof(counted));
        memset(looking, 0, sizeof(looking));
        for (long y = 0; y < n->h; y++)
            for (long x = 0; x < n->w; x++, known += 3, rays += 3) {
                float down = fmaxf((y + 0.5f) / up - 0.5f, 0.0f), across = fmaxf((x + 0.5f) / up - 0.5f, 0.0f);
                long top = (long)down, left = (long)across;
                long below = top + (top < n->rows - 1), right = left + (left < n->columns - 1);
                down -= top, across -= left;
                float fine = (1.0f - down) * ((1.0f - across) * inverse[top * n->columns + left] +
                                              across * inverse[top * n->columns + right]) +
                             down * ((1.0f - across) * inverse[below * n->columns + left] +
                                     across * inverse[below * n->columns + right]);
                long cell = y / up * n->columns + x / up;
                int ground = fabsf(known[2]) < 0.05f;
                int trusted = ground ? believed[cell] > 0.5f : known[0] == known[0] && known[1] == known[1] &&
                                                               known[2] == known[2];
                float point[3] = {known[0], known[1], known[2]};
                if (!trusted) {
                    float distance = 1.0f / fine;
                    if (ground) {
                        float limit = 0.0f;
                        for (int i = 0; i < 3; i++) limit += (known[i] - centre[i]) * (known[i] - centre[i]);
                        distance = fminf(distance, sqrtf(limit));
                    }
                    for (int i = 0; i < 3; i++)
                        point[i] = centre[i] + distance * (motion[4 * i] * rays[0] + motion[4 * i + 1] * rays[1] +
                                                           motion[4 * i + 2] * rays[2]);
                }
                float u[3], v[3];
                int chosen = -1;
                for (int i = 0; i < 3 && chosen < 0; i++)
                    if (sees(ring + i, point, u + i, v + i)) chosen = i;
                counted[cell] += chosen >= 0;
                for (int i = 0; i < 3; i++) looking[cell][i] += rays[i];
                if (chosen < 0) chosen = 0;
                sample(n, atlas, ring[chosen].id, u[chosen], v[chosen], times, out + 3 * times * (y * n->width + x));
            }
        for (long i = 0; i < cells; i++, masks += 6) {
            masks[0] = narrowed(counted[i] / (up * up));
            masks[1] = narrowed(4.0f * inverse[i]);
            masks[2] = narrowed(believed[i]);
            for (int j = 0; j < 3; j++) masks[3 + j] = narrowed(looking[i][j] / (up * up));
        }
    }

    static void warp_pictures(const sizes *n, const uint16_t *pictures, float *atlas, const float *logits,
                              const float *distances, const float *known, const float *rays, const float *k,
                              const float *poses, const float *motion, uint16_t *out, uint16_t *masks) {
        const long pixels = n->height * n->width, fine = n->h * n->w, cells = n->rows * n->columns;
        #pragma omp parallel if (n->images > 1)
        {
            #pragma omp for
            for (long image = 0; image < n->images; image++) {
                const uint16_t *from = pictures + 3 * pixels * image;
                float *to = atlas + 4 * pixels * image;
                for (long p = 0; p < pixels; p++, from += 3, to += 4) {
                    for (int c = 0; c < 3; c++) to[c] = widened(from[c]);
                    to[3] = 0.0f;
                }
            }
            #pragma omp for
            for (long image = 0; image < n->images; image++) {
                const long world = image / n->views;
                warp_picture(n, image % n->views, atlas + 4 * pixels * n->views * world,
                             logits + (n->distances + 1) * cells * image, distances, known + 3 * fine * image,
                             rays + 3 * fine * image, k + 9 * n->views * world, poses + 16 * n->views * world,
                             motion + 16 * world, out + 3 * pixels * image, masks + 6 * cells * image);
            }
        }
    }
    """
    const long WIDEST
    ctypedef struct sizes:
        long images, views, height, width, h, w, rows, columns, distances
    void warp_pictures(
        const sizes* n, const uint16_t* pictures, float* atlas, const float* logits, const float* distances,
        const float* known, const float* rays, const float* k, const float* poses, const float* motion, uint16_t* out,
        uint16_t* masks
    ) nogil


def warp(
    uintptr_t pictures, uintptr_t logits, uintptr_t distances, uintptr_t known, uintptr_t rays, uintptr_t intrinsics,
    uintptr_t extrinsics, uintptr_t motion, uintptr_t out, uintptr_t masks, long worlds, long views, tuple picture_size,
    tuple layout_size, tuple latent_size, long count,
):
    """Writes bfloat16 pictures [worlds * views, height, width, 3] and masks [worlds * views, rows, columns, 6]."""
    cdef sizes n
    n.images, n.views, n.distances = worlds * views, views, count
    (n.height, n.width), (n.h, n.w), (n.rows, n.columns) = picture_size, layout_size, latent_size
    if n.height > WIDEST * n.h:
        raise ValueError(f"picture_size: found {picture_size}, accepted up to {WIDEST} times the layout's {layout_size}")
    cdef float* atlas = <float*> malloc(4 * n.images * n.height * n.width * sizeof(float))
    if atlas == NULL:
        raise MemoryError()
    with nogil:
        warp_pictures(
            &n, <const uint16_t*> pictures, atlas, <const float*> logits, <const float*> distances,
            <const float*> known, <const float*> rays, <const float*> intrinsics, <const float*> extrinsics,
            <const float*> motion, <uint16_t*> out, <uint16_t*> masks,
        )
    free(atlas)
