// Directives for Vitis HLS. Bambu refuses some of them and has no use for the others; other compilers would warn.
#ifndef EGRU_PRAGMAS_HPP
#define EGRU_PRAGMAS_HPP

#if defined(__SYNTHESIS__) && !defined(__BAMBU__)
#define EGRU_PRAGMA(text) _Pragma(#text)
#else
#define EGRU_PRAGMA(text)
#endif

// For functions that are called at several places and are given streams: Bambu ends with "map::at" where it has to follow a stream into a
// function that did not become part of its caller.
#if defined(__BAMBU__)
#define EGRU_INLINE __attribute__((always_inline)) inline
#else
#define EGRU_INLINE inline
#endif

#endif
