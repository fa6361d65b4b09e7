package fastmar.front;

import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpObjectAggregator;

/** Collects a request's body, as TorchServe's own does, and says so where it is too large. */
final class Aggregator extends HttpObjectAggregator {
    private final int most;

    Aggregator(int most) {
        super(most);
        this.most = most;
    }

    @Override
    protected void handleOversizedMessage(ChannelHandlerContext ctx, HttpMessage oversized) {
        Exchange exchange = ctx.pipeline().get(Exchange.class);
        ctx.writeAndFlush(Gate.tooLarge(most, exchange.isV2())); // the rest is read and thrown away
    }
}
