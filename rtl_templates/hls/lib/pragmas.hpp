// Directives: for Vitis HLS all of them; for Bambu, which refuses some and has no use for the others, its modules' ports; for others none.
#ifndef EGRU_PRAGMAS_HPP
#define EGRU_PRAGMAS_HPP

#define EGRU_DIRECTIVE(text) _Pragma(#text)

#if defined(__BAMBU__)
#define EGRU_PRAGMA(text)
#define EGRU_PORT(name) EGRU_DIRECTIVE(HLS interface mode = axis port = name)
#elif defined(__SYNTHESIS__)
#define EGRU_PRAGMA(text) EGRU_DIRECTIVE(text)
#define EGRU_PORT(name)
#else
#define EGRU_PRAGMA(text)
#define EGRU_PORT(name)
#endif

#endif
