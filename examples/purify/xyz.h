/* Molecules from .xyz files: a line with the number of atoms, a comment line, then one line per
 * atom, "C 0.0 1.42 0.0" in Angstrom. Columns behind the third number are skipped. */
#ifndef PURIFY_XYZ_H_
#define PURIFY_XYZ_H_

#include "molecule.h"

/* Keeps the carbon atoms. Local; OUTCOME_BAD_INPUT names the file and the line. */
outcome xyz_read(const char *path, molecule *m);

#endif
