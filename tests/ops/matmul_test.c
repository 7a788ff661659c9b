/* dtensor_matmul_ex() against scalar arithmetic: random shapes, layouts, dtypes, forms, scalars,
 * targets and caps; small integers, so that every order of summing gives the same. */
#include <complex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/dtensor.h"
#include "dtensor/mesh/machine.h"
#include "dtensor/ops/matmul_job.h"
#include "tests/harness/world.h"

static _Thread_local uint64_t random_state; /* every rank draws the same */
static int64_t random_below(int64_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (int64_t)(random_state % (uint64_t)n);
}

/* An element of an array of a seed: a small (Gaussian) integer. */
static double complex element(uint64_t seed, int64_t row, int64_t column, bool is_complex) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + (uint64_t)row * 1000003u + (uint64_t)column * 7919u;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 32;
  const double re = (double)(x % 7) - 3, im = (double)(x / 7 % 5) - 2;
  return is_complex ? re + im * I : re;
}

static bool has_imaginary(dtensor_dtype dtype) {
  return dtype == DTENSOR_C64 || dtype == DTENSOR_C128;
}

static void put(dtensor_dtype dtype, void *data, int64_t at, double complex value) {
  switch (dtype) {
    case DTENSOR_F32:
      ((float *)data)[at] = (float)creal(value);
      break;
    case DTENSOR_F64:
      ((double *)data)[at] = creal(value);
      break;
    case DTENSOR_C64:
      ((float complex *)data)[at] = (float complex)value;
      break;
    default:
      ((double complex *)data)[at] = value;
      break;
  }
}

static double complex get(dtensor_dtype dtype, const void *data, int64_t at) {
  switch (dtype) {
    case DTENSOR_F32:
      return ((const float *)data)[at];
    case DTENSOR_F64:
      return ((const double *)data)[at];
    case DTENSOR_C64:
      return ((const float complex *)data)[at];
    default:
      return ((const double complex *)data)[at];
  }
}

/* What makes a case; the same on all ranks. */
typedef struct product_case {
  int64_t m, n, k;
  dtensor_dtype dtype;
  dtensor_placement a[2], b[2], c[2];
  dtensor_operand_form a_form, b_form;
  double complex alpha, beta;
  enum { BY_RULES, INTO_PLACEMENTS, INTO_OUT } target;
  int64_t panels;
  enum { IN_MESSAGES, IN_TURN, AT_NEIGHBOURS } way; /* of panels */
  int is_capped;
} product_case;

/* Explicit sizes borrow their array. */
static _Thread_local int64_t sizes_room[3][8];

static dtensor_placement random_sizes(int dim, int64_t length, int64_t ranks, int64_t sizes[]) {
  for (int64_t r = 0; r + 1 < ranks; r++) length -= sizes[r] = random_below(length + 1);
  sizes[ranks - 1] = length;
  return dtensor_shard_sizes(dim, sizes);
}

static dtensor_placement random_placement(void) {
  const int dim = (int)random_below(2);
  switch (random_below(8)) {
    case 0:
      return dtensor_replicate();
    case 1:
      return dtensor_shard_balanced(dim);
    case 2:
      return dtensor_shard_cyclic(dim, 1 + random_below(3));
    case 3:
      return dtensor_strided_shard(dim, 2);
    case 4:
      return dtensor_partial(random_below(3) ? DTENSOR_SUM : DTENSOR_AVG);
    default:
      return dtensor_shard(dim);
  }
}

static int64_t random_size(void) {
  static const int64_t sizes[] = {0, 1, 2, 3, 7, 13, 16, 29};
  return random_below(10) == 0 ? sizes[random_below(3)] : sizes[1 + random_below(7)];
}

static double complex random_scalar(bool is_complex) {
  const double re = (double)random_below(4) - 1;
  return is_complex ? re + ((double)random_below(3) - 1) * I : re;
}

static product_case random_case(const int64_t mesh_shape[2]) {
  static const dtensor_dtype dtypes[] = {DTENSOR_F32, DTENSOR_F64, DTENSOR_C64, DTENSOR_C128};
  product_case c = {.m = random_size(), .n = random_size(), .k = random_size()};
  c.dtype = dtypes[random_below(4)];
  const bool is_complex = has_imaginary(c.dtype);
  for (int m = 0; m < 2; m++) {
    c.a[m] = random_placement();
    c.b[m] = random_placement();
    c.c[m] = random_placement();
  }
  c.a_form = (dtensor_operand_form)random_below(3);
  c.b_form = (dtensor_operand_form)random_below(3);
  c.target = (unsigned)random_below(3);
  c.alpha = random_below(2) ? 1 : random_scalar(is_complex);
  if (c.target == INTO_OUT && random_below(2)) c.beta = random_scalar(is_complex);
  /* On the first mesh dimension: then they are for the whole length. */
  const int64_t ranks = mesh_shape[0], a_rows = c.a_form == DTENSOR_AS_IS ? c.m : c.k,
                b_rows = c.b_form == DTENSOR_AS_IS ? c.k : c.n;
  if (random_below(6) == 0) c.a[0] = random_sizes(0, a_rows, ranks, sizes_room[0]);
  if (random_below(6) == 0) c.b[0] = random_sizes(0, b_rows, ranks, sizes_room[1]);
  if (random_below(6) == 0) c.c[0] = random_sizes(1, c.n, ranks, sizes_room[2]);
  static const int64_t panels[] = {0, 1, 3, 16};
  c.panels = panels[random_below(4)];
  c.is_capped = random_below(4) == 0;
  c.way = (unsigned)random_below(3);
  return c;
}

static dtensor *make(dtensor_mesh *mesh, const product_case *c, int64_t rows, int64_t columns,
                     const dtensor_placement p[], uint64_t seed, bool is_column_major) {
  const int64_t shape[] = {rows, columns};
  const size_t size = dtensor_dtype_size(c->dtype);
  char *global = malloc((size_t)(rows * columns + 1) * size);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      put(c->dtype, global, is_column_major ? j * rows + i : i * columns + j,
          element(seed, i, j, has_imaginary(c->dtype)));
  dtensor *x = NULL, *y = NULL;
  if (is_column_major) {
    /* The transpose of a row-major tensor whose placements name the other dimensions. */
    dtensor_placement q[2];
    const int64_t turned[] = {columns, rows};
    for (int m = 0; m < 2; m++) {
      q[m] = p[m];
      if (p[m].kind != DTENSOR_REPLICATE && p[m].kind != DTENSOR_PARTIAL) q[m].dim = 1 - p[m].dim;
    }
    EXPECT_OK(dtensor_distribute_tensor(mesh, c->dtype, 2, turned, global, -1, q, &x));
    if (x) EXPECT_OK(dtensor_transpose(x, 0, 1, &y));
    dtensor_destroy(&x);
  } else {
    EXPECT_OK(dtensor_distribute_tensor(mesh, c->dtype, 2, shape, global, -1, p, &y));
  }
  free(global);
  return y;
}

static double complex operand(uint64_t seed, int64_t row, int64_t column, dtensor_operand_form form,
                              bool is_complex) {
  if (form == DTENSOR_AS_IS) return element(seed, row, column, is_complex);
  const double complex x = element(seed, column, row, is_complex);
  return form == DTENSOR_CONJUGATE_TRANSPOSED ? conj(x) : x;
}

static const char *describe(const product_case *c) {
  static _Thread_local char text[512];
  char a[48] = "", b[48] = "", p[48] = "";
  (void)dtensor_placements_format(c->a, 2, a, sizeof a);
  (void)dtensor_placements_format(c->b, 2, b, sizeof b);
  (void)dtensor_placements_format(c->c, 2, p, sizeof p);
  snprintf(text, sizeof text,
           "m=%d n=%d k=%d %s a %s form %d, b %s form %d, c %s target %d, alpha %g%+gi beta "
           "%g%+gi panels %d way %d capped %d",
           (int)c->m, (int)c->n, (int)c->k, dtensor_dtype_name(c->dtype), a, c->a_form, b,
           c->b_form, p, c->target, creal(c->alpha), cimag(c->alpha), creal(c->beta),
           cimag(c->beta), (int)c->panels, c->way, c->is_capped);
  return text;
}

static bool is_right(const product_case *c, const dtensor *x) {
  const bool is_complex = has_imaginary(c->dtype);
  void *full = malloc((size_t)(c->m * c->n + 1) * dtensor_dtype_size(c->dtype));
  bool right = EXPECT_OK(dtensor_full_tensor(x, full));
  for (int64_t i = 0; i < c->m && right; i++)
    for (int64_t j = 0; j < c->n && right; j++) {
      double complex want = 0;
      for (int64_t l = 0; l < c->k; l++)
        want += operand(1, i, l, c->a_form, is_complex) * operand(2, l, j, c->b_form, is_complex);
      want = c->alpha * want + c->beta * element(3, i, j, is_complex);
      const double complex is = get(c->dtype, full, i * c->n + j);
      /* An average of parts may round. */
      right = cabs(is - want) <= 1e-4 * (1 + cabs(want));
      if (!right)
        dtest_fail(__FILE__, __LINE__, "%s: [%d,%d] is %g%+gi, should be %g%+gi", describe(c),
                   (int)i, (int)j, creal(is), cimag(is), creal(want), cimag(want));
    }
  free(full);
  return right;
}

/* A tensor knows how many explicit sizes it has. */
static bool lies_as(const dtensor *x, const dtensor_placement p[]) {
  bool alike = true;
  for (int m = 0; m < 2; m++) {
    dtensor_placement is = dtensor_placement_of(x, m);
    if (p[m].kind == DTENSOR_SHARD_SIZES) is = is.kind == p[m].kind ? p[m] : is;
    alike &= dtensor_placement_equal(is, p[m]);
  }
  return alike;
}

/* The same bits a second time, and the bytes that the plan promised. */
static bool run_case(dtensor_mesh *mesh, const product_case *c) {
  const bool at = c->a_form != DTENSOR_AS_IS, bt = c->b_form != DTENSOR_AS_IS;
  dtensor *a = make(mesh, c, at ? c->k : c->m, at ? c->m : c->k, c->a, 1, random_below(3) == 0);
  dtensor *b = make(mesh, c, bt ? c->n : c->k, bt ? c->k : c->n, c->b, 2, random_below(3) == 0);
  const bool out_turned = random_below(3) == 0;
  dtensor *results[2] = {NULL, NULL};
  bool good = a && b;
  if (c->way == IN_MESSAGES) dti_matmul_force_panels(c->panels);
  if (c->way == IN_TURN) dti_matmul_force_turns(c->panels);
  if (c->way == AT_NEIGHBOURS) dti_matmul_force_cuts(c->panels);
  for (int turn = 0; turn < 2 && good; turn++) {
    dtensor *out = c->target == INTO_OUT ? make(mesh, c, c->m, c->n, c->c, 3, out_turned) : NULL;
    dtensor_matmul_opts opts = {.a_form = c->a_form, .b_form = c->b_form, .out = out};
    const bool is_complex = has_imaginary(c->dtype);
    if (c->alpha != 1)
      opts.alpha = is_complex ? dtensor_complex(creal(c->alpha), cimag(c->alpha))
                              : dtensor_real(creal(c->alpha));
    if (c->beta != 0)
      opts.beta = is_complex ? dtensor_complex(creal(c->beta), cimag(c->beta))
                             : dtensor_real(creal(c->beta));
    if (c->target == INTO_PLACEMENTS) opts.placements = c->c;
    dtensor_matmul_info info;
    good = EXPECT_OK(dtensor_explain_matmul(a, b, &opts, &info, NULL, 0));
    if (c->is_capped && good) {
      /* The ranks take the same cap. */
      opts.max_bytes = c->m * c->n * 40 + (c->m + c->n) * 48 + 64;
      good = EXPECT_OK(dtensor_explain_matmul(a, b, &opts, &info, NULL, 0)) &&
             EXPECT_LE(info.workspace, opts.max_bytes);
    }
    dtensor_comm_counts counts;
    dtensor_comm_stats_reset();
    good = good && EXPECT_OK(dtensor_matmul_ex(a, b, &opts, &results[turn]));
    dtensor_comm_stats(&counts);
    good = good && EXPECT_EQ(counts.bytes_received, info.bytes_a + info.bytes_b + info.bytes_c);
    if (good && c->target != BY_RULES) good = EXPECT_TRUE(lies_as(results[turn], c->c));
    dtensor_destroy(&out);
  }
  dti_matmul_force_turns(0);
  good = good && is_right(c, results[0]) &&
         EXPECT_MEMEQ(dtensor_local_data(results[0]), dtensor_local_data(results[1]),
                      (size_t)dtensor_local_size(results[0], -1) * dtensor_dtype_size(c->dtype));
  if (!good) dtest_fail(__FILE__, __LINE__, "%s", describe(c));
  for (int turn = 0; turn < 2; turn++) dtensor_destroy(&results[turn]);
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  return good;
}

enum { CASES = 120 };

static void random_products(const test_world *world, uint64_t seed) {
  dtensor_mesh *mesh = NULL;
  /* All shapes of two dimensions, those with a 1 among them. */
  for (int64_t rows = 1; rows <= world->size; rows++) {
    if (world->size % rows) continue;
    const int64_t shape[] = {rows, world->size / rows};
    REQUIRE_OK(world_mesh(world, 2, shape, NULL, &mesh));
    random_state = seed + (uint64_t)rows * 10 + (uint64_t)world->size;
    bool good = true;
    for (int i = 0; i < CASES && good; i++) {
      const product_case c = random_case(shape);
      good = run_case(mesh, &c);
    }
    dtensor_mesh_destroy(&mesh);
    REQUIRE_TRUE(good);
  }
}

DTEST_WORLD(Matmul, RandomProducts, 1, 2, 3, 4, 6) { random_products(world, 20261124); }

/* One operand is read at the neighbours' all the time; of the other each step brings some rows, and
 * each transfer holds meetings on the node as well. */
DTEST_NODES(Matmul, MoreStepsThanANodeHasMeetings, {8, 8}, {8, 4}) {
  enum { M = 111, N = 25, K = 148 };
  if (world->size != 8) return;
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_mesh(world, 2, (int64_t[]){4, 2}, NULL, &mesh));
  const dtensor_placement rows[] = {dtensor_shard(0), dtensor_shard(0)},
                          average[] = {dtensor_partial(DTENSOR_AVG), dtensor_shard(0)};
  dtensor *a, *b, *c = NULL;
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){M, K}, rows, &a));
  REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){K, N}, average, &b));
  const dtensor_matmul_opts opts = {.max_bytes = 900};
  dtensor_matmul_info info;
  REQUIRE_OK(dtensor_explain_matmul(a, b, &opts, &info, NULL, 0));
  EXPECT_GT(info.steps, 32);
  EXPECT_OK(dtensor_matmul_ex(a, b, &opts, &c));
  double whole[M * N];
  EXPECT_OK(dtensor_full_tensor(c, whole));
  for (int i = 0; i < M * N; i++) EXPECT_EQ(whole[i], (double)K);
  dtensor_destroy(&c);
  dtensor_destroy(&b);
  dtensor_destroy(&a);
  dtensor_mesh_destroy(&mesh);
}

/* Ranks that share memory read each other's operands, and nobody returns while his are read: the
 * next numbers are written at once. */
DTEST_WORLD(Matmul, OperandsMayChangeAsSoonAsItReturns, 2, 3, 4) {
  enum { N = 60, TURNS = 40 };
  static const char *const layouts[][2] = {{"S(0)", "S(0)"}, {"S(1)", "S(1)"}, {"S(0)", "S(1)"}};
  dtensor_mesh *mesh = NULL;
  REQUIRE_OK(world_line(world, &mesh));
  for (int i = 0; i < 3; i++) {
    dtensor_placement pa, pb;
    dtensor *a = NULL, *b = NULL;
    REQUIRE_OK(dtensor_placements_parse(layouts[i][0], 1, &pa));
    REQUIRE_OK(dtensor_placements_parse(layouts[i][1], 1, &pb));
    REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){N, N}, &pa, &a));
    REQUIRE_OK(dtensor_ones(mesh, DTENSOR_F64, 2, (int64_t[]){N, N}, &pb, &b));
    dtensor_matmul_info info;
    REQUIRE_OK(dtensor_explain_matmul(a, b, NULL, &info, NULL, 0));
    if (dti_mesh_is_near(mesh) && world->size <= 4) { /* of more, many narrow pieces: those move */
      EXPECT_TRUE(info.a_in_place || info.b_in_place);
      EXPECT_EQ(info.workspace, 0);
    }
    bool right = true;
    for (int turn = 1; turn <= TURNS; turn++) {
      dtensor *c = NULL;
      dtensor *changes[] = {a, b};
      for (int x = 0; x < 2; x++)
        for (int64_t e = 0; e < dtensor_local_size(changes[x], -1); e++)
          ((double *)dtensor_local_data(changes[x]))[e] = turn;
      REQUIRE_OK(dtensor_matmul(a, b, &c));
      for (int64_t e = 0; e < dtensor_local_size(c, -1); e++)
        right &= ((const double *)dtensor_local_data(c))[e] == (double)N * turn * turn;
      dtensor_destroy(&c);
    }
    EXPECT_TRUE(right);
    dtensor_destroy(&b);
    dtensor_destroy(&a);
  }
  dtensor_mesh_destroy(&mesh);
}

/* What comes from other nodes is dealt out among the ranks of one. */
DTEST_NODES(Matmul, RandomProductsOnNodes, {4, 2}, {6, 3}, {6, 4}) {
  random_products(world, 20261125);
}
