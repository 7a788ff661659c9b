#include <math.h>

#include "figures.h"

double figure_nice_step(double range, int steps) {
  const double about = range / steps, power = pow(10, floor(log10(about))), ratio = about / power;
  return power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
}
