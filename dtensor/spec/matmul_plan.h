/* How a matrix product is split over a mesh: c = a b with a [m,k], b [k,n].
 *
 * Each mesh dimension splits m (b is gathered along it), n (a is gathered) or k (the product is
 * Partial); or an operand that is a Partial sum stays one, as the product is linear; or nothing is
 * split and all coordinates compute the same. Going through the choices of all mesh dimensions
 * contains SUMMA, 2.5-D and the communication-optimal grids. A plan follows from the layouts alone,
 * so every rank makes the same one. */
#ifndef DTENSOR_SPEC_MATMUL_PLAN_H_
#define DTENSOR_SPEC_MATMUL_PLAN_H_

#include <stddef.h>

#include "dtensor/spec/cost.h"

typedef enum dti_matmul_split {
  DTI_MATMUL_M,
  DTI_MATMUL_N,
  DTI_MATMUL_K,
  DTI_MATMUL_LINEAR_A, /* a is and stays Partial */
  DTI_MATMUL_LINEAR_B,
  DTI_MATMUL_WHOLE,
  DTI_MATMUL_SPLITS
} dti_matmul_split;

/* What one rank can do, in seconds. */
typedef struct dti_matmul_speed {
  double latency; /* a message */
  double byte;    /* a byte received */
  double madd;    /* a multiplication and an addition */
  /* The same of messages and bytes along mesh dimensions whose ranks are on one node, where so many
   * ranks are on each; 0: there is no difference. */
  double near_latency, near_byte;
  int64_t ranks_per_node;
  int shares_memory; /* ranks of a node deal out what comes from others (matmul_carry.h) */
} dti_matmul_speed;

/* Of a rank of a mesh on a machine, in double precision. Bytes come over a link that the ranks of a
 * node share; from ranks of the node, and if all of the mesh share memory, from there. */
dti_matmul_speed dti_matmul_speed_of(const dtensor_machine *machine, dti_topology topology,
                                     int is_near);

typedef struct dti_matmul_problem {
  const dti_layout *a, *b;
  const dti_layout *c; /* how the product has to lie; NULL: as it comes */
  int is_added;        /* the product is added to what lies there already */
  int is_near;         /* all ranks share memory */
  size_t element;
  int64_t max_bytes; /* of workspace on a rank; 0: no limit */
  dti_matmul_speed speed;
} dti_matmul_problem;

/* Bytes are means over the ranks, exact where shards divide evenly. */
typedef struct dti_matmul_plan {
  dti_matmul_split split[DTENSOR_MAX_NDIM];
  dti_layout a, b, c; /* what the local multiplications take, and what they give */
  dti_layout out;     /* how the product lies in the end */
  double received[3]; /* bytes per rank: of a, of b, and of the product on its way from c to out */
  double workspace;   /* bytes per rank: operands that were moved, and c if it is not out */
  double product;     /* of these, c */
  int64_t steps;      /* the k of a rank is worked off in so many steps, one after the other */
  double compute, communication, seconds; /* predicted; seconds: of both, overlapped */
} dti_matmul_plan;

/* The plan of least time. others (may be NULL, room for *n_others): the next best ones, best first;
 * *n_others becomes their number.
 *
 * Errors: DTENSOR_EBUDGET  no plan works within max_bytes; the message tells what is needed */
dtensor_status dti_matmul_plan_make(const dti_matmul_problem *problem, dti_matmul_plan *best,
                                    dti_matmul_plan others[], int *n_others);

/* Complete a plan of which split, a, b, c and out are known. DTENSOR_EBUDGET: see above. */
dtensor_status dti_matmul_plan_cost(const dti_matmul_problem *problem, dti_matmul_plan *plan);

/* The mesh shape [for m, for n, for k] of `ranks` ranks on which blocked inputs and a blocked
 * product move the fewest elements; returns how many a rank receives. */
double dti_matmul_grid(int64_t m, int64_t n, int64_t k, int64_t ranks, int64_t grid[3]);

/* What no algorithm can beat: the elements that a rank must receive.
 *
 * Source: Al Daas, Ballard, Grigori, Kumar, Rouse, "Tight memory-independent parallel matrix
 * multiplication communication lower bounds", 2022. */
double dti_matmul_bound(int64_t m, int64_t n, int64_t k, int64_t ranks);

/* "m,n,k" of the first mesh_ndim splits. Returns text. */
const char *dti_matmul_splits_text(const dti_matmul_split split[], int mesh_ndim, char *text,
                                   size_t size);

#endif
