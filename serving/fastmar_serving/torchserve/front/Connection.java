package fastmar.front;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.channel.epoll.EpollSocketChannel;
import java.util.concurrent.TimeUnit;

/**
 * The first handler of a connection: tracks its state, and closes it after a timeout.
 *
 * <p>A periodic check of each connection replaces timers for each request.
 */
final class Connection extends ChannelInboundHandlerAdapter {
    /** User event of the pipeline: a request did not arrive in time. */
    static final Object SLOW_REQUEST = new Object();

    private static final long CHECK_EVERY = TimeUnit.SECONDS.toNanos(2);
    private static final long RECENT = TimeUnit.SECONDS.toNanos(1);

    private final Front front;
    private volatile Channel channel;
    private volatile long lastRead = System.nanoTime();
    private volatile long received; // bytes of an incomplete request
    private volatile boolean answering; // the request is complete, the response is not sent yet
    private volatile boolean closing;
    private long requestBegan;
    private boolean used;
    private long pendingBefore;
    private long pendingSince;

    Connection(Front front) {
        this.front = front;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        channel = ctx.channel();
        front.connections.add(this);
        scheduleCheck(ctx);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) throws Exception {
        front.connections.remove(this);
        super.channelInactive(ctx);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        long now = System.nanoTime();
        lastRead = now;
        if (!answering) {
            if (received == 0) {
                requestBegan = now;
            }
            received += message instanceof ByteBuf ? ((ByteBuf) message).readableBytes() : 1;
        }
        ctx.fireChannelRead(message);
    }

    /** The request is complete. */
    void requestReceived() {
        used = true;
        answering = true;
        received = 0;
    }

    /** The response is sent. */
    void responseSent() {
        answering = false;
        lastRead = System.nanoTime();
    }

    /** No more requests are read; the connection waits until the peer has read the response and closes. */
    void closing() {
        closing = true;
    }

    /** Whether there is a request, an unacknowledged response, or recent data. */
    boolean isBusy() {
        if (!channel.isActive()) {
            return false;
        }
        return answering || closing || received > 0 || System.nanoTime() - lastRead < RECENT || isUnconfirmed();
    }

    /** Whether the peer has not acknowledged all sent data. */
    boolean isUnconfirmed() {
        try {
            return channel instanceof EpollSocketChannel && ((EpollSocketChannel) channel).tcpInfo().unacked() > 0;
        } catch (RuntimeException closed) {
            return false;
        }
    }

    private void scheduleCheck(ChannelHandlerContext ctx) {
        ctx.executor().schedule(() -> check(ctx), CHECK_EVERY, TimeUnit.NANOSECONDS);
    }

    private void check(ChannelHandlerContext ctx) {
        if (!ctx.channel().isOpen()) {
            front.connections.remove(this);
            return;
        }
        Settings settings = front.settings;
        long now = System.nanoTime();
        if (isStuck(ctx, now)) {
            ctx.close();
        } else if (received > 0) {
            double allowed = settings.requestTimeout + (double) received / settings.bytesPerSecond;
            if (now - requestBegan > allowed * 1e9) {
                ctx.fireUserEventTriggered(SLOW_REQUEST);
            }
        } else if (!answering && !closing) {
            double allowed = used ? settings.idleTimeout : settings.firstTimeout;
            if (now - lastRead > allowed * 1e9) {
                ctx.close();
            }
        }
        scheduleCheck(ctx);
    }

    /** Whether the peer has not read anything of a response for too long. */
    private boolean isStuck(ChannelHandlerContext ctx, long now) {
        ChannelOutboundBuffer buffer = ctx.channel().unsafe().outboundBuffer();
        long pending = buffer == null ? 0 : buffer.totalPendingWriteBytes();
        if (pending == 0 || pending != pendingBefore) {
            pendingBefore = pending;
            pendingSince = now;
        }
        return now - pendingSince > front.settings.writeTimeout * 1e9;
    }
}
