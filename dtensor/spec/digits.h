/* Tensor dimensions that are cut evenly: each mesh dimension that splits one is a digit of the
 * index.
 *
 * Where every split has parts of one length, the coordinate on a mesh dimension of p ranks that
 * owns the global index i is i / unit mod p. So mesh dimensions can join or leave the chain of
 * splits in any order, and what the others own stays the same: {S(0),S(0)} without its first
 * mesh dimension of p ranks is {R,SS(0,p)}. */
#ifndef DTENSOR_SPEC_DIGITS_H_
#define DTENSOR_SPEC_DIGITS_H_

#include "dtensor/spec/axis.h"

typedef struct dti_digits {
  int n;
  int mesh_dim[DTENSOR_MAX_NDIM]; /* in the order of splitting; of more than one rank */
  int64_t parts[DTENSOR_MAX_NDIM], unit[DTENSOR_MAX_NDIM];
} dti_digits;

/* 0 if the axis is not cut evenly. */
int dti_digits_of(const dti_axis *axis, dti_digits *digits);

/* The unit of a mesh dimension; 0 if it is none of the digits. */
int64_t dti_digits_unit(const dti_digits *digits, int mesh_dim);

/* Split `length` once more, after those before: a mesh dimension of so many parts and that unit, on
 * tensor dimension dim. `like` is the placement to take if it says the same, else it is a strided
 * shard. */
dtensor_placement dti_digits_placement(const dti_digits *before, int64_t length, int64_t parts,
                                       int64_t unit, dtensor_placement like);

#endif
