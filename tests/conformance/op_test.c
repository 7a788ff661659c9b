/* Every operator of dtensor/ops/op_list.def, on every layout: an operator is tested here from the
 * moment that it is listed. */
#include "dtensor/ops/op_list.h"
#include "tests/conformance/conform.h"
#include "tests/harness/dtest.h"

static const dti_op *const ops[] = {
#define DTI_OP(name) &dti_op_##name,
#include "dtensor/ops/op_list.def"
#undef DTI_OP
};
enum { OPS = sizeof ops / sizeof *ops };

DTEST(Conformance, Mesh1) { conform(OPS, ops, 1, (int64_t[]){1}); }
DTEST(Conformance, Mesh2) { conform(OPS, ops, 1, (int64_t[]){2}); }
DTEST(Conformance, Mesh3) { conform(OPS, ops, 1, (int64_t[]){3}); }
DTEST(Conformance, Mesh4) { conform(OPS, ops, 1, (int64_t[]){4}); }
DTEST(Conformance, Mesh2x2) { conform(OPS, ops, 2, (int64_t[]){2, 2}); }
DTEST(Conformance, Mesh2x3) { conform(OPS, ops, 2, (int64_t[]){2, 3}); }
DTEST(Conformance, Mesh2x2x2) { conform(OPS, ops, 3, (int64_t[]){2, 2, 2}); }
