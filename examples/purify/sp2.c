#include "sp2.h"

#include <math.h>

/* Without a new best error for so long, X is going round in circles. */
enum { PATIENCE = 30 };

#define TRY(expression)                               \
  do {                                                \
    const outcome result_ = (expression);             \
    if (result_.code != OUTCOME_FINE) return result_; \
  } while (0)

/* The value of a scalar tensor that the library has just made; destroys it. */
static outcome take_value(MPI_Comm comm, dtensor_status made, dtensor **scalar, double *value) {
  outcome result = outcome_agree_status(comm, made);
  if (!result.code) result = outcome_of(dtensor_item(*scalar, value));
  dtensor_destroy(scalar);
  return result;
}

static outcome trace_of(MPI_Comm comm, const dtensor *x, double *trace) {
  dtensor *scalar = NULL;
  const dtensor_status status = dtensor_trace(x, &scalar);
  return take_value(comm, status, &scalar, trace);
}

static outcome norm_of(MPI_Comm comm, const dtensor *x, double *norm) {
  dtensor *scalar = NULL;
  const dtensor_status status = dtensor_norm(x, 0, NULL, 0, &scalar);
  return take_value(comm, status, &scalar, norm);
}

/* X0 = (bound I - H) / (2 bound) */
static outcome initial_guess(MPI_Comm comm, const dtensor *h, double bound, dtensor **x) {
  const int64_t shape[] = {dtensor_size(h, 0), dtensor_size(h, 1)};
  dtensor_placement layout[DTENSOR_MAX_NDIM];
  dtensor_mesh *mesh = dtensor_mesh_of(h);
  for (int m = 0; m < dtensor_mesh_ndim(mesh); m++) layout[m] = dtensor_placement_of(h, m);

  dtensor *one = NULL, *half = NULL;
  dtensor_status status = dtensor_eye(mesh, DTENSOR_F64, 2, shape, layout, &one);
  if (status == DTENSOR_OK) status = dtensor_scale(one, dtensor_real(0.5), &half);
  dtensor_destroy(&one);
  TRY(outcome_agree_status(comm, status));
  status = dtensor_axpy(dtensor_real(-0.5 / bound), h, half, x);
  dtensor_destroy(&half);
  return outcome_agree_status(comm, status);
}

/* The two matrices that a step may go to, and what it needs to choose. */
typedef struct candidates {
  dtensor *square;     /* X^2 */
  dtensor *difference; /* X^2 - X */
  double square_trace, error;
} candidates;

static void candidates_destroy(candidates *c) {
  dtensor_destroy(&c->square);
  dtensor_destroy(&c->difference);
}

static outcome make_candidates(MPI_Comm comm, const dtensor *x, candidates *c) {
  double norm = 0;
  TRY(outcome_agree_status(comm, dtensor_matmul(x, x, &c->square)));
  TRY(outcome_agree_status(comm, dtensor_axpy(dtensor_real(-1), x, c->square, &c->difference)));
  TRY(norm_of(comm, c->difference, &norm));
  c->error = norm / sqrt((double)dtensor_size(x, 0));
  return trace_of(comm, c->square, &c->square_trace);
}

/* Replace X by X^2 or by 2X - X^2. A symmetric spectrum makes both equally good at first: rounding,
 * and with it the number of ranks, shall not decide. */
static outcome choose(MPI_Comm comm, double occupied, const candidates *c, double *trace,
                      dtensor **x) {
  const double other_trace = 2 * *trace - c->square_trace;
  const int square =
      fabs(c->square_trace - occupied) < fabs(other_trace - occupied) - 1e-9 * occupied;
  dtensor *next = NULL;
  if (square)
    next = dtensor_retain(c->square);
  else
    TRY(outcome_agree_status(comm, dtensor_axpy(dtensor_real(-1), c->difference, *x, &next)));
  dtensor_destroy(x);
  *x = next;
  *trace = square ? c->square_trace : other_trace;
  return outcome_fine();
}

static outcome one_step(MPI_Comm comm, double occupied, double *trace, dtensor **x,
                        sp2_step *step) {
  dtensor_comm_counts before, after;
  dtensor_comm_stats(&before);
  step->begin = dtensor_trace_clock();

  candidates c = {0};
  step->trace = *trace;
  outcome result = make_candidates(comm, *x, &c);
  step->error = c.error;
  if (!result.code) result = choose(comm, occupied, &c, trace, x);
  candidates_destroy(&c);
  if (result.code) return result;

  step->end = dtensor_trace_clock();
  step->seconds = step->end - step->begin;
  dtensor_comm_stats(&after);
  step->bytes = after.bytes_received - before.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &step->seconds, 1, MPI_DOUBLE, MPI_MAX, comm);
  MPI_Allreduce(MPI_IN_PLACE, &step->bytes, 1, MPI_INT64_T, MPI_SUM, comm);
  return outcome_fine();
}

/* Why the iteration should end without a result, or fine. */
static outcome give_up(const sp2_options *options, const sp2_run *run, int best) {
  const int last = run->iterations - 1;
  if (last - best >= PATIENCE)
    return outcome_fail(OUTCOME_NO_CONVERGENCE,
                        "no convergence: the idempotency error has not fallen below %.1e for %d "
                        "iterations. SP2 needs a gap between the highest occupied and the lowest "
                        "empty orbital, and this molecule seems to have none",
                        run->steps[best].error, PATIENCE);
  if (run->iterations == options->max_iterations)
    return outcome_fail(OUTCOME_NO_CONVERGENCE,
                        "no convergence in %d iterations: the idempotency error is %.1e, above the "
                        "tolerance of %.1e (see --max-iterations)",
                        run->iterations, run->steps[last].error, options->tolerance);
  return outcome_fine();
}

/* A degenerate level at the Fermi energy can be filled or emptied as a whole only. */
static outcome check_electrons(double trace, double occupied) {
  if (fabs(trace - occupied) < 0.5) return outcome_fine();
  return outcome_fail(OUTCOME_NO_CONVERGENCE,
                      "no convergence: a projector on %.3f orbitals was found where %.0f are "
                      "occupied; the molecule has no gap there",
                      trace, occupied);
}

static outcome iterate(MPI_Comm comm, const sp2_options *options, sp2_run *run, dtensor **x) {
  double trace = 0;
  TRY(trace_of(comm, *x, &trace));
  for (int best = 0;;) {
    sp2_step *step = &run->steps[run->iterations];
    TRY(one_step(comm, options->occupied, &trace, x, step));
    run->iterations++;
    if (options->on_step) options->on_step(run->iterations, step, options->ctx);
    if (step->error < options->tolerance) break;
    if (step->error < run->steps[best].error) best = run->iterations - 1;
    TRY(give_up(options, run, best));
  }
  TRY(check_electrons(trace, options->occupied));
  run->is_converged = 1;
  return outcome_fine();
}

outcome sp2_purify(MPI_Comm comm, const dtensor *h, const sp2_options *options, sp2_run *run,
                   dtensor **p) {
  *p = NULL;
  run->iterations = run->is_converged = 0;
  outcome result = initial_guess(comm, h, options->bound, p);
  if (!result.code) result = iterate(comm, options, run, p);
  if (result.code == OUTCOME_FAILED) dtensor_destroy(p);
  return result;
}

outcome sp2_energy(MPI_Comm comm, const dtensor *p, const dtensor *h, double *energy) {
  dtensor *scalar = NULL;
  const dtensor_status status = dtensor_dot(p, h, &scalar);
  const outcome result = take_value(comm, status, &scalar, energy);
  *energy *= 2;
  return result;
}
