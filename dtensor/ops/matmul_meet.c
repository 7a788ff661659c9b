/* Ranks that share memory tell each other where their parts lie, what has arrived, and nobody goes
 * on to change his before all have read them. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/redistribute/transfer.h"

typedef struct note {
  int64_t outcome; /* of dti_agree_value() */
  dti_operand_offer offer[2];
  int64_t fits;            /* 1 if it has room for what it would carry, all k at once */
  int64_t buffer[2];       /* exported; there before anything has arrived */
  _Atomic int64_t arrived; /* panels; below 0: a dtensor_status, negative */
} note;
_Static_assert(sizeof(note) <= DTI_MEETING_BYTES, "a note fits the desk");

enum { ROUNDS_PER_CHECK = 256 };

/* Once in many rounds: DTENSOR_EMPI if a member will never come. */
static dtensor_status check_members(const dti_matmul_job *job, int64_t round) {
  if (round % ROUNDS_PER_CHECK != ROUNDS_PER_CHECK - 1) return DTENSOR_OK;
  for (int member = 0; member < dti_node_size(job->node); member++)
    DTI_TRY(dti_node_check(job->node, member));
  return DTENSOR_OK;
}

static dtensor_status wait_for(const dti_matmul_job *job,
                               int (*is_done)(const dti_node *, uint64_t)) {
  for (int64_t round = 0; !is_done(job->node, job->meeting); round++) {
    dti_transfers_advance(round);
    const dtensor_status gone = check_members(job, round);
    if (gone != DTENSOR_OK && !is_done(job->node, job->meeting)) return gone;
  }
  return DTENSOR_OK;
}

/* What all ranks have found. */
typedef struct finding {
  int64_t outcome, reach[2], fits;
} finding;
enum { WORDS = sizeof(finding) / sizeof(int64_t) };

static void narrow(int64_t *least, int64_t value) { *least = dti_matmul_least(*least, value); }

/* What the ranks of this node have found. */
static finding find_on_node(const dti_matmul_job *job, const note *const notes[]) {
  finding all = {DTI_ALL_IS_WELL, {DTI_REACHES_ALL, DTI_REACHES_ALL}, 1};
  for (int member = 0; member < dti_node_size(job->node); member++) {
    narrow(&all.outcome, notes[member]->outcome);
    narrow(&all.fits, notes[member]->fits);
    for (int i = 0; i < 2; i++) {
      const dti_operand_offer *offer = &notes[member]->offer[i];
      narrow(&all.reach[i], offer->reach);
      if (offer->address < 0) narrow(&all.reach[i], DTI_REACHES_BUFFERS);
    }
  }
  return all;
}

static void leave(dti_matmul_job *job) {
  if (!job->is_met || job->has_left) return;
  job->has_left = 1;
  dti_node_leave(job->node, job->meeting);
}

/* ---- how operands come, once it is known what all ranks can read */

static void read_sources(const dti_matmul_job *job, dti_operand *operand, const note *const notes[],
                         const dti_operand_offer *offers[]) {
  const int which = operand == &job->b;
  for (int member = 0; member < dti_node_size(job->node); member++)
    offers[member] = &notes[member]->offer[which];
  dti_operand_read_in_place(operand, job->node, offers);
}

static int is_carried(const dti_operand *operand, int64_t reach) {
  return operand->dealt != 0 && reach != DTI_REACHES_NOTHING;
}

/* Where steps were planned for want of memory, what is carried must make them unnecessary. */
static int can_carry(const dti_matmul_job *job, const finding *all) {
  const dti_operand *operands[] = {&job->a, &job->b};
  if (job->is_in_node) return 0;
  if (job->plan->steps == 1) return 1;
  for (int i = 0; i < 2; i++)
    if (operands[i]->mode == DTI_OPERAND_MOVED && !is_carried(operands[i], all->reach[i]) &&
        all->reach[i] != DTI_REACHES_ALL)
      return 0;
  return all->fits != 0;
}

static void decide(dti_matmul_job *job, const note *const notes[], const finding *all,
                   const dti_operand_offer *offers[]) {
  dti_operand *operands[] = {&job->a, &job->b};
  const int carries = can_carry(job, all);
  int reads = 0;
  for (int i = 0; i < 2; i++) {
    dti_operand *operand = operands[i];
    if (operand->mode != DTI_OPERAND_MOVED) continue;
    if (all->reach[i] == DTI_REACHES_ALL)
      operand->mode = DTI_OPERAND_IN_PLACE;
    else if (carries && is_carried(operand, all->reach[i]))
      operand->mode = DTI_OPERAND_CARRIED;
    else {
      operand->carried = *operand->work;
      operand->dealt = 0;
      continue;
    }
    operand->reads_sources = all->reach[i] >= DTI_REACHES_SOURCES;
    if (operand->reads_sources) read_sources(job, operand, notes, offers);
    reads = 1;
  }
  if (!reads) leave(job);
}

/* Hold the next meeting of the node, where this rank says so. */
static dtensor_status hold_meeting(dti_matmul_job *job, const note *own, int64_t arrived) {
  const uint64_t before = job->meeting;
  job->meeting = dti_node_next_meeting(job->node);
  const dtensor_status free = wait_for(job, dti_node_can_post);
  if (free != DTENSOR_OK) {
    job->meeting = before;
    return free;
  }
  note *desk = dti_node_desk(job->node, job->meeting);
  memcpy(desk, own, sizeof *own);
  atomic_init(&desk->arrived, arrived);
  dti_node_post(job->node, job->meeting);
  if (job->is_met) dti_node_leave(job->node, before); /* who waits for that waits for this, too */
  job->is_met = 1;
  return wait_for(job, dti_node_all_posted);
}

/* All members' notes, in `notes`. */
static dtensor_status exchange_notes(dti_matmul_job *job, const note *own, const note *notes[]) {
  DTI_TRY(hold_meeting(job, own, 0));
  for (int member = 0; notes && member < dti_node_size(job->node); member++)
    notes[member] = dti_node_brought(job->node, job->meeting, member);
  return DTENSOR_OK;
}

/* The ranks of one node have all that they need in their notes. */
static dtensor_status agree(const dti_matmul_job *job, dti_comm *comm, dtensor_status mine,
                            finding *all) {
  if (!job->is_in_node) {
    int64_t words[WORDS];
    all->outcome = dti_agree_value(mine, (int)job->mesh->rank);
    memcpy(words, all, sizeof words);
    DTI_TRY(dti_comm_allreduce(comm, words, WORDS, DTI_COMM_MIN));
    memcpy(all, words, sizeof words);
  }
  return dti_agree_verdict(mine, all->outcome);
}

/* What this rank brings. */
static note note_for(dti_matmul_job *job, dtensor_status mine) {
  note own = {.outcome = dti_agree_value(mine, (int)job->mesh->rank)};
  dti_operand *operands[] = {&job->a, &job->b};
  double bytes = job->plan->product;
  for (int i = 0; i < 2; i++) {
    own.offer[i].address = -1;
    if (mine != DTENSOR_OK || operands[i]->mode != DTI_OPERAND_MOVED) continue;
    own.offer[i] = dti_operand_make_offer(operands[i], job->node);
    int64_t shape[2];
    dti_layout_local(&operands[i]->carried, job->mesh->coord, shape, NULL);
    bytes += (double)dti_numel(2, shape) * (double)dtensor_dtype_size(job->dtype);
  }
  own.fits = job->max_bytes == 0 || bytes <= (double)job->max_bytes;
  return own;
}

dtensor_status dti_matmul_meet(dti_matmul_job *job, dti_comm *comm, dtensor_status mine) {
  const int members = dti_node_size(job->node);
  const note **notes = malloc((size_t)members * sizeof *notes);
  const dti_operand_offer **offers = malloc((size_t)members * sizeof *offers);
  if (mine == DTENSOR_OK && (!notes || !offers))
    mine = DTI_FAIL(DTENSOR_ENOMEM, "no memory for the notes of %d ranks", members);
  const note own = note_for(job, mine);
  finding all = {.outcome = DTI_ALL_IS_WELL};
  const dtensor_status met = exchange_notes(job, &own, notes);
  if (mine == DTENSOR_OK) mine = met;
  if (mine == DTENSOR_OK) all = find_on_node(job, notes);
  const dtensor_status status = agree(job, comm, mine, &all);
  if (status == DTENSOR_OK) decide(job, notes, &all, offers);
  free(notes);
  free(offers);
  return status;
}

/* ---- what has arrived */

static note *own_note(const dti_matmul_job *job) { return dti_node_desk(job->node, job->meeting); }

static const note *note_of(const dti_matmul_job *job, int member) {
  return dti_node_brought(job->node, job->meeting, member);
}

static int carries(const dti_matmul_job *job) {
  return job->a.mode == DTI_OPERAND_CARRIED || job->b.mode == DTI_OPERAND_CARRIED;
}

void dti_matmul_show_buffers(const dti_matmul_job *job) {
  if (!carries(job)) return;
  const dti_operand *operands[] = {&job->a, &job->b};
  for (int i = 0; i < 2; i++)
    if (operands[i]->mode == DTI_OPERAND_CARRIED)
      own_note(job)->buffer[i] = dti_node_export(job->node, operands[i]->buffer, 1);
}

static void tell(const dti_matmul_job *job, int64_t arrived) {
  atomic_store_explicit(&own_note(job)->arrived, arrived, memory_order_release);
}

void dti_matmul_tell_arrived(const dti_matmul_job *job, int64_t panels) {
  if (carries(job)) tell(job, panels);
}

void dti_matmul_tell_failure(const dti_matmul_job *job, dtensor_status status) {
  if (job->is_met && !job->has_left) tell(job, -(int64_t)status);
}

/* What this rank reads comes to those who differ from it along near dimensions alone. */
static int is_read(const dti_matmul_job *job, int member) {
  const dtensor_mesh *mesh = job->mesh;
  int64_t coord[DTENSOR_MAX_NDIM];
  dti_mesh_unravel(mesh->ndim, mesh->shape, dti_node_comm_rank(job->node, member), coord);
  for (int m = 0; m < mesh->ndim; m++)
    if (coord[m] != mesh->coord[m] && !(job->near >> m & 1u)) return 0;
  return 1;
}

/* The fewest panels that have arrived at those whose buffers this rank reads, or a failure. */
static int64_t arrived_at_all(const dti_matmul_job *job) {
  int64_t least = INT64_MAX;
  for (int member = 0; member < dti_node_size(job->node); member++) {
    if (!is_read(job, member)) continue;
    const int64_t arrived =
        atomic_load_explicit(&note_of(job, member)->arrived, memory_order_acquire);
    least = dti_matmul_least(least, arrived);
  }
  return least;
}

typedef struct buffer_of {
  const dti_matmul_job *job;
  int which;
} buffer_of;

static int64_t buffer_address(int member, const void *ctx) {
  const buffer_of *b = ctx;
  return note_of(b->job, member)->buffer[b->which];
}

/* When something has arrived at all. */
static void find_buffers(dti_matmul_job *job) {
  dti_operand *operands[] = {&job->a, &job->b};
  for (int i = 0; i < 2 && !job->knows_buffers; i++)
    if (operands[i]->mode == DTI_OPERAND_CARRIED)
      dti_operand_read_buffers(operands[i], job->node, buffer_address, &(buffer_of){job, i});
  job->knows_buffers = 1;
}

int dti_matmul_has_all(dti_matmul_job *job, int64_t panels) {
  if (!carries(job)) return 1;
  return arrived_at_all(job) >= panels;
}

dtensor_status dti_matmul_await(dti_matmul_job *job, int64_t panels) {
  if (!carries(job)) return DTENSOR_OK;
  int64_t arrived;
  for (int64_t round = 0; (arrived = arrived_at_all(job)) >= 0 && arrived < panels; round++) {
    dti_transfers_advance(round);
    const dtensor_status gone = check_members(job, round);
    if (gone != DTENSOR_OK && arrived_at_all(job) < panels) return gone;
  }
  DTI_CHECK(arrived >= 0, (dtensor_status)-arrived, "a rank of this node has failed");
  find_buffers(job);
  return DTENSOR_OK;
}

/* ---- steps */

/* A transfer takes a meeting of each of its own steps, and what is moved in place of an operand
 * that is read is one transfer. */
enum { STEPS_OF_A_MEETING = DTI_MEETINGS / DTENSOR_MAX_NDIM / 2 };

dtensor_status dti_matmul_meet_again(dti_matmul_job *job, int64_t step, dtensor_status status) {
  /* Where operands are only rearranged, the steps of one rank are no matter of the others. */
  if (!job->is_met || job->has_left || !job->needs_transfers) return DTENSOR_OK;
  if (step % STEPS_OF_A_MEETING != STEPS_OF_A_MEETING - 1) return DTENSOR_OK;
  const note own = {.outcome = DTI_ALL_IS_WELL};
  return hold_meeting(job, &own, -(int64_t)status);
}

/* ---- the end */

dtensor_status dti_matmul_finish_reading(dti_matmul_job *job) {
  if (!job->is_met || job->has_left) return DTENSOR_OK;
  /* Whoever fails tells it before his memory changes. */
  atomic_thread_fence(memory_order_acquire);
  const int64_t arrived = arrived_at_all(job);
  leave(job);
  DTI_CHECK(arrived >= 0, (dtensor_status)-arrived, "a rank of this node has failed");
  return DTENSOR_OK;
}

dtensor_status dti_matmul_part_ways(dti_matmul_job *job, dtensor_status status) {
  if (!job->is_met) return DTENSOR_OK;
  if (status != DTENSOR_OK) {
    /* The others may wait for what this rank will never send, and will be told when it is gone. */
    dti_matmul_tell_failure(job, status);
    leave(job);
    return DTENSOR_OK;
  }
  leave(job);
  return wait_for(job, dti_node_all_left);
}
