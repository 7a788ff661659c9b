/* Questions to the planner, in a line each. */
#ifndef DTENSOR_TESTS_SPEC_PLAN_CASE_H_
#define DTENSOR_TESTS_SPEC_PLAN_CASE_H_

#include "dtensor/spec/planner.h"
#include "tests/harness/dtest.h"

static inline dti_layout layout_of(int ndim, const int64_t shape[], int mesh_ndim,
                                   const int64_t mesh[], const char *text) {
  dtensor_placement p[DTENSOR_MAX_NDIM];
  dti_layout layout = {0};
  EXPECT_OK(dtensor_placements_parse(text, mesh_ndim, p));
  EXPECT_OK(dti_layout_init(&layout, ndim, shape, mesh_ndim, mesh, p));
  return layout;
}

/* A network where messages are dear, and one where bytes are. */
static inline dtensor_machine far_away(void) {
  dtensor_machine machine = dtensor_machine_default();
  machine.latency = 1e-3;
  machine.overhead = 5e-4;
  return machine;
}

static inline dtensor_machine thin_wire(void) {
  dtensor_machine machine = dtensor_machine_default();
  machine.byte = 1e-6;
  return machine;
}

static inline int64_t places_of(const dti_layout *layout) {
  return dti_numel(layout->mesh_ndim, layout->mesh);
}

/* One place's part in one exchange. */
static inline dti_exchange exchange_at(const dti_layout *from, const dti_layout *to,
                                       int64_t place) {
  dti_exchange x;
  EXPECT_OK(dti_exchange_plan(
      &(dti_exchange_ends){
          .from = from, .to = to, .from_place = place, .to_place = place, .same_mesh = 1},
      &x));
  return x;
}

#endif
