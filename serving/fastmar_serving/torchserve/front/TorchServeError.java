package fastmar.front;

import com.google.gson.Gson;
import com.google.gson.JsonSyntaxException;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;

/** Translates TorchServe's errors, {"code": 404, "type": "ModelNotFoundException", "message": ...}, into fastmar's. */
final class TorchServeError {
    private static final Gson GSON = new Gson();
    private static final int MAX_LENGTH = 16384;

    private int code;
    private String type;
    private String message;

    private TorchServeError() {}

    static FullHttpResponse translate(FullHttpResponse response, boolean v2) {
        HttpResponseStatus status = response.status();
        if (status.code() < 400 || !isJsonObject(response)) {
            return response;
        }
        TorchServeError error;
        try {
            error = GSON.fromJson(response.content().toString(StandardCharsets.UTF_8), TorchServeError.class);
        } catch (JsonSyntaxException other) {
            return response;
        }
        if (error == null || error.type == null || error.code != status.code()) {
            return response; // an error of a model
        }
        FullHttpResponse translated = error.toResponse(status, v2);
        HttpHeaders headers = response.headers();
        if (headers.contains(HttpHeaderNames.CONNECTION)) {
            translated.headers().set(HttpHeaderNames.CONNECTION, headers.get(HttpHeaderNames.CONNECTION));
        }
        response.release();
        return translated;
    }

    private static boolean isJsonObject(FullHttpResponse response) {
        int size = response.content().readableBytes();
        return size > 0 && size < MAX_LENGTH && response.content().getByte(response.content().readerIndex()) == '{';
    }

    private FullHttpResponse toResponse(HttpResponseStatus status, boolean v2) {
        String text = message == null ? "" : message.strip();
        switch (type) {
            case "ModelNotFoundException":
                return Responses.error(status, "model_not_found", "no such model is served.",
                        "GET /v1/models lists the models.", v2);
            case "ModelVersionNotFoundException":
                return Responses.error(status, "version_not_found", "the model has no such version.",
                        "GET /v1/models lists the versions of each model.", v2);
            case "ResourceNotFoundException":
                return Responses.error(status, "not_found", "nothing is served at this path.",
                        "POST to /predictions/NAME; GET /v1/models lists the models.", v2);
            case "MethodNotAllowedException":
                return Responses.error(status, "method_not_allowed", "this path does not allow this method.",
                        "see the documentation of the API.", v2);
            case "ServiceUnavailableException":
                FullHttpResponse busy = Responses.error(status, "overloaded",
                        "the request was not accepted: too many requests are waiting, or no worker is ready.",
                        "repeat it after a moment; if the error persists, add workers or read the server's log.", v2);
                busy.headers().set(HttpHeaderNames.RETRY_AFTER, "1");
                return busy;
            default:
                break;
        }
        if (text.startsWith("Worker died")) {
            // TorchServe's status is 500, or 507 for a worker that was killed; 503 tells clients to repeat the request.
            FullHttpResponse died = Responses.error(HttpResponseStatus.SERVICE_UNAVAILABLE, "worker_died",
                    "the model's worker ended before it answered.",
                    "repeat the request; if it ends again, read the server's log.", v2);
            died.headers().set(HttpHeaderNames.RETRY_AFTER, "1");
            return died;
        }
        if (status.code() == 507) {
            return Responses.error(status, "out_of_memory", "the server does not have enough memory for the request.",
                    "send fewer records at once, or give the server more memory.", v2);
        }
        if (status.code() < 500) {
            return Responses.error(status, "bad_request", text.isEmpty() ? "the request is not valid." : sentence(text),
                    "compare it with the model's documentation at /predictions/NAME/docs.", v2);
        }
        return Responses.error(status, "server_error", "the server could not answer.",
                "read the server's log.", v2);
    }

    private static String sentence(String text) {
        return text.endsWith(".") ? text : text + ".";
    }
}
