package fastmar.front;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Builds the front's own responses: text, JSON, and errors in the format of the models' errors. */
final class Responses {
    private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();

    private Responses() {}

    static FullHttpResponse json(HttpResponseStatus status, String text) {
        return text(status, HttpHeaderValues.APPLICATION_JSON, text);
    }

    static FullHttpResponse text(HttpResponseStatus status, CharSequence type, String text) {
        ByteBuf body = Unpooled.copiedBuffer(text, StandardCharsets.UTF_8);
        FullHttpResponse response = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, body);
        response.headers().set(HttpHeaderNames.CONTENT_TYPE, type);
        response.headers().set(HttpHeaderNames.CACHE_CONTROL, "no-store");
        HttpUtil.setContentLength(response, body.readableBytes());
        return response;
    }

    /** {"error": {"code", "message", "fix"}}; in the Open Inference Protocol v2 the error is one string. */
    static FullHttpResponse error(HttpResponseStatus status, String code, String message, String fix, boolean v2) {
        return json(status, errorText(code, message, fix, v2));
    }

    static String errorText(String code, String message, String fix, boolean v2) {
        if (v2) {
            return GSON.toJson(Map.of("error", message + " Fix: " + fix));
        }
        Map<String, String> error = new LinkedHashMap<>();
        error.put("code", code);
        error.put("message", message);
        error.put("fix", fix);
        return GSON.toJson(Map.of("error", error));
    }
}
