/* Layouts over a mesh of which dimensions are cut in two: the outer one tells the run of
 * consecutive coordinates, the inner one the coordinate in it. Places in the mesh stay the same. */
#ifndef DTENSOR_SPEC_REFINE_H_
#define DTENSOR_SPEC_REFINE_H_

#include "dtensor/spec/layout.h"

/* Mesh dimension m is cut into mesh[m] / run[m] and run[m] coordinates, unless one of these is 1.
 * Returns how many dimensions the finer mesh has; 0 if there would be too many. */
int dti_mesh_refine(int ndim, const int64_t mesh[], const int64_t run[], int64_t fine[]);

/* The same layout over the finer mesh; 0 if there is none, or it is not certain: a dimension that
 * is cut must split a tensor dimension evenly into runs of indices. */
int dti_layout_refine(const dti_layout *layout, const int64_t run[], dti_layout *fine);

#endif
