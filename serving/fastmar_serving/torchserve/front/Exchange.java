package fastmar.front;

import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;

/**
 * One request at a time and its response: the request's id, keep-alive, and whether it is under way.
 *
 * <p>It sits behind the HTTP codec, so it sees every response, TorchServe's and ours. Requests that a client sends
 * without waiting (pipelining) are held until the response before them is out: TorchServe would mix them up.
 */
final class Exchange extends ChannelDuplexHandler {
    static final String REQUEST_ID = "x-request-id";

    private static final long LINGER = TimeUnit.SECONDS.toNanos(2);
    private static final long LINGER_LONGEST = TimeUnit.SECONDS.toNanos(30);

    private final Front front;
    private final Connection connection;
    private final long mostDiscarded;
    private final ArrayDeque<Object> pipelined = new ArrayDeque<>(0);
    private boolean closing;
    private long closingSince;

    // Of the request under way:
    private boolean busy;
    private boolean received;
    private boolean answered;
    private boolean sent;
    private boolean keepAlive;
    private boolean v2;
    private long discarded;
    private String requestId;
    private volatile String target;
    private volatile long began;

    Exchange(Front front, Connection connection, long maxRequestSize) {
        this.front = front;
        this.connection = connection;
        this.mostDiscarded = 16 * maxRequestSize;
    }

    /** "NAME" or "NAME/VERSION" of the model that is asked; null before that is known, and where none is. */
    String target() {
        return target;
    }

    long began() {
        return began;
    }

    /** The request goes to a model. */
    void asks(String model, boolean protocolV2) {
        target = model;
        v2 = protocolV2;
        front.flights.add(this, model);
    }

    /** Whether errors have the shape of the Open Inference Protocol v2. */
    boolean isV2() {
        return v2;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        if (closing) {
            ReferenceCountUtil.release(message);
        } else if (!busy) {
            deliver(ctx, message);
        } else if (received || !pipelined.isEmpty()) {
            pipelined.add(message);
            ctx.channel().config().setAutoRead(false);
        } else if (answered) {
            discard(ctx, message);
        } else {
            deliver(ctx, message);
        }
    }

    private void deliver(ChannelHandlerContext ctx, Object message) {
        if (message instanceof HttpRequest) {
            begin((HttpRequest) message);
        }
        if (message instanceof LastHttpContent) {
            received = true;
            connection.requestReceived();
        }
        ctx.fireChannelRead(message);
    }

    private void begin(HttpRequest request) {
        busy = true;
        received = answered = sent = v2 = false;
        discarded = 0;
        target = null;
        began = System.nanoTime();
        keepAlive = HttpUtil.isKeepAlive(request);
        requestId = RequestId.of(request.headers().get(REQUEST_ID));
        request.headers().set(REQUEST_ID, requestId);
    }

    /** The rest of a body that was refused is read and thrown away, so that the client gets to the response. */
    private void discard(ChannelHandlerContext ctx, Object message) {
        if (message instanceof HttpContent) {
            discarded += ((HttpContent) message).content().readableBytes();
        }
        boolean last = message instanceof LastHttpContent;
        ReferenceCountUtil.release(message);
        if (discarded > mostDiscarded) {
            ctx.close();
        } else if (last) {
            received = true;
            connection.requestReceived();
            if (sent) {
                finish(ctx);
            }
        }
    }

    @Override
    public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
        if (message instanceof HttpResponse) {
            HttpResponse response = (HttpResponse) message;
            if (response.status().code() == HttpResponseStatus.CONTINUE.code()) {
                ctx.write(message, promise);
                return;
            }
            if (answered) { // TorchServe's late response to a request that was refused
                ReferenceCountUtil.release(message);
                promise.tryFailure(new ClosedChannelException());
                return;
            }
            answered = true;
            message = decorate(response);
        }
        if (message instanceof LastHttpContent) {
            promise = promise.unvoid();
            promise.addListener(written -> responseSent(ctx));
        }
        ctx.write(message, promise);
    }

    private HttpResponse decorate(HttpResponse response) {
        if (response instanceof FullHttpResponse) {
            response = TorchServeError.translated((FullHttpResponse) response, v2);
        }
        if (target != null && response.status().code() < 500) {
            front.flights.answered(target);
        }
        if (requestId != null) {
            response.headers().set(REQUEST_ID, requestId);
        }
        if (HttpHeaderValues.CLOSE.contentEqualsIgnoreCase(response.headers().get(HttpHeaderNames.CONNECTION))) {
            keepAlive = false;
        }
        keepAlive &= busy && !front.draining;
        response.headers().set(
                HttpHeaderNames.CONNECTION, keepAlive ? HttpHeaderValues.KEEP_ALIVE : HttpHeaderValues.CLOSE);
        return response;
    }

    private void responseSent(ChannelHandlerContext ctx) {
        sent = true;
        front.flights.remove(this);
        if (!keepAlive) {
            close(ctx, ctx.newPromise());
        } else if (received) {
            finish(ctx);
        }
    }

    /** On with the next request. */
    private void finish(ChannelHandlerContext ctx) {
        busy = false;
        connection.responseSent();
        if (pipelined.isEmpty()) {
            return;
        }
        while (!pipelined.isEmpty() && !closing && !(busy && received)) {
            Object message = pipelined.poll();
            if (busy && answered) {
                discard(ctx, message);
            } else {
                deliver(ctx, message);
            }
        }
        if (pipelined.isEmpty()) {
            ctx.channel().config().setAutoRead(true);
        }
    }

    /**
     * Close once the peer has taken the response: end our side of the connection, and wait until it ends its own. To
     * close at once may reset it, which loses what the peer has not read.
     */
    @Override
    public void close(ChannelHandlerContext ctx, ChannelPromise promise) {
        boolean plain = ctx.channel() instanceof SocketChannel && ctx.pipeline().get(SslHandler.class) == null;
        if (!plain || !ctx.channel().isActive()) {
            ctx.close(promise);
            return;
        }
        ctx.channel().closeFuture().addListener(closed -> promise.trySuccess());
        if (closing) {
            return;
        }
        closing = true;
        closingSince = System.nanoTime();
        connection.closing();
        release(ctx);
        ctx.channel().config().setAutoRead(true); // to see the peer's end
        ((SocketChannel) ctx.channel()).shutdownOutput().addListener((ChannelFutureListener) ended -> linger(ctx));
    }

    private void linger(ChannelHandlerContext ctx) {
        if (!ctx.channel().isActive()) {
            return;
        }
        long waited = System.nanoTime() - closingSince;
        if (waited > LINGER_LONGEST || (waited > LINGER && !connection.isUnconfirmed())) {
            ctx.close();
        } else {
            ctx.executor().schedule(() -> linger(ctx), 100, TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event != Connection.SLOW_REQUEST) {
            ctx.fireUserEventTriggered(event);
        } else if (answered || closing) {
            ctx.close();
        } else {
            keepAlive = false;
            ctx.writeAndFlush(Answers.error(HttpResponseStatus.REQUEST_TIMEOUT, "request_timeout",
                    "the request did not arrive in time.", "send it faster, or in smaller requests.", v2), ctx.newPromise())
                    .addListener(ChannelFutureListener.CLOSE);
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) throws Exception {
        front.flights.remove(this);
        release(ctx);
        super.channelInactive(ctx);
    }

    private void release(ChannelHandlerContext ctx) {
        pipelined.forEach(ReferenceCountUtil::release);
        pipelined.clear();
    }
}
