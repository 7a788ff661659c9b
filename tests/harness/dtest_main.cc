#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/harness/dtest.h"

// Present in a sanitizer build only. What MPI_Init leaks is not ours, and comes from plugins that
// it has unloaded, so that no suppression could name it; hence the check after each test, before
// MPI_Finalize unloads the rest.
extern "C" {
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
}

namespace {

// Per test and rank: a failing loop must not drown the rest.
const int kMaxReports = 10;

dtest_case *g_cases = nullptr;
dtest_case **g_tail = &g_cases;
bool g_mpi;  // whether a launcher started us; if not, no MPI function is ever called
int g_rank = 0, g_size = 1;
MPI_Comm g_control = MPI_COMM_NULL;  // the harness' own traffic
MPI_Comm g_comm = MPI_COMM_NULL;     // the running test's
thread_local int t_sim_rank = 0, t_sim_size = 0;

std::mutex g_mutex;      // guards the two below
std::string g_failures;  // this rank's, in the running test: FILE \x1f LINE \x1f MESSAGE \x1e each
int g_n_failures;

// ---- the watchdog

char g_where[512] = "starting";  // read by the signal handler
std::atomic<const char *> g_why{"STATE"};
pid_t g_main_thread;
unsigned g_limit;  // seconds that one test may take
time_t g_end;      // when Bazel's own limit is near; 0: it has none

void Where(const char *what, const dtest_case *c) {
  snprintf(g_where, sizeof g_where, "%s %s.%s", what, c->suite, c->name);
}

std::string Who() {
  std::string s;
  if (g_mpi) s = "rank " + std::to_string(g_rank) + " of " + std::to_string(g_size);
  if (t_sim_size)
    s += (g_mpi ? ", simulated rank " : "simulated rank ") + std::to_string(t_sim_rank) + " of " +
         std::to_string(t_sim_size);
  return s;
}

pid_t ThisThread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void PrintStack() {
  char line[640];
  int n =
      snprintf(line, sizeof line, "\n[rank %d] %s: %s; stack of ", g_rank, g_why.load(), g_where);
  if (t_sim_size)
    n += snprintf(line + n, sizeof line - n, "simulated rank %d of %d:\n", t_sim_rank, t_sim_size);
  else
    n += snprintf(line + n, sizeof line - n,
                  ThisThread() == g_main_thread ? "the main thread:\n" : "a thread:\n");
  if (write(STDERR_FILENO, line, n) < 0) {
  }
  void *frames[16];  // enough to see the call; mpiexec cuts us off after a second
  backtrace_symbols_fd(frames, backtrace(frames, 16), STDERR_FILENO);
}

// SIGUSR2: a thread is asked for its stack. MPI's and OpenMP's own threads have nothing to say.
void OnAsked(int) {
  if (t_sim_size || ThisThread() == g_main_thread) PrintStack();
}

// SIGALRM: this test is over its limit. SIGTERM: the launcher gives up on us. SIGUSR1: just say
// where we are. Raw system calls only, since a thread may hold malloc's lock.
void OnSignal(int sig) {
  g_why = sig == SIGALRM ? "TIMEOUT" : sig == SIGTERM ? "TERMINATED" : "STATE";
  int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
  alignas(8) static char entries[8192];
  long n;
  while (dir >= 0 && (n = syscall(SYS_getdents64, dir, entries, sizeof entries)) > 0) {
    for (long at = 0; at < n;) {
      unsigned short length;
      memcpy(&length, entries + at + 16, sizeof length);
      int tid = atoi(entries + at + 19);
      at += length;
      if (tid == 0 || tid == ThisThread()) continue;
      syscall(SYS_tgkill, getpid(), tid, SIGUSR2);
      struct timespec pause = {0, 5 * 1000 * 1000};  // one stack after the other
      nanosleep(&pause, nullptr);
    }
  }
  if (dir >= 0) close(dir);
  OnAsked(0);
  if (sig != SIGUSR1) _exit(124);
}

int EnvInt(const char *name, int otherwise) {
  const char *s = getenv(name);
  return s && *s ? atoi(s) : otherwise;
}

void StartWatchdog() {
  void *prime[1];
  backtrace(prime, 1);  // loads libgcc now, not inside the handler
  g_main_thread = ThisThread();
  struct sigaction sa = {};
  sa.sa_flags = SA_RESTART;
  sa.sa_handler = OnAsked;
  sigaction(SIGUSR2, &sa, nullptr);
  sa.sa_handler = OnSignal;
  for (int s : {SIGALRM, SIGTERM, SIGUSR1}) sigaction(s, &sa, nullptr);
  g_limit = EnvInt("DTEST_TIMEOUT", 60);
  int all = EnvInt("TEST_TIMEOUT", 0);
  g_end = all > 30 ? time(nullptr) + all - 15 : 0;
}

void SetAlarm() {
  time_t left = g_limit;
  if (g_end) left = std::min(left, std::max<time_t>(1, g_end - time(nullptr)));
  alarm(static_cast<unsigned>(left));
}

// ---- agreeing, and telling rank 0

// Returns 1 if all ranks came with this tag and ok, 0 if one was not ok, -1 if the tags differ.
int Agree(int tag, bool ok) {
  int v[3] = {ok, tag, -tag};
  MPI_Allreduce(MPI_IN_PLACE, v, 3, MPI_INT, MPI_MIN, g_control);
  return v[1] != -v[2] ? -1 : v[0];
}

// Sends every rank's failures to rank 0, which fails on their behalf.
void ShareFailures() {
  // A rank that has returned early waits here for those at a REQUIRE, who then return as well.
  while (Agree(0, true) < 0) {
  }
  int length = static_cast<int>(g_failures.size());
  std::vector<int> lengths(g_size), at(g_size + 1, 0);
  MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, 0, g_control);
  for (int r = 0; r < g_size; r++) at[r + 1] = at[r] + lengths[r];
  std::string all(at[g_size], '\0');
  MPI_Gatherv(g_failures.data(), length, MPI_CHAR, &all[0], lengths.data(), at.data(), MPI_CHAR, 0,
              g_control);
  MPI_Barrier(g_control);  // nobody starts the next test before all have ended this one
  if (g_rank != 0) return;
  for (size_t b = at[1], e; b < all.size(); b = e + 1) {
    e = all.find('\x1e', b);
    size_t l = all.find('\x1f', b), m = all.find('\x1f', l + 1);
    ADD_FAILURE_AT(all.substr(b, l - b).c_str(), atoi(all.c_str() + l + 1))
        << all.substr(m + 1, e - m - 1);
  }
}

void CheckLeaks(const dtest_case *c) {
  static bool found = false;  // what has leaked once would be reported in each test from then on
  if (!__lsan_do_recoverable_leak_check || found) return;
  found = __lsan_do_recoverable_leak_check() != 0;
  if (found) dtest_fail(c->file, c->line, "  leaked memory, see LeakSanitizer's report");
}

class CTest : public testing::Test {
 public:
  explicit CTest(const dtest_case *c) : c_(c) {}
  void TestBody() override {
    g_failures.clear();
    g_n_failures = 0;
    t_sim_size = 0;
    if (g_mpi) MPI_Comm_dup(MPI_COMM_WORLD, &g_comm);
    SetAlarm();
    Where("in", c_);
    c_->body();
    t_sim_size = 0;
    CheckLeaks(c_);
    Where(g_n_failures ? "FAILED, waiting for the other ranks after"
                       : "done, waiting for the other ranks after",
          c_);
    if (g_mpi) ShareFailures();
    alarm(0);
    if (g_mpi) MPI_Comm_free(&g_comm);
    Where("after", c_);
  }

 private:
  const dtest_case *c_;
};

}  // namespace

extern "C" {

void dtest_register(dtest_case *c) {
  *g_tail = c;
  g_tail = &c->next;
}

MPI_Comm dtest_comm(void) { return g_comm; }
int dtest_rank(void) { return t_sim_size ? t_sim_rank : g_rank; }
int dtest_size(void) { return t_sim_size ? t_sim_size : g_size; }
void dtest_set_sim_rank(int rank, int ranks) {
  t_sim_rank = rank;
  t_sim_size = ranks;
}

void dtest_fail(const char *file, int line, const char *format, ...) {
  char text[4096];
  va_list ap;
  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  std::string message = Who();
  message += (message.empty() ? "" : " failed:\n") + std::string(text);
  bool first;
  {
    std::lock_guard<std::mutex> lock(g_mutex);
    if (++g_n_failures > kMaxReports) return;
    first = g_n_failures == 1;
    if (g_n_failures == kMaxReports) message += "\n  (more failures of this rank are not shown)";
    g_failures += std::string(file) + '\x1f' + std::to_string(line) + '\x1f' + message + '\x1e';
  }
  if (g_rank == 0) {
    ADD_FAILURE_AT(file, line) << message;
  } else {
    // The first one at once too: this rank may never come to ShareFailures.
    if (first) fprintf(stderr, "%s:%d: Failure\n%s\n", file, line, message.c_str());
    GTEST_MESSAGE_AT_(file, line, "", testing::TestPartResult::kNonFatalFailure);
  }
}

bool dtest_agree(const char *file, int line, bool ok) {
  if (!g_mpi || t_sim_size) return ok;
  int all = Agree(line, ok);
  if (all < 0) dtest_fail(file, line, "  the ranks did not all come to this REQUIRE");
  return all == 1;
}

bool dtest_check_true(const char *file, int line, const char *text, bool value) {
  if (!value) dtest_fail(file, line, "  expected %s", text);
  return value;
}

#define DTEST_COMPARE(name, type, format)                                                          \
  bool name(const char *file, int line, const char *ta, const char *op, const char *tb, type a,    \
            type b) {                                                                              \
    bool ok = op[0] == '='   ? a == b                                                              \
              : op[0] == '!' ? a != b                                                              \
              : op[0] == '<' ? (op[1] ? a <= b : a < b)                                            \
                             : (op[1] ? a >= b : a > b);                                           \
    if (!ok)                                                                                       \
      dtest_fail(file, line,                                                                       \
                 "  expected %s %s %s\n  the left is  " format "\n  the right is " format, ta, op, \
                 tb, a, b);                                                                        \
    return ok;                                                                                     \
  }
DTEST_COMPARE(dtest_check_int, long long, "%lld")
DTEST_COMPARE(dtest_check_uint, unsigned long long, "%llu")
DTEST_COMPARE(dtest_check_real, double, "%.17g")
DTEST_COMPARE(dtest_check_ptr, const void *, "%p")

bool dtest_check_near(const char *file, int line, const char *ta, const char *tb, double a,
                      double b, double tolerance) {
  if (a == b || std::fabs(a - b) <= tolerance) return true;  // not for a NaN
  dtest_fail(file, line,
             "  expected %s near %s, within %.3g; they differ by %.3g\n  the left is  %.17g\n  the "
             "right is %.17g",
             ta, tb, tolerance, std::fabs(a - b), a, b);
  return false;
}

bool dtest_check_str(const char *file, int line, const char *ta, const char *tb, const char *a,
                     const char *b) {
  if (a && b && strcmp(a, b) == 0) return true;
  dtest_fail(file, line, "  expected %s == %s\n  the left is  \"%s\"\n  the right is \"%s\"", ta,
             tb, a ? a : "(NULL)", b ? b : "(NULL)");
  return false;
}

bool dtest_check_mem(const char *file, int line, const char *ta, const char *tb, const void *a,
                     const void *b, size_t bytes) {
  const unsigned char *x = static_cast<const unsigned char *>(a);
  const unsigned char *y = static_cast<const unsigned char *>(b);
  for (size_t i = 0; i < bytes; i++) {
    if (x[i] == y[i]) continue;
    dtest_fail(file, line,
               "  expected the same %zu bytes in %s and %s\n  byte %zu is 0x%02x and 0x%02x", bytes,
               ta, tb, i, x[i], y[i]);
    return false;
  }
  return true;
}

bool dtest_check_contains(const char *file, int line, const char *text, const char *haystack,
                          const char *needle) {
  if (haystack && strstr(haystack, needle)) return true;
  dtest_fail(file, line, "  expected \"%s\" within %s\n  which is \"%s\"", needle, text,
             haystack ? haystack : "(NULL)");
  return false;
}

bool dtest_check_status(const char *file, int line, const char *text, dtensor_status want,
                        dtensor_status got) {
  if (got == want) return true;
  dtest_fail(file, line, "  expected %s from %s\n  got      %s\n  last error: %s",
             dtensor_status_name(want), text, dtensor_status_name(got), dtensor_last_error());
  return false;
}

}  // extern "C"

int main(int argc, char **argv) {
  g_mpi = EnvInt("DTEST_MPI", 0) != 0;
  if (g_mpi) {
    int level;
    if (__lsan_disable) __lsan_disable();
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
    if (__lsan_enable) __lsan_enable();
    MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g_size);
    MPI_Comm_dup(MPI_COMM_WORLD, &g_control);
  }
  StartWatchdog();
  if (g_rank != 0) unsetenv("TEST_PREMATURE_EXIT_FILE");  // rank 0's to write and remove
  testing::InitGoogleTest(&argc, argv);
  if (g_mpi) {  // a shuffled run must be the same on every rank
    int seed = testing::GTEST_FLAG(random_seed);
    if (seed == 0) seed = 1 + getpid() % 99999;
    MPI_Bcast(&seed, 1, MPI_INT, 0, g_control);
    testing::GTEST_FLAG(random_seed) = seed;
  }
  if (g_rank != 0) {  // one log, one XML
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
  }
  for (dtest_case *c = g_cases; c; c = c->next)
    testing::RegisterTest(c->suite, c->name, nullptr, nullptr, c->file, c->line,
                          [c]() -> testing::Test * { return new CTest(c); });
  int rc = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    if (g_rank == 0) fprintf(stderr, "no test to run\n");
    rc = 1;
  }
  if (!g_mpi) return rc;
  MPI_Allreduce(MPI_IN_PLACE, &rc, 1, MPI_INT, MPI_MAX, g_control);
  MPI_Comm_free(&g_control);
  MPI_Finalize();
  return g_rank == 0 ? rc : 0;
}
