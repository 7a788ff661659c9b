/* Status codes and the last error message.
 *
 * Every fallible function of dtensor returns a dtensor_status, and on an error every out-handle
 * is NULL. The library never aborts, exits or prints. */
#ifndef DTENSOR_STATUS_H_
#define DTENSOR_STATUS_H_

#ifdef __cplusplus
extern "C" {
#endif

/* name, value, what it means */
#define DTENSOR_STATUS_LIST(X)                                                           \
  X(DTENSOR_OK, 0, "no error")                                                           \
  X(DTENSOR_EINVAL, 1, "a bad argument")                                                 \
  X(DTENSOR_ESHAPE, 2, "shapes do not match")                                            \
  X(DTENSOR_EDTYPE, 3, "dtypes do not match, or the operator has no such dtype")         \
  X(DTENSOR_EPLACEMENT, 4, "a placement that this call cannot give or take")             \
  X(DTENSOR_EMESH, 5, "different meshes, or a rank outside of the mesh")                 \
  X(DTENSOR_ENOMEM, 6, "out of memory")                                                  \
  X(DTENSOR_EMPI, 7, "MPI reported an error")                                            \
  X(DTENSOR_EIO, 8, "input or output failed")                                            \
  X(DTENSOR_EDIVERGED, 9, "ranks called differently")                                    \
  X(DTENSOR_EBUDGET, 10, "it would communicate or allocate more than the caller allows") \
  X(DTENSOR_EUNSUPPORTED, 11, "not supported")

typedef enum dtensor_status {
#define DTENSOR_STATUS_ENUM_(name, value, text) name = value,
  DTENSOR_STATUS_LIST(DTENSOR_STATUS_ENUM_)
#undef DTENSOR_STATUS_ENUM_
      DTENSOR_STATUS_COUNT_ /* not a status: how many there are */
} dtensor_status;

/* The constant's name, "DTENSOR_ESHAPE"; "DTENSOR_UNKNOWN" for a value that is none. Local. */
const char *dtensor_status_name(dtensor_status status);

/* What the status means, "shapes do not match". Local. */
const char *dtensor_status_text(dtensor_status status);

/* The calling thread's last error message; "" when there was none. Never NULL, valid until the
 * thread's next failing call. A message names the function, the values seen and the rule broken,
 * then the code, the rank and the place. Local. */
const char *dtensor_last_error(void);

/* Called with every error at the moment it is raised, on the thread that raises it; for programs
 * that want to log or to stop. NULL, the default, calls nothing. One handler per process; set it
 * before threads use the library. Local. */
typedef void (*dtensor_error_handler)(dtensor_status status, const char *message, void *ctx);
void dtensor_set_error_handler(dtensor_error_handler handler, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
