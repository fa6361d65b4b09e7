package fastmar.front;

import java.util.List;
import java.util.Map;

/** What is served at the moment. Read from JSON and replaced as a whole, so a request sees one state of it. */
final class Served {
    /** Responses that need no model, by path. */
    Map<String, Fixed> answers = Map.of();
    /** Paths that mean /predictions/NAME or /predictions/NAME/VERSION, such as those of a platform. */
    Map<String, String> predictions = Map.of();
    Map<String, Model> models = Map.of();

    static final class Fixed {
        int status = 200;
        String type = "application/json";
        String body = "";
        /** Whether it is answered without a key: a health check. */
        boolean open;
    }

    static final class Model {
        List<String> versions = List.of();
        /** Whether the model reads bodies itself (fastmar: {raw_bodies: true} in all its versions). */
        boolean raw;
    }
}
