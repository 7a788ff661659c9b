/* What a sharding picture shows: the first two dimensions of a layout cut into bands, so that the
 * grid of row bands x column bands is the blocks, and the mesh ranks that own each block. Made from
 * the layout alone, without data and without communication. */
#ifndef DTENSOR_DEBUG_PICTURE_H_
#define DTENSOR_DEBUG_PICTURE_H_

#include <stdint.h>
#include <stdio.h>

#include "dtensor/spec/layout.h"

/* The most bands that are shown of a dimension: a big block-cyclic layout has millions. */
#define DTI_PICTURE_BANDS 64

/* Neighbouring indices of one dimension with the same owners. */
typedef struct dti_picture_band {
  int64_t begin, end;
  int64_t coord[DTENSOR_MAX_NDIM]; /* of the mesh dimensions that shard this dimension; others -1 */
} dti_picture_band;

typedef struct dti_picture_axis {
  int64_t size;
  int bands;
  int64_t rest; /* the first index that is not shown; `size` if all are */
  dti_picture_band band[DTI_PICTURE_BANDS];
} dti_picture_axis;

typedef struct dti_picture {
  const dti_layout *layout;
  dti_picture_axis rows, columns; /* a vector is one row */
} dti_picture;

/* layout: at least one dimension; borrowed by the picture. */
dtensor_status dti_picture_init(dti_picture *picture, const dti_layout *layout);

/* The row-major mesh ranks of a block, "0,1"; of many the first ones and the last, "0,1,...,63".
 * Returns how many own it; *first (may be NULL) is the lowest. */
#define DTI_PICTURE_LABEL 192
int64_t dti_picture_owners(const dti_picture *picture, int row, int column, char *label,
                           size_t size, int64_t *first);

void dti_picture_write_text(const dti_picture *picture, FILE *out);
void dti_picture_write_svg(const dti_picture *picture, const char *caption, FILE *out);

#endif
