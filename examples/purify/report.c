#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "console.h"
#include "figures.h"
#include "report_style.h"

outcome report_check(const char *path) {
  FILE *out = fopen(path, "a");
  if (!out)
    return outcome_fail(OUTCOME_BAD_INPUT, "cannot write the report %s: %s", path, strerror(errno));
  const int is_new = fseek(out, 0, SEEK_END) == 0 && ftell(out) == 0;
  fclose(out);
  if (is_new) remove(path);
  return outcome_fine();
}

static void write_escaped(const char *text, FILE *out) {
  for (; *text; text++) {
    if (*text == '<')
      fputs("&lt;", out);
    else if (*text == '>')
      fputs("&gt;", out);
    else if (*text == '&')
      fputs("&amp;", out);
    else
      fputc(*text, out);
  }
}

static void write_head(const report *r, FILE *out) {
  fputs(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      out);
  write_escaped(r->molecule->name, out);
  fputs(" - density-matrix purification</title>\n", out);
  report_style_write(out);
  fputs("</head>\n<body>\n<main>\n<header>\n<p>Density-matrix purification with dtensor</p>\n<h1>",
        out);
  write_escaped(r->molecule->name, out);
  fprintf(
      out,
      "</h1>\n<p>The pi electrons of %" PRId64
      " carbon atoms (Hueckel): a projector found with matrix products alone, on %d rank%s.</p>\n",
      r->molecule->atoms, r->ranks, r->ranks == 1 ? "" : "s");
  if (*r->verdict) {
    fputs("<p class=\"verdict\">", out);
    write_escaped(r->verdict, out);
    fputs("</p>\n", out);
  }
  fputs("</header>\n", out);
}

static void write_tile(const char *value, const char *unit, const char *label, const char *css,
                       FILE *out) {
  fprintf(out,
          "<div class=\"tile\"><b class=\"%s\">%s <small>%s</small></b><span>%s</span></div>\n",
          css, value, unit, label);
}

typedef struct totals {
  double seconds, bytes;
} totals;

static totals sum_steps(const sp2_run *run) {
  totals sum = {0};
  for (int i = 0; i < run->iterations; i++) {
    sum.seconds += run->steps[i].seconds;
    sum.bytes += (double)run->steps[i].bytes;
  }
  return sum;
}

static void write_tiles(const report *r, FILE *out) {
  const totals sum = sum_steps(r->run);
  const double n = (double)r->molecule->atoms;
  char text[64], bytes[CONSOLE_BYTES];
  fputs("<section class=\"tiles\">\n", out);
  snprintf(text, sizeof text, "%.8g", r->energy);
  write_tile(text, "|&beta;|", "pi bonding energy", "", out);
  if (r->reference.is_known) {
    const double difference = r->energy + r->reference.energy;
    snprintf(text, sizeof text, "%.1e", difference);
    write_tile(text, "|&beta;|", "difference to LAPACK",
               fabs(difference) < 1e-6 * n ? "good" : "bad", out);
    snprintf(text, sizeof text, "%.4f", r->reference.lumo - r->reference.homo);
    write_tile(text, "|&beta;|", "HOMO-LUMO gap", "", out);
  }
  snprintf(text, sizeof text, "%d", r->run->iterations);
  write_tile(text, "", r->run->is_converged ? "iterations" : "iterations, not converged",
             r->run->is_converged ? "" : "bad", out);
  snprintf(text, sizeof text, "%.3g", sum.seconds);
  write_tile(text, "s", "in all iterations", "", out);
  snprintf(text, sizeof text, "%.3g", 2e-9 * n * n * n * r->run->iterations / sum.seconds);
  write_tile(text, "GFLOP/s", "matrix products", "", out);
  write_tile(console_bytes(sum.bytes, bytes), "", "moved between ranks", "", out);
  fputs("</section>\n", out);
}

static void begin_card(const char *css, const char *title, const char *note, FILE *out) {
  fprintf(out, "<section class=\"card%s\">\n<h2>%s</h2>\n<p>%s</p>\n", css, title, note);
}

static void end_card(FILE *out) { fputs("</section>\n", out); }

static outcome write_pictures(const report *r, FILE *out) {
  begin_card("", "Molecule", "Where the pi electrons bind", out);
  figure_molecule(r->molecule, r->bonds, r->bond_order, out);
  end_card(out);
  begin_card("", "Density matrix", "It falls off with distance", out);
  figure_density(r->heat, r->molecule->atoms, out);
  end_card(out);
  begin_card(" owners", "Who owns what", "Blocks of the matrix, by rank", out);
  const outcome result =
      outcome_of(dtensor_visualize_sharding(r->density, DTENSOR_PICTURE_SVG, out));
  end_card(out);
  return result;
}

static void write_convergence(const report *r, FILE *out) {
  begin_card(" half", "Idempotency error", "||X&sup2; - X|| / &radic;N, by iteration", out);
  figure_error(r->run, r->options->tolerance, out);
  end_card(out);
  begin_card(" half", "Trace", "How many orbitals X projects on, by iteration", out);
  figure_trace(r->run, r->options->occupied, out);
  end_card(out);
}

static void write_timeline(const report *r, FILE *out) {
  const timeline *t = r->timeline;
  const sp2_step *steps = r->run->steps;
  const int last = r->run->iterations - 1, typical = last / 2;
  begin_card(" wide", "Time line", "What each rank did, as the library's trace tells it", out);
  fputs(
      "<div class=\"key\"><span><i style=\"background:var(--compute)\"></i>computing</span>"
      "<span><i style=\"background:var(--transfer)\"></i>moving data</span>"
      "<span><i style=\"background:var(--op)\"></i>inside of an operator</span><span>empty: "
      "waiting for the slowest rank</span></div>\n"
      "<h3>All iterations</h3>\n",
      out);
  figure_timeline(t, steps[0].begin - t->origin, steps[last].end - t->origin, out);
  fprintf(out, "<h3>Iteration %d</h3>\n", typical + 1);
  figure_timeline(t, steps[typical].begin - t->origin, steps[typical].end - t->origin, out);
  if (t->is_cut || t->ranks < r->ranks)
    fprintf(out, "<p class=\"note\">Shown: the first %d ranks, the first %d events of each.</p>\n",
            t->ranks, (int)TIMELINE_EVENTS);
  end_card(out);
}

static void write_table(const report *r, FILE *out) {
  begin_card(" wide", "Iterations", "Seconds of the slowest rank; bytes received by all ranks",
             out);
  fputs(
      "<div class=\"scroll\"><table>\n<tr><th>iteration</th><th>trace</th><th>idempotency "
      "error</th>"
      "<th>seconds</th><th>GFLOP/s</th><th>moved</th></tr>\n",
      out);
  for (int i = 0; i < r->run->iterations; i++) {
    const sp2_step *s = &r->run->steps[i];
    char bytes[CONSOLE_BYTES];
    fprintf(out,
            "<tr><td>%d</td><td>%.8f</td><td>%.3e</td><td>%.6f</td><td>%.2f</td><td>%s</td></tr>\n",
            i + 1, s->trace, s->error, s->seconds, step_gflops((double)r->molecule->atoms, s),
            console_bytes((double)s->bytes, bytes));
  }
  fputs("</table></div>\n", out);
  end_card(out);
}

static void write_facts(const report *r, FILE *out) {
  char machine[MPI_MAX_PROCESSOR_NAME] = "", bytes[CONSOLE_BYTES];
  int length = 0;
  MPI_Get_processor_name(machine, &length);
  begin_card(" wide", "The run", "", out);
  fputs("<table class=\"facts\">\n", out);
  fprintf(out, "<tr><th>matrices</th><td>%" PRId64 " &times; %" PRId64 ", f64</td></tr>\n",
          r->molecule->atoms, r->molecule->atoms);
  fprintf(out, "<tr><th>device mesh</th><td>%" PRId64 " &times; %" PRId64 "</td></tr>\n",
          r->mesh_rows, r->mesh_columns);
  fprintf(out, "<tr><th>ranks &times; threads</th><td>%d &times; %d</td></tr>\n", r->ranks,
          r->threads);
  fputs("<tr><th>machine of rank 0</th><td>", out);
  write_escaped(machine, out);
  fprintf(out, "</td></tr>\n<tr><th>peak tensor memory of a rank</th><td>%s</td></tr>\n",
          console_bytes(r->peak_memory, bytes));
  fprintf(out,
          "<tr><th>method</th><td>A. M. N. Niklasson, Phys. Rev. B 66, 155115 (2002)</td></tr>\n"
          "<tr><th>library</th><td>dtensor %d.%d.%d</td></tr>\n</table>\n",
          DTENSOR_VERSION_MAJOR, DTENSOR_VERSION_MINOR, DTENSOR_VERSION_PATCH);
  end_card(out);
}

outcome report_write(const char *path, const report *r) {
  FILE *out = fopen(path, "w");
  if (!out)
    return outcome_fail(OUTCOME_BAD_INPUT, "cannot write the report %s: %s", path, strerror(errno));
  write_head(r, out);
  write_tiles(r, out);
  fputs("<div class=\"cards\">\n", out);
  outcome result = write_pictures(r, out);
  write_convergence(r, out);
  write_timeline(r, out);
  write_table(r, out);
  write_facts(r, out);
  fputs("</div>\n</main>\n</body>\n</html>\n", out);
  const int is_broken = ferror(out);
  if ((fclose(out) != 0 || is_broken) && !result.code)
    result = outcome_fail(OUTCOME_BAD_INPUT, "writing the report %s failed", path);
  return result;
}
