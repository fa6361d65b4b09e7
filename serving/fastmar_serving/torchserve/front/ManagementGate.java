package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.QueryStringDecoder;

/** The gate of the management API: every path needs the key, if there is one. */
final class ManagementGate extends Gate {
    ManagementGate(Front front, long maxRequestSize) {
        super(front, maxRequestSize);
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        FullHttpResponse refusal = refuseWithoutKey(request, "management", false);
        if (refusal != null) {
            return refusal;
        }
        boolean known = path.equals("/models") || path.startsWith("/models/");
        return known ? null : notFound(path, false);
    }
}
