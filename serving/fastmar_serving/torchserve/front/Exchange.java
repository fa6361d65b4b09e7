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
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Handles one request and its response at a time: request id, keep-alive, access log, and the counting of requests in
 * flight.
 *
 * <p>It follows the HTTP codec in the pipeline, so it sees all responses, TorchServe's and the front's. It queues
 * pipelined requests until the previous response is sent, since TorchServe would mix them up.
 */
final class Exchange extends ChannelDuplexHandler {
    static final String REQUEST_ID = "x-request-id";

    private static final Logger ACCESS = LoggerFactory.getLogger("FRONT_ACCESS");
    private static final long LINGER = TimeUnit.SECONDS.toNanos(2);
    private static final long MAX_LINGER = TimeUnit.SECONDS.toNanos(30);

    private final Front front;
    private final Connection connection;
    private final long maxDiscarded;
    private final boolean logsAccess;
    private final ArrayDeque<Object> pipelined = new ArrayDeque<>(0);
    private boolean closing;
    private long closingSince;

    // State of the current request:
    private boolean busy;
    private boolean received;
    private boolean answered;
    private boolean sent;
    private boolean keepAlive;
    private boolean v2;
    private long discarded;
    private String method;
    private String uri;
    private String requestId;
    private volatile String target;
    private volatile long began;

    Exchange(Front front, Connection connection, long maxRequestSize, boolean mayLogAccess) {
        this.front = front;
        this.connection = connection;
        this.logsAccess = mayLogAccess && ACCESS.isInfoEnabled();
        this.maxDiscarded = 16 * maxRequestSize;
    }

    /** NAME or NAME/VERSION of the requested model; null if it is not known yet, or there is none. */
    String target() {
        return target;
    }

    long began() {
        return began;
    }

    /** The request is passed to a model. */
    void startModelRequest(String model, boolean protocolV2) {
        target = model;
        v2 = protocolV2;
        front.requestsInFlight.add(this, model);
    }

    /** Whether errors have the format of the Open Inference Protocol v2. */
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
        method = request.method().name();
        uri = request.uri(); // before it is rewritten for TorchServe
        requestId = RequestId.of(request.headers().get(REQUEST_ID));
        request.headers().set(REQUEST_ID, requestId);
    }

    /** Discard the rest of a refused body: many clients read the response only after they have sent the body. */
    private void discard(ChannelHandlerContext ctx, Object message) {
        if (message instanceof HttpContent) {
            discarded += ((HttpContent) message).content().readableBytes();
        }
        boolean last = message instanceof LastHttpContent;
        ReferenceCountUtil.release(message);
        if (discarded > maxDiscarded) {
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
            if (answered) { // TorchServe's response to a request that the front has refused
                ReferenceCountUtil.release(message);
                promise.tryFailure(new ClosedChannelException());
                return;
            }
            answered = true;
            message = decorate(response);
            if (logsAccess && busy) {
                logAccess(response.status().code());
            }
        }
        if (message instanceof LastHttpContent) {
            promise = promise.unvoid();
            promise.addListener(written -> responseSent(ctx));
        }
        ctx.write(message, promise);
    }

    private HttpResponse decorate(HttpResponse response) {
        if (response instanceof FullHttpResponse) {
            response = TorchServeError.translate((FullHttpResponse) response, v2);
        }
        if (target != null && response.status().code() < 500) {
            front.requestsInFlight.answered(target);
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

    private void logAccess(int status) {
        String path = uri.split("\\?", 2)[0].replaceAll("[^!-~]", "?");
        String milliseconds = String.format(Locale.ROOT, "%.1f", (System.nanoTime() - began) / 1e6);
        ACCESS.info("{} {} {} {} {}", method, path, status, milliseconds, requestId);
    }

    private void responseSent(ChannelHandlerContext ctx) {
        sent = true;
        front.requestsInFlight.remove(this);
        if (!keepAlive) {
            close(ctx, ctx.newPromise());
        } else if (received) {
            finish(ctx);
        }
    }

    /** End the current request and continue with the pipelined ones. */
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
     * Close the connection after the peer has read the response: shut down the output, and wait for the peer to close.
     * Closing immediately may reset the connection, and the peer would lose unread data.
     */
    @Override
    public void close(ChannelHandlerContext ctx, ChannelPromise promise) {
        boolean isPlain = ctx.channel() instanceof SocketChannel && ctx.pipeline().get(SslHandler.class) == null;
        if (!isPlain || !ctx.channel().isActive()) {
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
        ctx.channel().config().setAutoRead(true); // to notice that the peer closes
        ((SocketChannel) ctx.channel()).shutdownOutput().addListener((ChannelFutureListener) ended -> linger(ctx));
    }

    private void linger(ChannelHandlerContext ctx) {
        if (!ctx.channel().isActive()) {
            return;
        }
        long waited = System.nanoTime() - closingSince;
        if (waited > MAX_LINGER || (waited > LINGER && !connection.isUnconfirmed())) {
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
            ctx.writeAndFlush(Responses.error(HttpResponseStatus.REQUEST_TIMEOUT, "request_timeout",
                    "the request did not arrive in time.", "send it faster, or send less data.", v2), ctx.newPromise())
                    .addListener(ChannelFutureListener.CLOSE);
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) throws Exception {
        front.requestsInFlight.remove(this);
        release(ctx);
        super.channelInactive(ctx);
    }

    private void release(ChannelHandlerContext ctx) {
        pipelined.forEach(ReferenceCountUtil::release);
        pipelined.clear();
    }
}
