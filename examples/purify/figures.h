/* The figures of the report, each one <svg> or <img> in the colours of its style sheet. */
#ifndef PURIFY_FIGURES_H_
#define PURIFY_FIGURES_H_

#include <stdio.h>

#include "report.h"

/* The molecule's bonds, coloured by bond order. Nothing for molecules with too many bonds to see.
 */
void figure_molecule(const molecule *m, const bonds *b, const double *order, FILE *out);

/* The density matrix, logarithmic colours. */
void figure_density(const heat_map *map, int64_t atoms, FILE *out);

void figure_error(const sp2_run *run, double tolerance, FILE *out);
void figure_trace(const sp2_run *run, double occupied, FILE *out);

/* What the ranks did between two times of the time line. */
void figure_timeline(const timeline *t, double begin, double end, FILE *out);

/* For an axis of that length: 1, 2 or 5 times a power of ten, so that there are about `steps`
 * steps. */
double figure_nice_step(double range, int steps);

#endif
