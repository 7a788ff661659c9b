/* Ranks that share memory tell each other where their parts of the operands lie, and nobody goes on
 * to change his before all have read them. */
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/fail.h"
#include "dtensor/ops/matmul_job.h"
#include "dtensor/redistribute/transfer.h"

typedef struct note {
  int64_t outcome; /* of dti_agree_value() */
  dti_operand_offer offer[2];
} note;
_Static_assert(sizeof(note) <= DTI_MEETING_BYTES, "a note fits the desk");

enum { ROUNDS_PER_CHECK = 256 };

/* Wait until `is_done`; DTENSOR_EMPI if a member will never come. */
static dtensor_status wait_for(const dti_matmul_job *job,
                               int (*is_done)(const dti_node *, uint64_t)) {
  for (int64_t round = 0; !is_done(job->node, job->meeting); round++) {
    dti_transfers_advance(round);
    if (round % ROUNDS_PER_CHECK != ROUNDS_PER_CHECK - 1) continue;
    for (int member = 0; member < dti_node_size(job->node); member++) {
      const dtensor_status gone = dti_node_check(job->node, member);
      if (gone != DTENSOR_OK && !is_done(job->node, job->meeting)) return gone;
    }
  }
  return DTENSOR_OK;
}

/* The first failure of all notes. */
static dtensor_status verdict(const dti_matmul_job *job, const note *const notes[],
                              dtensor_status mine) {
  int64_t first = notes[0]->outcome;
  for (int member = 1; member < dti_node_size(job->node); member++)
    if (notes[member]->outcome < first) first = notes[member]->outcome;
  return dti_agree_verdict(mine, first);
}

/* 1 if everybody offers an operand, and can read what he needs of it. */
static int is_read_by_all(const dti_matmul_job *job, const note *const notes[], int which) {
  for (int member = 0; member < dti_node_size(job->node); member++)
    if (notes[member]->offer[which].address < 0 || !notes[member]->offer[which].reads) return 0;
  return 1;
}

void dti_matmul_leave(dti_matmul_job *job) {
  if (!job->is_met || job->has_left) return;
  job->has_left = 1;
  dti_node_leave(job->node, job->meeting);
}

static void decide(dti_matmul_job *job, const note *const notes[],
                   const dti_operand_offer *offers[]) {
  dti_operand *operands[] = {&job->a, &job->b};
  int reads = 0;
  for (int i = 0; i < 2; i++) {
    if (operands[i]->mode != DTI_OPERAND_MOVED || !is_read_by_all(job, notes, i)) continue;
    for (int member = 0; member < dti_node_size(job->node); member++)
      offers[member] = &notes[member]->offer[i];
    dti_operand_read_in_place(operands[i], job->node, offers);
    reads = 1;
  }
  if (!reads) dti_matmul_leave(job);
}

dtensor_status dti_matmul_meet(dti_matmul_job *job, dtensor_status mine) {
  if (!job->node) return mine;
  const int members = dti_node_size(job->node);
  const note **notes = malloc((size_t)members * sizeof *notes);
  const dti_operand_offer **offers = malloc((size_t)members * sizeof *offers);
  if (mine == DTENSOR_OK && (!notes || !offers))
    mine = DTI_FAIL(DTENSOR_ENOMEM, "no memory for the notes of %d ranks", members);
  note own = {.outcome = dti_agree_value(mine, (int)job->mesh->rank)};
  for (int i = 0; i < 2; i++) own.offer[i].address = -1;
  if (mine == DTENSOR_OK && job->a.mode == DTI_OPERAND_MOVED)
    own.offer[0] = dti_operand_make_offer(&job->a, job->node);
  if (mine == DTENSOR_OK && job->b.mode == DTI_OPERAND_MOVED)
    own.offer[1] = dti_operand_make_offer(&job->b, job->node);

  job->meeting = dti_node_next_meeting(job->node);
  dtensor_status status = wait_for(job, dti_node_can_post);
  if (status == DTENSOR_OK) {
    memcpy(dti_node_desk(job->node, job->meeting), &own, sizeof own);
    dti_node_post(job->node, job->meeting);
    job->is_met = 1;
    status = wait_for(job, dti_node_all_posted);
  }
  if (status == DTENSOR_OK && mine != DTENSOR_OK) status = mine;
  if (status == DTENSOR_OK) {
    for (int member = 0; member < members; member++)
      notes[member] = dti_node_brought(job->node, job->meeting, member);
    status = verdict(job, notes, mine);
    if (status == DTENSOR_OK) decide(job, notes, offers);
  }
  free(notes);
  free(offers);
  return status;
}

dtensor_status dti_matmul_part_ways(dti_matmul_job *job) {
  if (!job->is_met) return DTENSOR_OK;
  dti_matmul_leave(job);
  return wait_for(job, dti_node_all_left);
}
