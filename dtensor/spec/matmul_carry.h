/* What a rank carries for its node: where ranks of a node need the same parts of an operand, each
 * fetches some of them, and the others read them there. */
#ifndef DTENSOR_SPEC_MATMUL_CARRY_H_
#define DTENSOR_SPEC_MATMUL_CARRY_H_

#include "dtensor/spec/layout.h"

/* How an operand lies that comes from `source` and is needed as `work`, while every element is on
 * one rank of a node alone. near: bit m is set where all ranks of every line along mesh dimension m
 * are on one node; only there it may differ from `work`. k_dim: the dimension of the operand that
 * is summed over. It follows `source` as far as it can, so that little moves inside of a node.
 *
 * Returns which mesh dimensions the parts are dealt out along; 0: none, *carried is *work. */
unsigned dti_matmul_carry(const dti_layout *source, const dti_layout *work, unsigned near,
                          int k_dim, dti_layout *carried);

/* Bytes that come to a rank from other nodes, on average; exact where shards divide evenly. dealt:
 * as returned. */
double dti_matmul_carry_bytes(const dti_layout *source, const dti_layout *carried, unsigned dealt,
                              size_t element);

/* The same from the layouts alone, where so many consecutive places are on each node. *ranks: among
 * how many it is dealt out; 1: it is not, and nothing is returned. */
double dti_matmul_carried_bytes(const dti_layout *source, const dti_layout *work, int k_dim,
                                int64_t ranks_per_node, size_t element, double *ranks);

#endif
