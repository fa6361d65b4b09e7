package fastmar.front;

import java.util.List;
import java.util.Map;

/** Settings that never change while the server runs. Read from JSON, whose keys are the field names. */
final class Settings {
    /** File descriptors of sockets that the launcher listens on, by API. */
    Map<String, Integer> listeners = Map.of();
    /** Origins that browsers may call from; empty for none, "*" for any. */
    List<String> origins = List.of();
    /** Names of archives in the model store that are not served. */
    List<String> leftOut = List.of();
    /** Seconds in which a request must arrive, plus one for each {@link #bytesPerSecond} received. */
    double requestTimeout = 20;
    int bytesPerSecond = 8192;
    /** Seconds without a request after which a connection is closed: before the first request, and between requests. */
    double firstTimeout = 30;
    double idleTimeout = 75;
    /** Seconds after which a connection is closed if the client does not read its response. */
    double writeTimeout = 60;
}
