#define _DEFAULT_SOURCE /* struct winsize */
#include "console.h"

#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int console_is_terminal(void) {
  struct winsize size = {0};
  return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
}

double step_gflops(double atoms, const sp2_step *step) {
  return 2e-9 * atoms * atoms * atoms / step->seconds;
}

const char *console_bytes(double bytes, char text[CONSOLE_BYTES]) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 999.5 && unit < 4; unit++) bytes /= 1000;
  snprintf(text, CONSOLE_BYTES, "%.3g %s", bytes, units[unit]);
  return text;
}

static void clear_bar(const console *c) {
  if (c->has_bar) printf("\r\033[K");
}

/* Progress is how far the error has come, on a logarithmic scale. */
static void draw_bar(const console *c, double error) {
  enum { WIDTH = 48 };
  const double done = log(c->first_error / error) / log(c->first_error / c->tolerance);
  const int filled = done > 1 ? WIDTH : done > 0 ? (int)(done * WIDTH) : 0;
  putchar('[');
  for (int i = 0; i < WIDTH; i++) putchar(i < filled ? '#' : '.');
  printf("] error %.1e -> %.0e", error, c->tolerance);
}

void console_table_begin(console *c) {
  if (c->is_silent) return;
  printf("%10s %16s %14s %10s %10s %12s\n", "iteration", "trace", "idempotency", "seconds",
         "GFLOP/s", "moved");
  fflush(stdout);
}

void console_table_row(int iteration, const sp2_step *step, void *ctx) {
  console *c = ctx;
  if (c->is_silent) return;
  char moved[CONSOLE_BYTES];
  if (iteration == 1) c->first_error = step->error;
  clear_bar(c);
  printf("%10d %16.8f %14.3e %10.6f %10.2f %12s\n", iteration, step->trace, step->error,
         step->seconds, step_gflops(c->atoms, step), console_bytes((double)step->bytes, moved));
  if (c->has_bar) draw_bar(c, step->error);
  fflush(stdout);
}

void console_table_end(const console *c) {
  if (c->is_silent) return;
  clear_bar(c);
  putchar('\n');
}
