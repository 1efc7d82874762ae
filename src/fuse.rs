//! Unpacks a kernel request, calls `fs`, replies. errno is decided here, in one exhaustive match.
