/* One matrix product on its way: what the parts of dtensor_matmul_ex() hand to each other.
 *
 *   matmul_ask.c       checks arguments, asks for a plan
 *   matmul.c           the public functions
 *   matmul_job.c       operands, buffers, panels: all that can fail on one rank alone
 *   matmul_slices.c    the slices that a product leaves in, and what of it stays
 *   matmul_operand.c   where the blocks of an operand lie
 *   matmul_meet.c      ranks that share memory tell each other where their parts lie
 *   matmul_compute.c   multiplies parts of blocks
 *   matmul_run.c       the pipeline: what is multiplied when
 *   matmul_transfers.c what of it travels
 *   matmul_explain.c   tells the plan */
#ifndef DTENSOR_OPS_MATMUL_JOB_H_
#define DTENSOR_OPS_MATMUL_JOB_H_

#include "dtensor/comm/node.h"
#include "dtensor/kernels/gemm.h"
#include "dtensor/matmul.h"
#include "dtensor/redistribute/plan.h"
#include "dtensor/spec/matmul_plan.h"
#include "dtensor/spec/segments.h"
#include "dtensor/tensor/tensor.h"

/* ---- operands */

typedef enum dti_operand_mode {
  DTI_OPERAND_RESIDENT, /* it lies as the multiplication takes it */
  DTI_OPERAND_IN_PLACE, /* it is read where it lies, here or at a neighbour's */
  DTI_OPERAND_MOVED     /* transfers bring it into a buffer, panel by panel */
} dti_operand_mode;

/* A stretch of one dimension of an operand's local array. */
typedef struct dti_stretch {
  int64_t begin, length;           /* local indices */
  int64_t source;                  /* local index of `begin` in the array that has it */
  int64_t coord[DTENSOR_MAX_NDIM]; /* whose that is; -1 on mesh dimensions that do not matter */
} dti_stretch;

/* The local array of an operand as blocks: the product of the stretches of its two dimensions. */
typedef struct dti_operand {
  const dtensor *source;
  const dti_layout *work; /* how the multiplication takes it */
  dti_operand_mode mode;
  int k_dim; /* which of its dimensions is k */
  int is_panelled;
  int64_t shape[2];
  int64_t stretches[2];
  dti_stretch *stretch[2];
  dti_array *block;            /* stretches[0] x stretches[1] */
  dti_stretch only_stretch[2]; /* of an operand of one block */
  dti_array only_block;
  dti_stretch *stretch_table; /* of others; NULL: not needed */
  dti_array *block_table;
  dtensor *packed;               /* a copy of the source that BLAS takes */
  dti_transfer_plan_totals read; /* IN_PLACE: what is read at the neighbours', and they here */
  void *buffer;                  /* MOVED: of `room` along k */
  int64_t room;
} dti_operand;

/* The mode, and all tables: it is MOVED where the operand is not here. Local. */
dtensor_status dti_operand_prepare(dti_operand *operand, const dtensor *source,
                                   const dti_layout *work, int k_dim);
void dti_operand_free(dti_operand *operand);

/* What a rank tells its neighbours of an operand. */
typedef struct dti_operand_offer {
  int64_t address; /* of its part of the source, as exported; -1: it cannot be read */
  int64_t stride[2];
  int64_t reads; /* 1 if it could read the blocks that it needs where they lie */
} dti_operand_offer;

/* Of a MOVED operand, where the whole mesh shares memory. Local. */
dti_operand_offer dti_operand_make_offer(dti_operand *operand, const dti_node *node);

/* Read it in place: all ranks offer and read. offers[member] of the node. */
void dti_operand_read_in_place(dti_operand *operand, const dti_node *node,
                               const dti_operand_offer *const offers[]);

/* The one block that a MOVED operand has while its buffer holds the local k from `begin` on. */
void dti_operand_window(dti_operand *operand, int64_t begin, int64_t length);

/* 1 if this rank has all that it needs of the local k [begin, begin + length), which begins at the
 * global index `global`; *own becomes an operand that is read there. */
int dti_operand_own(const dti_operand *operand, int64_t begin, int64_t length, int64_t global,
                    dti_operand *own, dti_stretch stretch[2], dti_array *block);

static inline int64_t dti_matmul_least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- the job */

/* A part of the product: local rows and columns. */
typedef struct dti_matmul_part {
  int64_t begin[2], length[2];
} dti_matmul_part;

enum { DTI_MATMUL_PANELS = 16, DTI_MATMUL_SLICES = 16 };

typedef struct dti_matmul_job {
  const dti_matmul_plan *plan;
  dtensor_mesh *mesh;
  dtensor_dtype dtype;
  dti_gemm_terms terms;
  dti_operand a, b;
  dtensor *out; /* borrowed */

  dti_segments k; /* of the panels */
  /* One after the other for want of memory, or panels that travel together. */
  int64_t steps, panels;
  int64_t grains, panel_end[DTI_MATMUL_PANELS]; /* a panel ends after so many grains of a segment */
  int64_t own; /* the segment of k that this rank has already, or -1 */

  /* The product: computed in its place, or in a buffer from where it moves. */
  dti_array c;        /* where it is computed */
  void *c_buffer;     /* NULL: in its place */
  int c_moves, c_dim; /* c_dim: the dimension that is cut into slices */
  dti_segments c_cuts;
  int64_t slices;
  int64_t slice_grains, slice_end[DTI_MATMUL_SLICES]; /* as panel_end, of c_cuts */
  dti_run kept[2]; /* local rows and columns that no other rank gets; empty: unknown */
  struct { /* a reduction that several ranks want is scattered first; data NULL: it is not */
    dti_layout layout;
    void *data;
    int64_t stride[2];
  } between;
  double beta[2]; /* times out, to be added in the end */
  dtensor *sum;   /* NULL: out itself is written; else out = sum + beta out */

  /* Room for the runs of every panel, of several together, and of every slice: transfers borrow
   * them. */
  dti_run *runs, *runs_of_fold, *runs_of_slices;

  /* Where the mesh shares memory and an operand could be read at the neighbours'. */
  int is_in_node; /* the whole mesh shares memory */
  /* Of the ranks that exchange messages, which can fail on one rank alone: they agree in the end.
   * NULL: none do. */
  dti_comm *far_comm;
  dti_node *node; /* NULL: no meeting is held */
  uint64_t meeting;
  int is_met, has_left;

  int is_tiled; /* transfers travel meanwhile: small pieces, so that they make progress */
  int64_t workspace;
} dti_matmul_job;

/* Everything that one rank alone can fail at, and the ranks' agreement that none has; `mine`: what
 * this rank has failed at before. What was opened must be closed in any case: then all neighbours
 * have read what they need of the operands here. Collective over the mesh if ranks exchange
 * anything, else local. */
dtensor_status dti_matmul_job_open(dti_matmul_job *job, const dti_matmul_plan *plan,
                                   const dtensor *a, const dtensor *b, dtensor *out,
                                   const dti_gemm_terms *terms, int64_t max_bytes,
                                   dtensor_status mine);
dtensor_status dti_matmul_job_close(dti_matmul_job *job);

/* The meeting of matmul_meet.c: which operands are read in place is the same on all ranks then.
 * Does nothing if job->node is NULL. */
dtensor_status dti_matmul_meet(dti_matmul_job *job, dtensor_status mine);
/* Nobody's memory is needed any more. Transfers hold meetings too, and there is room for a few. */
void dti_matmul_leave(dti_matmul_job *job);
/* Wait for all others to leave: then this rank's memory is its own again. */
dtensor_status dti_matmul_part_ways(dti_matmul_job *job);

/* How many ranks share out what each of them computes, if what stays with each is one block: then
 * job->kept is set, and what leaves is to be computed first. Else 0. The same on all ranks. */
int64_t dti_matmul_find_kept(dti_matmul_job *job, const dti_layout *to);

/* Cut the product into slices of at least one in `grains`. owners: of dti_matmul_find_kept(), or 0:
 * into slices alike. */
void dti_matmul_cut_slices(dti_matmul_job *job, int64_t owners, int64_t grains);

/* The parts of a part that leave, up to 4, and the one that stays: empty if all leaves. */
int dti_matmul_split_part(const dti_matmul_job *job, const dti_matmul_part *part,
                          dti_matmul_part leaving[4], dti_matmul_part *staying);

/* What a coordinate has of a run of global indices, in local ones. */
dti_run dti_matmul_local_run(const dti_axis *axis, const int64_t coord[], dti_run run);

/* The runs of k of panels first to end-1 of a step, which has more than one if it is the only one;
 * and the box of an array that has them. */
int64_t dti_matmul_panel_runs(const dti_matmul_job *job, int64_t step, int64_t first, int64_t end,
                              dti_run runs[]);
dti_box dti_matmul_box(const dti_layout *layout, int dim, int64_t n, const dti_run runs[]);

/* Run it. Collective over the mesh if the job communicates. */
dtensor_status dti_matmul_run(dti_matmul_job *job);

/* ---- computing */

/* While transfers travel, the product is computed in tiles of so many rows and columns, and between
 * them the transfers are helped along: small ones, but still large for BLAS. */
enum { DTI_MATMUL_TILE = 768 };

/* The length of tiles that divide so much evenly, but for what BLAS works in. */
static inline int64_t dti_matmul_tile(int64_t length) {
  const int64_t tiles = (length + DTI_MATMUL_TILE - 1) / DTI_MATMUL_TILE;
  return tiles > 1 ? ((length + tiles - 1) / tiles + 15) / 16 * 16 : length;
}

/* part += the product over the local k [begin, end). first: nothing was added to this part before,
 * so beta counts. Transfers on their way are helped along. */
dtensor_status dti_matmul_compute(const dti_matmul_job *job, const dti_operand *a,
                                  const dti_operand *b, const dti_matmul_part *part, int64_t begin,
                                  int64_t end, int first);

/* For tests: cut everything that moves into so many panels and slices, and read nothing in place
 * from other ranks; 0: as is best. Of this thread. */
void dti_matmul_force_panels(int64_t panels);

#endif
