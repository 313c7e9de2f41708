// zlib's init functions are macros, which Swift can't call. 31 = the largest window, in gzip's format.

#define ZLIB_CONST
#include <zlib.h>

static inline int gzip_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
}

static inline int gzip_inflate_init(z_stream *stream) {
    return inflateInit2(stream, 31);
}
