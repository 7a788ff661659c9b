#include "dtensor/redistribute/leg.h"

#include <stdlib.h>

#include "dtensor/base/alloc.h"

dtensor_status dti_leg_prepare(dti_leg *leg) {
  return leg->kind == DTI_STEP_GATHER ? dti_gather_leg_prepare(leg) : dti_exchange_leg_prepare(leg);
}

dtensor_status dti_leg_start(dti_leg *leg) {
  return leg->kind == DTI_STEP_GATHER ? dti_gather_leg_start(leg) : dti_exchange_leg_start(leg);
}

dtensor_status dti_leg_advance(dti_leg *leg, int *done) {
  return leg->kind == DTI_STEP_GATHER ? dti_gather_leg_advance(leg, done)
                                      : dti_exchange_leg_advance(leg, done);
}

static int64_t gather_bytes(const dti_leg *leg) {
  return (leg->to.mesh->shape[leg->mesh_dim] - 1) * leg->elements * (int64_t)leg->element;
}

int64_t dti_leg_bytes_received(const dti_leg *leg) {
  return leg->kind == DTI_STEP_GATHER ? gather_bytes(leg)
                                      : leg->exchange.elements_received * (int64_t)leg->element;
}

int64_t dti_leg_bytes_sent(const dti_leg *leg) {
  return leg->kind == DTI_STEP_GATHER ? gather_bytes(leg)
                                      : leg->exchange.elements_sent * (int64_t)leg->element;
}

static void free_buffers(void **buffers, int64_t n) {
  for (int64_t i = 0; buffers && i < n; i++) dti_free(buffers[i]);
  free(buffers);
}

void dti_leg_free(dti_leg *leg) {
  dti_batch_destroy(&leg->batch);
  free_buffers(leg->send_buffer, leg->exchange.sends);
  free_buffers(leg->receive_buffer, leg->exchange.messages_received);
  free(leg->parcel_of);
  free(leg->missing);
  free(leg->first);
  free(leg->done);
  free(leg->parts);
  dti_free(leg->scratch);
  dti_free(leg->gathered);
  dti_exchange_free(&leg->exchange);
  *leg = (dti_leg){0};
}
