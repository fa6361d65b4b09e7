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
 * Undoes gzip and deflate of a request's body, up to a limit.
 *
 * <p>Netty's own decompressor does not tell a body that ends early from a whole one.
 */
final class Decompressor {
    private static final Set<String> GZIP = Set.of("gzip", "x-gzip");
    private static final Set<String> DEFLATE = Set.of("deflate", "x-deflate");

    private Decompressor() {}

    static boolean undoes(String encoding) {
        String name = encoding.strip().toLowerCase(Locale.ROOT);
        return GZIP.contains(name) || DEFLATE.contains(name);
    }

    /**
     * The body without its coding; null where that has more than {@code most} bytes.
     *
     * @throws IOException if it is damaged or ends early
     */
    static byte[] undo(String encoding, ByteBuf body, int most) throws IOException {
        boolean gzip = GZIP.contains(encoding.strip().toLowerCase(Locale.ROOT));
        Inflater inflater = new Inflater(!gzip && !looksLikeZlib(body));
        try (InputStream in = new ByteBufInputStream(body);
                InputStream out = gzip ? new GZIPInputStream(in) : new InflaterInputStream(in, inflater)) {
            byte[] found = out.readNBytes(most + 1);
            return found.length > most ? null : found;
        } finally {
            inflater.end();
        }
    }

    /** Half of the world sends deflate without zlib's header (RFC 9110, 8.4.1.2). */
    private static boolean looksLikeZlib(ByteBuf body) {
        if (body.readableBytes() < 2) {
            return true;
        }
        int header = body.getUnsignedShort(body.readerIndex());
        return (header & 0x7800) == 0x7800 && header % 31 == 0;
    }
}
