/* The style sheet of the report. */
#ifndef PURIFY_REPORT_STYLE_H_
#define PURIFY_REPORT_STYLE_H_

#include <stdio.h>

void report_style_write(FILE *out);

#endif
