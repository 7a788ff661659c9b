/* Where all tensor storage and workspace of this process lies: one range of addresses, mapped once.
 *
 * Its memory is a file without a name (memfd), so the ranks of a node can map each other's arenas
 * and read and write in place, and the system frees it with the last process that maps it, however
 * that ends. Where there can be no such file, and in a forked child, the range is private. Pages
 * are backed in front of their use: a page of a file that cannot be had at its first touch ends the
 * program, here it is an error. */
#ifndef DTENSOR_BASE_ARENA_H_
#define DTENSOR_BASE_ARENA_H_

#include <stddef.h>
#include <stdint.h>

enum { DTI_PAGE = 4096, DTI_HUGE_PAGE = 2 << 20 };

/* What the first page holds: a peer that maps the file sees that it is the right one. */
typedef struct dti_arena_stamp {
  uint64_t nonce[2]; /* random */
} dti_arena_stamp;

/* 1 if other processes can map the arena; else *reason says why not. *fd is the file, to be left
 * open; it and the range stay the same for the life of the process. Makes the arena if need be. */
int dti_arena_shared(int *fd, void **base, size_t *bytes, const char **reason);

/* Where the memory lies in the arena; -1 if not all of it does, or if the arena is private. */
int64_t dti_arena_offset(const void *data, size_t bytes);

/* ---- For the allocator ---- */

/* The range, made on first use: NULL if even that is impossible. Aligned to a huge page. */
char *dti_arena_base(size_t *bytes);

/* Have memory under these pages, huge pages where they fit. 0 if there is not enough: what was
 * backed before stays, what was not may be either. */
int dti_arena_back(size_t offset, size_t bytes);

/* Give the memory under these pages back. They read as zeros from now on. */
void dti_arena_give_back(size_t offset, size_t bytes);

/* In a forked child, before it allocates: what it holds stays readable, what it writes is its own.
 */
void dti_arena_after_fork(void);

#endif
