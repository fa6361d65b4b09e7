package fastmar.front;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import java.io.IOException;
import java.util.List;

/** Collects and decompresses a request's body, and refuses a body that is too large or damaged. */
final class Aggregator extends HttpObjectAggregator {
    private final int limit;

    Aggregator(int limit) {
        super(limit);
        this.limit = limit;
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, HttpObject message, List<Object> out) throws Exception {
        super.decode(ctx, message, out);
        if (!out.isEmpty()) {
            FullHttpRequest request = decompress(ctx, (FullHttpRequest) out.remove(0));
            if (request != null) {
                out.add(request);
            }
        }
    }

    /** The request with an uncompressed body, in an array of exactly its length; null if it was refused. */
    private FullHttpRequest decompress(ChannelHandlerContext ctx, FullHttpRequest request) {
        ByteBuf body = request.content();
        String encoding = request.headers().get(HttpHeaderNames.CONTENT_ENCODING);
        if (encoding != null && !HttpHeaderValues.IDENTITY.contentEqualsIgnoreCase(encoding.strip())) {
            try {
                byte[] plain = Decompressor.decompress(encoding, body, limit);
                if (plain == null) {
                    request.release();
                    handleOversizedMessage(ctx, request);
                    return null;
                }
                request.headers().remove(HttpHeaderNames.CONTENT_ENCODING);
                HttpUtil.setContentLength(request, plain.length);
                return replaceBody(request, plain);
            } catch (IOException damaged) {
                request.release();
                ctx.writeAndFlush(damaged(exchange(ctx).isV2()));
                return null;
            }
        }
        // TorchServe reads the whole array of a buffer, also beyond the end of the body.
        boolean fits = !body.hasArray() || body.array().length == body.readableBytes();
        return fits ? request : replaceBody(request, ByteBufUtil.getBytes(body));
    }

    private static FullHttpRequest replaceBody(FullHttpRequest request, byte[] body) {
        FullHttpRequest changed = request.replace(Unpooled.wrappedBuffer(body));
        request.release();
        return changed;
    }

    private static FullHttpResponse damaged(boolean v2) {
        return Responses.error(HttpResponseStatus.BAD_REQUEST, "content_encoding",
                "the body is not valid for its Content-Encoding.",
                "compress it again, or send it without Content-Encoding.", v2);
    }

    /** Refuse a body that is too large. {@link Exchange} discards the rest of it. */
    @Override
    protected void handleOversizedMessage(ChannelHandlerContext ctx, HttpMessage oversized) {
        ctx.writeAndFlush(Gate.tooLarge(limit, exchange(ctx).isV2()));
    }

    private static Exchange exchange(ChannelHandlerContext ctx) {
        return ctx.pipeline().get(Exchange.class);
    }
}
