package fastmar.front;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The gate of the inference API: health checks without a key, documents, and requests to models. */
final class InferenceGate extends Gate {
    static final String PREFIX = "fastmar-";
    private static final String READ = "GET, HEAD";

    private final Exchange exchange;

    InferenceGate(Front front, Exchange exchange, long maxRequestSize) {
        super(front, maxRequestSize);
        this.exchange = exchange;
    }

    @Override
    FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri) {
        boolean v2 = path.equals("/v2") || path.startsWith("/v2/");
        ServedState served = front.served;
        ServedState.FixedResponse fixed = served.answers.get(path);
        if (fixed == null || !fixed.open) {
            FullHttpResponse refusal = refuseWithoutKey(request, "inference", v2);
            if (refusal != null) {
                if (isRead(request) && path.endsWith("/docs")) { // makes a browser ask for user name and password
                    refusal.headers().add(HttpHeaderNames.WWW_AUTHENTICATE, "Basic realm=\"fastmar\", charset=\"UTF-8\"");
                }
                return refusal;
            }
        }
        if (fixed != null) {
            return isRead(request)
                    ? Responses.text(HttpResponseStatus.valueOf(fixed.status), fixed.type, fixed.body)
                    : notAllowed(READ, v2);
        }
        if (path.equals("/api-description")) {
            return isRead(request) ? null : notAllowed(READ, v2);
        }
        Route route = Route.of(served.predictions.getOrDefault(path, path), uri, served);
        if (route == null) {
            return path.equals("/invocations") ? nameNeeded() : notFound(path, v2);
        }
        if (request.method().equals(HttpMethod.OPTIONS)
                && request.headers().contains(HttpHeaderNames.ACCESS_CONTROL_REQUEST_METHOD)) {
            return notAllowedOrigin(route.needsPost ? "POST" : READ, v2);
        }
        if (route.needsPost && !request.method().equals(HttpMethod.POST)) {
            return notAllowed("POST", v2);
        }
        if (!route.needsPost && !isRead(request) && !(route.mayPost && request.method().equals(HttpMethod.POST))) {
            return notAllowed(route.mayPost ? READ + ", POST" : READ, v2);
        }
        FullHttpResponse refusal = checkEncoding(request, v2);
        if (refusal != null) {
            return refusal;
        }
        rewrite(request, route, path, served);
        exchange.startModelRequest(route.target(), v2);
        return null;
    }

    private static FullHttpResponse nameNeeded() {
        return Responses.error(HttpResponseStatus.BAD_REQUEST, "model_name_required",
                "several models are served, and the request names none.",
                "POST to /predictions/NAME or /invocations?model_name=NAME.", false);
    }

    /** Refuses unsupported content encodings. */
    private static FullHttpResponse checkEncoding(HttpRequest request, boolean v2) {
        String encoding = request.headers().get(HttpHeaderNames.CONTENT_ENCODING);
        if (encoding == null || HttpHeaderValues.IDENTITY.contentEqualsIgnoreCase(encoding.strip())) {
            return null;
        }
        if (!Decompressor.canDecompress(encoding)) {
            FullHttpResponse response = Responses.error(HttpResponseStatus.UNSUPPORTED_MEDIA_TYPE, "content_encoding",
                    "the body's Content-Encoding is neither gzip nor deflate.",
                    "send it as gzip, as deflate, or without Content-Encoding.", v2);
            response.headers().set(HttpHeaderNames.ACCEPT_ENCODING, "gzip, deflate");
            return response;
        }
        return null;
    }

    /** Rewrite path and headers into the form that TorchServe passes to the worker and the runtime expects. */
    private static void rewrite(HttpRequest request, Route route, String path, ServedState served) {
        HttpHeaders headers = request.headers();
        removeFastmarHeaders(headers);
        if (route.document != null) {
            request.setMethod(HttpMethod.POST).setUri(route.uri());
            headers.set(HttpHeaderNames.CONTENT_TYPE, "application/" + route.document + "-request+json");
            return;
        }
        if (!route.needsPost) {
            return; // TorchServe passes the path after the version to the worker
        }
        ServedState.Model model = served.models.get(route.name);
        String type = headers.get(HttpHeaderNames.CONTENT_TYPE);
        if (model != null && model.raw && !isDocumentRequest(request, type)) {
            headers.set(HttpHeaderNames.CONTENT_TYPE, HttpHeaderValues.APPLICATION_OCTET_STREAM);
            headers.set(PREFIX + "content-type", type == null ? "" : type);
            if (path.startsWith("/v2/")) {
                headers.set(PREFIX + "protocol", "v2");
            }
            request.setUri(route.uri());
        } else if (route.isRewritten || served.predictions.containsKey(path)) {
            request.setUri(route.uri());
        }
    }

    /** Whether it is an empty POST for a document, which clients send if they know no version. */
    private static boolean isDocumentRequest(HttpRequest request, String type) {
        return type != null && type.contains("-request+json") && HttpUtil.getContentLength(request, 0L) == 0;
    }

    /** Remove headers that only the front may set. */
    private static void removeFastmarHeaders(HttpHeaders headers) {
        List<String> ours = null;
        for (Map.Entry<String, String> header : headers) {
            if (header.getKey().regionMatches(true, 0, PREFIX, 0, PREFIX.length())) {
                ours = ours == null ? new ArrayList<>() : ours;
                ours.add(header.getKey());
            }
        }
        if (ours != null) {
            ours.forEach(headers::remove);
        }
    }
}
