package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;

/** The gate of the metrics: only GET /metrics, without a key. */
final class MetricsGate extends Gate {
    MetricsGate(Front front, long maxRequestSize) {
        super(front, maxRequestSize);
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        if (!path.equals("/metrics")) {
            return Responses.error(HttpResponseStatus.NOT_FOUND, "not_found", "this port serves only /metrics.",
                    "GET /metrics; send requests to models to the inference port.", false);
        }
        return request.method().equals(HttpMethod.GET) ? null : notAllowed("GET", false);
    }
}
