/* Along which mesh dimensions an exchange talks. */
#ifndef DTENSOR_SPEC_CONFINE_H_
#define DTENSOR_SPEC_CONFINE_H_

#include "dtensor/spec/layout.h"

/* Bit m: a rank may have peers with another coordinate on mesh dimension m, in an exchange between
 * two layouts over one mesh. 0: nobody talks.
 *
 * The mesh dimensions that split a tensor dimension alike on both sides, from the left on, leave a
 * rank the same index set to look in, and so does a split that is the same digit of the index on
 * both (digits.h); replicas are taken from the own coordinate. What is left are sums, and splits
 * that the other side does not have or has later in the order. */
unsigned dti_exchange_mesh_dims(const dti_layout *from, const dti_layout *to);

/* Ranks that differ in these mesh dimensions only. */
int64_t dti_group_size(const dti_layout *layout, unsigned mesh_dims);

/* From how many ranks one rank receives in an exchange along these mesh dimensions, and into how
 * many pieces its array falls, at most: found in a time that grows with neither. Where splits are
 * not even, all of a group. */
int64_t dti_peers_at_most(const dti_layout *from, const dti_layout *to, unsigned mesh_dims);
int64_t dti_pieces_at_most(const dti_layout *from, const dti_layout *to, unsigned mesh_dims);

/* Whether every rank of a group brings its whole array to all others of it, and nothing else moves:
 * shards that become replicas. */
int dti_is_all_gather(const dti_layout *from, const dti_layout *to, unsigned mesh_dims);

#endif
