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

/** Collects a request's body, as TorchServe's own does, undoes its coding, and says so where it is too large. */
final class Aggregator extends HttpObjectAggregator {
    private final int most;

    Aggregator(int most) {
        super(most);
        this.most = most;
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, HttpObject message, List<Object> out) throws Exception {
        super.decode(ctx, message, out);
        if (!out.isEmpty()) {
            FullHttpRequest request = decoded(ctx, (FullHttpRequest) out.remove(0));
            if (request != null) {
                out.add(request);
            }
        }
    }

    /** The request with its body as TorchServe can take it; null where it was refused. */
    private FullHttpRequest decoded(ChannelHandlerContext ctx, FullHttpRequest request) {
        ByteBuf body = request.content();
        String encoding = request.headers().get(HttpHeaderNames.CONTENT_ENCODING);
        if (encoding != null && !HttpHeaderValues.IDENTITY.contentEqualsIgnoreCase(encoding.strip())) {
            try {
                byte[] plain = Decompressor.undo(encoding, body, most);
                if (plain == null) {
                    request.release();
                    handleOversizedMessage(ctx, request);
                    return null;
                }
                request.headers().remove(HttpHeaderNames.CONTENT_ENCODING);
                HttpUtil.setContentLength(request, plain.length);
                return replaced(request, plain);
            } catch (IOException damaged) {
                request.release();
                ctx.writeAndFlush(damaged(exchange(ctx).isV2()));
                return null;
            }
        }
        // TorchServe takes the whole array behind a body, not the part of it that is the body: make them the same.
        boolean fits = !body.hasArray() || body.array().length == body.readableBytes();
        return fits ? request : replaced(request, ByteBufUtil.getBytes(body));
    }

    private static FullHttpRequest replaced(FullHttpRequest request, byte[] body) {
        FullHttpRequest changed = request.replace(Unpooled.wrappedBuffer(body));
        request.release();
        return changed;
    }

    private static FullHttpResponse damaged(boolean v2) {
        return Answers.error(HttpResponseStatus.BAD_REQUEST, "content_encoding",
                "the body is not what its Content-Encoding says.",
                "compress it again, or send it without Content-Encoding.", v2);
    }

    /** Answer a body that is too large; the rest of it is read and thrown away. */
    @Override
    protected void handleOversizedMessage(ChannelHandlerContext ctx, HttpMessage oversized) {
        ctx.writeAndFlush(Gate.tooLarge(most, exchange(ctx).isV2()));
    }

    private static Exchange exchange(ChannelHandlerContext ctx) {
        return ctx.pipeline().get(Exchange.class);
    }
}
