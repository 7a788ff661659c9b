/* The world that simulated ranks share: who is there, what they have posted, who has left.
 *
 * One lock guards all of it. An operation is a node that its batch owns; posting links it into a
 * list and meeting its partner takes it out, so nothing is allocated while ranks talk. Whoever
 * comes second does the work for both: copies the message, or combines the values of all. */
#ifndef DTENSOR_COMM_SIM_WORLD_H_
#define DTENSOR_COMM_SIM_WORLD_H_

#include <pthread.h>

#include "dtensor/comm/backend.h"
#include "dtensor/comm/sim.h"

typedef struct sim_world sim_world;
typedef struct sim_group sim_group;
typedef struct sim_batch sim_batch;

typedef enum sim_kind {
  SIM_SEND,
  SIM_RECV,
  SIM_ALLREDUCE,
  SIM_ALLGATHER,
  SIM_ALLTOALLV,
  SIM_ALLGATHERV
} sim_kind;
typedef enum sim_state {
  SIM_POSTED,  /* in a list */
  SIM_MEETING, /* out of it, being copied by the partner's thread */
  SIM_DONE,    /* or failed: the batch knows */
} sim_state;

typedef struct sim_operation {
  sim_kind kind;
  sim_state state;
  sim_batch *batch;
  int64_t index;
  struct sim_operation *next; /* in its queue, among a group's rounds, among the finished */
  const void *in;             /* what this rank gives */
  void *out;                  /* what it gets */
  size_t bytes;
  int source, target, tag; /* messages: ranks of the group */
  /* Data collectives: per rank, bytes and where they begin. An all-gather gives `bytes` to all. */
  const int *in_bytes, *in_at, *out_bytes, *out_at;
  /* Collectives: which one of its group, and on the first to arrive, all who have. */
  int64_t round;
  dti_comm_op op;
  struct sim_operation *arrived;
  int n_arrived;
} sim_operation;

typedef struct sim_queue {
  sim_operation *first, *last;
} sim_queue;

struct sim_batch {
  dti_batch base;
  sim_batch *next; /* of the same rank */
  sim_operation *finished, *last_finished;
  dtensor_status failure;
  int culprit; /* the rank of the world that caused it, or -1 */
  const char *reason;
  const sim_operation *misfit; /* a receive that met a message of another length, which ended it */
  size_t misfit_bytes;         /* of that message */
  sim_operation operation[];
};

/* What the ranks of one communicator share. */
struct sim_group {
  sim_group *next;
  const sim_group *parent;
  int size, is_lane;
  sim_operation *rounds;  /* collectives that have begun */
  dtensor_status failure; /* why there can be no more */
  int culprit;
  const char *reason;
  int rank[]; /* of the world */
};

#define SIM_QUEUES 32

struct dtensor_sim {
  sim_world *world;
  int rank;
  dti_comm *comm;
  pthread_t thread;
  pthread_cond_t changed; /* one of its operations has ended */
  sim_batch *batches;
  /* Messages to this rank that wait for their partner, by hash of group, source and tag. */
  sim_queue sends[SIM_QUEUES], receives[SIM_QUEUES];
  int waiting_receives;
  /* How it went. */
  int ended, released; /* released: a call failed because another rank had ended */
  int origin;          /* of its failure: itself, or the rank that it waited for */
  dtensor_status status;
  char message[1024];
};

struct sim_world {
  dti_refcount refs; /* the run, and every communicator handle */
  pthread_mutex_t lock;
  int size, ranks_per_node, n_ended;
  sim_group *groups; /* the last one is everybody */
  dtensor_status (*body)(dtensor_sim *rank, void *ctx);
  void *ctx;
  int started; /* 1: run, -1: a thread could not be made, leave */
  pthread_cond_t start;
  dtensor_sim rank[];
};

typedef struct sim_comm {
  dti_comm base;
  dtensor_sim *me;
  sim_group *group;
  int64_t round; /* the collectives that this rank has begun */
} sim_comm;

dtensor_status dti_sim_world_create(int size, int ranks_per_node, sim_world **world);
void dti_sim_world_release(sim_world **world);

/* The shared part of a communicator of these ranks of the world, made by whoever comes first. */
dtensor_status dti_sim_group(sim_world *world, const sim_group *parent, int n, const int ranks[],
                             int is_lane, sim_group **group);

/* This rank's handle of a group. */
dtensor_status dti_sim_comm_create(dtensor_sim *me, sim_group *group, int rank, dti_comm **comm);

/* DTENSOR_EMPI if that rank has ended. */
dtensor_status dti_sim_check(dtensor_sim *me, const dtensor_sim *awaited);

/* ---- With the lock held ---- */

/* Operations that have met their partners, or never will. */
void dti_sim_finish(sim_operation *operation);
void dti_sim_fail(sim_operation *operation, dtensor_status status, int culprit, const char *reason);

/* Post, or meet the partner that has posted before. Failures are found by the next test. The lock
 * is given up while a message is copied. */
void dti_sim_post_message(sim_operation *operation);
void dti_sim_post_collective(sim_operation *operation);

/* Take back what has not met its partner: its own batch fails, so that nobody waits for it. */
void dti_sim_withdraw_message(sim_operation *operation);
void dti_sim_withdraw_collective(sim_operation *operation);

/* A failure of `me`, for which the rank is to blame that it waits for: or the one that that one
 * waited for. */
dtensor_status dti_sim_blame(dtensor_sim *me, const dtensor_sim *culprit, dtensor_status failure,
                             const char *reason);

/* All operations of a batch that are still posted. */
void dti_sim_withdraw_batch(sim_batch *batch);

/* Fail everything that waits for a rank that has ended. */
void dti_sim_release_waiting_messages(dtensor_sim *ended);
void dti_sim_release_waiting_collectives(dtensor_sim *ended);

/* ---- The rows of the table of functions that batches bring (sim_batch.c) ---- */

dtensor_status dti_sim_batch_create(dti_comm *comm, int64_t operations, const size_t bytes[],
                                    dti_batch **batch);
dtensor_status dti_sim_send(dti_batch *batch, int64_t index, const void *data, size_t bytes,
                            int peer, int tag);
dtensor_status dti_sim_recv(dti_batch *batch, int64_t index, void *data, size_t bytes, int peer,
                            int tag);
dtensor_status dti_sim_allreduce(dti_batch *batch, int64_t index, int64_t values[], int n,
                                 dti_comm_op op);
dtensor_status dti_sim_allgather(dti_batch *batch, int64_t index, const void *in, size_t bytes,
                                 void *out);
dtensor_status dti_sim_alltoallv(dti_batch *batch, int64_t index, const void *in,
                                 const int in_bytes[], const int in_at[], void *out,
                                 const int out_bytes[], const int out_at[]);
dtensor_status dti_sim_allgatherv(dti_batch *batch, int64_t index, const void *in, int bytes,
                                  void *out, const int out_bytes[], const int out_at[]);
dtensor_status dti_sim_test(dti_batch *batch, int64_t done[], int64_t *n);
void dti_sim_idle(dti_batch *batch, int64_t round);
void dti_sim_batch_destroy(dti_batch *batch);

#endif
