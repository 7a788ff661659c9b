#include "dtensor/base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dtensor/base/event.h"

static const struct {
  const char *name, *text;
} statuses[] = {
#define ROW(name, value, text) [value] = {#name, text},
    DTENSOR_STATUS_LIST(ROW)
#undef ROW
};

static _Thread_local char last_error[1024];
static _Thread_local const char *api_name;
static _Thread_local int error_rank = -1, error_size;

static dtensor_error_handler error_handler;
static void *error_handler_ctx;

static int is_status(dtensor_status status) {
  return (unsigned)status < sizeof statuses / sizeof statuses[0];
}

const char *dtensor_status_name(dtensor_status status) {
  return is_status(status) ? statuses[status].name : "DTENSOR_UNKNOWN";
}

const char *dtensor_status_text(dtensor_status status) {
  return is_status(status) ? statuses[status].text : "not a status";
}

const char *dtensor_last_error(void) { return last_error; }

void dtensor_set_error_handler(dtensor_error_handler handler, void *ctx) {
  error_handler = handler;
  error_handler_ctx = ctx;
}

const char *dti_api_name(void) { return api_name ? api_name : "dtensor"; }

void dti_fail_set_rank(int rank, int size) {
  error_rank = rank;
  error_size = size;
}

dti_api_scope dti_api_enter(const char *name) {
  dti_api_scope scope = {NULL, 0};
  if (!api_name) {
    api_name = scope.name = name;
    if (dti_event_listening()) scope.begin = dti_event_clock();
  }
  return scope;
}

void dti_api_leave(dti_api_scope *scope) {
  if (!scope->name) return;
  if (dti_event_listening() && scope->begin > 0)
    dti_event_emit(&(dti_event){.name = scope->name,
                                .kind = DTI_EVENT_OP,
                                .begin = scope->begin,
                                .end = dti_event_clock()});
  api_name = NULL;
}

/* "dtensor/ops/matmul.c" and "/build/dtensor/ops/matmul.c" both become "ops/matmul.c". */
static const char *short_path(const char *file) {
  const char *root = "dtensor/", *found = NULL;
  for (const char *at = strstr(file, root); at; at = strstr(at + 1, root)) found = at;
  return found ? found + strlen(root) : file;
}

dtensor_status dti_fail(dtensor_status status, const char *file, int line, const char *format,
                        ...) {
  char text[sizeof last_error]; /* not last_error: a message may quote the previous one */
  const int head = snprintf(text, sizeof text, "%s: ", dti_api_name());
  va_list args;
  va_start(args, format);
  vsnprintf(text + head, sizeof text - (size_t)head, format, args);
  va_end(args);

  char place[160];
  if (error_rank >= 0)
    snprintf(place, sizeof place, " [%s; rank %d/%d; %s:%d]", dtensor_status_name(status),
             error_rank, error_size, short_path(file), line);
  else
    snprintf(place, sizeof place, " [%s; %s:%d]", dtensor_status_name(status), short_path(file),
             line);

  /* A message that is too long loses its end, never the code and the place. */
  const size_t room = sizeof last_error - strlen(place) - 1;
  snprintf(last_error, sizeof last_error, "%.*s%s", (int)room, text, place);
  if (error_handler) error_handler(status, last_error, error_handler_ctx);
  return status;
}
