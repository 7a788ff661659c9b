#include "dtensor/base/fail.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/dtest.h"

enum { CHECK_LINE = __LINE__ + 3 };

static dtensor_status inner_check(int rows, int columns) {
  DTI_CHECK(rows == columns, DTENSOR_ESHAPE, "need a square, got [%d,%d]", rows, columns);
  return DTENSOR_OK;
}

static dtensor_status public_inner(int rows, int columns) {
  DTI_API();
  DTI_TRY(inner_check(rows, columns));
  return DTENSOR_OK;
}

static dtensor_status public_outer(int rows, int columns, int *held) {
  DTI_API();
  dtensor_status status;
  *held = 1;
  DTI_TRY_OR(fail, status, public_inner(rows, columns));
  return DTENSOR_OK;
fail:
  *held = 0;
  return status;
}

DTEST(Fail, MessageNamesFunctionValuesCodeAndPlace) {
  int held;
  EXPECT_STATUS(DTENSOR_ESHAPE, public_outer(3, 4, &held));
  EXPECT_EQ(held, 0);
  char want[128];
  snprintf(want, sizeof want,
           "public_outer: need a square, got [3,4] [DTENSOR_ESHAPE; tests/base/fail_test.c:%d]",
           CHECK_LINE);
  EXPECT_STREQ(dtensor_last_error(), want);
  EXPECT_OK(public_outer(4, 4, &held));
  EXPECT_EQ(held, 1);
  EXPECT_STATUS(DTENSOR_ESHAPE, public_inner(1, 2));
  EXPECT_CONTAINS(dtensor_last_error(), "public_inner: need");
  EXPECT_STATUS(DTENSOR_ESHAPE, inner_check(1, 2));
  EXPECT_CONTAINS(dtensor_last_error(), "dtensor: need a square, got [1,2]");
}

DTEST(Fail, MessageShowsRankAndShortPath) {
  dti_fail_set_rank(3, 8);
  EXPECT_STATUS(DTENSOR_EIO, dti_fail(DTENSOR_EIO, "/build/dtensor/dtensor/ops/matmul.c", 33, "x"));
  EXPECT_STREQ(dtensor_last_error(), "dtensor: x [DTENSOR_EIO; rank 3/8; ops/matmul.c:33]");
  dti_fail_set_rank(-1, 0);
}

DTEST(Fail, LongMessagesLoseTheirEndNotThePlace) {
  char text[3000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  EXPECT_STATUS(DTENSOR_EINVAL, dti_fail(DTENSOR_EINVAL, "a.c", 7, "%s", text));
  EXPECT_LT(strlen(dtensor_last_error()), 1024u);
  EXPECT_CONTAINS(dtensor_last_error(), "xxx [DTENSOR_EINVAL; a.c:7]");
}

DTEST(Fail, MessageMayQuoteThePreviousOne) {
  (void)DTI_FAIL(DTENSOR_EIO, "disk %d", 5);
  (void)DTI_FAIL(DTENSOR_EINVAL, "after: %s", dtensor_last_error());
  EXPECT_CONTAINS(dtensor_last_error(), "after: dtensor: disk 5 [DTENSOR_EIO;");
}

static void *fail_elsewhere(void *message) {
  snprintf(message, 64, "%s", dtensor_last_error());
  (void)DTI_FAIL(DTENSOR_EMPI, "on the other thread");
  return NULL;
}

DTEST(Fail, EachThreadHasItsMessage) {
  (void)DTI_FAIL(DTENSOR_EIO, "on this thread");
  char theirs[64] = "?";
  pthread_t thread;
  REQUIRE_EQ(pthread_create(&thread, NULL, fail_elsewhere, theirs), 0);
  pthread_join(thread, NULL);
  EXPECT_STREQ(theirs, "");
  EXPECT_CONTAINS(dtensor_last_error(), "on this thread");
}

static void remember(dtensor_status status, const char *message, void *ctx) {
  snprintf(ctx, 64, "%d %.20s", (int)status, message);
}

DTEST(Fail, HandlerSeesEveryError) {
  char seen[64] = "";
  dtensor_set_error_handler(remember, seen);
  (void)DTI_FAIL(DTENSOR_ENOMEM, "12 bytes");
  dtensor_set_error_handler(NULL, NULL);
  EXPECT_STREQ(seen, "6 dtensor: 12 bytes [D");
  (void)DTI_FAIL(DTENSOR_EIO, "not seen");
  EXPECT_STREQ(seen, "6 dtensor: 12 bytes [D");
}

DTEST(Fail, StatusNamesAndTexts) {
  EXPECT_STREQ(dtensor_status_name(DTENSOR_OK), "DTENSOR_OK");
  EXPECT_STREQ(dtensor_status_name(DTENSOR_EUNSUPPORTED), "DTENSOR_EUNSUPPORTED");
  EXPECT_STREQ(dtensor_status_text(DTENSOR_ESHAPE), "shapes do not match");
  EXPECT_STREQ(dtensor_status_name((dtensor_status)12), "DTENSOR_UNKNOWN");
  EXPECT_STREQ(dtensor_status_text((dtensor_status)-1), "not a status");
}
