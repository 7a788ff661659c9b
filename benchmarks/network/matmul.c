/* dtensor_matmul of operands that do not lie as the product needs them, beside its steps one after
 * the other and beside ScaLAPACK. Shapes are chosen so that compute takes a third of, as long as,
 * and three times as long as communication. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/network/network.h"
#include "benchmarks/network/pdgemm.h"

#define COMMUNICATION_SECONDS 0.3          /* of a rank, about */
enum { PRODUCT_MOST = 256 * 1024 * 1024 }; /* bytes of a rank's part; larger shapes are left out */

typedef struct extents {
  double m, n, k;
} extents;

/* How the operands lie, and where those that must move go. The shapes make that the plan with the
 * fewest bytes: with p ranks, F flop/s and B bytes/s, compute / communication is ratio, and a rank
 * receives about so many bytes.
 * product_to: where the product goes that is Partial before, or NULL. */
typedef struct layouts {
  int mesh_ndim;
  const char *a, *b, *a_to, *b_to, *product_to;
  extents (*shape)(double p, double flops_per_byte, double ratio, double received);
  /* Of one rank, in parts of the whole: its product's m, n, k, and the bytes that it receives. */
  extents (*part)(double p);
  double (*received)(double p, const extents *x);
} layouts;

/* Of an operand or a product of so many bytes, about as many rows as columns. */
static double side(double bytes) { return sqrt(bytes / sizeof(double)); }

/* b is gathered: (p-1)/p 8 k n bytes, 2 m n k / p flop. */
static extents rows_shape(double p, double flops_per_byte, double ratio, double received) {
  const double m = ratio * 4 * (p - 1) * flops_per_byte, n = side(received * p / (p - 1));
  return (extents){m, n, n};
}
static extents rows_part(double p) { return (extents){1 / p, 1, 1}; }
static double rows_received(double p, const extents *x) { return (p - 1) / p * 8 * x->k * x->n; }

/* a is gathered: (p-1)/p 8 m k bytes. */
static extents columns_shape(double p, double flops_per_byte, double ratio, double received) {
  const double n = ratio * 4 * (p - 1) * flops_per_byte, m = side(received * p / (p - 1));
  return (extents){m, n, m};
}
static extents columns_part(double p) { return (extents){1, 1 / p, 1}; }
static double columns_received(double p, const extents *x) { return (p - 1) / p * 8 * x->m * x->k; }

/* The product is reduced and scattered: (p-1)/p 8 m n bytes. */
static extents inner_shape(double p, double flops_per_byte, double ratio, double received) {
  const double m = side(received * p / (p - 1));
  return (extents){m, m, ratio * 4 * (p - 1) * flops_per_byte};
}
static extents inner_part(double p) { return (extents){1, 1, 1 / p}; }
static double inner_received(double p, const extents *x) { return (p - 1) / p * 8 * x->m * x->n; }

/* On 2 x 2, a is gathered along the rows and b along the columns: 8 (m + n) k / 4 bytes. */
static extents square_shape(double p, double flops_per_byte, double ratio, double received) {
  const double m = ratio * 8 * flops_per_byte;
  return (extents){m, m, received * p / (16 * m)};
}
static extents square_part(double p) {
  (void)p;
  return (extents){0.5, 0.5, 1};
}
static double square_received(double p, const extents *x) { return 8 * (x->m + x->n) * x->k / p; }

static const layouts all[] = {
    {1, "S(0)", "S(0)", "S(0)", "R", NULL, rows_shape, rows_part, rows_received},
    {1, "S(0)", "S(1)", "R", "S(1)", NULL, columns_shape, columns_part, columns_received},
    {1, "S(1)", "S(0)", "S(1)", "S(0)", "S(0)", inner_shape, inner_part, inner_received},
    {2, "S(0), S(1)", "S(0), S(1)", "S(0), R", "R, S(1)", NULL, square_shape, square_part,
     square_received}};

typedef struct product {
  const network *w;
  const layouts *how;
  dtensor *a, *b, *partial; /* partial: a product whose reduction is the communication */
  dtensor_placement a_to[2], b_to[2], product_to[2];
  int m, n, k; /* of a rank's own dgemm */
  double *local_a, *local_b, *local_c;
} product;

static dtensor *moved(const product *p, const dtensor *x, const dtensor_placement to[]) {
  dtensor *y;
  network_ok(p->w, dtensor_redistribute(x, to, NULL, &y), "redistribute");
  return y;
}

static dtensor *multiplied(const product *p) {
  const dtensor_matmul_opts opts = {.placements = p->how->product_to ? p->product_to : NULL};
  dtensor *c;
  network_ok(p->w, dtensor_matmul_ex(p->a, p->b, &opts, &c), "matmul");
  return c;
}

static dtensor *multiplied_then_reduced(const product *p, const dtensor *a, const dtensor *b) {
  dtensor *c;
  network_ok(p->w, dtensor_matmul(a, b, &c), "matmul");
  if (!p->how->product_to) return c;
  dtensor *reduced = moved(p, c, p->product_to);
  dtensor_destroy(&c);
  return reduced;
}

static void communicate(void *ctx) {
  const product *p = ctx;
  const int moves_a = strcmp(p->how->a, p->how->a_to) != 0,
            moves_b = strcmp(p->how->b, p->how->b_to) != 0;
  dtensor *a = moves_a ? moved(p, p->a, p->a_to) : NULL;
  dtensor *b = moves_b ? moved(p, p->b, p->b_to) : NULL;
  dtensor *c = p->partial ? moved(p, p->partial, p->product_to) : NULL;
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
}

static void compute(void *ctx) {
  const product *p = ctx;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->m, p->n, p->k, 1, p->local_a, p->k,
              p->local_b, p->n, 0, p->local_c, p->n);
}

static void multiply(void *ctx) {
  const product *p = ctx;
  dtensor *c = multiplied(p);
  dtensor_destroy(&c);
}

static void gather_then_multiply(void *ctx) {
  const product *p = ctx;
  dtensor *a = moved(p, p->a, p->a_to), *b = moved(p, p->b, p->b_to);
  dtensor *c = multiplied_then_reduced(p, a, b);
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&c);
}

static void placements(const network *w, int ndim, const char *text, dtensor_placement p[]) {
  network_ok(w, dtensor_placements_parse(text, ndim, p), text);
}

static dtensor *filled(const network *w, dtensor_mesh *mesh, int64_t rows, int64_t columns,
                       const dtensor_placement p[], double (*value)(int64_t, int64_t)) {
  dtensor *x;
  const int64_t shape[] = {rows, columns};
  network_ok(w, dtensor_empty(mesh, DTENSOR_F64, 2, shape, p, &x), "empty");
  double *data = dtensor_local_data(x);
  for (int64_t i = 0; i < dtensor_local_size(x, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(x, 1); j++)
      *data++ = value(dtensor_local_offset(x, 0) + i, dtensor_local_offset(x, 1) + j);
  return x;
}

static int is_right(const product *p, dtensor *c, const network_known *known) {
  const dtensor_placement spread[] = {dtensor_shard(0), dtensor_shard(1)};
  dtensor *y = moved(p, c, spread);
  const double *data = dtensor_local_data(y);
  int right = 1;
  for (int64_t i = 0; i < dtensor_local_size(y, 0); i++)
    for (int64_t j = 0; j < dtensor_local_size(y, 1); j++)
      right &= *data++ == network_known_c(known, dtensor_local_offset(y, 0) + i,
                                          dtensor_local_offset(y, 1) + j);
  dtensor_destroy(&y);
  return right;
}

static double received_bytes(product *p) {
  dtensor_comm_counts counts;
  dtensor_comm_stats_reset();
  multiply(p);
  dtensor_comm_stats(&counts);
  double bytes = (double)counts.bytes_received;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_DOUBLE, MPI_SUM, p->w->comm);
  return bytes;
}

enum { COMMUNICATION, COMPUTE, MATMUL, STEPS, PDGEMM, BODIES };

static void report(network *w, const product *p, const network_body body[], network_row row,
                   double ratio) {
  const double bytes = row.bytes, flops = 2.0 * p->m * p->n * p->k;
  row.op = "communication alone";
  row.seconds = body[COMMUNICATION].seconds;
  row.bytes = 0;
  row.rate = 8e-6 * row.least / w->ranks / row.seconds;
  row.unit = "Mbit/s";
  row.what = "MB per rank";
  row.value = 1e-6 * row.least / w->ranks;
  network_print(w, &row);

  row.op = "compute alone";
  row.seconds = body[COMPUTE].seconds;
  row.rate = 1e-9 * flops / row.seconds;
  row.unit = "GFLOP/s";
  row.what = "compute / communication";
  row.value = row.seconds / body[COMMUNICATION].seconds;
  network_print(w, &row);

  row.op = "matmul";
  row.seconds = body[MATMUL].seconds;
  row.bytes = bytes;
  row.rate = 1e-9 * flops / row.seconds;
  row.what = "time / longest";
  const double longest = fmax(body[COMMUNICATION].seconds, body[COMPUTE].seconds);
  row.value = row.seconds / longest;
  row.goal = 1.08;
  row.floor = network_floor(w, body[COMMUNICATION].seconds, body[COMPUTE].seconds) / longest;
  if (body[PDGEMM].run) {
    row.peer = "pdgemm";
    row.peer_seconds = body[PDGEMM].seconds;
  }
  network_print(w, &row);

  row.op = "its steps in turn";
  row.seconds = body[STEPS].seconds;
  row.bytes = 0;
  row.rate = 1e-9 * flops / row.seconds;
  row.peer = "matmul";
  row.peer_seconds = body[MATMUL].seconds;
  row.what = "matmul / this";
  row.value = row.peer_seconds / row.seconds;
  row.goal = ratio == 1 ? 1 / 1.5 : 0;
  row.floor = 0;
  network_print(w, &row);
}

static int rounded(double x) { return x < 16 ? 16 : (int)(x / 16 + 0.5) * 16; }

static void one_product(network *w, dtensor_mesh *mesh, const layouts *how, extents x,
                        double ratio) {
  if (w->quick) x = (extents){48, 32, 64};
  const int m = rounded(x.m), n = rounded(x.n), k = rounded(x.k);
  x = (extents){m, n, k};
  const extents part = how->part(w->ranks);
  if (m * part.m * n * part.n * sizeof(double) > PRODUCT_MOST) return;
  product p = {.w = w, .how = how};
  p.m = (int)(m * part.m);
  p.n = (int)(n * part.n);
  p.k = (int)(k * part.k);
  const network_known known = network_known_make(k);
  dtensor_placement a_at[2], b_at[2];
  placements(w, how->mesh_ndim, how->a, a_at);
  placements(w, how->mesh_ndim, how->b, b_at);
  placements(w, how->mesh_ndim, how->a_to, p.a_to);
  placements(w, how->mesh_ndim, how->b_to, p.b_to);
  p.a = filled(w, mesh, m, k, a_at, network_known_a);
  p.b = filled(w, mesh, k, n, b_at, network_known_b);
  dtensor *a = moved(&p, p.a, p.a_to), *b = moved(&p, p.b, p.b_to);
  if (how->product_to) {
    placements(w, how->mesh_ndim, how->product_to, p.product_to);
    network_ok(w, dtensor_matmul(a, b, &p.partial), "matmul");
  }
  p.local_a = dtensor_local_data(a);
  p.local_b = dtensor_local_data(b);
  p.local_c = malloc((size_t)p.m * (size_t)p.n * sizeof(double));

  dtensor *c = multiplied(&p);
  network_check(w, is_right(&p, c, &known), "matmul");
  dtensor_destroy(&c);
  c = multiplied_then_reduced(&p, a, b);
  network_check(w, is_right(&p, c, &known), "matmul of gathered operands");
  dtensor_destroy(&c);

  /* Some of these shapes take it ten times as long: one ratio must do, and one round. */
  network_pdgemm *peer = ratio == 1 ? network_pdgemm_begin(w, &known, m, n, k) : NULL;
  network_body body[BODIES] = {[COMMUNICATION] = {.run = communicate, .ctx = &p},
                               [COMPUTE] = {.run = compute, .ctx = &p},
                               [MATMUL] = {.run = multiply, .ctx = &p},
                               [STEPS] = {.run = gather_then_multiply, .ctx = &p},
                               [PDGEMM] = {.run = peer ? network_pdgemm_run : NULL, .ctx = peer}};
  network_time(w, 3, body, PDGEMM);
  if (peer) network_time(w, 1, &body[PDGEMM], 1);

  char shape[40], text[64];
  snprintf(shape, sizeof shape, "%dx%dx%d f64", m, n, k);
  snprintf(text, sizeof text, how->mesh_ndim == 1 ? "%s x %s%s%s" : "[%s] x [%s]%s%s", how->a,
           how->b, how->product_to ? " -> " : "", how->product_to ? how->product_to : "");
  report(w, &p, body,
         (network_row){.shape = shape,
                       .layouts = text,
                       .bytes = received_bytes(&p),
                       .least = w->ranks * how->received(w->ranks, &x)},
         ratio);
  if (peer) network_pdgemm_end(peer);
  dtensor_destroy(&a);
  dtensor_destroy(&b);
  dtensor_destroy(&p.a);
  dtensor_destroy(&p.b);
  dtensor_destroy(&p.partial);
  free(p.local_c);
}

void network_matmul(network *w) {
  dtensor_mesh *square = NULL;
  if (w->ranks == 4)
    network_ok(w, dtensor_init_device_mesh(w->comm, 2, (int64_t[]){2, 2}, NULL, &square), "mesh");
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    dtensor_mesh *mesh = all[i].mesh_ndim == 1 ? w->mesh : square;
    for (int r = 0; mesh && r < (w->quick ? 1 : 3); r++) {
      const double ratio = (const double[]){1.0 / 3, 1, 3}[r],
                   received = w->wire * COMMUNICATION_SECONDS;
      one_product(w, mesh, &all[i], all[i].shape(w->ranks, w->flops / w->wire, ratio, received),
                  ratio);
    }
  }
  dtensor_mesh_destroy(&square);
}

void network_matmul_by_node(network *w) {
  one_product(w, w->mesh, &all[0], (extents){4096, 1024, 1024}, 0);
}
