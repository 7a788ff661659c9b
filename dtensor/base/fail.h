/* Raising and passing on errors.
 *
 *   DTI_API();                              first line of every public function that can fail
 *   DTI_CHECK(n > 0, DTENSOR_EINVAL, ...)   return an error if the condition does not hold
 *   DTI_TRY(f())                            return what f returns unless it is DTENSOR_OK
 *   DTI_TRY_OR(label, status, f())          the same where something is held: status = ..., goto
 * label return DTI_FAIL(code, ...)              return an error
 *
 * A message names the public function that the user called, however deep the failure is. */
#ifndef DTENSOR_BASE_FAIL_H_
#define DTENSOR_BASE_FAIL_H_

#include "dtensor/status.h"

dtensor_status dti_fail(dtensor_status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

#define DTI_FAIL(status, ...) dti_fail((status), __FILE__, __LINE__, __VA_ARGS__)

#define DTI_CHECK(condition, status, ...)                     \
  do {                                                        \
    if (!(condition)) return DTI_FAIL((status), __VA_ARGS__); \
  } while (0)

#define DTI_TRY(expression)                       \
  do {                                            \
    const dtensor_status dti_try_ = (expression); \
    if (dti_try_ != DTENSOR_OK) return dti_try_;  \
  } while (0)

#define DTI_TRY_OR(label, status, expression) \
  do {                                        \
    (status) = (expression);                  \
    if ((status) != DTENSOR_OK) goto label;   \
  } while (0)

/* The outermost public function on this thread is the one that messages name and that a trace
 * shows; inner calls of public functions leave it alone. Ended by the compiler's cleanup of the
 * scope. */
typedef struct dti_api_scope {
  const char *name; /* NULL: an inner call */
  double begin;
} dti_api_scope;
dti_api_scope dti_api_enter(const char *name);
void dti_api_leave(dti_api_scope *scope);
#define DTI_API()                                                                                 \
  dti_api_scope dti_api_scope_ __attribute__((cleanup(dti_api_leave))) = dti_api_enter(__func__); \
  (void)dti_api_scope_

/* The name of the running public function, "dtensor" outside of one. */
const char *dti_api_name(void);

/* The rank that this thread's messages show. */
void dti_fail_set_rank(int rank, int size);

#endif
