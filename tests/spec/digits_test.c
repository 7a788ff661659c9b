/* Splits that are said to be digits of the index, against the owner of every index. */
#include "dtensor/spec/digits.h"

#include "dtensor/spec/layout.h"
#include "tests/harness/dtest.h"

enum { SPLITS = 3 };

/* The number-th of all ways to split; param of those that have one is from 1 to 9. */
static dtensor_placement split(int number) {
  if (number == 0) return dtensor_shard_balanced(0);
  return number < 10 ? dtensor_shard_cyclic(0, number) : dtensor_strided_shard(0, number - 9);
}
enum { WAYS = 19 };

/* Whether the digits name the owner of every index. */
static bool name_owners(const dti_axis *axis, const dti_digits *digits) {
  for (int64_t i = 0; i < axis->size; i++) {
    int64_t coord[DTENSOR_MAX_NDIM];
    dti_axis_owner(axis, i, coord, NULL);
    for (int k = 0; k < digits->n; k++)
      if (coord[digits->mesh_dim[k]] != i / digits->unit[k] % digits->parts[k]) return false;
  }
  return true;
}

static int64_t check_size(int64_t size) {
  static const int64_t meshes[][SPLITS] = {{2, 3, 2}, {3, 2, 4}, {2, 2, 3}};
  int64_t even = 0;
  for (size_t m = 0; m < sizeof meshes / sizeof *meshes; m++)
    for (int ways = 0; ways < WAYS * WAYS * WAYS; ways++) {
      const dtensor_placement p[] = {split(ways % WAYS), split(ways / WAYS % WAYS),
                                     split(ways / WAYS / WAYS)};
      dti_layout layout;
      if (dti_layout_init(&layout, 1, &size, SPLITS, meshes[m], p) != DTENSOR_OK) continue;
      const dti_axis axis = dti_axis_of(&layout, 0);
      dti_digits digits;
      if (!dti_digits_of(&axis, &digits)) continue;
      even++;
      if (!EXPECT_TRUE(name_owners(&axis, &digits))) return even;
    }
  return even;
}

DTEST(Digits, NameTheOwnerOfEveryIndex) {
  static const int64_t sizes[] = {24, 36, 72, 120, 360, 510};
  int64_t even = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) even += check_size(sizes[i]);
  EXPECT_GT(even, 1000);
}
