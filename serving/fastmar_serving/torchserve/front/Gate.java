package fastmar.front;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.util.ReferenceCountUtil;

/** Checks the head of each request before its body arrives: responds, refuses, or passes it on. */
abstract class Gate extends ChannelInboundHandlerAdapter {
    private static final int MAX_SHOWN = 80; // characters of a path in a message

    final Front front;
    private final long maxRequestSize;

    Gate(Front front, long maxRequestSize) {
        this.front = front;
        this.maxRequestSize = maxRequestSize;
    }

    /** A response instead of passing the request on; null to pass it on. */
    abstract FullHttpResponse check(HttpRequest request, String path, QueryStringDecoder uri);

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        if (!(message instanceof HttpRequest)) {
            ctx.fireChannelRead(message);
            return;
        }
        HttpRequest request = (HttpRequest) message;
        boolean hasExpectation = request.headers().contains(HttpHeaderNames.EXPECT);
        FullHttpResponse response = checkAll(request);
        if (response == null) {
            ctx.fireChannelRead(message);
            return;
        }
        if (hasExpectation) { // the client may or may not send the body, so the connection can't be reused
            response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        }
        ReferenceCountUtil.release(message);
        ctx.writeAndFlush(response);
    }

    private FullHttpResponse checkAll(HttpRequest request) {
        if (!request.decoderResult().isSuccess()) {
            return malformed(request.decoderResult().cause());
        }
        QueryStringDecoder uri = new QueryStringDecoder(request.uri());
        String path;
        try {
            path = uri.path();
        } catch (IllegalArgumentException notEncoded) {
            return malformed(notEncoded);
        }
        FullHttpResponse response = check(request, path, uri);
        if (response == null && HttpUtil.getContentLength(request, 0L) > maxRequestSize) {
            return tooLarge(maxRequestSize, path.startsWith("/v2/"));
        }
        return response;
    }

    /** The refusal of a request without a valid key; null if the key is valid, or none is needed. */
    FullHttpResponse refuseWithoutKey(HttpRequest request, String api, boolean v2) {
        Keys keys = front.keys.get(api);
        if (keys == null || keys.admit(request.headers().get(HttpHeaderNames.AUTHORIZATION))) {
            return null;
        }
        FullHttpResponse response = Responses.error(HttpResponseStatus.UNAUTHORIZED, "unauthorized",
                "the request has no valid key.",
                "send the header `Authorization: Bearer KEY`; `fastmar serve` prints where the key is.", v2);
        response.headers().set(HttpHeaderNames.WWW_AUTHENTICATE, "Bearer realm=\"fastmar\"");
        return response;
    }

    static boolean isRead(HttpRequest request) {
        return request.method().equals(HttpMethod.GET) || request.method().equals(HttpMethod.HEAD);
    }

    static FullHttpResponse notAllowed(String allow, boolean v2) {
        FullHttpResponse response = Responses.error(HttpResponseStatus.METHOD_NOT_ALLOWED, "method_not_allowed",
                "this path does not allow this method.", "use " + allow.replace(", ", " or ") + ".", v2);
        response.headers().set(HttpHeaderNames.ALLOW, allow);
        return response;
    }

    /** The refusal of a request by a page of another origin, when no origins are allowed. */
    static FullHttpResponse notAllowedOrigin(String allow, boolean v2) {
        FullHttpResponse response = Responses.error(HttpResponseStatus.METHOD_NOT_ALLOWED, "method_not_allowed",
                "the server does not allow requests from pages of other origins.",
                "start it with `fastmar serve --cors-origins ORIGIN`, where ORIGIN is that of the page.", v2);
        response.headers().set(HttpHeaderNames.ALLOW, allow);
        return response;
    }

    static FullHttpResponse notFound(String path, boolean v2) {
        String fix = path.length() > 1 && path.endsWith("/")
                ? "remove the slash at the end of the path."
                : "POST to /predictions/NAME; GET /v1/models lists the models.";
        String shown = path.length() > MAX_SHOWN ? path.substring(0, MAX_SHOWN) + "..." : path;
        return Responses.error(HttpResponseStatus.NOT_FOUND, "not_found",
                "nothing is served at the path '" + shown + "'.", fix, v2);
    }

    static FullHttpResponse tooLarge(long limit, boolean v2) {
        return Responses.error(HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, "too_large",
                "the body has more than " + limit + " bytes.",
                "send fewer records at once, or a smaller picture, or raise max_request_size (--config).", v2);
    }

    private static FullHttpResponse malformed(Throwable cause) {
        HttpResponseStatus status = HttpResponseStatus.BAD_REQUEST;
        String message = "the request is not valid HTTP.";
        if (cause instanceof TooLongFrameException) {
            boolean line = String.valueOf(cause.getMessage()).contains("line");
            status = line ? HttpResponseStatus.REQUEST_URI_TOO_LONG : HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE;
            message = line ? "the request's URL is too long." : "the request's headers are too long.";
        }
        FullHttpResponse response = Responses.error(status, "bad_request", message,
                "send the data in the body, and fewer or shorter headers.", false);
        response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        return response;
    }
}
