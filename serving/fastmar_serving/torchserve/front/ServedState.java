package fastmar.front;

import java.util.List;
import java.util.Map;

/** Fixed responses, paths and models. Read from JSON and replaced as a whole, so each request sees a consistent state. */
final class ServedState {
    /** Responses without a model, by path. */
    Map<String, FixedResponse> answers = Map.of();
    /** Paths of a platform, mapped to /predictions/NAME or /predictions/NAME/VERSION. */
    Map<String, String> predictions = Map.of();
    Map<String, Model> models = Map.of();

    static final class FixedResponse {
        int status = 200;
        String type = "application/json";
        String body = "";
        /** Whether it needs no key, as health checks. */
        boolean open;
    }

    static final class Model {
        List<String> versions = List.of();
        /** Whether its handler parses request bodies itself (fastmar: {raw_bodies: true} in all versions). */
        boolean raw;
    }
}
