package fastmar.front;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.cors.CorsConfig;
import io.netty.handler.codec.http.cors.CorsConfigBuilder;
import io.netty.handler.codec.http.cors.CorsHandler;
import io.netty.handler.ssl.SslContext;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.Locale;
import org.pytorch.serve.ModelServer;
import org.pytorch.serve.ServerInitializer;
import org.pytorch.serve.util.ConfigManager;
import org.pytorch.serve.util.Connector;
import org.pytorch.serve.util.ConnectorType;

/** TorchServe's server, with the front's handlers before TorchServe's on each connection. */
final class FrontServer extends ModelServer {
    private final ConfigManager config;
    private final Front front;

    FrontServer(ConfigManager config, Front front) {
        super(config);
        this.config = config;
        this.front = front;
    }

    /** Called by startRESTserver for each API. Returns the future that completes when the listener closes. */
    @Override
    public ChannelFuture initializeServer(
            Connector connector, EventLoopGroup acceptors, EventLoopGroup workers, ConnectorType type)
            throws InterruptedException, IOException, GeneralSecurityException {
        SslContext ssl = connector.isSsl() ? config.getSslContext() : null;
        ServerBootstrap bootstrap = new ServerBootstrap()
                .group(acceptors, workers)
                .option(ChannelOption.SO_BACKLOG, 1024)
                .childHandler(new Pipeline(ssl, type));
        Integer descriptor = front.settings.listeners.get(api(type));
        ChannelFuture ready;
        if (descriptor != null && connector.getServerChannel() == EpollServerSocketChannel.class) {
            ready = bootstrap.channelFactory(() -> (ServerChannel) new EpollServerSocketChannel(descriptor)).register();
        } else {
            ready = bootstrap.channel(connector.getServerChannel()).bind(connector.getSocketAddress());
        }
        ready.sync();
        return ready.channel().closeFuture();
    }

    private static String api(ConnectorType type) {
        return type.name().replace("_CONNECTOR", "").toLowerCase(Locale.ROOT);
    }

    private final class Pipeline extends ChannelInitializer<Channel> {
        private final SslContext ssl;
        private final ConnectorType type;

        Pipeline(SslContext ssl, ConnectorType type) {
            this.ssl = ssl;
            this.type = type;
        }

        @Override
        protected void initChannel(Channel channel) {
            new ServerInitializer(ssl, type).initChannel(channel); // ssl, http, aggregator, handler
            int limit = config.getMaxRequestSize();
            Connection connection = new Connection(front);
            boolean isInference = type == ConnectorType.INFERENCE_CONNECTOR;
            Exchange exchange = new Exchange(front, connection, limit, isInference);
            ChannelPipeline pipeline = channel.pipeline();
            pipeline.addBefore("http", "fastmar-connection", connection);
            pipeline.addAfter("http", "fastmar-exchange", exchange);
            pipeline.replace("aggregator", "aggregator", new Aggregator(limit));
            pipeline.addBefore("aggregator", "fastmar-gate", gate(exchange, limit));
            if (isInference && !front.settings.origins.isEmpty()) {
                pipeline.addBefore("fastmar-gate", "fastmar-cors", new CorsHandler(cors(front.settings.origins)));
            }
        }

        private Gate gate(Exchange exchange, int limit) {
            switch (type) {
                case INFERENCE_CONNECTOR:
                    return new InferenceGate(front, exchange, limit);
                case MANAGEMENT_CONNECTOR:
                    return new ManagementGate(front, limit);
                case METRICS_CONNECTOR:
                    String port = config.getListener(ConnectorType.INFERENCE_CONNECTOR).getSocketPath();
                    return new MetricsGate(front, limit, port);
                default:
                    throw new IllegalArgumentException("the APIs must have addresses of their own");
            }
        }
    }

    private static CorsConfig cors(List<String> origins) {
        CorsConfigBuilder builder = origins.contains("*")
                ? CorsConfigBuilder.forAnyOrigin()
                : CorsConfigBuilder.forOrigins(origins.toArray(new String[0]));
        return builder
                .allowedRequestMethods(HttpMethod.GET, HttpMethod.POST)
                .allowedRequestHeaders("authorization", "content-type", "traceparent", Exchange.REQUEST_ID)
                .exposeHeaders(Exchange.REQUEST_ID)
                .maxAge(3600)
                .build();
    }
}
