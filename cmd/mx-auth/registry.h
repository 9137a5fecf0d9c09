/*
 * registry.h - rows that register themselves: a file that holds a REGISTER
 * line adds its row to the program, no list elsewhere names it.
 * The linker gathers the pointers in a section of the row's kind.
 */
#ifndef MX_AUTH_REGISTRY_H
#define MX_AUTH_REGISTRY_H

#define REGISTER(SECTION, TYPE, ROW)                                           \
	static const TYPE *const ROW##_registered                              \
	    __attribute__((used, section(#SECTION))) = &(ROW)

#endif
