/*
 * crc32.h - the CRC-32 of gzip and zip (IEEE 802.3), for telling whole files
 * from damaged ones.  No protection against anybody who means harm.
 * Layer: base.
 */
#ifndef MX_CRC32_H
#define MX_CRC32_H

#include "base.h"

/* Goes on from crc (0 at the start) over n more bytes. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n);

#endif
