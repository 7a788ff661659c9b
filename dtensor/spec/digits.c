#include "dtensor/spec/digits.h"

/* Positions of one part before the next coordinate has its turn, of n positions; 0 if they are not
 * cut evenly. */
static int64_t chunk_of(dtensor_placement p, int64_t n, int64_t parts) {
  int64_t chunks = parts;
  switch (p.kind) {
    case DTENSOR_SHARD:
    case DTENSOR_SHARD_BALANCED:
      break;
    case DTENSOR_SHARD_STRIDED:
      if (p.param > n / parts) return 0;
      chunks = parts * p.param;
      break;
    case DTENSOR_SHARD_CYCLIC:
      return p.param <= n / parts && n % (p.param * parts) == 0 ? p.param : 0;
    default:
      return 0;
  }
  return n % chunks == 0 ? n / chunks : 0;
}

/* Which stretch of global indices a stretch of positions is that the digits before leave: they lie
 * in between. 0 if one of them cuts the stretch, or a turn of all parts. */
static int64_t unit_of(const dti_digits *before, int64_t chunk, int64_t parts) {
  int64_t unit = chunk, done = 0;
  for (int turn = 0; turn < before->n; turn++) {
    int next = -1; /* the smallest unit that is not done */
    for (int i = 0; i < before->n; i++)
      if (before->unit[i] > done && (next < 0 || before->unit[i] < before->unit[next])) next = i;
    done = before->unit[next];
    if (done > unit ? done % (unit * parts) != 0 : unit % done != 0) return 0;
    if (done <= unit) unit *= before->parts[next];
  }
  return unit;
}

int dti_digits_of(const dti_axis *axis, dti_digits *digits) {
  int64_t n = axis->size;
  digits->n = 0;
  for (int level = 0; level < axis->levels; level++) {
    const int64_t parts = axis->parts[level];
    if (parts == 1) continue;
    const int64_t chunk = chunk_of(axis->p[level], n, parts);
    const int64_t unit = chunk > 0 ? unit_of(digits, chunk, parts) : 0;
    if (unit == 0) return 0;
    digits->mesh_dim[digits->n] = axis->mesh_dim[level];
    digits->parts[digits->n] = parts;
    digits->unit[digits->n++] = unit;
    n /= parts;
  }
  return 1;
}

int64_t dti_digits_unit(const dti_digits *digits, int mesh_dim) {
  for (int i = 0; i < digits->n; i++)
    if (digits->mesh_dim[i] == mesh_dim) return digits->unit[i];
  return 0;
}

dtensor_placement dti_digits_placement(const dti_digits *before, int64_t length, int64_t parts,
                                       int64_t unit, dtensor_placement like) {
  int64_t chunk = unit;
  for (int i = 0; i < before->n; i++) {
    length /= before->parts[i];
    if (before->unit[i] < unit) chunk /= before->parts[i];
  }
  if (chunk_of(like, length, parts) == chunk) return like;
  const int64_t factor = length / (chunk * parts);
  return factor == 1 ? dtensor_shard(like.dim) : dtensor_strided_shard(like.dim, factor);
}
