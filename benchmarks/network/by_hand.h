/* The transitions as an expert would write them with MPI: requests that are tested between tiles.
 */
#ifndef DTENSOR_BENCHMARKS_NETWORK_BY_HAND_H_
#define DTENSOR_BENCHMARKS_NETWORK_BY_HAND_H_

#include <mpi.h>
#include <stdint.h>

typedef enum by_hand_kind { S0_TO_R, S0_TO_S1, P_TO_S0, P_TO_R } by_hand_kind;

/* Of an n x n matrix of doubles over all ranks of comm, which divides n. */
typedef struct by_hand {
  MPI_Comm comm;
  int rank, ranks;
  by_hand_kind kind;
  int64_t n;
  const double *in;
  double *out;          /* the local part of the result */
  double *staging;      /* n * n: what is packed, or what is to be added */
  MPI_Request *request; /* 2 * ranks */
  int requests;
  int gathers; /* the second half of P_TO_R is under way */
  int done;
} by_hand;

void by_hand_start(by_hand *h);
void by_hand_test(by_hand *h);
void by_hand_wait(by_hand *h);

#endif
