#include <cblas.h>
#include <omp.h>
#include <pthread.h>

#include "dtensor/kernels/gemm.h"

/* OpenBLAS built for OpenMP runs a call on as many threads as omp_get_max_threads() of the calling
 * thread says; a call whose count is not that of the last one also sets a count that the whole
 * process shares, and openblas_set_num_threads() sets the caller's OpenMP count. So each calling
 * thread has its OpenMP count to restore, and the last of those inside the shared one.
 *
 * A count of 1 is looked at before the shared one: such calls leave it alone and never wait. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_left = PTHREAD_COND_INITIALIZER;
static int inside;         /* calls that run with the shared count */
static int shared_threads; /* theirs */
static int blas_before;    /* the shared count before the first of them */

/* Of this thread: nested calls run with the count of the outermost one. */
static _Thread_local int depth, own_threads, openmp_before;

static void share(int threads) {
  pthread_mutex_lock(&lock);
  while (inside > 0 && shared_threads != threads) pthread_cond_wait(&all_left, &lock);
  if (inside++ == 0) {
    shared_threads = threads;
    blas_before = openblas_get_num_threads();
    if (blas_before != threads) openblas_set_num_threads(threads);
  }
  pthread_mutex_unlock(&lock);
}

static void unshare(void) {
  pthread_mutex_lock(&lock);
  if (--inside == 0) {
    if (openblas_get_num_threads() != blas_before) openblas_set_num_threads(blas_before);
    pthread_cond_broadcast(&all_left);
  }
  pthread_mutex_unlock(&lock);
}

void dti_blas_threads_enter(int threads) {
  if (depth++ > 0) return;
  own_threads = threads > 1 ? threads : 1;
  openmp_before = omp_get_max_threads();
  if (own_threads > 1) share(own_threads);
  if (omp_get_max_threads() != own_threads) omp_set_num_threads(own_threads);
}

void dti_blas_threads_leave(void) {
  if (--depth > 0) return;
  if (own_threads > 1) unshare();
  if (omp_get_max_threads() != openmp_before) omp_set_num_threads(openmp_before);
}
