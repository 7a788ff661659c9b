/* Who holds which element of a layout, found element by element with the public functions of
 * placement.h: what the tests compare the index arithmetic of the library with. */
#ifndef DTENSOR_TESTS_REDISTRIBUTE_OWNERSHIP_H_
#define DTENSOR_TESTS_REDISTRIBUTE_OWNERSHIP_H_

#include <dtensor/placement.h>
#include <stdbool.h>

typedef struct ownership {
  int mesh_ndim, ndim;
  int64_t mesh[DTENSOR_MAX_NDIM], shape[DTENSOR_MAX_NDIM];
  dtensor_placement p[DTENSOR_MAX_NDIM];
  int64_t ranks, elements;
  int64_t *local; /* [rank][element]: row-major index in the rank's local array, or -1 */
  int64_t *owner; /* [element][mesh dim]: the coordinate that has it, -1 where p does not shard */
  int64_t *local_shape; /* [rank][tensor dim] */
} ownership;

/* False if the placements do not fit. */
bool ownership_make(int mesh_ndim, const int64_t mesh[], int ndim, const int64_t shape[],
                    const dtensor_placement p[], ownership *o);
void ownership_free(ownership *o);

int64_t ownership_local(const ownership *o, int64_t rank, int64_t element);
int64_t ownership_local_size(const ownership *o, int64_t rank);
int64_t ownership_coordinate(const ownership *o, int64_t rank, int mesh_dim);

/* Whether a rank must have an element when x goes from one layout to another. Of a placement that
 * becomes Partial, one coordinate needs it: the one that has it if the dimension was sharded, else
 * the first. A new average is made of equal values, which everybody needs. */
bool ownership_needs(const ownership *from, const ownership *to, int64_t rank, int64_t element);

/* Partial on both sides with the same op: nothing is reduced. */
bool ownership_keeps_partial(const ownership *from, const ownership *to, int mesh_dim);

/* The value of an element, and what a rank that holds it contributes to it: different on every
 * coordinate of the Partial placements, and equal to the value if there are none. */
double ownership_value(int64_t element);
double ownership_contribution(const ownership *o, int64_t rank, int64_t element);

/* Put together what the ranks hold of an element, part[rank] being their packed local arrays, over
 * the coordinates where it is Partial. `first` has coordinate 0 on them. */
double ownership_combined(const ownership *to, const double *const part[], int64_t first,
                          int64_t element);
bool ownership_is_first_of_line(const ownership *to, int64_t rank);

/* The bytes that must be received at least, in elements: by one rank if nothing is reduced, else by
 * all ranks together. */
bool ownership_reduces(const ownership *from, const ownership *to);
int64_t ownership_least_received(const ownership *from, const ownership *to, int64_t rank);
int64_t ownership_least_total(const ownership *from, const ownership *to);

#endif
