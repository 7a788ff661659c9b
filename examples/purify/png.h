/* Small pictures inside of an HTML page. */
#ifndef PURIFY_PNG_H_
#define PURIFY_PNG_H_

#include <stdint.h>
#include <stdio.h>

/* Write "data:image/png;base64,...": width x height pixels, one byte each, an index into a palette
 * of 256 colours (red, green, blue). Nothing is compressed. Returns 0 if there is no memory. */
int png_write_data_uri(int width, int height, const uint8_t pixels[], const uint8_t palette[256][3],
                       FILE *out);

#endif
