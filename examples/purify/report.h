/* report.html: one file without outside links. */
#ifndef PURIFY_REPORT_H_
#define PURIFY_REPORT_H_

#include "density.h"
#include "molecule.h"
#include "reference.h"
#include "sp2.h"
#include "timeline.h"

typedef struct report {
  const molecule *molecule;
  const bonds *bonds;
  const double *bond_order; /* as of density_bond_orders() */
  const dtensor *density;
  const heat_map *heat;
  const sp2_options *options;
  const sp2_run *run;
  const char *verdict; /* why it did not converge; "" if it did */
  const timeline *timeline;
  double energy; /* units of |beta| */
  reference reference;
  int ranks, threads;
  int64_t mesh_rows, mesh_columns;
  double peak_memory; /* bytes, of the rank that needed most */
} report;

/* Whether the file can be written, found out before the work is done. What is in it stays. Local.
 */
outcome report_check(const char *path);
outcome report_write(const char *path, const report *r);

#endif
