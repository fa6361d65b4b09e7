package fastmar.front;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The requests that models are answering. */
final class Flights {
    private final Set<Exchange> underWay = ConcurrentHashMap.newKeySet();
    private final Map<String, Waiting> waiting = new ConcurrentHashMap<>();

    /** When a model last left callers without any answer: the first request since its last response; 0 for none. */
    static final class Waiting {
        volatile long since;
    }

    void add(Exchange exchange, String target) {
        Waiting model = waiting.computeIfAbsent(target, name -> new Waiting());
        if (model.since == 0) {
            model.since = System.nanoTime();
        }
        underWay.add(exchange); // last: whoever finds it there finds the model
    }

    void answered(String target) {
        Waiting model = waiting.get(target);
        if (model != null && model.since != 0) {
            model.since = 0;
        }
    }

    void remove(Exchange exchange) {
        underWay.remove(exchange);
    }

    int count() {
        return underWay.size();
    }

    /** By "NAME" or "NAME/VERSION": requests under way, the oldest's age and how long no answer came, in seconds. */
    Map<String, Map<String, Object>> models() {
        long now = System.nanoTime();
        Map<String, Map<String, Object>> found = new HashMap<>();
        for (Exchange exchange : underWay) {
            String target = exchange.target();
            if (target == null) {
                continue;
            }
            Map<String, Object> model = found.computeIfAbsent(target, name -> new HashMap<>());
            double age = (now - exchange.began()) / 1e9;
            model.merge("in_flight", 1, (a, b) -> (Integer) a + (Integer) b);
            model.merge("oldest", age, (a, b) -> Math.max((Double) a, (Double) b));
            Waiting answers = waiting.get(target);
            long since = answers == null ? 0 : answers.since; // its next request may be under way by now
            model.put("unanswered", since == 0 ? 0.0 : (now - since) / 1e9);
        }
        return found;
    }
}
