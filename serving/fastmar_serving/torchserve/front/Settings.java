package fastmar.front;

import java.util.List;
import java.util.Map;

/** What holds for the whole life of a server. Read from JSON; the field names are the protocol's. */
final class Settings {
    /** Keys that callers send, by API ("inference", "management"). An API that is missing needs none. */
    Map<String, String> keys = Map.of();
    /** File descriptors of sockets that the launcher listens on, by API. */
    Map<String, Integer> listeners = Map.of();
    /** Origins that browsers may call from; empty for none, "*" for any. */
    List<String> origins = List.of();
    /** Seconds in which a request must arrive, plus one for each {@link #bytesPerSecond} received. */
    double requestTimeout = 20;
    int bytesPerSecond = 8192;
    /** Seconds after which a connection without a request is closed: the first wait, and the one between requests. */
    double firstTimeout = 30;
    double idleTimeout = 75;
    /** Seconds without progress after which a client that does not read its response is cut off. */
    double writeTimeout = 60;
}
