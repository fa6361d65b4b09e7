package fastmar.front;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.compression.DecompressionException;
import io.netty.handler.codec.compression.ZlibCodecFactory;
import io.netty.handler.codec.compression.ZlibDecoder;
import io.netty.handler.codec.compression.ZlibWrapper;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpContentDecompressor;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.LastHttpContent;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Undoes gzip and deflate of a request's body, piece by piece. The aggregator behind it counts what comes out, so a body
 * that grows beyond the limit is refused as any other: at most one piece, 8 kB that become 8 MB, is held beyond it.
 */
final class Decompressor extends HttpContentDecompressor {
    static final String NAME = "fastmar-decompressor";
    private static final Set<String> GZIP = Set.of("gzip", "x-gzip");
    private static final Set<String> DEFLATE = Set.of("deflate", "x-deflate");
    private ZlibDecoder decoder;

    static boolean undoes(String encoding) {
        String name = encoding.strip().toLowerCase(Locale.ROOT);
        return GZIP.contains(name) || DEFLATE.contains(name);
    }

    @Override
    protected EmbeddedChannel newContentDecoder(String encoding) {
        String name = encoding.strip().toLowerCase(Locale.ROOT);
        if (!undoes(name)) {
            return null;
        }
        ZlibWrapper wrapper = GZIP.contains(name) ? ZlibWrapper.GZIP : ZlibWrapper.ZLIB_OR_NONE;
        decoder = ZlibCodecFactory.newZlibDecoder(wrapper);
        return new EmbeddedChannel(decoder);
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, HttpObject message, List<Object> out) throws Exception {
        ZlibDecoder before = decoder;
        super.decode(ctx, message, out);
        if (message instanceof LastHttpContent && before != null) {
            decoder = null;
            if (!before.isClosed()) {
                throw new DecompressionException("the data ends early");
            }
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        decoder = null;
        FullHttpResponse response = Answers.error(HttpResponseStatus.BAD_REQUEST, "content_encoding",
                "the body is not what its Content-Encoding says.",
                "compress it again, or send it without Content-Encoding.", ctx.pipeline().get(Exchange.class).isV2());
        response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        ctx.writeAndFlush(response);
    }
}
