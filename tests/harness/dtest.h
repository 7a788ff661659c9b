/* Tests in C, for code that runs on several ranks.
 *
 *   DTEST(Redistribute, GathersUnevenRows) {
 *     dtensor *x = NULL;
 *     REQUIRE_OK(dtensor_arange(..., &x));
 *     EXPECT_EQ(dtensor_size(x, 0), 10);
 *     dtensor_destroy(&x);
 *   }
 *
 * Every rank runs every test, in the same order. What fails on one rank fails the test, and the
 * report names that rank.
 *
 *   EXPECT_...       records a failure and goes on. Any thread may call it; its value is whether
 *                    the check held.
 *   REQUIRE_...      the ranks agree: if it fails on one, all of them return from the test. So all
 *                    of them must come to it, as to any collective call.
 *   SIM_REQUIRE_...  for functions that return dtensor_status, as the body of dtensor_sim_run(): on
 *                    failure it returns an error, and nobody agrees on anything.
 *
 * dtensor_mpi_test() runs the binary under mpiexec. dtensor_test() runs it as one process that
 * makes no MPI call; then dtest_comm() is MPI_COMM_NULL. A test that takes over DTEST_TIMEOUT
 * seconds (60) fails, and every rank, simulated or not, prints where it stood. */
#ifndef DTENSOR_TESTS_HARNESS_DTEST_H_
#define DTENSOR_TESTS_HARNESS_DTEST_H_

#include <dtensor/sim.h>
#include <dtensor/status.h>
#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A duplicate of MPI_COMM_WORLD, made anew for each test. */
MPI_Comm dtest_comm(void);
/* Of the calling thread: the simulated rank if it is one, else the MPI rank, else 0 of 1. */
int dtest_rank(void);
int dtest_size(void);
/* Says that the calling thread is a simulated rank; call it first in the body of dtensor_sim_run().
 */
void dtest_set_sim_rank(int rank, int ranks);

/* Records a failure of the calling thread. */
void dtest_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- what the macros are made of */

typedef struct dtest_case {
  const char *suite, *name, *file;
  int line;
  void (*body)(void);
  struct dtest_case *next;
} dtest_case;

void dtest_register(dtest_case *c);

bool dtest_agree(const char *file, int line, bool ok);
bool dtest_check_true(const char *file, int line, const char *text, bool value);
bool dtest_check_int(const char *file, int line, const char *ta, const char *op, const char *tb,
                     long long a, long long b);
bool dtest_check_uint(const char *file, int line, const char *ta, const char *op, const char *tb,
                      unsigned long long a, unsigned long long b);
bool dtest_check_real(const char *file, int line, const char *ta, const char *op, const char *tb,
                      double a, double b);
bool dtest_check_ptr(const char *file, int line, const char *ta, const char *op, const char *tb,
                     const void *a, const void *b);
bool dtest_check_near(const char *file, int line, const char *ta, const char *tb, double a,
                      double b, double tolerance);
bool dtest_check_str(const char *file, int line, const char *ta, const char *tb, const char *a,
                     const char *b);
bool dtest_check_mem(const char *file, int line, const char *ta, const char *tb, const void *a,
                     const void *b, size_t bytes);
bool dtest_check_contains(const char *file, int line, const char *text, const char *haystack,
                          const char *needle);
bool dtest_check_status(const char *file, int line, const char *text, dtensor_status want,
                        dtensor_status got);

#ifdef __cplusplus
}
#else

#define DTEST(suite_, name_)                                                                       \
  static void dtest_body_##suite_##_##name_(void);                                                 \
  __attribute__((constructor)) static void dtest_reg_##suite_##_##name_(void) {                    \
    static dtest_case c = {#suite_, #name_, __FILE__, __LINE__, dtest_body_##suite_##_##name_, 0}; \
    dtest_register(&c);                                                                            \
  }                                                                                                \
  static void dtest_body_##suite_##_##name_(void)

/* DTEST_SIM(Mesh, Coordinates, 1, 3, 64) { ... }: the body runs once per rank on 1, then on 3, then
 * on 64 simulated ranks; `sim` is the rank. REQUIRE_... there returns on the calling rank alone,
 * and the library releases the others. */
#define DTEST_SIM(suite_, name_, ...)                                                    \
  static void dtest_sim_body_##suite_##_##name_(dtensor_sim *sim);                       \
  static dtensor_status dtest_sim_rank_##suite_##_##name_(dtensor_sim *sim, void *ctx) { \
    (void)ctx;                                                                           \
    dtest_set_sim_rank(dtensor_sim_rank(sim), dtensor_sim_size(sim));                    \
    dtest_sim_body_##suite_##_##name_(sim);                                              \
    return DTENSOR_OK;                                                                   \
  }                                                                                      \
  DTEST(suite_, name_) {                                                                 \
    static const int ranks_[] = {__VA_ARGS__};                                           \
    for (size_t i_ = 0; i_ < sizeof ranks_ / sizeof *ranks_; i_++)                       \
      EXPECT_OK(dtensor_sim_run(ranks_[i_], dtest_sim_rank_##suite_##_##name_, NULL));   \
  }                                                                                      \
  static void dtest_sim_body_##suite_##_##name_(__attribute__((unused)) dtensor_sim *sim)

#define DTEST_AT_ __FILE__, __LINE__

/* Numbers compare as doubles if one of them is real, else by the sign of the first; pointers if one
 * of them is void *, as NULL is. */
#define DTEST_BY_SECOND_(b, other) \
  _Generic((b), float: dtest_check_real, double: dtest_check_real,   \
           void *: dtest_check_ptr, const void *: dtest_check_ptr, default: other)
#define DTEST_COMPARE_(a, op, b) \
  _Generic((a), float: dtest_check_real, double: dtest_check_real,                   \
           void *: dtest_check_ptr, const void *: dtest_check_ptr,                   \
           unsigned: DTEST_BY_SECOND_(b, dtest_check_uint),                          \
           unsigned long: DTEST_BY_SECOND_(b, dtest_check_uint),                     \
           unsigned long long: DTEST_BY_SECOND_(b, dtest_check_uint),                \
           default: DTEST_BY_SECOND_(b, dtest_check_int))(DTEST_AT_, #a, op, #b, a, b)

#define EXPECT_TRUE(e) dtest_check_true(DTEST_AT_, #e, e)
#define EXPECT_FALSE(e) dtest_check_true(DTEST_AT_, "!(" #e ")", !(e))
#define EXPECT_EQ(a, b) DTEST_COMPARE_(a, "==", b)
#define EXPECT_NE(a, b) DTEST_COMPARE_(a, "!=", b)
#define EXPECT_LT(a, b) DTEST_COMPARE_(a, "<", b)
#define EXPECT_LE(a, b) DTEST_COMPARE_(a, "<=", b)
#define EXPECT_GT(a, b) DTEST_COMPARE_(a, ">", b)
#define EXPECT_GE(a, b) DTEST_COMPARE_(a, ">=", b)
#define EXPECT_NULL(p) dtest_check_ptr(DTEST_AT_, #p, "==", "NULL", p, NULL)
#define EXPECT_NOT_NULL(p) dtest_check_ptr(DTEST_AT_, #p, "!=", "NULL", p, NULL)
#define EXPECT_NEAR(a, b, tolerance) dtest_check_near(DTEST_AT_, #a, #b, a, b, tolerance)
#define EXPECT_STREQ(a, b) dtest_check_str(DTEST_AT_, #a, #b, a, b)
#define EXPECT_MEMEQ(a, b, bytes) dtest_check_mem(DTEST_AT_, #a, #b, a, b, bytes)
#define EXPECT_CONTAINS(haystack, needle) \
  dtest_check_contains(DTEST_AT_, #haystack, haystack, needle)
#define EXPECT_OK(status) dtest_check_status(DTEST_AT_, #status, DTENSOR_OK, status)
#define EXPECT_STATUS(code, status) dtest_check_status(DTEST_AT_, #status, code, status)

#define DTEST_REQUIRE_(check)                   \
  do {                                          \
    if (!dtest_agree(DTEST_AT_, check)) return; \
  } while (0)
#define REQUIRE_TRUE(e) DTEST_REQUIRE_(EXPECT_TRUE(e))
#define REQUIRE_FALSE(e) DTEST_REQUIRE_(EXPECT_FALSE(e))
#define REQUIRE_EQ(a, b) DTEST_REQUIRE_(EXPECT_EQ(a, b))
#define REQUIRE_NE(a, b) DTEST_REQUIRE_(EXPECT_NE(a, b))
#define REQUIRE_LT(a, b) DTEST_REQUIRE_(EXPECT_LT(a, b))
#define REQUIRE_LE(a, b) DTEST_REQUIRE_(EXPECT_LE(a, b))
#define REQUIRE_GT(a, b) DTEST_REQUIRE_(EXPECT_GT(a, b))
#define REQUIRE_GE(a, b) DTEST_REQUIRE_(EXPECT_GE(a, b))
#define REQUIRE_NULL(p) DTEST_REQUIRE_(EXPECT_NULL(p))
#define REQUIRE_NOT_NULL(p) DTEST_REQUIRE_(EXPECT_NOT_NULL(p))
#define REQUIRE_NEAR(a, b, tolerance) DTEST_REQUIRE_(EXPECT_NEAR(a, b, tolerance))
#define REQUIRE_STREQ(a, b) DTEST_REQUIRE_(EXPECT_STREQ(a, b))
#define REQUIRE_OK(status) DTEST_REQUIRE_(EXPECT_OK(status))
#define REQUIRE_STATUS(code, status) DTEST_REQUIRE_(EXPECT_STATUS(code, status))

#define DTEST_SIM_REQUIRE_(check)        \
  do {                                   \
    if (!(check)) return DTENSOR_EINVAL; \
  } while (0)
#define SIM_REQUIRE_TRUE(e) DTEST_SIM_REQUIRE_(EXPECT_TRUE(e))
#define SIM_REQUIRE_EQ(a, b) DTEST_SIM_REQUIRE_(EXPECT_EQ(a, b))
#define SIM_REQUIRE_NOT_NULL(p) DTEST_SIM_REQUIRE_(EXPECT_NOT_NULL(p))
#define SIM_REQUIRE_OK(status) DTEST_SIM_REQUIRE_(EXPECT_OK(status))
#define SIM_REQUIRE_STATUS(code, status) DTEST_SIM_REQUIRE_(EXPECT_STATUS(code, status))

#endif
#endif
