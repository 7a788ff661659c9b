#include <math.h>
#include <string.h>

#include "dtensor/base/dtype.h"
#include "tests/harness/dtest.h"

typedef struct format {
  const char *name;
  float (*widen)(uint16_t bits);
  uint16_t (*narrow)(float value);
  int fraction, least, most; /* fraction bits; exponents of the smallest normal and largest value */
} format;

static const format formats[] = {
    {"bf16", dti_bf16_to_float, dti_float_to_bf16, 7, -126, 127},
    {"f16", dti_f16_to_float, dti_float_to_f16, 10, -14, 15},
};

/* What the bits mean, by the definition of the format. */
static double value_of(const format *f, unsigned bits) {
  const int exponent = (int)(bits & 0x7fff) >> f->fraction, scale = 1 << f->fraction;
  const int fraction = (int)bits & (scale - 1), top = f->most - f->least + 2;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == top) return fraction ? (double)NAN : sign * (double)INFINITY;
  if (exponent == 0) return sign * ldexp(fraction, f->least - f->fraction);
  return sign * ldexp(scale + fraction, exponent - 1 + f->least - f->fraction);
}

DTEST(Half, AllValuesRoundTrip) {
  for (int i = 0; i < 2; i++) {
    const format *f = &formats[i];
    int wrong = 0;
    for (unsigned bits = 0; bits < 65536; bits++) {
      const float value = f->widen((uint16_t)bits);
      const double defined = value_of(f, bits);
      const uint16_t back = f->narrow(value);
      if (isnan(defined))
        wrong += !isnan(value) || !isnan(f->widen(back));
      else
        wrong += (double)value != defined || back != bits;
    }
    EXPECT_EQ(wrong, 0);
  }
}

/* Between two neighbours: below, at and above the middle. */
DTEST(Half, RoundsToNearestEven) {
  for (int i = 0; i < 2; i++) {
    const format *f = &formats[i];
    const unsigned infinity = (unsigned)(f->most - f->least + 2) << f->fraction;
    int wrong = 0;
    for (unsigned bits = 0; bits + 1 < infinity; bits++) {
      const unsigned even = bits & 1 ? bits + 1 : bits;
      /* exact: floats have more fraction bits */
      const float middle = (float)((value_of(f, bits) + value_of(f, bits + 1)) / 2);
      wrong += f->narrow(middle) != even || f->narrow(-middle) != (even | 0x8000);
      wrong += f->narrow(nextafterf(middle, 0)) != bits;
      wrong += f->narrow(nextafterf(middle, INFINITY)) != bits + 1;
    }
    EXPECT_EQ(wrong, 0);

    const float largest = f->widen((uint16_t)(infinity - 1));
    const float half_step = ldexpf(1, f->most - f->fraction - 1);
    EXPECT_EQ(f->narrow(nextafterf(largest + half_step, 0)), (int)infinity - 1);
    EXPECT_EQ(f->narrow(largest + half_step), (int)infinity);
    EXPECT_EQ(f->narrow(INFINITY), (int)infinity);
    EXPECT_EQ(f->narrow(-INFINITY), (int)infinity | 0x8000);
    EXPECT_TRUE(isnan(f->widen(f->narrow(NAN))));
  }
}
