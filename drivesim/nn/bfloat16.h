/* bfloat16 numbers, for the kernels of this folder. */

#ifndef DRIVESIM_BFLOAT16_H
#define DRIVESIM_BFLOAT16_H

#include <stdint.h>

typedef union { uint32_t bits; float number; } word;

static inline float widened(uint16_t x) {
    word w;
    w.bits = (uint32_t)x << 16;
    return w.number;
}

static inline uint16_t narrowed(float x) { /* to the nearest, ties to even; not for NaN */
    word w;
    w.number = x;
    return (uint16_t)((w.bits + 0x7fff + ((w.bits >> 16) & 1)) >> 16);
}

#endif
