/* Machines as text. */
#include "dtensor/spec/machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/dtest.h"

static dtensor_status parse(const char *text, dtensor_machine *machine) {
  FILE *file = tmpfile();
  if (!EXPECT_NOT_NULL(file)) return DTENSOR_EIO;
  fputs(text, file);
  rewind(file);
  const dtensor_status status = dti_machine_read(file, "text", machine);
  fclose(file);
  return status;
}

DTEST(Machine, ReadsUnitsAndComments) {
  dtensor_machine m;
  REQUIRE_OK(
      parse("# a network\n"
            "latency 1.5 us   # both ways\n"
            "\n"
            "\toverhead   250 ns\n"
            "byte 1e-10 s/B\n"
            "copy 0.1 ns/B\n"
            "flops 40 Gflop/s\n"
            "ranks_per_node 48 ranks", /* without an end of line */
            &m));
  EXPECT_NEAR(m.latency, 1.5e-6, 1e-18);
  EXPECT_NEAR(m.overhead, 250e-9, 1e-18);
  EXPECT_NEAR(m.byte, 1e-10, 1e-22);
  EXPECT_NEAR(m.copy, 1e-10, 1e-22);
  EXPECT_NEAR(m.flops, 40e9, 1);
  EXPECT_EQ(m.ranks_per_node, 48);
  EXPECT_EQ(m.meeting, dtensor_machine_default().meeting); /* not named */
}

DTEST(Machine, WritesWhatItReads) {
  dtensor_machine m = dtensor_machine_default(), back;
  m.latency = 1.234567e-6;
  m.node_byte = 0;
  m.flops = 31.4159e9;
  m.ranks_per_node = 7;
  FILE *file = tmpfile();
  REQUIRE_NOT_NULL(file);
  EXPECT_OK(dti_machine_write(file, &m));
  rewind(file);
  EXPECT_OK(dti_machine_read(file, "file", &back));
  fclose(file);
  EXPECT_NEAR(back.latency / m.latency, 1, 1e-9);
  EXPECT_NEAR(back.overhead / m.overhead, 1, 1e-9);
  EXPECT_NEAR(back.byte / m.byte, 1, 1e-9);
  EXPECT_NEAR(back.node_latency / m.node_latency, 1, 1e-9);
  EXPECT_EQ(back.node_byte, 0.0);
  EXPECT_NEAR(back.meeting / m.meeting, 1, 1e-9);
  EXPECT_NEAR(back.copy / m.copy, 1, 1e-9);
  EXPECT_NEAR(back.pack / m.pack, 1, 1e-9);
  EXPECT_NEAR(back.reduce / m.reduce, 1, 1e-9);
  EXPECT_NEAR(back.flops / m.flops, 1, 1e-9);
  EXPECT_EQ(back.ranks_per_node, 7);
}

DTEST(Machine, SaysWhichLineIsWrong) {
  static const struct {
    const char *text, *message;
  } bad[] = {
      {"latency 1 us\nspeed 3 us\n", "text, line 2: a machine has no 'speed'"},
      {"latency 1\n", "line 1: 2 words"},
      {"latency 1 us please\n", "line 1: 4 words"},
      {"# fine\nlatency fast us\n", "line 2: 'fast' is not a number"},
      {"latency 1us us\n", "'1us' is not a number"},
      {"latency nan us\n", "'nan' is not a number"},
      {"latency inf us\n", "'inf' is not a number"},
      {"latency 1e999 us\n", "is not a number"},
      {"latency 1 ns/B\n", "'ns/B' is not a unit of latency"},
      {"latency -1 us\n", "latency is -1"},
      {"flops 0 Gflop/s\n", "flops is 0"},
      {"ranks_per_node 1.5 ranks\n", "1.5 ranks on a node"},
      {"ranks_per_node 1e12 ranks\n", "1e12 ranks on a node"},
      {"latency 1 us\nlatency 2 us\n", "line 2: latency a second time"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dtensor_machine m = {.latency = 77};
    EXPECT_STATUS(DTENSOR_EINVAL, parse(bad[i].text, &m));
    EXPECT_CONTAINS(dtensor_last_error(), bad[i].message);
    EXPECT_EQ(m.latency, 77.0); /* unchanged */
  }
}

DTEST(Machine, RefusesEndlessLines) {
  char line[5000];
  memset(line, 'x', sizeof line - 1);
  line[sizeof line - 1] = '\0';
  dtensor_machine m;
  EXPECT_STATUS(DTENSOR_EINVAL, parse(line, &m));
  EXPECT_CONTAINS(dtensor_last_error(), "line 1: over");
}

DTEST(Machine, FilesThatCannotBeOpened) {
  dtensor_machine m = dtensor_machine_default();
  EXPECT_STATUS(DTENSOR_EIO, dti_machine_load("/nowhere/machine.txt", NULL, &m));
  EXPECT_CONTAINS(dtensor_last_error(), "/nowhere/machine.txt");
  EXPECT_STATUS(DTENSOR_EIO, dti_machine_save("/nowhere/machine.txt", &m));
  EXPECT_STATUS(DTENSOR_EIO, dti_machine_save("/dev/full", &m));
}
