package fastmar.front;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** All open connections. */
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

    /** Number of busy connections. */
    int busy() {
        int busy = 0;
        for (Connection connection : open) {
            busy += connection.isBusy() ? 1 : 0;
        }
        return busy;
    }
}
