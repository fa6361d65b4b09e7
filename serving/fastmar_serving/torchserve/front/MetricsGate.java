package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;

/** The gate of the metrics: only GET /metrics, without a key. */
final class MetricsGate extends Gate {
    private final String inferencePort;

    MetricsGate(Front front, long maxRequestSize, String inferencePort) {
        super(front, maxRequestSize);
        this.inferencePort = inferencePort;
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        if (!path.equals("/metrics")) {
            return Responses.error(HttpResponseStatus.NOT_FOUND, "not_found",
                    "this is the port of the metrics, which serves only /metrics.",
                    "send requests to models to port " + inferencePort + ", or GET /metrics here.", false);
        }
        return request.method().equals(HttpMethod.GET) ? null : notAllowed("GET", false);
    }
}
