/* SPDX-License-Identifier: Apache-2.0 */
/* Infinity and NaN with the names that TVM's C code generator writes.
 *
 * The generator of TVM 0.8 to 0.18 writes a constant with a C++ stream and appends `f` to 32-bit ones. The
 * results are inf, inff, nan and nanf, perhaps after a minus sign. C libraries do not declare inf and inff;
 * math.h declares nan and nanf as functions. Here all four are objects, not macros, so that variables,
 * parameters and members of structures may have these names. Only generated files may include this header. */
#ifndef MTVM_CONSTANTS_H
#define MTVM_CONSTANTS_H

#ifdef __cplusplus
#include <math.h>
#else
/* Rename the functions nan and nanf of math.h. Generated code calls neither. */
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
