/* SPDX-License-Identifier: Apache-2.0 */
/* Infinity and not-a-number as TVM's C code generator spells them.
 *
 * The generator of TVM 0.8 to 0.18 writes a constant with a C++ stream and appends `f` to 32-bit ones: inf, inff,
 * nan, nanf, each perhaps after a minus sign. No C library declares the first two, and math.h declares the
 * others as functions. They are objects here, not macros, so that a variable, a parameter or a member of a
 * structure may have the same name. Only generated files may include this header. */
#ifndef MTVM_CONSTANTS_H
#define MTVM_CONSTANTS_H

#ifdef __cplusplus
#include <math.h>
#else
/* Give the two functions of math.h other names. Generated code calls neither. */
#define nan mtvm_unused_nan
#define nanf mtvm_unused_nanf
#include <math.h>
#undef nan
#undef nanf
#endif

#if defined(__GNUC__)
#define MTVM_CONSTANT static const __attribute__((unused))
#else
#define MTVM_CONSTANT static const
#endif

MTVM_CONSTANT float inff = INFINITY;
MTVM_CONSTANT double inf = INFINITY;

#ifndef __cplusplus
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
MTVM_CONSTANT float nanf = NAN;
MTVM_CONSTANT double nan = NAN;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

#undef MTVM_CONSTANT

#endif
