# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Operations of networks on bfloat16 numbers in channels-last memory, merged; see drivesim/nn/inference.py.

They take addresses of memory. Whoever calls them answers for type, order and size.
"""

from libc.stdint cimport uint8_t, uint16_t, uintptr_t

cdef extern from *:
    """
    #include <math.h>
    #include <string.h>
    #include "drivesim/nn/bfloat16.h"

    #if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__)
    #define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
    #else
    #define FOR_EVERY_PROCESSOR
    #endif

    static inline float exponential(float x) {  /* of numbers from -87 to 0, relative error below 4e-6 */
        float t = x * 1.44269504f;
        word power;
        power.number = t + 12582912.0f;  /* 1.5 * 2^23: the whole part ends up in the lowest bits */
        float f = t - (power.number - 12582912.0f);
        float y = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f + f * 0.00133336f))));
        power.bits = (power.bits + 127) << 23;
        return y * power.number;
    }

    /* Sums over the pixels of x [pixels, channels] and of its squares, per channel. */
    FOR_EVERY_PROCESSOR
    static void sums(const uint16_t *restrict x, long pixels, long channels, float *restrict total, float *restrict squares) {
        memset(total, 0, channels * sizeof(float));
        memset(squares, 0, channels * sizeof(float));
        for (long p = 0; p < pixels; p++, x += channels)
            for (long c = 0; c < channels; c++) {
                float v = widened(x[c]);
                total[c] += v;
                squares[c] += v * v;
            }
    }

    /* out = x * scale + offset, per channel. */
    FOR_EVERY_PROCESSOR
    static void affine(const uint16_t *restrict x, uint16_t *restrict out, long pixels, long channels, const float *restrict scale,
                       const float *restrict offset) {
        for (long p = 0; p < pixels; p++, x += channels, out += channels)
            for (long c = 0; c < channels; c++)
                out[c] = narrowed(widened(x[c]) * scale[c] + offset[c]);
    }

    /* The same and SiLU of it. */
    FOR_EVERY_PROCESSOR
    static void affine_silu(const uint16_t *restrict x, uint16_t *restrict out, long pixels, long channels, const float *restrict scale,
                            const float *restrict offset) {
        for (long p = 0; p < pixels; p++, x += channels, out += channels)
            for (long c = 0; c < channels; c++) {
                word y, size;
                y.number = widened(x[c]) * scale[c] + offset[c];
                size.bits = y.bits & 0x7fffffff;
                size.bits = size.bits < 0x42ae0000 ? size.bits : 0x42ae0000;  /* |y|, at most 87 */
                float e = exponential(-size.number);
                float above = y.bits >> 31 ? e : 1.0f;
                out[c] = narrowed(y.number * above / (1.0f + e));
            }
    }

    /* The pictures are shared out over torch's threads: its OpenMP library is loaded by then, and is the one meant. */
    static void normalise(const uint16_t *x, uint16_t *out, long images, long pixels, long channels, long groups,
                          const uint16_t *weight, const uint16_t *bias, const uint16_t *shift, long stride,
                          double eps, int activate) {
        #pragma omp parallel for if (images > 1)
        for (long image = 0; image < images; image++) {
            const uint16_t *picture = x + image * pixels * channels;
            uint16_t *result = out + image * pixels * channels;
            const uint16_t *moved = shift ? shift + image * stride : NULL;
            long size = channels / groups;
            double count = (double)size * pixels;
            float total[channels], squares[channels], scale[channels], offset[channels];
            sums(picture, pixels, channels, total, squares);
            for (long group = 0; group < groups; group++) {
                double mean = 0.0, variance = 0.0;
                for (long c = group * size; c < (group + 1) * size; c++) {
                    double by = moved ? widened(moved[c]) : 0.0;
                    mean += total[c] + pixels * by;
                    variance += squares[c] + 2.0 * by * total[c] + pixels * by * by;
                }
                mean /= count;
                variance = variance / count - mean * mean;
                double shrink = 1.0 / sqrt((variance > 0.0 ? variance : 0.0) + eps);
                for (long c = group * size; c < (group + 1) * size; c++) {
                    double by = moved ? widened(moved[c]) : 0.0;
                    scale[c] = (float)(widened(weight[c]) * shrink);
                    offset[c] = (float)(widened(bias[c]) + (by - mean) * widened(weight[c]) * shrink);
                }
            }
            if (activate)
                affine_silu(picture, result, pixels, channels, scale, offset);
            else
                affine(picture, result, pixels, channels, scale, offset);
        }
    }

    /* Clean latents [images, 2 h, 2 w, channels] from what a network drew, [images, h, w, (channels + choices) * 4], both
       folded 2 x 2: a residual, and logits of `choices` of which the last is none, for the references
       [images, 2 h, 2 w, (choices - 1) * channels]. */
    static void composed(const uint16_t *drawn, const uint16_t *references, uint16_t *out, long images, long h, long w,
                         long channels, long choices) {
        const long planes = 4 * (channels + choices), wide = (choices - 1) * channels;
        #pragma omp parallel for if (images > 1)
        for (long image = 0; image < images; image++)
            for (long y = 0; y < 2 * h; y++)
                for (long x = 0; x < 2 * w; x++) {
                    const long cell = (image * h + y / 2) * w + x / 2, pixel = (image * 2 * h + y) * 2 * w + x;
                    const uint16_t *from = drawn + cell * planes + y % 2 * 2 + x % 2;
                    const uint16_t *reference = references + pixel * wide;
                    uint16_t *to = out + pixel * channels;
                    float share[choices], most = -INFINITY, total = 0.0f, sum[channels];
                    for (long i = 0; i < choices; i++) {
                        share[i] = widened(from[4 * (channels + i)]);
                        most = fmaxf(most, share[i]);
                    }
                    for (long i = 0; i < choices; i++) total += share[i] = expf(share[i] - most);
                    for (long c = 0; c < channels; c++) sum[c] = widened(from[4 * c]);
                    for (long i = 0; i < choices - 1; i++)
                        for (long c = 0; c < channels; c++)
                            sum[c] += share[i] / total * widened(reference[i * channels + c]);
                    for (long c = 0; c < channels; c++) to[c] = narrowed(sum[c]);
                }
    }

    /* Numbers kept within [-1, 1], in place, and as bytes 0..255. */
    FOR_EVERY_PROCESSOR
    static void bytes_of(uint16_t *restrict x, uint8_t *restrict out, long size) {
        for (long i = 0; i < size; i++) {
            word y;
            y.number = widened(x[i]);
            uint32_t sign = y.bits & 0x80000000, large = y.bits & 0x7fffffff;
            y.bits = sign | (large < 0x3f800000 ? large : 0x3f800000);
            x[i] = (uint16_t)(y.bits >> 16);
            y.number = (y.number + 1.0f) * 127.5f + 8388608.0f;  /* 2^23: to the nearest whole number, ties to even */
            out[i] = (uint8_t)y.bits;
        }
    }
    """
    void normalise(
        const uint16_t* x, uint16_t* out, long images, long pixels, long channels, long groups, const uint16_t* weight,
        const uint16_t* bias, const uint16_t* shift, long stride, double eps, bint activate
    ) nogil
    void composed(
        const uint16_t* drawn, const uint16_t* references, uint16_t* out, long images, long h, long w, long channels,
        long choices
    ) nogil
    void bytes_of(uint16_t* x, uint8_t* out, long size) nogil


def group_norm(
    uintptr_t x, uintptr_t out, long images, long pixels, long channels, long groups, uintptr_t weight, uintptr_t bias,
    uintptr_t shift, long stride, double eps, bint activate,
):
    """out = group normalisation of x [images, pixels, channels] + shift [images, channels] (rows of which are `stride`
    apart; address 0: none), times weight plus bias [channels], then SiLU if `activate`."""
    with nogil:
        normalise(
            <const uint16_t*> x, <uint16_t*> out, images, pixels, channels, groups, <const uint16_t*> weight,
            <const uint16_t*> bias, <const uint16_t*> shift, stride, eps, activate,
        )


def compose(
    uintptr_t drawn, uintptr_t references, uintptr_t out, long images, long height, long width, long channels,
    long choices,
):
    """out [images, 2 height, 2 width, channels]: what a network drew, [images, height, width, (channels + choices) * 4],
    unfolded, of references [images, 2 height, 2 width, (choices - 1) * channels]; see `StageNetwork`."""
    with nogil:
        composed(
            <const uint16_t*> drawn, <const uint16_t*> references, <uint16_t*> out, images, height, width, channels,
            choices,
        )


def to_bytes(uintptr_t x, uintptr_t out, long size):
    """Clamps x to [-1, 1] in place and writes it to out as bytes, -1 as 0 and 1 as 255."""
    with nogil:
        bytes_of(<uint16_t*> x, <uint8_t*> out, size)
