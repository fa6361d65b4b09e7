package fastmar.front;

import com.google.gson.Gson;
import com.google.gson.JsonSyntaxException;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.nio.charset.StandardCharsets;

/** TorchServe's own errors, {"code": 404, "type": "ModelNotFoundException", "message": ...}, said as ours. */
final class TorchServeError {
    private static final Gson GSON = new Gson();
    private static final int LONGEST = 16384;

    private int code;
    private String type;
    private String message;

    private TorchServeError() {}

    static FullHttpResponse translated(FullHttpResponse response, boolean v2) {
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
            return response; // a model's
        }
        FullHttpResponse ours = error.say(status, v2);
        HttpHeaders headers = response.headers();
        if (headers.contains(HttpHeaderNames.CONNECTION)) {
            ours.headers().set(HttpHeaderNames.CONNECTION, headers.get(HttpHeaderNames.CONNECTION));
        }
        response.release();
        return ours;
    }

    private static boolean isJsonObject(FullHttpResponse response) {
        int size = response.content().readableBytes();
        return size > 0 && size < LONGEST && response.content().getByte(response.content().readerIndex()) == '{';
    }

    private FullHttpResponse say(HttpResponseStatus status, boolean v2) {
        String text = message == null ? "" : message.strip();
        switch (type) {
            case "ModelNotFoundException":
                return Answers.error(status, "model_not_found", "no such model is served.",
                        "GET /v1/models lists the models.", v2);
            case "ModelVersionNotFoundException":
                return Answers.error(status, "version_not_found", "the model has no such version.",
                        "GET /v1/models lists the versions of each model.", v2);
            case "ResourceNotFoundException":
                return Answers.error(status, "not_found", "nothing is served at this path.",
                        "POST to /predictions/NAME; GET /v1/models lists the models.", v2);
            case "MethodNotAllowedException":
                return Answers.error(status, "method_not_allowed", "this path does not take this method.",
                        "see the documentation of the API.", v2);
            case "ServiceUnavailableException":
                FullHttpResponse busy = Answers.error(status, "overloaded",
                        "no worker takes the request: too many requests wait, or no worker is ready.",
                        "repeat it after a moment; if it stays so, add workers or read the server's log.", v2);
                busy.headers().set(HttpHeaderNames.RETRY_AFTER, "1");
                return busy;
            default:
                break;
        }
        if (text.startsWith("Worker died")) {
            // TorchServe says 500, or 507 of a worker that was killed. Predictions are safe to repeat.
            FullHttpResponse died = Answers.error(HttpResponseStatus.SERVICE_UNAVAILABLE, "worker_died",
                    "the model's worker ended before it answered.",
                    "repeat the request; if it ends again, read the server's log.", v2);
            died.headers().set(HttpHeaderNames.RETRY_AFTER, "1");
            return died;
        }
        if (status.code() == 507) {
            return Answers.error(status, "out_of_memory", "the server has not enough memory for the request.",
                    "send fewer records at once, or give the server more memory.", v2);
        }
        if (status.code() < 500) {
            return Answers.error(status, "bad_request", text.isEmpty() ? "the request is not valid." : sentence(text),
                    "compare it with the model's documentation at /predictions/NAME/docs.", v2);
        }
        return Answers.error(status, "server_error", "the server could not answer.",
                "read the server's log.", v2);
    }

    private static String sentence(String text) {
        return text.endsWith(".") ? text : text + ".";
    }
}
