/* Changing a layout by one mesh dimension after the other, each within the lines along it: what
 * collectives can do. */
#ifndef DTENSOR_SPEC_CHAIN_H_
#define DTENSOR_SPEC_CHAIN_H_

#include "dtensor/spec/layout.h"

/* Of several mesh dimensions that gather, which goes first: what it brings is the least. */
typedef enum dti_chain_order {
  DTI_CHAIN_INNER_FIRST, /* as they split, from the last one on: what arrives lies in order */
  DTI_CHAIN_OUTER_FIRST, /* the one whose ranks are the farthest apart */
  DTI_CHAIN_UNBROKEN     /* as inner first, but no shard on the way is a strided one: where the
                            splits of the target cannot come in their order they come in another,
                            and a step at the end moves whole parts to where they belong */
} dti_chain_order;

/* The layouts on the way from `from` to `to`, the last one being `to`; returns how many, at most
 * DTENSOR_MAX_NDIM.
 *
 * A mesh dimension can change within its own lines if nothing that splits the same tensor dimension
 * comes later in the order: else the index sets of other lines would change. Where all splits are
 * even (digits.h) it can do so in any order, and strided shards stand for what is left. What cannot
 * be taken apart so is one step at the end. Steps that shrink come first, gathers last; what is
 * local goes along with the step before it.
 *
 *   sums_at_once  1: in one step, in which their order is the same as in a direct exchange; 0: one
 *                 mesh dimension after the other, the last one first if the target's splits allow
 *                 it: alike in all orders
 *
 * Source: Rink, Paszke, Vytiniotis, Schmid, "Memory-efficient array redistribution through portable
 * collective communication", 2021. */
int dti_chain(const dti_layout *from, const dti_layout *to, dti_chain_order order, int sums_at_once,
              dti_layout step[]);

#endif
