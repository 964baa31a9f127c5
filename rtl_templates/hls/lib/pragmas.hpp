// Directives for Vitis HLS. Bambu refuses some of them and has no use for the others; other compilers would warn.
#ifndef EGRU_PRAGMAS_HPP
#define EGRU_PRAGMAS_HPP

#if defined(__SYNTHESIS__) && !defined(__BAMBU__)
#define EGRU_PRAGMA(text) _Pragma(#text)
#else
#define EGRU_PRAGMA(text)
#endif

#endif
