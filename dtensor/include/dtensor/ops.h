/* Operators on distributed tensors.
 *
 * All of them give a new tensor, owned by the caller; on an error *out is NULL. Inputs must live on
 * the same mesh and have the same dtype. Each operator has rules that say, for one mesh dimension,
 * which placements of the inputs it computes on and what the result's placement is then (listed
 * with the operator below; S(i) is any kind of shard of dimension i, P a Partial sum or average, R
 * replicate; all R gives R and is not listed). Inputs that match a rule are used as they lie and
 * nothing is communicated. Over the mesh dimensions that match none, the combination of rules is
 * taken that moves the fewest bytes, what scattering a Partial result will cost counted in. So the
 * value does not depend on the placements (but for rounding, and for what infinities do to sums),
 * and a Partial is reduced before anything that is not linear.
 *
 * Collective over the mesh. Ranks outside of the mesh return at once, with a handle that has no
 * local part.
 *
 * Errors of every operator:
 *   DTENSOR_EINVAL  a NULL argument, a dimension out of range
 *   DTENSOR_ESHAPE  shapes that do not go together
 *   DTENSOR_EDTYPE  different dtypes, or one that the operator does not have
 *   DTENSOR_EMESH   different meshes
 *   DTENSOR_ENOMEM  if it communicates: on any rank, every rank returns it; else this rank's alone
 */
#ifndef DTENSOR_OPS_H_
#define DTENSOR_OPS_H_

#include <stdint.h>

#include "dtensor/status.h"
#include "dtensor/tensor.h"
#include "dtensor/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* c = a b for matrices [m,k] and [k,n]; f32 f64 c64 c128, by OpenBLAS on the local parts. A
 * transposed view (dtensor_transpose) is multiplied without a copy.
 *
 * Rules: S(0),R -> S(0)   R,S(1) -> S(1)   S(1),S(0) -> P   P,R -> P   R,P -> P
 * Mesh dimensions that match none split m, n or k, whichever moves the fewest bytes over all of
 * them together, a later reduction of c counted in. */
dtensor_status dtensor_matmul(const dtensor *a, const dtensor *b, dtensor **c);

/* Elementwise, with broadcasting from the right as in PyTorch and NumPy.
 *
 * Rules: S(i) -> S(i), where a dimension that is broadcast must be R; and
 *   add sub   P,P -> P; an R beside a Partial sum becomes one without communication, unless
 *             reducing it is cheaper because it is the smaller one and is broadcast
 *   mul       P,R -> P   R,P -> P
 *   div       P,R -> P, not of integers
 *   maximum   Partial max of both, or Partial max or min beside an R -> the same
 *   minimum   Partial min of both, or Partial max or min beside an R -> the same
 * Dtypes: all but bool, bf16, f16. div of integers truncates towards zero, and by zero gives 0. pow
 * is for floating-point and complex; maximum and minimum are not for complex and pass NaN on. */
dtensor_status dtensor_add(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_sub(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_mul(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_div(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_pow(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_maximum(const dtensor *a, const dtensor *b, dtensor **c);
dtensor_status dtensor_minimum(const dtensor *a, const dtensor *b, dtensor **c);

/* z = alpha x + y, with broadcasting; rules and dtypes of add. */
dtensor_status dtensor_axpy(dtensor_scalar alpha, const dtensor *x, const dtensor *y, dtensor **z);

/* Elementwise of one tensor.
 *
 * Rules: S(i) -> S(i); and
 *   neg               P -> P; Partial max <-> min, not of integers
 *   exp tanh relu     Partial max -> max, min -> min (they do not decrease)
 * Dtypes: neg, abs, relu all but bool, bf16, f16 (relu not complex); the others floating-point and
 * complex. abs of a complex tensor is complex with a zero imaginary part. */
dtensor_status dtensor_neg(const dtensor *x, dtensor **y);
dtensor_status dtensor_abs(const dtensor *x, dtensor **y);
dtensor_status dtensor_exp(const dtensor *x, dtensor **y);
dtensor_status dtensor_log(const dtensor *x, dtensor **y);
dtensor_status dtensor_sqrt(const dtensor *x, dtensor **y);
dtensor_status dtensor_tanh(const dtensor *x, dtensor **y);
dtensor_status dtensor_relu(const dtensor *x, dtensor **y);

/* Elementwise with a scalar: x s, x + s, x^s. Rules: S(i) -> S(i); scale P -> P; add_scalar P -> P,
 * where the scalar is added once, not once per rank. */
dtensor_status dtensor_scale(const dtensor *x, dtensor_scalar s, dtensor **y);
dtensor_status dtensor_add_scalar(const dtensor *x, dtensor_scalar s, dtensor **y);
dtensor_status dtensor_pow_scalar(const dtensor *x, dtensor_scalar s, dtensor **y);

/* Reductions over the dimensions `dims` (ndims of them; NULL: all, and ndims is not read). keepdim
 * leaves them with size 1. Negative dimensions count from the end.
 *
 * Rules: S(i) -> P if dimension i is reduced, else S(i) -> S(i) under its new number; and
 *   sum mean   P -> P       min max   Partial of the same op -> the same
 * A mean is the sum divided by the global count, right for uneven and empty shards. norm is the
 * square root of the sum of squares of absolute values; its Partial input is reduced first.
 * Dtypes: sum all but bool, bf16, f16; mean and norm floating-point and complex; min and max real.
 * A min, max or mean of no elements is DTENSOR_ESHAPE. */
dtensor_status dtensor_sum(const dtensor *x, int ndims, const int dims[], int keepdim, dtensor **y);
dtensor_status dtensor_mean(const dtensor *x, int ndims, const int dims[], int keepdim,
                            dtensor **y);
dtensor_status dtensor_min(const dtensor *x, int ndims, const int dims[], int keepdim, dtensor **y);
dtensor_status dtensor_max(const dtensor *x, int ndims, const int dims[], int keepdim, dtensor **y);
dtensor_status dtensor_norm(const dtensor *x, int ndims, const int dims[], int keepdim,
                            dtensor **y);

/* Sum of the diagonal of a matrix, a scalar tensor. Rules: S(0) -> P   S(1) -> P   P -> P. */
dtensor_status dtensor_trace(const dtensor *x, dtensor **y);

/* Sum of the products of all elements of two tensors of the same shape, a scalar tensor; complex
 * elements are not conjugated. Rules: S(i),S(i) -> P   P,R -> P   R,P -> P. */
dtensor_status dtensor_dot(const dtensor *a, const dtensor *b, dtensor **c);

/* Views: the result has x's storage, so a write into the local array of one is seen in the other,
 * as in PyTorch; dtensor_copy() makes an independent one. Never communicate. Any dtype, and every
 * placement passes. */
dtensor_status dtensor_transpose(const dtensor *x, int dim0, int dim1, dtensor **y);
dtensor_status dtensor_permute(const dtensor *x, const int dims[], dtensor **y);

/* A copy with storage of its own, packed row-major. Any dtype, every placement passes. */
dtensor_status dtensor_copy(const dtensor *x, dtensor **y);

/* Convert the elements: to bool "is not zero", to integers truncating towards zero and saturating
 * (NaN is 0), complex to real drops the imaginary part. Rules: S(i) -> S(i); P -> P where the
 * target holds every value of the source, so that rounding stays linear; else the sum is made
 * first. */
dtensor_status dtensor_cast(const dtensor *x, dtensor_dtype dtype, dtensor **y);

/* The only element of a tensor, in its dtype, the same on every rank; a Partial is reduced.
 *
 * Errors: DTENSOR_ESHAPE  not exactly one element
 *         DTENSOR_EMESH   this rank is not a member of the mesh */
dtensor_status dtensor_item(const dtensor *x, void *value);

/* *equal is 1 on every rank if shapes, dtypes and all global elements are the same, else 0;
 * allclose: |a - b| <= atol + rtol |b| for every element of equal shapes and dtypes, NaN is close
 * to nothing. The tensors may have different placements, but must be on the same mesh.
 *
 * Errors: DTENSOR_EINVAL  a negative tolerance
 *         DTENSOR_EMESH   this rank is not a member of the mesh */
dtensor_status dtensor_equal(const dtensor *a, const dtensor *b, int *equal);
dtensor_status dtensor_allclose(const dtensor *a, const dtensor *b, double rtol, double atol,
                                int *close);

#ifdef __cplusplus
}
#endif
#endif
