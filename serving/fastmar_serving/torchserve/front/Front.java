package fastmar.front;

import java.util.Map;

/** State that the handlers of all connections share. The launcher sets it through {@link Control}. */
final class Front {
    volatile Settings settings = new Settings();
    /** Accepted keys by API ("inference", "management"). A missing API needs no key. */
    volatile Map<String, Keys> keys = Map.of();
    volatile ServedState served = new ServedState();
    volatile boolean draining;
    final RequestsInFlight requestsInFlight = new RequestsInFlight();
    final Connections connections = new Connections();
}
