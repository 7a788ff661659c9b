/* Stores that go past the cache: they save reading what they overwrite, and leave the cache to
 * others. */
#ifndef DTENSOR_KERNELS_STREAM_H_
#define DTENSOR_KERNELS_STREAM_H_

#include <stddef.h>
#include <stdint.h>

/* Bytes that are written at once. */
enum { DTI_STREAM_LINE = 64 };

/* Whether a transfer that writes so many bytes should be streamed: whether it would drive all else
 * out of the caches. */
int dti_stream_pays(int64_t bytes);

/* For tests: stream from so many bytes on; 0 for the machine's own limit. */
void dti_stream_from(int64_t bytes);

/* dst = src, past the cache but for lines that are written in part. */
void dti_stream_row(char *dst, const char *src, size_t bytes);

/* The same for rows; the steps between them are in bytes. */
void dti_stream_rows(int64_t rows, size_t bytes, char *dst, int64_t dst_step, const char *src,
                     int64_t src_step);

/* After streaming, before anyone is told of it: orders it with the stores that follow. */
void dti_stream_fence(void);

#endif
