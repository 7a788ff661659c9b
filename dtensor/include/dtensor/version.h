/* The library's version. */
#ifndef DTENSOR_VERSION_H_
#define DTENSOR_VERSION_H_

#define DTENSOR_VERSION_MAJOR 0
#define DTENSOR_VERSION_MINOR 1
#define DTENSOR_VERSION_PATCH 0

#endif
