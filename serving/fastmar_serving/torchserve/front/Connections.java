package fastmar.front;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** All connections of callers. */
final class Connections {
    private final Set<Connection> open = ConcurrentHashMap.newKeySet();

    void add(Connection connection) {
        open.add(connection);
    }

    void remove(Connection connection) {
        open.remove(connection);
    }

    int count() {
        return open.size();
    }

    /** Connections on which something is under way: a request, a response, or data that came a moment ago. */
    int owed() {
        int owed = 0;
        for (Connection connection : open) {
            owed += connection.isOwed() ? 1 : 0;
        }
        return owed;
    }
}
