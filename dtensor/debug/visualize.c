#include "dtensor/base/fail.h"
#include "dtensor/debug.h"
#include "dtensor/debug/picture.h"
#include "dtensor/tensor/tensor.h"

dtensor_status dtensor_visualize_sharding(const dtensor *x, dtensor_picture format, FILE *out) {
  DTI_API();
  DTI_CHECK(x, DTENSOR_EINVAL, "x is NULL");
  DTI_CHECK(out, DTENSOR_EINVAL, "out is NULL");
  DTI_CHECK(format == DTENSOR_PICTURE_TEXT || format == DTENSOR_PICTURE_SVG, DTENSOR_EINVAL,
            "%d is no picture format", (int)format);
  DTI_CHECK(x->layout.ndim > 0, DTENSOR_ESHAPE, "a scalar has no picture");

  dti_picture picture;
  DTI_TRY(dti_picture_init(&picture, &x->layout));
  if (format == DTENSOR_PICTURE_TEXT) {
    dti_picture_write_text(&picture, out);
  } else {
    char caption[DTI_TEXT_SIZE];
    dti_picture_write_svg(&picture, dti_layout_text(&x->layout, caption, sizeof caption), out);
  }
  /* Flushed, as a full disk shows itself only then. */
  DTI_CHECK(fflush(out) == 0 && !ferror(out), DTENSOR_EIO, "writing the picture failed");
  return DTENSOR_OK;
}
