package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;

/** The metrics: GET /metrics without a key, and nothing else. */
final class MetricsGate extends Gate {
    MetricsGate(Front front, long maxRequestSize) {
        super(front, maxRequestSize);
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        if (!path.equals("/metrics")) {
            return Answers.error(HttpResponseStatus.NOT_FOUND, "not_found", "there is only /metrics here.",
                    "GET /metrics; models answer on the inference port.", false);
        }
        return request.method().equals(HttpMethod.GET) ? null : notAllowed("GET", false);
    }
}
