/* Changing a layout by one mesh dimension after the other, each within the lines along it: what
 * collectives can do. */
#ifndef DTENSOR_SPEC_CHAIN_H_
#define DTENSOR_SPEC_CHAIN_H_

#include "dtensor/spec/layout.h"

/* The layouts on the way from `from` to `to`, the last one being `to`; returns how many, at most
 * DTENSOR_MAX_NDIM.
 *
 * A mesh dimension can change within its own lines if nothing that splits the same tensor dimension
 * comes later in the order: else the index sets of other lines would change. What cannot be taken
 * apart so is one step at the end. All sums are made in one step, in which their order is the same
 * as in a direct exchange. Steps that shrink come first, gathers last; what is local goes along
 * with the step before it.
 *
 * Source: Rink, Paszke, Vytiniotis, Schmid, "Memory-efficient array redistribution through portable
 * collective communication", 2021. */
int dti_chain(const dti_layout *from, const dti_layout *to, dti_layout step[]);

#endif
