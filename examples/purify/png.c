#include "png.h"

#include <stdlib.h>
#include <string.h>

/* The file in memory; it never outgrows what was reserved. */
typedef struct buffer {
  uint8_t *data;
  size_t size;
} buffer;

static void put(buffer *b, const void *bytes, size_t n) {
  memcpy(b->data + b->size, bytes, n);
  b->size += n;
}

static void put_byte(buffer *b, unsigned value) { b->data[b->size++] = (uint8_t)value; }

static void put_big_endian(buffer *b, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) put_byte(b, value >> shift & 255);
}

static void put_little_endian(buffer *b, unsigned value) {
  put_byte(b, value & 255);
  put_byte(b, value >> 8 & 255);
}

static uint32_t crc32_of(const uint8_t *data, size_t n) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static uint32_t adler32_of(const uint8_t *data, size_t n) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < n; i++) {
    a = (a + data[i]) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

static void put_chunk(buffer *b, const char type[4], const void *data, size_t n) {
  put_big_endian(b, (uint32_t)n);
  const size_t begin = b->size;
  put(b, type, 4);
  put(b, data, n);
  put_big_endian(b, crc32_of(b->data + begin, n + 4));
}

/* A zlib stream of stored blocks, of at most 65535 bytes each. */
static void put_stored(buffer *z, const uint8_t *raw, size_t n) {
  put_byte(z, 0x78);
  put_byte(z, 0x01);
  for (size_t at = 0; at < n;) {
    const unsigned length = n - at < 65535 ? (unsigned)(n - at) : 65535u;
    put_byte(z, at + length == n);
    put_little_endian(z, length);
    put_little_endian(z, ~length & 0xffffu);
    put(z, raw + at, length);
    at += length;
  }
  put_big_endian(z, adler32_of(raw, n));
}

static void write_base64(const buffer *b, FILE *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < b->size; i += 3) {
    const size_t left = b->size - i;
    const uint32_t group = (uint32_t)b->data[i] << 16 |
                           (left > 1 ? (uint32_t)b->data[i + 1] << 8 : 0) |
                           (left > 2 ? (uint32_t)b->data[i + 2] : 0);
    fputc(digits[group >> 18], out);
    fputc(digits[group >> 12 & 63], out);
    fputc(left > 1 ? digits[group >> 6 & 63] : '=', out);
    fputc(left > 2 ? digits[group & 63] : '=', out);
  }
}

int png_write_data_uri(int width, int height, const uint8_t pixels[], const uint8_t palette[256][3],
                       FILE *out) {
  const size_t line = (size_t)width + 1, raw_size = line * (size_t)height;
  const size_t stream_size = raw_size + 5 * (raw_size / 65535 + 1) + 6;
  uint8_t *raw = calloc(raw_size, 1); /* each line begins with its filter, 0: none */
  buffer stream = {malloc(stream_size), 0}, file = {malloc(stream_size + 1024), 0};
  const int has_memory = raw && stream.data && file.data;
  if (has_memory) {
    for (int y = 0; y < height; y++)
      memcpy(raw + line * (size_t)y + 1, pixels + (size_t)width * (size_t)y, (size_t)width);
    put_stored(&stream, raw, raw_size);

    static const uint8_t format[] = {8, 3, 0, 0, 0}; /* 8 bits, palette; the usual methods */
    uint8_t ihdr[13];
    buffer header = {ihdr, 0};
    put_big_endian(&header, (uint32_t)width);
    put_big_endian(&header, (uint32_t)height);
    put(&header, format, sizeof format);

    put(&file, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&file, "IHDR", ihdr, sizeof ihdr);
    put_chunk(&file, "PLTE", palette, 768);
    put_chunk(&file, "IDAT", stream.data, stream.size);
    put_chunk(&file, "IEND", "", 0);
    fputs("data:image/png;base64,", out);
    write_base64(&file, out);
  }
  free(raw);
  free(stream.data);
  free(file.data);
  return has_memory;
}
