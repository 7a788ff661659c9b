/* One step of a route on its way. */
#ifndef DTENSOR_REDISTRIBUTE_LEG_H_
#define DTENSOR_REDISTRIBUTE_LEG_H_

#include "dtensor/comm/comm.h"
#include "dtensor/mesh/mesh.h"
#include "dtensor/spec/exchange.h"
#include "dtensor/spec/route.h"

/* An array on one side of a leg. */
typedef struct dti_leg_side {
  dtensor_mesh *mesh;
  dti_layout layout;
  void *data;
  int64_t stride[DTENSOR_MAX_NDIM];
} dti_leg_side;

typedef struct dti_leg {
  dti_step_kind kind;
  int mesh_dim; /* gathers */
  dti_leg_side from, to;
  dti_box box; /* exchanges: what moves */
  dtensor_dtype dtype;
  size_t element;
  int threads;
  dti_comm *comm; /* borrowed */
  int tag;
  int same_mesh;        /* both sides lie on the same places */
  int ranks_are_places; /* comm is the mesh's own, not that of a larger communicator */
  dti_batch *batch;     /* NULL: nothing to communicate */

  const void **parts; /* of bf16 and f16: room for the contributions to one sum */

  /* exchanges */
  dti_exchange exchange;
  void **send_buffer;    /* per send: packed copy, NULL where it is sent from its place */
  void **receive_buffer; /* per contribution: staging, NULL where it is received into its place */
  int64_t *parcel_of;    /* per receive: its parcel */
  int64_t *missing;      /* per parcel: contributions that have not arrived */
  int64_t *first;        /* per parcel: index of its first contribution */
  int64_t *done;         /* room for what a test reports */
  void *scratch;         /* a slice of this rank's own contribution to a sum */

  /* gathers */
  void *gathered;   /* room for what each rank of the line brings */
  int64_t elements; /* that one of them brings */
  int64_t have;     /* how many are there */
} dti_leg;

/* Plan and allocate. from.data may be set later, before the leg is started. */
dtensor_status dti_leg_prepare(dti_leg *leg);

/* Post receives, pack and send, and do what needs no message. */
dtensor_status dti_leg_start(dti_leg *leg);

/* *done: everything has arrived and is in its place. */
dtensor_status dti_leg_advance(dti_leg *leg, int *done);

/* What this rank sends and receives in it. */
int64_t dti_leg_bytes_received(const dti_leg *leg);
int64_t dti_leg_bytes_sent(const dti_leg *leg);

/* Free what it holds, also a half-prepared one; not the sides' arrays. */
void dti_leg_free(dti_leg *leg);

/* The two kinds. */
dtensor_status dti_exchange_leg_prepare(dti_leg *leg);
dtensor_status dti_exchange_leg_start(dti_leg *leg);
dtensor_status dti_exchange_leg_advance(dti_leg *leg, int *done);
dtensor_status dti_gather_leg_prepare(dti_leg *leg);
dtensor_status dti_gather_leg_start(dti_leg *leg);
dtensor_status dti_gather_leg_advance(dti_leg *leg, int *done);

#endif
