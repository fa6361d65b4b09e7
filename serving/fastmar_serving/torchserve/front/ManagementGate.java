package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.QueryStringDecoder;

/** The gate of the management API: every path needs the key, if there is one. */
final class ManagementGate extends Gate {
    private final Keys keys;

    ManagementGate(Front front, Keys keys, long maxRequestSize) {
        super(front, maxRequestSize);
        this.keys = keys;
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        FullHttpResponse refusal = refuseWithoutKey(request, keys, false);
        if (refusal != null) {
            return refusal;
        }
        boolean known = path.equals("/models") || path.startsWith("/models/");
        return known ? null : notFound(path, false);
    }
}
