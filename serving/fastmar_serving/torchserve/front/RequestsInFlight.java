package fastmar.front;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The requests that models are answering, also by model. */
final class RequestsInFlight {
    private final Set<Exchange> exchanges = ConcurrentHashMap.newKeySet();
    private final Map<String, Unanswered> unanswered = new ConcurrentHashMap<>();

    /** Time of a model's first request since its last response; 0 if there is none. */
    static final class Unanswered {
        volatile long since;
    }

    void add(Exchange exchange, String target) {
        Unanswered model = unanswered.computeIfAbsent(target, name -> new Unanswered());
        if (model.since == 0) {
            model.since = System.nanoTime();
        }
        exchanges.add(exchange); // last, so that models() finds the model of each exchange
    }

    void answered(String target) {
        Unanswered model = unanswered.get(target);
        if (model != null && model.since != 0) {
            model.since = 0;
        }
    }

    void remove(Exchange exchange) {
        exchanges.remove(exchange);
    }

    int count() {
        return exchanges.size();
    }

    /** By NAME or NAME/VERSION: number of requests, age of the oldest, and time without a response, in seconds. */
    Map<String, Map<String, Object>> models() {
        long now = System.nanoTime();
        Map<String, Map<String, Object>> found = new HashMap<>();
        for (Exchange exchange : exchanges) {
            String target = exchange.target();
            if (target == null) {
                continue;
            }
            Map<String, Object> model = found.computeIfAbsent(target, name -> new HashMap<>());
            double age = (now - exchange.began()) / 1e9;
            model.merge("in_flight", 1, (a, b) -> (Integer) a + (Integer) b);
            model.merge("oldest", age, (a, b) -> Math.max((Double) a, (Double) b));
            Unanswered answers = unanswered.get(target);
            long since = answers == null ? 0 : answers.since; // volatile: read once
            model.put("unanswered", since == 0 ? 0.0 : (now - since) / 1e9);
        }
        return found;
    }
}
