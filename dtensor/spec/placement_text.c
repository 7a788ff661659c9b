#include "dtensor/spec/placement_text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "dtensor/base/fail.h"
#include "dtensor/spec/layout.h"

#define EXPECTED_NAMES "R, S, SB, SC, SS or P"

/* How each kind is written: its letters and what follows in parentheses. */
typedef enum argument_form { NONE, DIM, DIM_PARAM, DIM_SIZES, OP, PARAM } argument_form;
typedef struct form {
  const char *letters;
  dtensor_placement_kind kind;
  argument_form arguments;
} form;

static const form forms[] = {
    {"R", DTENSOR_REPLICATE, NONE},
    {"S", DTENSOR_SHARD, DIM},
    {"SB", DTENSOR_SHARD_BALANCED, DIM},
    {"SC", DTENSOR_SHARD_CYCLIC, DIM_PARAM},
    {"SS", DTENSOR_SHARD_STRIDED, DIM_PARAM},
    {"P", DTENSOR_PARTIAL, OP},
    /* The last two are written but not read. */
    {"SZ", DTENSOR_SHARD_SIZES, DIM_SIZES},
    {"O", DTI_OWNED, PARAM},
};
enum { FORMS = sizeof forms / sizeof forms[0], READABLE = FORMS - 2 };

/* ---- reading */

typedef struct reader {
  const char *text, *at;
  int placement; /* counted from 1, for messages */
} reader;

static void skip_blanks(reader *r) { r->at += strspn(r->at, " \t\n"); }

static bool accept(reader *r, char c) {
  skip_blanks(r);
  if (*r->at != c) return false;
  r->at++;
  return true;
}

static dtensor_status expected(const reader *r, const char *what) {
  return DTI_FAIL(DTENSOR_EINVAL, "placement %d of \"%s\": expected %s at position %td",
                  r->placement, r->text, what, r->at - r->text);
}

static dtensor_status expect(reader *r, char c) {
  if (accept(r, c)) return DTENSOR_OK;
  return expected(r, (const char[]){'\'', c, '\'', '\0'});
}

static dtensor_status read_integer(reader *r, int64_t least, int64_t most, const char *what,
                                   int64_t *value) {
  skip_blanks(r);
  char *end = NULL;
  errno = 0;
  const long long read = strtoll(r->at, &end, 10);
  if (end == r->at || errno == ERANGE || read < least || read > most) return expected(r, what);
  r->at = end;
  *value = read;
  return DTENSOR_OK;
}

static dtensor_status read_dim(reader *r, dtensor_placement *p) {
  int64_t dim = 0;
  DTI_TRY(read_integer(r, INT_MIN, INT_MAX, "a dimension", &dim));
  p->dim = (int)dim;
  return DTENSOR_OK;
}

/* The length of the letters at `at`. */
static size_t word_length(const char *at) {
  return strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}

static bool is_word(const char *at, size_t length, const char *word) {
  return strlen(word) == length && memcmp(at, word, length) == 0;
}

static dtensor_status read_op(reader *r, dtensor_placement *p) {
  skip_blanks(r);
  const size_t length = word_length(r->at);
  for (int op = DTENSOR_SUM; op <= DTENSOR_BXOR; op++) {
    if (!is_word(r->at, length, dti_reduce_op_name((dtensor_reduce_op)op))) continue;
    p->op = (dtensor_reduce_op)op;
    r->at += length;
    return DTENSOR_OK;
  }
  return expected(r, "sum, avg, min, max, product, band, bor or bxor");
}

static dtensor_status read_arguments(reader *r, argument_form arguments, dtensor_placement *p) {
  if (arguments == NONE) return DTENSOR_OK;
  if (!accept(r, '(')) {
    if (arguments == OP) return DTENSOR_OK; /* P alone is a sum */
    if (p->kind == DTENSOR_SHARD && *r->at >= '0' && *r->at <= '9') return read_dim(r, p);
    return expected(r, "'('");
  }
  if (arguments == OP) {
    DTI_TRY(read_op(r, p));
  } else {
    DTI_TRY(read_dim(r, p));
    if (arguments == DIM_PARAM) {
      DTI_TRY(expect(r, ','));
      DTI_TRY(read_integer(r, 1, INT64_MAX, "a positive number", &p->param));
    }
  }
  return expect(r, ')');
}

static dtensor_status read_placement(reader *r, dtensor_placement *p) {
  skip_blanks(r);
  const size_t length = word_length(r->at);
  for (int i = 0; i < READABLE; i++) {
    if (!is_word(r->at, length, forms[i].letters)) continue;
    *p = (dtensor_placement){.kind = forms[i].kind};
    r->at += length;
    return read_arguments(r, forms[i].arguments, p);
  }
  return expected(r, EXPECTED_NAMES);
}

dtensor_status dtensor_placements_parse(const char *text, int mesh_ndim, dtensor_placement out[]) {
  DTI_API();
  DTI_CHECK(text && out, DTENSOR_EINVAL, "text or out is NULL");
  DTI_CHECK(mesh_ndim >= 1 && mesh_ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "a mesh of %d dimensions: need 1 to %d", mesh_ndim, DTENSOR_MAX_NDIM);
  reader r = {.text = text, .at = text};
  for (r.placement = 1; r.placement <= mesh_ndim; r.placement++) {
    if (r.placement > 1) DTI_TRY(expect(&r, ','));
    DTI_TRY(read_placement(&r, &out[r.placement - 1]));
  }
  r.placement = mesh_ndim;
  skip_blanks(&r);
  if (*r.at == '\0') return DTENSOR_OK;
  return expected(&r, "the end of the text");
}

/* ---- writing */

typedef struct writer {
  char *text;
  size_t size, length; /* room, and how much the whole text needs */
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...) {
  const size_t used = w->length < w->size ? w->length : w->size;
  va_list args;
  va_start(args, format);
  const int more = vsnprintf(w->size ? w->text + used : NULL, w->size - used, format, args);
  va_end(args);
  if (more > 0) w->length += (size_t)more;
}

static void put_sizes(writer *w, dtensor_placement p) {
  if (!p.sizes || p.count <= 0) return;
  for (int64_t i = 0; i < p.count; i++) put(w, "%s%" PRId64, i ? "," : ",[", p.sizes[i]);
  put(w, "]");
}

static void put_placement(writer *w, dtensor_placement p) {
  const form *f = NULL;
  for (int i = 0; i < FORMS && !f; i++)
    if (forms[i].kind == p.kind) f = &forms[i];
  if (!f) {
    put(w, "?");
    return;
  }
  put(w, "%s", f->letters);
  if (f->arguments == NONE) return;
  put(w, "(");
  if (f->arguments == DIM || f->arguments == DIM_PARAM || f->arguments == DIM_SIZES)
    put(w, "%d", p.dim);
  if (f->arguments == DIM_PARAM) put(w, ",");
  if (f->arguments == DIM_PARAM || f->arguments == PARAM) put(w, "%" PRId64, p.param);
  if (f->arguments == DIM_SIZES) put_sizes(w, p);
  if (f->arguments == OP) put(w, "%s", dti_reduce_op_name(p.op));
  put(w, ")");
}

size_t dti_placements_write(const dtensor_placement p[], int n, char *text, size_t size) {
  writer w = {.text = text, .size = size};
  put(&w, "%s", ""); /* ends the text if there is no placement */
  for (int m = 0; m < n; m++) {
    if (m) put(&w, ",");
    put_placement(&w, p[m]);
  }
  return w.length;
}

dtensor_status dtensor_placements_format(const dtensor_placement p[], int mesh_ndim, char *text,
                                         size_t size) {
  DTI_API();
  DTI_CHECK(p && text && size > 0, DTENSOR_EINVAL, "p or text is NULL, or size is 0");
  DTI_CHECK(mesh_ndim >= 1 && mesh_ndim <= DTENSOR_MAX_NDIM, DTENSOR_EINVAL,
            "a mesh of %d dimensions: need 1 to %d", mesh_ndim, DTENSOR_MAX_NDIM);
  const size_t length = dti_placements_write(p, mesh_ndim, text, size);
  DTI_CHECK(length < size, DTENSOR_EINVAL, "%zu bytes are too few for a text of %zu and its end",
            size, length);
  return DTENSOR_OK;
}
