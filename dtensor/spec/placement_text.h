/* Placements as text inside of the library. */
#ifndef DTENSOR_SPEC_PLACEMENT_TEXT_H_
#define DTENSOR_SPEC_PLACEMENT_TEXT_H_

#include <stddef.h>

#include "dtensor/placement.h"

/* Write n placements, cut to fit and ended by a zero if size > 0. Returns the length of the whole
 * text, as snprintf does. */
size_t dti_placements_write(const dtensor_placement p[], int n, char *text, size_t size);

#endif
