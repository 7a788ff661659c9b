/* Windows: where a rank's shard lies in an array that it shares with the ranks of its node.
 *
 * `node_dims` is a set of mesh dimensions, bit m for dimension m, along which ranks share a node.
 * The ranks that differ in these coordinates alone are a group; their segment is what each of them
 * would hold if the layout were R there, row-major, and the shard of each is a box of it. */
#ifndef DTENSOR_SPEC_WINDOW_H_
#define DTENSOR_SPEC_WINDOW_H_

#include "dtensor/spec/layout.h"

/* 1 if every shard is such a box: on node_dims there are R, and shards in runs that split what the
 * other mesh dimensions have left. */
int dti_window_fits(const dti_layout *layout, unsigned node_dims);

/* 1 if some element is in the windows of several ranks. */
int dti_window_is_replica(const dti_layout *layout, unsigned node_dims);

/* 1 if both layouts, which fit, have the same segments. */
int dti_window_same_segment(const dti_layout *a, const dti_layout *b, unsigned node_dims);

/* The elements of a coordinate's segment. */
int64_t dti_window_segment_elements(const dti_layout *layout, unsigned node_dims,
                                    const int64_t coord[]);

/* A coordinate's window: its first element, and the strides. An empty one begins at 0. */
int64_t dti_window_of(const dti_layout *layout, unsigned node_dims, const int64_t coord[],
                      int64_t stride[]);

#endif
