package fastmar.front;

import io.netty.handler.codec.http.QueryStringDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;

/** The model, version and document that a path names. */
final class Route {
    private static final Set<String> DOCUMENTS = 
            Set.of("schema", "openapi.json", "openapi-3.0.json", "openapi", "docs", "samples");

    /** Operations with paths of their own; see kinds.py of the runtime. */
    private static final Set<String> OPERATIONS =
            Set.of("predict_file", "recommend", "similar", "generate", "embed", "explain");

    final String name;
    final String version;
    String document;
    boolean needsPost = true;
    /** Whether a path for GET also allows POST. */
    boolean mayPost;
    /** Whether the path must be rewritten for TorchServe. */
    boolean isRewritten;

    private Route(String name, String version) {
        this.name = name;
        this.version = version;
    }

    /** The route of a decoded path; null if there is none. */
    static Route of(String path, QueryStringDecoder uri, ServedState served) {
        if (path.equals("/invocations")) {
            return invocations(uri, served);
        }
        String[] parts = path.split("/", -1); // the first is empty
        for (int i = 1; i < parts.length; i++) {
            if (parts[i].isEmpty()) {
                return null;
            }
        }
        if (parts.length < 3) {
            return null;
        }
        switch (parts[1]) {
            case "predictions":
                return predictions(parts, served);
            case "v1":
                return v1(parts);
            case "v2":
                return v2(parts);
            case "models":
                return models(parts);
            default:
                return null;
        }
    }

    private static Route invocations(QueryStringDecoder uri, ServedState served) {
        List<String> names = uri.parameters().get("model_name");
        if (names != null && !names.get(0).isEmpty()) {
            return new Route(names.get(0), null);
        }
        if (served.models.size() != 1) {
            return null;
        }
        Route route = new Route(served.models.keySet().iterator().next(), null);
        route.isRewritten = true;
        return route;
    }

    private static Route predictions(String[] parts, ServedState served) {
        if (parts.length == 3) {
            return new Route(parts[2], null);
        }
        ServedState.Model model = served.models.get(parts[2]);
        boolean isVersion = model != null && model.versions.contains(parts[3]);
        if (parts.length == 4 && DOCUMENTS.contains(parts[3]) && !isVersion) {
            Route route = new Route(parts[2], null);
            route.document = parts[3];
            route.needsPost = false;
            return route;
        }
        Route route = new Route(parts[2], parts[3]);
        route.needsPost = parts.length == 4;
        route.mayPost = true;
        return route;
    }

    private static Route models(String[] parts) {
        if (parts.length == 4 && parts[3].equals("invoke")) {
            return new Route(parts[2], null);
        }
        if (!OPERATIONS.contains(parts[parts.length - 1])) {
            return null;
        }
        boolean hasVersion = parts.length == 6 && parts[3].equals("versions");
        if (parts.length != 4 && !hasVersion) {
            return null;
        }
        Route route = new Route(parts[2], hasVersion ? parts[4] : null);
        route.isRewritten = true;
        return route;
    }

    private static Route v1(String[] parts) {
        boolean predicts = parts.length == 4 && parts[2].equals("models") && parts[3].endsWith(":predict");
        return predicts ? new Route(parts[3].substring(0, parts[3].length() - ":predict".length()), null) : null;
    }

    private static Route v2(String[] parts) {
        if (!parts[2].equals("models") || !parts[parts.length - 1].equals("infer")) {
            return null;
        }
        if (parts.length == 5) {
            return new Route(parts[3], null);
        }
        if (parts.length == 7 && parts[4].equals("versions")) {
            Route route = new Route(parts[3], parts[5]);
            route.isRewritten = true;
            return route;
        }
        return null;
    }

    /** NAME or NAME/VERSION. */
    String target() {
        return version == null ? name : name + "/" + version;
    }

    /** The path in TorchServe's form. */
    String uri() {
        String path = "/predictions/" + encode(name);
        return version == null ? path : path + "/" + encode(version);
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
