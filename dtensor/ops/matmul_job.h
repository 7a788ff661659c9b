/* One matrix product on its way: what the parts of dtensor_matmul_ex() hand to each other.
 *
 *   matmul_ask.c       checks arguments, asks for a plan
 *   matmul.c           the public functions
 *   matmul_job.c       operands and buffers: all that can fail on one rank alone
 *   matmul_cuts.c      panels and slices: where k and the product are cut
 *   matmul_turns.c     panels that come from one rank after another
 *   matmul_by_node.c   a mesh dimension over nodes of several ranks as two
 *   matmul_slices.c    the slices that a product leaves in, and what of it stays
 *   matmul_operand.c   how an operand comes to the multiplication
 *   matmul_blocks.c    where the blocks of an operand lie
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
#include "dtensor/spec/matmul_carry.h"
#include "dtensor/spec/matmul_plan.h"
#include "dtensor/spec/segments.h"
#include "dtensor/tensor/tensor.h"

/* ---- operands */

typedef enum dti_operand_mode {
  DTI_OPERAND_RESIDENT, /* it lies as the multiplication takes it */
  DTI_OPERAND_IN_PLACE, /* it is read where it lies, here or at a neighbour's */
  DTI_OPERAND_MOVED,    /* transfers bring it into a buffer, panel by panel */
  /* The ranks of a node deal out among them what comes from other nodes: each has a part of it in
   * its buffer, where all read it. What their own node has is read where it lies. */
  DTI_OPERAND_CARRIED
} dti_operand_mode;

/* A stretch of one dimension of an operand's local array. */
typedef struct dti_stretch {
  int64_t begin, length;           /* local indices */
  int64_t source;                  /* local index of `begin` in the array that has it */
  int64_t coord[DTENSOR_MAX_NDIM]; /* whose that is; -1 on mesh dimensions that do not matter */
  int64_t held;                    /* the same of the buffer that gets it */
  int64_t holder[DTENSOR_MAX_NDIM];
} dti_stretch;

/* The local array of an operand as blocks: the product of the stretches of its two dimensions. */
typedef struct dti_operand {
  const dtensor *source;
  const dti_layout *work; /* how the multiplication takes it */
  const int64_t *coord;   /* of this rank */
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
  dti_transfer_plan_totals read; /* what is read at the neighbours', and they here */

  unsigned near;      /* mesh dimensions along which ranks read each other's memory */
  dti_layout carried; /* what comes into the buffer: of MOVED, `work` */
  unsigned dealt;     /* mesh dimensions along which it is dealt out */
  int reads_sources;  /* CARRIED: sources of the node are read where they lie */
  void *buffer;       /* MOVED, CARRIED: of `room` along k */
  int64_t room, buffer_begin, buffer_stride[2]; /* buffer_begin: a local index of k */
} dti_operand;

/* The mode, and all tables: it is MOVED where the operand is not here. near: see above. Local. */
dtensor_status dti_operand_prepare(dti_operand *operand, const dtensor *source,
                                   const dti_layout *work, int k_dim, unsigned near);
void dti_operand_free(dti_operand *operand);

/* 1 if it has a buffer that transfers fill. */
static inline int dti_operand_arrives(const dti_operand *operand) {
  return operand->mode == DTI_OPERAND_MOVED || operand->mode == DTI_OPERAND_CARRIED;
}

/* 1 if the source holds values as the multiplication takes them, not summands. */
int dti_operand_holds_values(const dti_operand *operand);

/* ---- blocks (matmul_blocks.c) */

/* 1 if the operand comes in few and wide blocks, and there is memory to list them. */
int dti_operand_find_blocks(dti_operand *operand);

/* Point to the blocks in this rank's own source; 0 if some are elsewhere. */
int dti_operand_fill_own_blocks(dti_operand *operand);

/* What a rank can read of an operand where it lies; each of these includes those before. */
typedef enum dti_operand_reach {
  DTI_REACHES_NOTHING,
  DTI_REACHES_BUFFERS, /* all that it needs is here, or comes to a buffer of the node */
  DTI_REACHES_SOURCES, /* and what the node has, where that lies */
  DTI_REACHES_ALL      /* all that it needs is in sources of the node */
} dti_operand_reach;

/* What a rank tells its neighbours of an operand. */
typedef struct dti_operand_offer {
  int64_t address; /* of its part of the source, as exported; -1: it cannot be read */
  int64_t stride[2];
  int64_t reach;
} dti_operand_offer;

/* Of a MOVED operand. Local. */
dti_operand_offer dti_operand_make_offer(dti_operand *operand, const dti_node *node);

/* Read it in place, or what the node has of it: all ranks offer and read. offers[member] of the
 * node. */
void dti_operand_read_in_place(dti_operand *operand, const dti_node *node,
                               const dti_operand_offer *const offers[]);

/* 1 if a block is read at its source. */
int dti_operand_is_here(const dti_operand *operand, int64_t row, int64_t column);

/* CARRIED: all others are read in the buffers of the node, whose addresses are known now:
 * address(member, ctx), as exported. */
void dti_operand_read_buffers(dti_operand *operand, const dti_node *node,
                              int64_t (*address)(int member, const void *ctx), const void *ctx);

/* operand->read. Errors: DTENSOR_ENOMEM */
dtensor_status dti_operand_count_reads(dti_operand *operand, const dti_node *node);

/* ---- */

/* Where a buffer begins that arrives, and how its rows lie, once it has room; what a MOVED operand
 * has while its buffer holds the local k from `begin` on. */
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

/* What comes together: of every segment of k, the grains from begin to end-1. */
typedef struct dti_panel {
  int64_t begin, end;
  int64_t first_peer, end_peer; /* in turn: of those segments alone */
} dti_panel;

typedef struct dti_pipeline dti_pipeline; /* matmul_pipeline.h */

typedef struct dti_matmul_job {
  const dti_matmul_plan *plan;
  const dti_matmul_plan *asked; /* over the mesh of the operands */
  dtensor_mesh *mesh;
  dtensor_dtype dtype;
  dti_gemm_terms terms;
  dti_operand a, b;
  dtensor *out; /* borrowed */

  dti_segments k; /* of the panels */
  /* One after the other for want of memory, or panels that travel together. */
  int64_t steps, panels;
  int64_t grains; /* of a segment, for panels */
  dti_panel panel[DTI_MATMUL_PANELS];
  /* In turn: how many coordinates further along the mesh dimension `line` each segment is; NULL:
   * panels come from all ranks. */
  int64_t *peer;
  int line;
  char *is_own; /* of every segment of k: this rank, or its node, has it already */
  int has_own;

  /* The product: computed in its place, or in a buffer from where it moves. */
  dti_array c;        /* where it is computed */
  void *c_buffer;     /* NULL: in its place */
  int c_moves, c_dim; /* c_dim: the dimension that is cut into slices */
  dti_segments c_cuts;
  int64_t slices;
  /* A slice ends after so many grains of a segment of c_cuts. */
  int64_t slice_grains, slice_end[DTI_MATMUL_SLICES];
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

  /* Where ranks share memory and an operand could be read at the neighbours'. */
  int is_in_node; /* the whole mesh shares memory */
  unsigned near;  /* mesh dimensions along which ranks read each other's memory */
  /* Of the ranks that exchange messages, which can fail on one rank alone: they agree in the end.
   * NULL: none do. */
  dti_comm *far_comm;
  dti_node *node; /* NULL: no meeting is held */
  uint64_t meeting;
  int is_met, has_left, knows_buffers;
  int needs_transfers; /* operands come in some, on all ranks */
  /* Where a mesh dimension has several ranks on each of several nodes: the same over a mesh that
   * tells them apart (dti_mesh_by_node()), which is then that of the job. */
  struct {
    int is_used;
    dti_matmul_plan *plan;
    dtensor *a, *b, *out; /* views */
  } by_node;

  int64_t max_bytes;
  dti_pipeline *under_way; /* NULL: not yet */
  int is_tiled; /* transfers travel meanwhile: small pieces, so that they make progress */
  int64_t workspace;
} dti_matmul_job;

/* Everything that one rank alone can fail at, and the ranks' agreement that none has; `mine`: what
 * this rank has failed at before. What was opened must be closed in any case, with the outcome:
 * then all neighbours have read what they need of the operands here, or know that it has failed.
 * Collective over the mesh if ranks exchange anything, else local. */
dtensor_status dti_matmul_job_open(dti_matmul_job *job, const dti_matmul_plan *plan,
                                   const dtensor *a, const dtensor *b, dtensor *out,
                                   const dti_gemm_terms *terms, int64_t max_bytes,
                                   dtensor_status mine);
dtensor_status dti_matmul_job_close(dti_matmul_job *job, dtensor_status status);

/* The meeting of matmul_meet.c: which operands are read in place or carried is the same on all
 * ranks then. Collective over comm, that of the mesh. */
dtensor_status dti_matmul_meet(dti_matmul_job *job, dti_comm *comm, dtensor_status mine);

/* Where operands are carried: this rank has its buffers, and so many panels have arrived there. */
void dti_matmul_show_buffers(const dti_matmul_job *job);
void dti_matmul_tell_arrived(const dti_matmul_job *job, int64_t panels);

/* To all who read this rank's memory, so that they do not wait for more. */
void dti_matmul_tell_failure(const dti_matmul_job *job, dtensor_status status);

/* Whether so many panels have arrived at all whose buffers this rank reads; and wait for that.
 * Fails if one of them has failed. */
int dti_matmul_has_all(dti_matmul_job *job, int64_t panels);
dtensor_status dti_matmul_await(dti_matmul_job *job, int64_t panels);

/* After a step: transfers hold meetings too, and a board has room for a few until the oldest is
 * left. So the job's own is exchanged for a new one now and then. Collective over the node, also
 * after a failure, which is told. */
dtensor_status dti_matmul_meet_again(dti_matmul_job *job, int64_t step, dtensor_status status);

/* Nobody's memory is needed any more. Transfers hold meetings too, and there is room for a few.
 * Fails if somebody has failed whose memory was read. */
dtensor_status dti_matmul_finish_reading(dti_matmul_job *job);

/* Wait for all others to finish: then this rank's memory is its own again. One that has failed
 * tells them, and does not wait. */
dtensor_status dti_matmul_part_ways(dti_matmul_job *job, dtensor_status status);

/* Set job->by_node.is_used and job->near if the product has a plan over a mesh that tells the ranks
 * of a node apart, and the operands have layouts there. Then take that mesh. */
void dti_matmul_look_by_node(dti_matmul_job *job);
dtensor_status dti_matmul_go_by_node(dti_matmul_job *job);

/* 1 if ranks compute the same, and so must do it in the same order. */
int dti_matmul_is_computed_twice(const dti_matmul_job *job);

/* Cut k into panels, once all of the job but its buffers is known; and the product, on its way to
 * `to`, into slices. Errors: DTENSOR_ENOMEM */
dtensor_status dti_matmul_cut_k(dti_matmul_job *job);
dtensor_status dti_matmul_cut_product(dti_matmul_job *job, const dti_layout *to);

/* Cut k into panels that come in turn, and set job->peer, if that can be and is worth it: the same
 * on all ranks. Once the segments are known. Errors: DTENSOR_ENOMEM */
dtensor_status dti_matmul_cut_in_turn(dti_matmul_job *job);

/* The panels that come in turn to each of so many ranks, three or more: at most `most` from each of
 * the others. */
void dti_matmul_cut_turns(dti_matmul_job *job, int64_t ranks, int64_t most);

/* The bytes that come to the buffer of a rank, on average. */
double dti_matmul_arriving_bytes(const dti_matmul_job *job, const dti_operand *operand);

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

/* The runs of k of panels first to end-1 of a step, which has more than one if it is the only one.
 * In turn: this rank's, of one panel. */
int64_t dti_matmul_panel_runs(const dti_matmul_job *job, int64_t step, int64_t first, int64_t end,
                              dti_run runs[]);

/* What moves with a panel of an operand that comes in panels or steps: runs has room for all
 * segments, and is borrowed. */
dti_box dti_matmul_panel_box(const dti_matmul_job *job, const dti_operand *operand, int64_t step,
                             int64_t panel, dti_run runs[]);

/* The box of an array that has some runs of a dimension. */
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

/* For the time between two calls of BLAS: help the transfers on their way. */
void dti_matmul_help(const dti_matmul_job *job);

/* part += the product over the local k [begin, end). first: nothing was added to this part before,
 * so beta counts. Transfers on their way are helped along. */
dtensor_status dti_matmul_compute(const dti_matmul_job *job, const dti_operand *a,
                                  const dti_operand *b, const dti_matmul_part *part, int64_t begin,
                                  int64_t end, int first);

/* For tests: cut everything that moves into so many panels and slices, and read nothing in place
 * from other ranks; 0: as is best. Of this thread. */
void dti_matmul_force_panels(int64_t panels);

/* The same, while ranks of a node read each other's memory. */
void dti_matmul_force_cuts(int64_t panels);

/* The first of these, and panels come in turn where they can, so many from each rank. */
void dti_matmul_force_turns(int64_t panels);

/* 1 while one of these asks for cuts; 0 while the first forbids reading in place. */
int dti_matmul_has_forced_cuts(void);
int dti_matmul_reads_in_place(void);

#endif
