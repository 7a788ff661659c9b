/* What the program prints; rank 0 only. */
#ifndef PURIFY_CONSOLE_H_
#define PURIFY_CONSOLE_H_

#include "sp2.h"

typedef struct console {
  int is_silent; /* on all ranks but 0 */
  int has_bar;   /* a progress bar is drawn below the table */
  double atoms, tolerance, first_error;
} console;

/* 1 if a progress bar makes sense on standard output. mpirun gives its ranks terminals of their own
 * that lead to a file or a pipe just as well; these have no width. */
int console_is_terminal(void);

void console_table_begin(console *c);
void console_table_row(int iteration, const sp2_step *step, void *ctx); /* ctx: the console */
void console_table_end(const console *c);

/* Floating-point operations per second of a step, in units of 1e9: one product of N x N matrices.
 */
double step_gflops(double atoms, const sp2_step *step);

/* "12.3 MB". Returns text. */
enum { CONSOLE_BYTES = 32 };
const char *console_bytes(double bytes, char text[CONSOLE_BYTES]);

#endif
