package fastmar.front;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;

/**
 * Decompresses request bodies with gzip or deflate, up to a limit.
 *
 * <p>Unlike netty's decompressor, it detects a truncated body.
 */
final class Decompressor {
    private static final Set<String> GZIP = Set.of("gzip", "x-gzip");
    private static final Set<String> DEFLATE = Set.of("deflate", "x-deflate");

    private Decompressor() {}

    static boolean canDecompress(String encoding) {
        String name = encoding.strip().toLowerCase(Locale.ROOT);
        return GZIP.contains(name) || DEFLATE.contains(name);
    }

    /**
     * The decompressed body; null if that has more than {@code limit} bytes.
     *
     * @throws IOException if the body is damaged or truncated
     */
    static byte[] decompress(String encoding, ByteBuf body, int limit) throws IOException {
        boolean gzip = GZIP.contains(encoding.strip().toLowerCase(Locale.ROOT));
        Inflater inflater = new Inflater(!gzip && !looksLikeZlib(body));
        try (InputStream in = new ByteBufInputStream(body);
                InputStream out = gzip ? new GZIPInputStream(in) : new InflaterInputStream(in, inflater)) {
            byte[] found = out.readNBytes(limit + 1);
            return found.length > limit ? null : found;
        } finally {
            inflater.end();
        }
    }

    /** Many clients send deflate without the zlib header (RFC 9110, 8.4.1.2). */
    private static boolean looksLikeZlib(ByteBuf body) {
        if (body.readableBytes() < 2) {
            return true;
        }
        int header = body.getUnsignedShort(body.readerIndex());
        return (header & 0x7800) == 0x7800 && header % 31 == 0;
    }
}
